/** vfio-pci: a PCI device passed through (QEMU hw/vfio/pci.c). Configuration space, BARs and interrupts have files of their own. */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_DEVICE_RESET } from '../../../kernel/include/uapi/ioctl.ts';
import {
  littleEndian,
  PCI_CAP_ID,
  PCI_COMMAND,
  PCI_MSI,
  PCI_MSIX,
  PCI_MSIX_BIR,
  PCI_MSIX_FLAGS,
  PCI_REG,
  PCI_STD_NUM_BARS,
} from '../../../kernel/include/uapi/pci_regs.ts';
import { VFIO_DEVICE_FLAGS, VFIO_PCI, VFIO_PCI_IRQ } from '../../../kernel/include/uapi/vfio.ts';
import { Mutex, type Task } from '../../../kernel/lib/task.ts';
import type { CiWindow } from '../ppc/spapr_ci.ts';
import type { VFIOContainer } from './container.ts';
import { deviceInfo, irqCount, type RegionInfo, regionInfo } from './device.ts';
import type { EventNotifier } from './event_notifier.ts';
import { groupNumber, VFIOGroup } from './group.ts';
import { VfioBar } from './pci_bar.ts';
import { PciConfig } from './pci_config.ts';
import { VfioIntx } from './pci_intx.ts';
import { IrqVectors, type PciInterruptSink } from './pci_irq.ts';
import { MsiCapability, type MsiMessage, MsixTable } from './pci_msi.ts';
import { registerRequest } from './pci_request.ts';

/** Options of `-device vfio-pci`. */
export interface VfioPciOptions {
  /** PCI address on the host, `0000:00:00.0`. */
  readonly host: string;
  readonly container: VFIOContainer;
  /** The group when another device of it is there already; it is not this device's to put then. */
  readonly group?: VFIOGroup;
  /** Where interrupts go; without it the device has none. */
  readonly interrupts?: PciInterruptSink;
  /** BARs are not mapped: every access is a system call (QEMU x-no-mmap). */
  readonly noMmap?: boolean;
  /** The host asks for the device; called without the machine's lock. Without it the host is not heard (QEMU x-req=off). */
  readonly requested?: () => Task;
}

/** Options of a device whose group is open. */
interface NamedOptions extends VfioPciOptions {
  readonly machine: Machine;
  readonly name: string;
  readonly group: VFIOGroup;
}

export class VFIOPCIDevice {
  readonly machine: Machine;
  /** The device in messages: `vfio-pci 0000:00:00.0`. */
  readonly name: string;
  readonly group: VFIOGroup;
  readonly fd: number;
  readonly config: PciConfig;
  /** BARs by number; those the device does not have have size 0. */
  readonly bars: readonly VfioBar[];
  readonly intx: VfioIntx | undefined;
  readonly msi: MsiCapability | undefined;
  readonly msix: MsixTable | undefined;
  readonly #ownGroup: boolean;
  readonly #sink: PciInterruptSink | undefined;
  readonly #reset: boolean;
  readonly #hasPin: boolean;
  readonly #noMmap: boolean;
  readonly #requested: (() => Task) | undefined;
  #request: EventNotifier | undefined;
  /** One change of the interrupt mode at a time: guests have several CPUs. */
  readonly #modeLock: Mutex;
  /** Messages in use: of MSI, or of MSI-X. */
  #messages: { readonly msix: boolean; readonly vectors: IrqVectors } | undefined;
  /** The interrupt mode that could not be had: it is tried again once the guest has asked for another one. */
  #failedMode: string | undefined;

  private constructor(
    options: NamedOptions,
    opened: {
      readonly fd: number;
      readonly reset: boolean;
      readonly ownGroup: boolean;
      readonly config: PciConfig;
      readonly bars: readonly VfioBar[];
      readonly pin: boolean;
    },
  ) {
    const { machine, name, interrupts } = options;
    this.machine = machine;
    this.name = name;
    this.group = options.group;
    this.fd = opened.fd;
    this.config = opened.config;
    this.bars = opened.bars;
    this.#ownGroup = opened.ownGroup;
    this.#reset = opened.reset;
    this.#hasPin = opened.pin;
    this.#noMmap = options.noMmap ?? false;
    this.#requested = options.requested;
    this.#sink = interrupts;
    this.#modeLock = new Mutex(`${name} interrupt mode`);
    this.intx = interrupts && opened.pin ? new VfioIntx(machine, opened.fd, name, interrupts) : undefined;
    const msi = interrupts && this.config.capability(PCI_CAP_ID.MSI);
    this.msi = msi === undefined ? undefined : new MsiCapability(this.config.bytes, msi);
    this.msix = interrupts && this.#setUpMsix();
  }

