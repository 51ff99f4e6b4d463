/**
 * INTx of a vfio-pci device: a level, so each interrupt masks it until user space has served the device and unmasks,
 * by the ioctl or by an eventfd (drivers/vfio/pci/vfio_pci_intrs.c; the masking is that of PCI 2.3, by the command
 * register).
 */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_IRQ_SET, VFIO_PCI_IRQ } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { type Task, until } from '../lib/task.ts';
import { descriptor, EventFdRef, Virqfd } from './eventfd_ref.ts';
import type { PciFunction } from './vfio_pci_function.ts';
import { IRQ_NONE, type IrqRequest, type IrqUse } from './vfio_pci_irq_use.ts';

const { INTX } = VFIO_PCI_IRQ;
const { DATA_NONE, DATA_EVENTFD } = VFIO_IRQ_SET;

export class IntxInterrupt {
  readonly #kernel: Kernel;
  readonly #function: PciFunction;
  readonly #use: IrqUse;
  readonly #name: string;
  #trigger: EventFdRef | undefined;
  #unmask: Virqfd | undefined;
  #masked = false;
  /** The virtual INTx disable bit of the command register. */
  #disabledByUser = false;
  /** Ends the task that waits for the pin. */
  #line: { stopped: boolean } | undefined;

  constructor(kernel: Kernel, fn: PciFunction, use: IrqUse, name: string) {
    this.#kernel = kernel;
    this.#function = fn;
    this.#use = use;
    this.#name = name;
  }
  get #used(): boolean {
    return this.#use.index === INTX;
  }
  /** Whether it is masked, for tests. */
  get masked(): boolean {
    return this.#masked;
  }

  /** vfio_pci_set_intx_trigger. @throws Errno */
  *setTrigger({ start, count, kind, data }: IrqRequest): Task {
    if (this.#used && count === 0 && kind === DATA_NONE) return yield* this.disable();
    if (!(this.#used || this.#use.index === IRQ_NONE) || start !== 0 || count !== 1)
      throw new Errno('EINVAL', `${this.#name}: INTx trigger`);
    if (kind === DATA_EVENTFD) return yield* this.#setEventfd(descriptor(data));
    if (!this.#used) throw new Errno('EINVAL', `${this.#name}: INTx is not in use`);
    if (kind === DATA_NONE || data[0] !== 0) this.#signal();
  }
  /** The eventfd is looked up first: what cannot be had changes nothing. */
  *#setEventfd(fd: number): Task {
    const next = fd < 0 ? undefined : new EventFdRef(this.#kernel, fd);
    const old = this.#trigger;
    this.#trigger = next;
    if (!this.#used) this.#enable();
    if (old !== undefined) yield* old.put();
  }

  /** vfio_intx_enable. */
  #enable(): void {
    this.#use.index = INTX;
    this.#masked = this.#disabledByUser;
    this.#function.intx(!this.#masked);
    const line = { stopped: false };
    this.#line = line;
    this.#kernel.actor.spawn(`${this.#name} INTx`, this.#serve(line));
  }
  *#serve(line: { stopped: boolean }): Task {
    for (;;) {
      yield* until('INTx', () => line.stopped || (this.#trigger !== undefined && this.#function.pinAsserted()));
      if (line.stopped) return;
      this.#interrupt();
    }
  }
  /** vfio_intx_handler: masked until the user has served the device. */
  #interrupt(): void {
    this.#function.intx(false);
    this.#masked = true;
    this.#signal();
  }
  #signal(): void {
    if (this.#used && !this.#disabledByUser) this.#trigger?.signal();
  }

  /** vfio_intx_disable. */
  *disable(): Task {
    if (!this.#used) return;
    this.#use.index = IRQ_NONE;
    this.#unmask?.disable();
    this.#unmask = undefined;
    if (this.#line !== undefined) this.#line.stopped = true;
    const old = this.#trigger;
    this.#trigger = undefined;
    if (old !== undefined) yield* old.put();
  }

  /** @throws Errno EINVAL unless INTx is in use and its one interrupt is meant */
  #check({ start, count }: IrqRequest): void {
    if (!this.#used || start !== 0 || count !== 1) throw new Errno('EINVAL', `${this.#name}: INTx mask`);
  }
  /** vfio_pci_set_intx_mask. @throws Errno ENOTTY: nothing masks by eventfd */
  *setMask(request: IrqRequest): Task {
    this.#check(request);
    if (request.kind === DATA_EVENTFD) throw new Errno('ENOTTY', `${this.#name}: INTx mask by eventfd`);
    if (request.kind === DATA_NONE || request.data[0] !== 0) this.#mask();
  }
  /** vfio_pci_set_intx_unmask. @throws Errno EBUSY when an eventfd does it already */
  *setUnmask(request: IrqRequest): Task {
    this.#check(request);
    const { kind, data } = request;
    if (kind !== DATA_EVENTFD) {
      if (kind === DATA_NONE || data[0] !== 0) this.#unmaskNow();
      return;
    }
    const fd = descriptor(data);
    if (fd >= 0) {
      if (this.#unmask !== undefined) throw new Errno('EBUSY', `${this.#name}: INTx has an eventfd that unmasks it`);
      this.#unmask = new Virqfd(this.#kernel, fd, `${this.#name} unmask`, () => this.#unmaskNow());
    } else {
      this.#unmask?.disable();
      this.#unmask = undefined;
    }
  }

  /** vfio_pci_intx_mask. */
  #mask(): void {
    if (this.#used && this.#masked) return;
    this.#function.intx(false);
    if (this.#used) this.#masked = true;
  }
  /** vfio_pci_intx_unmask: a level that is still there is told again, and stays masked. */
  #unmaskNow(): void {
    // Messages have turned the pin off, and the kernel's own state of that is not the user's to change.
    if (!this.#used) {
      if (this.#use.index === IRQ_NONE) this.#function.intx(true);
      return;
    }
    if (!this.#masked || this.#disabledByUser) return;
    this.#function.intx(true);
    if (this.#trigger !== undefined && this.#function.pinAsserted()) this.#interrupt();
    else this.#masked = false;
  }

  /** The virtual INTx disable bit, after a write to the command register (vfio_basic_config_write). */
  setDisabled(disabled: boolean): void {
    if (disabled === this.#disabledByUser) return;
    if (disabled) {
      this.#disabledByUser = true;
      this.#mask();
    } else {
      this.#disabledByUser = false;
      this.#unmaskNow();
    }
  }
  /** The device is opened anew. */
  reset(): void {
    this.#disabledByUser = false;
    this.#masked = false;
  }
}
