/** What every unit of the SoC has at hand: the shared area, the way to the interrupt controller, the trace. */
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import type { Tracer } from '../../../kernel/lib/trace.ts';
import { SocArea } from './soc_area.ts';

export interface SocPortOptions {
  readonly memory: HostMemory;
  /** HPA of the area: `SharedMap.soc`. */
  readonly socBase: number;
  /** Rung for interrupts; nobody needs to be woken by the kernel's own thread. */
  readonly kernelDoorbell?: Doorbell;
  readonly tracer?: Tracer;
}

export class SocPort {
  readonly area: SocArea;
  readonly tracer: Tracer | undefined;
  readonly #kernelDoorbell: Doorbell | undefined;

  /** @throws Error when the SoC is not installed. */
  constructor({ memory, socBase, kernelDoorbell, tracer }: SocPortOptions) {
    this.area = new SocArea(memory, socBase);
    this.tracer = tracer;
    this.#kernelDoorbell = kernelDoorbell;
    if (this.area.get('installed') === 0) throw new Error('the machine has no SoC: installFslSoc comes first');
  }

  /** Raises an MPIC source. */
  interrupt(source: number): void {
    this.area.setPending(source);
    this.#kernelDoorbell?.ring();
  }
}
