/**
 * The sPAPR PCI host bridge (QEMU hw/ppc/spapr_pci.c, spapr_pci_vfio.c): a bus of passed-through devices with a range of
 * guest-physical addresses for their BARs, four interrupt pins, DMA windows and, once it has a device, a VFIO container.
 * Methods that plug, unplug and reset are called with the machine's lock.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { pciDrcId, pciDrcIndex } from '../../../kernel/include/arch/ppc/dr_connector.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { BarArea, BarSlots } from '../vfio/bar_slots.ts';
import type { VFIOContainer } from '../vfio/container.ts';
import { groupNumber, type VFIOGroup } from '../vfio/group.ts';
import { VFIOPCIDevice } from '../vfio/pci.ts';
import type { PciInterruptSink } from '../vfio/pci_irq.ts';
import { openSpaprContainer, type TceBind } from '../vfio/spapr.ts';
import type { SpaprCi } from './spapr_ci.ts';
import { SpaprDrc } from './spapr_drc.ts';
import { lsiNumber, type SpaprIrq } from './spapr_irq.ts';
import { pciDeviceNode } from './spapr_pci_dt.ts';
import { MEMORY_SIZE, MEMORY_START, phbBase, phbBuid, phbMemory } from './spapr_pci_map.ts';
import type { SpaprTceHcalls } from './spapr_tce_hcalls.ts';
import { SpaprWindows } from './spapr_windows.ts';

/** Where devices write messages (QEMU SPAPR_PCI_MSI_WINDOW). */
export const SPAPR_PCI_MSI_WINDOW = 0x400_0000_0000n;

/** Pins of the bridge, and device numbers on its bus. */
const PINS = 4;
const SLOTS = 32;

export interface SpaprPhbOptions {
  /** Number of the bridge, from 0; LIOBNs, addresses and interrupt sources follow from it. */
  readonly index: number;
  readonly irq: SpaprIrq;
  readonly tce: SpaprTceHcalls;
  readonly ci: SpaprCi;
  /** HPA of a VMM address. */
  readonly mapped: (va: number) => number;
  /** RAM is registered as a whole (spapr_tce v2). Without: every page when it is mapped, and one window (v1). */
  readonly preregister: boolean;
  /** What a LIOBN is bound to in KVM. */
  readonly bind?: TceBind;
  /** Where KVM is told of mapped BARs; without it they are not mapped, and every access to one is an exit. */
  readonly slots?: BarSlots;
  /** Dynamic DMA windows; on when omitted, where RAM is preregistered. */
  readonly ddw?: boolean;
  /** The host asks for a device on the bus; called without the machine's lock, again every ten seconds. */
  readonly hostRequests?: (phb: SpaprPhb, devfn: number) => Task;
}

/** Interrupt sources that a device has for messages. */
export interface MsiSources {
  readonly first: number;
  readonly count: number;
}

/** Which device of the host is plugged, and where. */
export interface PlugPci {
  /** PCI address on the host, `0000:01:00.0`. */
  readonly host: string;
  /** `-device ...,id=`; the address when omitted. */
  readonly id?: string;
  /** Device number on the bus; the lowest free one when omitted. */
  readonly slot?: number;
  /** False: the host's requests for the device are not heard (QEMU x-req=off). */
  readonly requests?: boolean;
}

/** A device on the bus. */
export interface PluggedDevice {
  /** What the monitor calls it. */
  readonly id: string;
  readonly host: string;
  readonly device: VFIOPCIDevice;
  /** Device number << 3 | function number. */
  readonly devfn: number;
  /** What ibm,change-msi gave it. */
  msis: MsiSources | undefined;
}

/** A slot's connector. */
export type PciDrc = SpaprDrc<PluggedDevice>;

