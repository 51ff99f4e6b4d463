/**
 * INTx of a passed-through device (QEMU vfio_intx_enable, vfio_intx_interrupt, vfio_pci_intx_eoi). The kernel masks the
 * pin at each interrupt; it is unmasked when the guest has ended the interrupt, and comes again if it is still asserted.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_IRQ_SET, VFIO_PCI_IRQ } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { IrqVectors, type PciInterruptSink, setIrqs } from './pci_irq.ts';

export class VfioIntx {
  readonly #machine: Machine;
  readonly #device: number;
  readonly #name: string;
  readonly #sink: PciInterruptSink;
  #vectors: IrqVectors | undefined;
  /** The guest has been told and has not ended it. */
  #pending = false;

  constructor(machine: Machine, device: number, name: string, sink: PciInterruptSink) {
    this.#machine = machine;
    this.#device = device;
    this.#name = `${name} INTx`;
    this.#sink = sink;
  }

  /** @throws Errno */
  *enable(): Task {
    if (this.#vectors !== undefined) return;
    const options = { device: this.#device, index: VFIO_PCI_IRQ.INTX, count: 1, name: this.#name };
    this.#vectors = yield* IrqVectors.register(this.#machine, options, () => this.#interrupt());
  }
  *#interrupt(): Task {
    if (this.#vectors === undefined) return;
    this.#pending = true;
    yield* this.#sink.setPin(true);
  }

  /** The guest has ended the interrupt (EOI). What the kernel says against it is told. */
  *eoi(): Task {
    if (!this.#pending) return;
    this.#pending = false;
    yield* this.#sink.setPin(false);
    try {
      yield* setIrqs(this.#machine, this.#device, VFIO_PCI_IRQ.INTX, VFIO_IRQ_SET.ACTION_UNMASK, 1);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.#machine.log(`${this.#name}: unmask: ${error.message}`);
    }
  }

  /** Messages are used now, or the device goes. @throws Errno */
  *disable(): Task {
    const vectors = this.#vectors;
    if (vectors === undefined) return;
    this.#vectors = undefined;
    this.#pending = false;
    yield* vectors.unregister();
    yield* this.#sink.setPin(false);
  }
}
