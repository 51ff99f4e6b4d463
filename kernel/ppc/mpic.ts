/**
 * The interrupt controller of the SoC as drivers use it: a handler for each source (arch/powerpc/sysdev/mpic.c). Handlers
 * run one after the other, as tasks, in the order of the source numbers.
 */
import type { Kernel } from '../kernel.ts';
import { type Task, until } from '../lib/task.ts';
import type { FslSocBus } from './fsl_soc_bus.ts';

/** Runs when its source is pending. */
export type MpicHandler = () => Task;

export class Mpic {
  readonly #handlers = new Map<number, MpicHandler>();
  /** Interrupts of sources that nobody has requested, since boot. */
  spurious = 0;

  constructor(kernel: Kernel, bus: FslSocBus) {
    kernel.actor.spawn('mpic', this.#serve(bus));
  }

  /** request_irq. @throws Error for a source that has a handler: a mistake of the kernel */
  request(source: number, handler: MpicHandler): void {
    if (this.#handlers.has(source)) throw new Error(`MPIC source ${source} has a handler`);
    this.#handlers.set(source, handler);
  }
  /** free_irq. */
  free(source: number): void {
    this.#handlers.delete(source);
  }

  *#serve(bus: FslSocBus): Task {
    for (;;) {
      yield* until('MPIC interrupt', () => bus.interruptPending());
      const source = bus.interruptSource();
      if (source === undefined) continue;
      const handler = this.#handlers.get(source);
      if (handler === undefined) this.spurious++;
      else yield* handler();
    }
  }
}