  /** Opens the device and puts its group into the container. @throws Errno; Error naming the device */
  static *realize(machine: Machine, options: VfioPciOptions): Task<VFIOPCIDevice> {
    const name = `vfio-pci ${options.host}`;
    const ownGroup = options.group === undefined;
    const group = options.group ?? (yield* VFIOPCIDevice.#group(machine, name, options));
    try {
      const fd = yield* group.deviceFd(options.host);
      try {
        const device = yield* VFIOPCIDevice.#open({ ...options, machine, name, group }, fd, ownGroup);
        try {
          yield* device.#setUp();
        } catch (error) {
          yield* device.#takeDown();
          throw error;
        }
        return device;
      } catch (error) {
        yield* machine.sys.close(fd);
        throw error;
      }
    } catch (error) {
      if (ownGroup) yield* group.put();
      throw error;
    }
  }
  static *#group(machine: Machine, name: string, { host, container }: VfioPciOptions): Task<VFIOGroup> {
    const number = yield* groupNumber(machine, name, `/sys/bus/pci/devices/${host}`);
    try {
      return yield* VFIOGroup.get(machine, name, number, container);
    } catch (error) {
      if (!(error instanceof Errno) || error.code !== 'ENOENT') throw error;
      throw new Error(
        `${name}: there is no /dev/vfio/${number}: give the device to vfio-pci first, write ${host} to /sys/bus/pci/drivers/vfio-pci/bind`,
        { cause: error },
      );
    }
  }