export class SpaprPhb {
  readonly index: number;
  readonly buid: bigint;
  readonly machine: Machine;
  readonly irq: SpaprIrq;
  readonly windows: SpaprWindows;
  /** Dynamic DMA windows are offered. */
  readonly ddw: boolean;
  /** Connectors of the slots, by device number. */
  readonly drcs: readonly PciDrc[];
  readonly #options: SpaprPhbOptions;
  readonly #devices = new Map<number, PluggedDevice>();
  readonly #groups = new Map<number, { readonly group: VFIOGroup; users: number }>();
  /** Devices that assert each pin. */
  readonly #asserting: readonly Set<number>[] = Array.from({ length: PINS }, () => new Set());
  #container: VFIOContainer | undefined;

  private constructor(machine: Machine, options: SpaprPhbOptions) {
    this.machine = machine;
    this.index = options.index;
    this.buid = phbBuid(options.index);
    this.irq = options.irq;
    this.ddw = (options.ddw ?? true) && options.preregister;
    this.#options = options;
    const { tce, mapped, bind } = options;
    this.windows = new SpaprWindows(machine, { phb: options.index, tce, mapped, bind });
    this.drcs = Array.from({ length: SLOTS }, (_, slot) => this.#connector(slot << 3));
  }

  /** A bridge with an empty bus and the default window. @throws Errno; Error */
  static *realize(machine: Machine, options: SpaprPhbOptions): Task<SpaprPhb> {
    const phb = new SpaprPhb(machine, options);
    yield* phb.windows.setDefault();
    for (let pin = 0; pin < PINS; pin++) options.irq.claimLsi(lsiNumber(phb.index, pin), () => phb.#eoi(pin));
    options.ci.add({
      base: phbMemory(phb.index),
      size: MEMORY_SIZE,
      read: (offset, length) => phb.#load(MEMORY_START + offset, length),
      write: (offset, bytes) => phb.#store(MEMORY_START + offset, bytes),
    });
    return phb;
  }

  /** What is added to a bus address to get the guest-physical one. */
  get base(): number {
    return phbBase(this.index);
  }
  /** The container of its devices; undefined on an empty bus. */
  get container(): VFIOContainer | undefined {
    return this.#container;
  }
  /** IOMMU groups with a device on the bus. */
  get groupCount(): number {
    return this.#groups.size;
  }
  devices(): readonly PluggedDevice[] {
    return [...this.#devices.values()];
  }
  /** The device that a configuration address names: bus << 16 | devfn << 8; there is one bus, 0. */
  deviceAt(configAddress: number): PluggedDevice | undefined {
    return (configAddress >>> 16) % 256 === 0 ? this.#devices.get((configAddress >>> 8) & 0xff) : undefined;
  }

  /** The connector of a function; only function 0 of a slot has one. */
  drcAt(devfn: number): PciDrc | undefined {
    return (devfn & 7) === 0 ? this.drcs[devfn >> 3] : undefined;
  }
  #connector(devfn: number): PciDrc {
    const index = pciDrcIndex(this.index, devfn);
    const name = `C${pciDrcId(this.index, devfn)}`;
    return new SpaprDrc<PluggedDevice>({
      index,
      name,
      tracer: this.machine.tracer,
      release: (plugged) => this.#release(plugged),
      released: ({ id, device }) =>
        this.machine.notify(`${device.name} (${id}): the guest has released it; it is unplugged`),
      populate: ({ device }) => pciDeviceNode(device, { devfn, drcIndex: index, drcName: name }),
    });
  }
  /** What the host has against it is the user's to see; the guest, which may have brought it about, goes on. */
  *#release(plugged: PluggedDevice): Task {
    try {
      yield* this.unplug(plugged);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.machine.log(`${plugged.device.name}: unplug: ${error.message}`);
    }
  }

  // Plugging

  /** What the monitor calls the bus: QEMU's name for that of the bridge with this number. */
  get busName(): string {
    return `pci.${this.index}`;
  }

  /**
   * Puts a device of the host on the bus.
   * @param handOver the guest takes it over by its connector; without, it is the guest's at once
   * @throws Errno; Error naming the device
   */
  *plug(options: PlugPci, handOver = false): Task<PluggedDevice> {
    const devfn = this.#place(options) << 3;
    const container = this.#container ?? (yield* openSpaprContainer(this.machine, this.#options.preregister));
    try {
      const plugged = yield* this.#realize(options, devfn, container);
      this.#container = container;
      this.#devices.set(devfn, plugged);
      this.drcAt(devfn)?.attach(plugged, !handOver);
      yield* this.mapBars();
      return plugged;
    } catch (error) {
      if (this.#container === undefined) yield* container.close();
      throw error;
    }
  }
  /** The device number for a new device. @throws Error (messages of QEMU's do_pci_register_device) */
  #place({ host, slot }: PlugPci): number {
    const free = slot ?? Array.from({ length: SLOTS }, (_, n) => n).find((n) => !this.#devices.has(n << 3));
    if (free === undefined)
      throw new Error(`vfio-pci ${host}: no slot/function available on ${this.busName}, all in use`);
    const there = this.#devices.get(free << 3);
    if (there !== undefined)
      throw new Error(
        `vfio-pci ${host}: slot ${free} function 0 of ${this.busName} is in use by vfio-pci,id=${there.id}`,
      );
    return free;
  }
  /** The IOMMU group of a device of the host. @throws Error when there is no such device (QEMU vfio_realize) */
  *#groupOf(host: string): Task<number> {
    const directory = `/sys/bus/pci/devices/${host}`;
    try {
      return yield* groupNumber(this.machine, `vfio-pci ${host}`, directory);
    } catch (error) {
      if (!(error instanceof Errno) || error.code !== 'ENOENT') throw error;
      throw new Error(`vfio-pci ${host}: no such host device: there is no ${directory}`, { cause: error });
    }
  }
  *#realize({ host, id = host, requests }: PlugPci, devfn: number, container: VFIOContainer): Task<PluggedDevice> {
    const number = yield* this.#groupOf(host);
    const shared = this.#groups.get(number);
    const device = yield* VFIOPCIDevice.realize(this.machine, {
      host,
      container,
      group: shared?.group,
      interrupts: this.#sink(devfn),
      requested: requests === false ? undefined : this.#requested(devfn),
      noMmap: this.#options.slots === undefined,
    });
    try {
      if (shared === undefined) yield* this.windows.groupJoined(container, device.group);
      yield* this.#assignBars(device);
    } catch (error) {
      if (shared === undefined) yield* this.windows.groupLeaves(device.group);
      yield* device.unrealize();
      throw error;
    }
    if (shared !== undefined) shared.users++;
    else this.#groups.set(number, { group: device.group, users: 1 });
    return { id, host, device, devfn, msis: undefined };
  }

