/**
 * VFIO_DEVICE_SET_IRQS of a vfio-pci device (drivers/vfio/pci/vfio_pci_intrs.c; vfio-tce facts 1.4): which action goes to
 * which interrupt, as a table, and the request notifier. INTx is in `vfio_pci_intx.ts`, messages in `vfio_pci_msi.ts`.
 * One of the two is in use at a time. Functions here are not PCI Express: there is no error interrupt.
 */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_DEVICE_SET_IRQS } from '../include/uapi/ioctl.ts';
import {
  VFIO_IRQ_INFO,
  VFIO_IRQ_SET,
  VFIO_PCI,
  VFIO_PCI_IRQ,
  type vfio_irq_info,
  type vfio_irq_set,
} from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import type { View } from '../lib/struct.ts';
import { Mutex, type Task } from '../lib/task.ts';
import { descriptor, EventFdRef } from './eventfd_ref.ts';
import { validateSetIrqs } from './set_irqs.ts';
import type { PciFunction } from './vfio_pci_function.ts';
import { IntxInterrupt } from './vfio_pci_intx.ts';
import { IRQ_NONE, type IrqRequest, type IrqUse } from './vfio_pci_irq_use.ts';
import { MessageInterrupts } from './vfio_pci_msi.ts';

const { INTX, MSI, MSIX, ERR, REQ } = VFIO_PCI_IRQ;
const { EVENTFD, MASKABLE, AUTOMASKED, NORESIZE } = VFIO_IRQ_INFO;
const { ACTION_MASK, ACTION_UNMASK, ACTION_TRIGGER } = VFIO_IRQ_SET;

type Handler = (request: IrqRequest) => Task;

export class VfioPciInterrupts {
  readonly intx: IntxInterrupt;
  readonly messages: MessageInterrupts;
  readonly #kernel: Kernel;
  readonly #function: PciFunction;
  /** By index and action; what is not here is ENOTTY. */
  readonly #handlers: Readonly<Record<number, Readonly<Record<number, Handler>>>>;
  /** One call of SET_IRQS at a time (igate). */
  readonly #gate = new Mutex('igate');
  #request: EventFdRef | undefined;

  /** @param name of the device */
  constructor(kernel: Kernel, fn: PciFunction, name: string) {
    const use: IrqUse = { index: IRQ_NONE };
    this.#kernel = kernel;
    this.#function = fn;
    this.intx = new IntxInterrupt(kernel, fn, use, name);
    this.messages = new MessageInterrupts(kernel, fn, use, name);
    this.#handlers = {
      [INTX]: {
        [ACTION_MASK]: (request) => this.intx.setMask(request),
        [ACTION_UNMASK]: (request) => this.intx.setUnmask(request),
        [ACTION_TRIGGER]: (request) => this.intx.setTrigger(request),
      },
      [MSI]: { [ACTION_TRIGGER]: (request) => this.messages.setTrigger(request) },
      [MSIX]: { [ACTION_TRIGGER]: (request) => this.messages.setTrigger(request) },
      [REQ]: { [ACTION_TRIGGER]: (request) => this.#setRequestTrigger(request) },
    };
  }

  /** Interrupts of each index (vfio_pci_get_irq_count). */
  #counts(): readonly number[] {
    const { pin, msi, msix } = this.#function;
    return [pin === 0 ? 0 : 1, msi?.vectors ?? 0, msix?.vectors ?? 0, 0, 1];
  }

  /** VFIO_DEVICE_GET_IRQ_INFO. @throws Errno EINVAL for an index there is not, and for ERR, which only PCI Express has */
  info(info: View<typeof vfio_irq_info.fields>): void {
    const { index } = info;
    if (index >= VFIO_PCI.NUM_IRQS || index === ERR) throw new Errno('EINVAL', `vfio-pci interrupt ${index}`);
    info.flags = EVENTFD | (index === INTX ? MASKABLE | AUTOMASKED : NORESIZE);
    info.count = this.#counts()[index];
  }

  /** VFIO_DEVICE_SET_IRQS. @throws Errno EINVAL; EBADF; EBUSY; ENOTTY for what the index cannot do */
  *set(arg: number, header: View<typeof vfio_irq_set.fields>): Task<number> {
    const length = validateSetIrqs(header, this.#counts());
    const data = yield* this.#kernel.mm.space.copyIn(arg + VFIO_DEVICE_SET_IRQS.minsz, length);
    const { flags, index, start, count } = header;
    yield* this.#gate.lock();
    try {
      yield* this.#dispatch(flags, { index, start, count, data });
    } finally {
      this.#gate.unlock();
    }
    return 0;
  }
  *#dispatch(flags: number, request: Omit<IrqRequest, 'kind'>): Task {
    const { index } = request;
    const handler = this.#handlers[index]?.[flags & (ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER)];
    if (handler === undefined) throw new Errno('ENOTTY', `vfio-pci interrupt ${index}: flags 0x${flags.toString(16)}`);
    const kind = flags & (VFIO_IRQ_SET.DATA_NONE | VFIO_IRQ_SET.DATA_BOOL | VFIO_IRQ_SET.DATA_EVENTFD);
    yield* handler({ ...request, kind });
  }

  /** Tells user space that the kernel wants the device back; false when it did not ask to be told. */
  signalRequest(): boolean {
    this.#request?.signal();
    return this.#request !== undefined;
  }

  /** The device is closed (vfio_pci_core_disable). */
  *release(): Task {
    yield* this.intx.disable();
    yield* this.messages.disable();
    yield* this.#setRequest(undefined);
  }

  /** What TRIGGER with each kind of data does to the request notifier (vfio_pci_set_ctx_trigger_single). */
  *#setRequestTrigger({ kind, count, data }: IrqRequest): Task {
    if (kind === VFIO_IRQ_SET.DATA_NONE) {
      if (this.#request === undefined) throw new Errno('EINVAL', 'vfio-pci: the request notifier has no eventfd');
      if (count === 0) yield* this.#setRequest(undefined);
      else this.signalRequest();
      return;
    }
    if (count === 0) throw new Errno('EINVAL', 'vfio-pci: no data for the request notifier');
    if (kind === VFIO_IRQ_SET.DATA_BOOL) {
      if (data[0] !== 0) this.signalRequest();
      return;
    }
    const fd = descriptor(data);
    // A descriptor below -1 changes nothing and is no error, as in Linux.
    if (fd >= 0) yield* this.#setRequest(new EventFdRef(this.#kernel, fd));
    else if (fd === -1) yield* this.#setRequest(undefined);
  }

  *#setRequest(next: EventFdRef | undefined): Task {
    const old = this.#request;
    this.#request = next;
    if (old !== undefined) yield* old.put();
  }
}
