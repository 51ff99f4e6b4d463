/** MSI and MSI-X of a vfio-pci device: one eventfd for each vector (drivers/vfio/pci/vfio_pci_intrs.c). */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_IRQ_SET, VFIO_PCI_IRQ } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { type Task, until } from '../lib/task.ts';
import { descriptor, EventFdRef } from './eventfd_ref.ts';
import type { PciFunction } from './vfio_pci_function.ts';
import { IRQ_NONE, type IrqRequest, type IrqUse } from './vfio_pci_irq_use.ts';

const { MSI, MSIX } = VFIO_PCI_IRQ;
const { DATA_NONE, DATA_BOOL, DATA_EVENTFD } = VFIO_IRQ_SET;

export class MessageInterrupts {
  readonly #kernel: Kernel;
  readonly #function: PciFunction;
  readonly #use: IrqUse;
  readonly #name: string;
  /** By vector, as many as were enabled: INFO says NORESIZE. */
  #triggers: (EventFdRef | undefined)[] = [];
  /** Ends the task that waits for messages. */
  #line: { stopped: boolean } | undefined;

  constructor(kernel: Kernel, fn: PciFunction, use: IrqUse, name: string) {
    this.#kernel = kernel;
    this.#function = fn;
    this.#use = use;
    this.#name = name;
  }
  get #used(): boolean {
    return this.#use.index === MSI || this.#use.index === MSIX;
  }
  /** log2 of the MSI vectors in use, rounded up (msi_qmax); -1 when MSI is not in use. */
  get queue(): number {
    return this.#use.index === MSI ? Math.ceil(Math.log2(this.#triggers.length)) : -1;
  }

  /** vfio_pci_set_msi_trigger. @throws Errno */
  *setTrigger({ index, start, count, kind, data }: IrqRequest): Task {
    const mine = this.#use.index === index;
    if (mine && count === 0 && kind === DATA_NONE) return yield* this.disable();
    if (!(mine || this.#use.index === IRQ_NONE))
      throw new Errno('EINVAL', `${this.#name}: another interrupt is in use`);
    if (kind === DATA_EVENTFD) {
      const fds = Array.from({ length: count }, (_, i) => descriptor(data, i));
      if (mine) return yield* this.#setBlock(start, fds);
      return yield* this.#enable(index, start, fds);
    }
    if (!mine) throw new Errno('EINVAL', `${this.#name}: interrupt ${index} is not in use`);
    if (start + count > this.#triggers.length)
      throw new Errno('EINVAL', `${this.#name}: vectors ${start}..${start + count} of ${this.#triggers.length}`);
    for (let i = 0; i < count; i++)
      if (kind === DATA_NONE || (kind === DATA_BOOL && data[i] !== 0)) this.#triggers[start + i]?.signal();
  }

  /** vfio_msi_enable, and its eventfds: without them nothing is enabled. */
  *#enable(index: number, start: number, fds: readonly number[]): Task {
    if (start + fds.length === 0) throw new Errno('EINVAL', `${this.#name}: no vectors`);
    this.#triggers = Array.from({ length: start + fds.length }, () => undefined);
    yield* this.#setBlock(start, fds);
    this.#use.index = index;
    this.#function.enableMessages(index === MSIX, this.#triggers.length);
    const line = { stopped: false };
    this.#line = line;
    this.#kernel.actor.spawn(`${this.#name} messages`, this.#serve(line));
  }
  *#serve(line: { stopped: boolean }): Task {
    for (;;) {
      yield* until('messages', () => line.stopped || this.#function.messagesPending);
      if (line.stopped) return;
      const vectors = this.#function.takeMessages();
      for (const [vector, trigger] of this.#triggers.entries()) if ((vectors & (1 << vector)) !== 0) trigger?.signal();
    }
  }

  /** vfio_msi_set_block: when one cannot be had, none of the block has an eventfd any more. */
  *#setBlock(start: number, fds: readonly number[]): Task {
    if (start >= this.#triggers.length || start + fds.length > this.#triggers.length)
      throw new Errno('EINVAL', `${this.#name}: vectors ${start}..${start + fds.length} of ${this.#triggers.length}`);
    for (const [i, fd] of fds.entries()) {
      try {
        yield* this.#setVector(start + i, fd);
      } catch (error) {
        for (let vector = start + i; vector >= start; vector--) yield* this.#setVector(vector, -1);
        throw error;
      }
    }
  }
  *#setVector(vector: number, fd: number): Task {
    const old = this.#triggers[vector];
    this.#triggers[vector] = undefined;
    if (old !== undefined) yield* old.put();
    if (fd >= 0) this.#triggers[vector] = new EventFdRef(this.#kernel, fd);
  }

  /** vfio_msi_disable. */
  *disable(): Task {
    if (!this.#used) return;
    const { index } = this.#use;
    this.#use.index = IRQ_NONE;
    if (this.#line !== undefined) this.#line.stopped = true;
    this.#function.disableMessages(index === MSIX);
    const triggers = this.#triggers;
    this.#triggers = [];
    for (const trigger of triggers) if (trigger !== undefined) yield* trigger.put();
  }
}