  #requested(devfn: number): (() => Task) | undefined {
    const { hostRequests } = this.#options;
    return hostRequests && (() => hostRequests(this, devfn));
  }

  /** Takes a device off the bus; with the last one of its group the group leaves, with the last group the container goes. */
  *unplug({ device, devfn, msis }: PluggedDevice): Task {
    if (!this.#devices.delete(devfn)) return;
    this.drcAt(devfn)?.detach();
    if (msis !== undefined) this.irq.freeMsis(msis.first, msis.count);
    const shared = this.#groups.get(device.group.number);
    const last = shared !== undefined && --shared.users === 0;
    yield* this.mapBars();
    yield* device.unrealize(false);
    if (!last) return;
    this.#groups.delete(device.group.number);
    yield* this.windows.groupLeaves(device.group);
    yield* device.group.put();
    if (this.#groups.size > 0) return;
    const container = this.#container;
    this.#container = undefined;
    if (container !== undefined) yield* container.close();
  }

  /** What the guest's firmware does: each BAR gets an address nobody has, aligned to its size. */
  *#assignBars(device: VFIOPCIDevice): Task {
    for (const [bar, { size }] of device.bars.entries())
      if (size > 0) yield* device.setBar(bar, this.#freeAddress(device, size));
  }
  #freeAddress(device: VFIOPCIDevice, size: number): number {
    const taken = [...this.devices().map((plugged) => plugged.device), device].flatMap((one) =>
      one.bars.map((bar, n) => ({ start: one.config.barAddress(n), size: bar.size })),
    );
    for (let start = MEMORY_START; start + size <= MEMORY_START + MEMORY_SIZE; start += size)
      if (taken.every((other) => start + size <= other.start || start >= other.start + other.size)) return start;
    throw new Error(`${device.name}: host bridge ${this.index} has no ${size} bytes left for a BAR`);
  }

  // Memory space

  /** A write of the guest's to configuration space, with what follows from it. */
  *writeConfig({ device }: PluggedDevice, at: number, size: number, value: number): Task {
    yield* device.writeConfig(at, size, value);
    yield* this.mapBars();
  }

  /** KVM is told where the guest has its mapped BARs now. */
  *mapBars(): Task {
    yield* this.#options.slots?.update(this, this.#barAreas()) ?? nothing();
  }
  /** Mapped parts of BARs that answer, in the bridge's memory space; where BARs overlap, exits say which is first. */
  #barAreas(): BarArea[] {
    const all = this.devices().flatMap(({ device }) => device.answering());
    return all
      .filter(({ start, bar }) => {
        if (start < MEMORY_START || start + bar.size > MEMORY_START + MEMORY_SIZE || start % PAGE_SIZE !== 0)
          return false;
        return all.every((o) => o.bar === bar || start + bar.size <= o.start || start >= o.start + o.bar.size);
      })
      .flatMap(({ start, bar }) =>
        bar.direct.map(({ offset, size, va }) => ({ gpa: this.base + start + offset, size, va })),
      );
  }

  /** The BAR that an access lies in, on the bus. */
  #hit(address: number, length: number) {
    for (const { device } of this.#devices.values()) {
      const found = device.barAt(address, length);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  /** All ones where nothing answers: the master abort of PCI. */
  *#load(address: number, length: number): Task<Uint8Array> {
    const hit = this.#hit(address, length);
    return hit === undefined ? new Uint8Array(length).fill(0xff) : yield* hit.bar.read(hit.offset, length);
  }
  *#store(address: number, bytes: Uint8Array): Task {
    const hit = this.#hit(address, bytes.length);
    if (hit !== undefined) yield* hit.bar.write(hit.offset, bytes);
  }

  // Interrupts

  /** The bridge's pin of a device's pin: the usual swizzle (pci_spapr_map_irq). */
  pinOf(devfn: number, pin: number): number {
    return ((devfn >> 3) + pin - 1) % PINS;
  }
  #sink(devfn: number): PciInterruptSink {
    const phb = this;
    return {
      *setPin(asserted) {
        const pin = phb.pinOf(devfn, 1);
        const asserting = phb.#asserting[pin];
        if (asserted) asserting.add(devfn);
        else asserting.delete(devfn);
        yield* phb.irq.setLevel(lsiNumber(phb.index, pin), asserting.size > 0);
      },
      *message(address, data) {
        if (address === SPAPR_PCI_MSI_WINDOW) yield* phb.irq.pulse(data);
      },
    };
  }
  *#eoi(pin: number): Task {
    for (const { device, devfn } of this.#devices.values())
      if (device.intx !== undefined && this.pinOf(devfn, 1) === pin) yield* device.intx.eoi();
  }

  /** Machine reset: devices and windows as after power-on (spapr_phb_reset). @throws Errno; Error */
  *reset(): Task {
    for (const plugged of this.#devices.values()) {
      const { msis } = plugged;
      plugged.msis = undefined;
      yield* plugged.device.reset();
      if (msis !== undefined) this.irq.freeMsis(msis.first, msis.count);
      for (const [bar, { size }] of plugged.device.bars.entries()) if (size > 0) yield* plugged.device.setBar(bar, 0);
    }
    for (const { device } of this.#devices.values()) yield* this.#assignBars(device);
    yield* this.mapBars();
    yield* this.windows.reset();
  }
}

function* nothing(): Task {}
