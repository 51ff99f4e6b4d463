/**
 * Interrupts of a vfio-pci device (drivers/vfio/pci/vfio_pci_intrs.c). The devices behind the host bridge have no
 * interrupt pin, no MSI and are not PCI Express, so only the request notifier exists; everything else is refused as
 * Linux refuses it for such a device.
 */
import { EventFd } from '../fs/eventfd.ts';
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_DEVICE_SET_IRQS } from '../include/uapi/ioctl.ts';
import { VFIO_IRQ_INFO, VFIO_IRQ_SET, type vfio_irq_info, type vfio_irq_set } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import type { File } from '../syscall/file.ts';
import { validateSetIrqs } from './set_irqs.ts';

/** Interrupt indexes (include/uapi/linux/vfio.h, VFIO_PCI_*_IRQ_INDEX). */
const PCI_IRQ = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4 } as const;
const { EVENTFD, MASKABLE, AUTOMASKED, NORESIZE } = VFIO_IRQ_INFO;

/** How many interrupts each index has, and what it can do; by index. */
const IRQS: readonly { readonly count: number; readonly flags: number }[] = [
  { count: 0, flags: EVENTFD | MASKABLE | AUTOMASKED },
  { count: 0, flags: EVENTFD | NORESIZE },
  { count: 0, flags: EVENTFD | NORESIZE },
  { count: 0, flags: EVENTFD | NORESIZE },
  { count: 1, flags: EVENTFD | NORESIZE },
];
const COUNTS = IRQS.map(({ count }) => count);
const ACTIONS = VFIO_IRQ_SET.ACTION_MASK | VFIO_IRQ_SET.ACTION_UNMASK | VFIO_IRQ_SET.ACTION_TRIGGER;

/** VFIO_DEVICE_GET_IRQ_INFO. @throws Errno EINVAL for an index there is not, and for ERR, which only PCI Express has */
export function irqInfo(info: View<typeof vfio_irq_info.fields>): void {
  const row = IRQS[info.index];
  if (row === undefined || info.index === PCI_IRQ.ERR) throw new Errno('EINVAL', `vfio-pci interrupt ${info.index}`);
  info.flags = row.flags;
  info.count = row.count;
}

export class VfioPciInterrupts {
  readonly #kernel: Kernel;
  #request: { readonly file: File; readonly eventfd: EventFd } | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Tells user space that the kernel wants the device back; false when it did not ask to be told. */
  signalRequest(): boolean {
    this.#request?.eventfd.signal();
    return this.#request !== undefined;
  }

  /** The device is closed. */
  *release(): Task {
    yield* this.#setRequest(undefined);
  }

  /** VFIO_DEVICE_SET_IRQS. @throws Errno EINVAL; ENOTTY for what the index cannot do */
  *set(arg: number, header: View<typeof vfio_irq_set.fields>): Task<number> {
    const length = validateSetIrqs(header, COUNTS);
    const data = yield* this.#kernel.mm.space.copyIn(arg + VFIO_DEVICE_SET_IRQS.minsz, length);
    const { flags, index, count } = header;
    if (index !== PCI_IRQ.REQ || (flags & ACTIONS) !== VFIO_IRQ_SET.ACTION_TRIGGER)
      throw new Errno('ENOTTY', `vfio-pci interrupt ${index}: flags 0x${flags.toString(16)}`);
    yield* this.#trigger(flags, count, data);
    return 0;
  }

  /** What TRIGGER with each kind of data does to the request notifier (vfio_pci_set_ctx_trigger_single). */
  *#trigger(flags: number, count: number, data: Uint8Array): Task {
    if ((flags & VFIO_IRQ_SET.DATA_NONE) !== 0) {
      if (this.#request === undefined) throw new Errno('EINVAL', 'vfio-pci: the request notifier has no eventfd');
      if (count === 0) yield* this.#setRequest(undefined);
      else this.signalRequest();
      return;
    }
    if (count === 0) throw new Errno('EINVAL', 'vfio-pci: no data for the request notifier');
    if ((flags & VFIO_IRQ_SET.DATA_EVENTFD) !== 0)
      yield* this.#setEventfd(new DataView(data.buffer, data.byteOffset).getInt32(0, true));
    else if (data[0] !== 0) this.signalRequest();
  }

  /** A descriptor below -1 changes nothing and is no error, as in Linux. */
  *#setEventfd(fd: number): Task {
    if (fd < -1) return;
    if (fd === -1) return yield* this.#setRequest(undefined);
    const file = this.#kernel.files.file(fd);
    const eventfd = EventFd.of(file);
    yield* this.#setRequest({ file: file.get(), eventfd });
  }

  *#setRequest(next: { readonly file: File; readonly eventfd: EventFd } | undefined): Task {
    const old = this.#request;
    this.#request = next;
    if (old !== undefined) yield* old.file.put();
  }
}
