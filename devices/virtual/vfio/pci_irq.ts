/** Eventfds for the interrupts of one index of a PCI device, each served by a task (QEMU hw/vfio/pci.c). */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { VFIO_DEVICE_SET_IRQS } from '../../../kernel/include/uapi/ioctl.ts';
import { VFIO_IRQ_SET, vfio_irq_set } from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';

/** Where interrupts of a function go: the host bridge it sits behind. */
export interface PciInterruptSink {
  /** The level of the function's pin. */
  setPin(asserted: boolean): Task;
  /** A message: `data` written to bus address `address`. */
  message(address: bigint, data: number): Task;
}

/** VFIO_DEVICE_SET_IRQS without data. @param action one of VFIO_IRQ_SET's ACTIONs. @throws Errno */
export function* setIrqs(machine: Machine, fd: number, index: number, action: number, count: number): Task {
  const flags = VFIO_IRQ_SET.DATA_NONE | action;
  const set = vfio_irq_set.make({ argsz: vfio_irq_set.size, flags, index, start: 0, count });
  yield* machine.sys.ioctlStruct(fd, VFIO_DEVICE_SET_IRQS, set);
}

/** The interrupts 0 to `count` - 1 of an index, registered with the kernel in one call. */
export class IrqVectors {
  readonly count: number;
  readonly #machine: Machine;
  readonly #device: number;
  readonly #index: number;
  readonly #eventfds: number[] = [];
  #stopped = false;

  private constructor(machine: Machine, device: number, index: number, count: number) {
    this.#machine = machine;
    this.#device = device;
    this.#index = index;
    this.count = count;
  }

  /**
   * Makes eventfds, registers them and starts a task for each. Signals that come before the handler runs coalesce.
   * @param name of device and interrupts, in the task list. @throws Errno, and nothing stays open
   */
  static *register(
    machine: Machine,
    options: { readonly device: number; readonly index: number; readonly count: number; readonly name: string },
    handler: (vector: number) => Task,
  ): Task<IrqVectors> {
    const { device, index, count, name } = options;
    const vectors = new IrqVectors(machine, device, index, count);
    const fds = vectors.#eventfds;
    try {
      for (let vector = 0; vector < count; vector++) fds.push(yield* machine.sys.eventfd());
      const data = new Uint8Array(Int32Array.from(fds).buffer);
      const flags = VFIO_IRQ_SET.DATA_EVENTFD | VFIO_IRQ_SET.ACTION_TRIGGER;
      const set = vfio_irq_set.make({ argsz: vfio_irq_set.size + data.length, flags, index, start: 0, count });
      yield* machine.sys.ioctlStruct(device, VFIO_DEVICE_SET_IRQS, set, data);
    } catch (error) {
      for (const fd of fds) yield* machine.sys.close(fd);
      throw error;
    }
    for (const [vector, fd] of fds.entries())
      machine.actor.spawn(
        `${name} ${vector}`,
        vectors.#serve(fd, () => handler(vector)),
      );
    return vectors;
  }

  *#serve(eventfd: number, handler: () => Task): Task {
    const { sys } = this.#machine;
    for (;;) {
      yield* sys.eventfdRead(eventfd);
      if (this.#stopped) break;
      yield* handler();
    }
    yield* sys.close(eventfd);
  }

  /** The device stops signalling, and the index is free for others; the tasks end and close their eventfds. @throws Errno */
  *unregister(): Task {
    if (this.#stopped) return;
    this.#stopped = true;
    yield* setIrqs(this.#machine, this.#device, this.#index, VFIO_IRQ_SET.ACTION_TRIGGER, 0);
    // The tasks sleep in read(2): a count of one is what wakes them.
    const one = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);
    for (const fd of this.#eventfds) yield* this.#machine.sys.pwrite(fd, one, 0, 'write eventfd');
  }
}