  static *#open(options: NamedOptions, fd: number, ownGroup: boolean): Task<VFIOPCIDevice> {
    const { machine, name } = options;
    const info = yield* deviceInfo(machine, fd);
    if ((info.flags & VFIO_DEVICE_FLAGS.PCI) === 0) throw new Error(`${name}: this is no PCI device`);
    if (info.num_regions <= VFIO_PCI.CONFIG_REGION_INDEX)
      throw new Error(`${name}: the device has ${info.num_regions} regions and no configuration space`);
    const bars: VfioBar[] = [];
    for (let bar = 0; bar < PCI_STD_NUM_BARS; bar++)
      bars.push(new VfioBar(machine, fd, name, yield* regionInfo(machine, fd, bar)));
    const { offset }: RegionInfo = yield* regionInfo(machine, fd, VFIO_PCI.CONFIG_REGION_INDEX);
    const config = yield* PciConfig.open(machine, { fd, offset, name, barSizes: bars.map(({ size }) => size) });
    const wanted = options.interrupts !== undefined && config.bytes[PCI_REG.INTERRUPT_PIN] !== 0;
    const pin = wanted && (yield* irqCount(machine, fd, VFIO_PCI_IRQ.INTX)) > 0;
    const reset = (info.flags & VFIO_DEVICE_FLAGS.RESET) !== 0;
    return new VFIOPCIDevice(options, { fd, reset, ownGroup, config, bars, pin });
  }

  *#setUp(): Task {
    yield* this.enable();
    if (!this.#noMmap) for (const bar of this.bars) yield* bar.map();
    yield* this.intx?.enable() ?? nothing();
    if (this.#requested !== undefined)
      this.#request = yield* registerRequest(this.machine, this.fd, this.name, this.#requested);
  }
  /** What {@link #setUp} made, last first. */
  *#takeDown(): Task {
    yield* this.#request?.unregister() ?? nothing();
    this.#request = undefined;
    yield* this.intx?.disable() ?? nothing();
    for (const bar of this.bars) yield* bar.unmap();
  }

  /** Eventfd by which the host asks for the device; undefined: it is not heard. */
  get requestEventfd(): number | undefined {
    return this.#request?.eventfd;
  }

  /** The pin of the function, 1 for INTA#; 0: it has none that the kernel serves. */
  get pin(): number {
    return this.#hasPin ? this.config.bytes[PCI_REG.INTERRUPT_PIN] : 0;
  }

  /** What the guest's firmware would do: memory space and bus mastering on. */
  *enable(): Task {
    const command = yield* this.config.read(PCI_REG.COMMAND, 2);
    yield* this.config.write(PCI_REG.COMMAND, 2, command | PCI_COMMAND.MEMORY | PCI_COMMAND.MASTER);
  }

  // Configuration space

  /** A write of the guest's, with what follows from it. @param at aligned to `size`, which is 1, 2 or 4 */
  *writeConfig(at: number, size: number, value: number): Task {
    yield* this.config.write(at, size, value);
    yield* this.#updateMode();
  }

  /** Interrupts follow what configuration space says: MSI-X, else MSI, else the pin (vfio_pci_write_config). */
  *#updateMode(): Task {
    yield* this.#modeLock.lock();
    try {
      const msix = this.msix?.enabled ?? false;
      const msi = !msix && (this.msi?.enabled ?? false);
      const wanted = msix ? (this.msix?.vectors ?? 0) : msi ? (this.msi?.vectors ?? 0) : 0;
      const now = this.#messages;
      const mode = `${msix} ${wanted}`;
      if ((now?.msix !== msix || now.vectors.count !== wanted) && mode !== this.#failedMode) {
        const again = this.#failedMode !== undefined;
        this.#failedMode = mode;
        yield* this.#changeMode(msix, wanted, again);
        this.#failedMode = undefined;
      }
    } catch (error) {
      // The guest's device is without interrupts then; it is the user who can do something about that.
      if (!(error instanceof Errno)) throw error;
      this.machine.log(`${this.name}: interrupts: ${error.message}`);
    } finally {
      this.#modeLock.unlock();
    }
    if (this.msix !== undefined) yield* this.#sendPending(this.msix);
  }
  /** @param again the last change has failed: the pin may be off */
  *#changeMode(msix: boolean, count: number, again: boolean): Task {
    const now = this.#messages;
    if (now === undefined && count === 0 && !again) return;
    this.#messages = undefined;
    if (now !== undefined) yield* now.vectors.unregister();
    else if (count > 0) yield* this.intx?.disable() ?? nothing();
    if (count === 0) return yield* this.intx?.enable() ?? nothing();
    const index = msix ? VFIO_PCI_IRQ.MSIX : VFIO_PCI_IRQ.MSI;
    const options = { device: this.fd, index, count, name: `${this.name} ${msix ? 'MSI-X' : 'MSI'}` };
    const vectors = yield* IrqVectors.register(this.machine, options, (vector) => this.#message(msix, vector));
    this.#messages = { msix, vectors };
    // The kernel's half of MSI shows the bit only once its vectors are there: it is told again (vfio_msi_enable).
    if (!msix && this.msi !== undefined) {
      const at = this.msi.at + PCI_MSI.FLAGS;
      yield* this.config.write(at, 2, littleEndian(this.config.bytes, at, 2));
    }
  }
  *#message(msix: boolean, vector: number): Task {
    if (this.#messages?.msix !== msix) return;
    if (!msix) return yield* this.#send(this.msi?.message(vector));
    if (this.msix?.masked(vector)) this.msix.setPending(vector);
    else yield* this.#send(this.msix?.message(vector));
  }
  *#send(message: MsiMessage | undefined): Task {
    if (message !== undefined) yield* this.#sink?.message(message.address, message.data) ?? nothing();
  }
  *#sendPending(msix: MsixTable): Task {
    for (const vector of msix.takePending()) yield* this.#send(msix.message(vector));
  }

  /** The table and the pending bits lie over the BARs they are in. */
  #setUpMsix(): MsixTable | undefined {
    const at = this.config.capability(PCI_CAP_ID.MSIX);
    if (at === undefined) return undefined;
    const { bytes } = this.config;
    const place = (register: number) => {
      const value = littleEndian(bytes, at + register, 4);
      return { bar: this.bars[value & PCI_MSIX_BIR] as VfioBar | undefined, offset: (value & ~PCI_MSIX_BIR) >>> 0 };
    };
    const msix = new MsixTable(bytes, at, (littleEndian(bytes, at + PCI_MSIX.FLAGS, 2) & PCI_MSIX_FLAGS.QSIZE) + 1);
    const device = this;
    const table = place(PCI_MSIX.TABLE);
    table.bar?.overlays.push({
      offset: table.offset,
      size: msix.size,
      read: (offset, length) => msix.read(offset, length),
      *write(offset, data) {
        msix.write(offset, data);
        yield* device.#sendPending(msix);
      },
    });
    const pending = place(PCI_MSIX.PBA);
    pending.bar?.overlays.push({
      offset: pending.offset,
      size: msix.pendingSize,
      read: (offset, length) => msix.readPending(offset, length),
      *write() {},
    });
    return msix;
  }

  /** The reset that follows loses MSI-X: it is switched off, and the table is as new (spapr_phb_vfio_eeh_pre_reset). */
  *forgetMsix(): Task {
    const { msix } = this;
    if (msix === undefined) return;
    if (msix.enabled) {
      const at = msix.at + PCI_MSIX.FLAGS;
      yield* this.writeConfig(at, 2, littleEndian(this.config.bytes, at, 2) & ~PCI_MSIX_FLAGS.ENABLE);
    }
    msix.clear();
  }

  // BARs

  /**
   * A BAR's memory at guest-physical `base`, wherever the guest has put the BAR. @throws Error when there is no such BAR
   */
  barWindow(bar: number, base: number): CiWindow {
    const found = this.bars[bar];
    if (found === undefined || found.size === 0) throw new Error(`${this.name}: there is no BAR ${bar}`);
    return {
      base,
      size: found.size,
      read: (offset, length) => found.read(offset, length),
      write: (offset, bytes) => found.write(offset, bytes),
    };
  }

  /** What firmware does: gives a BAR its bus address. */
  *setBar(bar: number, address: number): Task {
    yield* this.config.write(PCI_REG.BASE_ADDRESS_0 + 4 * bar, 4, address);
  }
  /** The BAR that an access on the bus lies in as a whole; undefined when none answers. */
  barAt(address: number, length: number): { readonly bar: VfioBar; readonly offset: number } | undefined {
    if (!this.config.memoryEnabled) return undefined;
    for (const [n, bar] of this.bars.entries()) {
      const start = this.config.barAddress(n);
      if (bar.size > 0 && address >= start && address + length <= start + bar.size)
        return { bar, offset: address - start };
    }
    return undefined;
  }

  /** The BARs that answer, and where on the bus; none while memory space is off. */
  answering(): { readonly start: number; readonly bar: VfioBar }[] {
    if (!this.config.memoryEnabled) return [];
    return this.bars.flatMap((bar, n) => (bar.size === 0 ? [] : [{ start: this.config.barAddress(n), bar }]));
  }

  // Life

  /** Messages off, the pin on. */
  *#disableMessages(): Task {
    // Of both words only what enables and masks can be written.
    if (this.msi !== undefined) yield* this.config.write(this.msi.at + PCI_MSI.FLAGS, 2, 0);
    if (this.msix !== undefined) yield* this.config.write(this.msix.at + PCI_MSIX.FLAGS, 2, 0);
    this.msix?.clear();
    yield* this.#updateMode();
  }

  /** Machine reset: the device's own reset where it has one, interrupts by the pin, then enabled again. */
  *reset(): Task {
    yield* this.#disableMessages();
    yield* this.intx?.disable() ?? nothing();
    if (this.#reset) yield* this.machine.sys.ioctl(this.fd, VFIO_DEVICE_RESET);
    yield* this.enable();
    yield* this.intx?.enable() ?? nothing();
  }

  /**
   * Closes the device and lets its group go, if it is this device's. The window must be detached before.
   * @param putGroup false: the group is the caller's to put
   */
  *unrealize(putGroup = this.#ownGroup): Task {
    const messages = this.#messages;
    this.#messages = undefined;
    if (messages !== undefined) yield* messages.vectors.unregister();
    yield* this.#takeDown();
    yield* this.machine.sys.close(this.fd);
    if (putGroup) yield* this.group.put();
  }
}

function* nothing(): Task {}
