/**
 * A kernel with a Freescale SoC: PAMUs, MSI banks and DMA engines are the machine's own, under the simulated scheduler.
 * User space takes DMA channels through sysfs and VFIO, and drives their registers.
 */
import { spawnEloEngines } from '../../devices/physical/elo/engine.ts';
import { Iommu4kUnit, installIommu4k } from '../../devices/physical/iommu/page_iommu.ts';
import { FslSoc, installFslSoc } from '../../devices/physical/pamu/fsl_soc.ts';
import type { MsiModelName } from '../../kernel/include/arch/ppc/fsl_msi.ts';
import { DMA_CHANNEL_SIZE } from '../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA, FSL_DMA_MR, FSL_DMA_SNOOP, FSL_DMA_SR } from '../../kernel/include/arch/ppc/fsldma.ts';
import { PAACE, PAACE_IA, PAACE_WIN, PPAACE_AF } from '../../kernel/include/arch/ppc/pamu.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import { actorAreas } from '../../kernel/lib/shared_map.ts';
import type { Fields, Struct, View } from '../../kernel/lib/struct.ts';
import { preempt, type Task } from '../../kernel/lib/task.ts';
import type { FslPamu } from '../../kernel/ppc/fsl_pamu.ts';
import type { Iommu4k } from '../../kernel/ppc/iommu4k.ts';
import type { QoriqPamu } from '../../kernel/ppc/qoriq.ts';
import { startSoc } from '../../kernel/ppc/start_qoriq.ts';
import { registerType1 } from '../../kernel/vfio/vfio_iommu_type1.ts';
import { VfioCore } from '../../kernel/vfio/vfio_main.ts';
import { KernelFixture } from './kernel_fixture.ts';

export const K = 4096;
export const MiB = 2 ** 20;
export const { READ: R, WRITE: W } = uapi.VFIO_DMA_MAP_FLAG;
const ATTR = uapi.VFIO_PAMU_ATTR;

export interface PamuFixtureOptions {
  readonly seed?: number;
  readonly guestMemory?: number;
  readonly lockLimit?: number;
  readonly msi?: MsiModelName;
  readonly iommu?: 'pamu' | 'type1';
}

/** An open vfio-platform device, its group and its container. */
export interface OpenDevice {
  readonly name: string;
  readonly group: number;
  readonly fd: number;
}

export class PamuFixture extends KernelFixture {
  readonly soc: FslSoc;
  /** With `iommu: 'type1'` there is no `pamu`. */
  readonly host: QoriqPamu;
  readonly core: VfioCore;
  readonly #iommu4k: Iommu4k | undefined;

  constructor(options: PamuFixtureOptions = {}) {
    const { msi = 'v4.3', guestMemory = 8 * MiB, seed = 1, lockLimit = 1 << 20, iommu = 'pamu' } = options;
    super({ seed, guestMemory, lockLimit, hardware: ['elo0'] });
    const { memory, map, kernel } = this;
    installFslSoc(memory, map.soc, { firstFrame: map.firstFrame, msi });
    const bell = (name: string) => new Doorbell(memory, actorAreas(map, name).doorbell);
    spawnEloEngines(this.simulation.actor('elo0'), { memory, socBase: map.soc, kernelDoorbell: bell('kernel') });
    this.soc = new FslSoc(memory, map.soc, { eloDoorbell: bell('elo0') });
    // The kernel sees the bus by its interface only.
    const bus: FslSoc = this.soc;
    this.core = new VfioCore(kernel);
    const unit = iommu === 'type1' ? new Iommu4kUnit(memory, map.soc) : undefined;
    if (unit !== undefined) {
      installIommu4k(memory, map.soc);
      registerType1(this.core);
    }
    const { host, pamu, iommu4k } = startSoc(kernel, this.core, bus, unit);
    this.#iommu4k = iommu4k;
    this.host = { ...host, pamu: pamu as FslPamu };
  }

  /** The IOMMU of a fixture with `iommu: 'type1'`. */
  get iommu4k(): Iommu4k {
    if (this.#iommu4k === undefined) throw new Error('this machine has PAMUs');
    return this.#iommu4k;
  }

  // sysfs

  /** driverctl set-override NAME DRIVER. */
  *bind(name: string, driver = 'vfio-platform'): Task {
    const { user } = this;
    const directory = `/sys/bus/platform/devices/${name}`;
    yield* user.writeFile(`${directory}/driver_override`, driver);
    if (this.host.platform.devices.get(name)?.driver !== undefined)
      yield* user.writeFile(`${directory}/driver/unbind`, name);
    yield* user.writeFile(`/sys/bus/platform/drivers/${driver}/bind`, name);
  }
  *groupOf(name: string): Task<string> {
    const link = yield* this.user.readlink(`/sys/bus/platform/devices/${name}/iommu_group`);
    return link.slice(link.lastIndexOf('/') + 1);
  }

  // VFIO

  *container(): Task<number> {
    return yield* this.user.open('/dev/vfio/vfio');
  }
  /** Binds a device, puts its group into a container, and the backend into the container if it has none. Gives the group. */
  *join(container: number, name: string): Task<number> {
    yield* this.bind(name);
    return yield* this.joinGroup(container, name);
  }
  /** {@link join} of a device that is bound already. */
  *joinGroup(container: number, name: string): Task<number> {
    const { user } = this;
    const group = yield* user.open(`/dev/vfio/${yield* this.groupOf(name)}`);
    try {
      yield* this.setContainer(group, container);
    } catch (error) {
      yield* user.close(group);
      throw error;
    }
    const backend = this.core.containerOfFile(this.kernel.files.file(container))?.iommu;
    const type = this.#iommu4k === undefined ? uapi.VFIO_FSL_PAMU_IOMMU : uapi.VFIO_TYPE1v2_IOMMU;
    if (backend === undefined) yield* user.ioctl(container, ioctls.VFIO_SET_IOMMU, type);
    return group;
  }
  *setContainer(group: number, container: number): Task<number> {
    const argument = uapi.fd_argument.bytes(uapi.fd_argument.make({ fd: container }));
    return yield* this.user.ioctlBytes(group, ioctls.VFIO_GROUP_SET_CONTAINER, argument);
  }
  *device(group: number, name: string): Task<number> {
    const bytes = new TextEncoder().encode(`${name}\0`);
    return yield* this.user.ioctlBytes(group, ioctls.VFIO_GROUP_GET_DEVICE_FD, bytes);
  }
  /** {@link join}, and the device opened. */
  *open(container: number, name: string): Task<OpenDevice> {
    const group = yield* this.join(container, name);
    return { name, group, fd: yield* this.device(group, name) };
  }

  // Attributes, mappings, banks

  *setAttr<F extends Fields>(container: number, attribute: number, layout: Struct<F>, values: object): Task<number> {
    const attr = uapi.vfio_pamu_attr.make({ argsz: uapi.vfio_pamu_attr.size, attribute });
    attr.u = layout.bytes(layout.make(values as never));
    return yield* this.user.ioctlStruct(container, ioctls.VFIO_IOMMU_PAMU_SET_ATTR, attr);
  }
  *getAttr<F extends Fields>(container: number, attribute: number, layout: Struct<F>): Task<View<F>> {
    const attr = uapi.vfio_pamu_attr.make({ argsz: uapi.vfio_pamu_attr.size, attribute });
    yield* this.user.ioctlStruct(container, ioctls.VFIO_IOMMU_PAMU_GET_ATTR, attr);
    return layout.at(new DataView(attr.u.slice().buffer));
  }
  setGeometry(container: number, start: number, end: number): Task<number> {
    const values = { aperture_start: start, aperture_end: end };
    return this.setAttr(container, ATTR.GEOMETRY, uapi.vfio_pamu_attr_geometry, values);
  }
  *geometry(container: number): Task<number[]> {
    const g = yield* this.getAttr(container, ATTR.GEOMETRY, uapi.vfio_pamu_attr_geometry);
    return [g.aperture_start, g.aperture_end];
  }
  setWindows(container: number, count: number): Task<number> {
    return this.setAttr(container, ATTR.WINDOWS, uapi.vfio_pamu_attr_windows, { count });
  }
  *windows(container: number): Task<number> {
    return (yield* this.getAttr(container, ATTR.WINDOWS, uapi.vfio_pamu_attr_windows)).count;
  }
  setStash(container: number, cpu: number, cache: number): Task<number> {
    return this.setAttr(container, ATTR.STASH, uapi.vfio_pamu_attr_stash, { cpu, cache });
  }
  setEnable(container: number, enable: number): Task<number> {
    return this.setAttr(container, ATTR.ENABLE, uapi.vfio_pamu_attr_enable, { enable, faulted: 77 });
  }
  /** Enabled, and LIODNs stopped. */
  *enable(container: number): Task<[number, number]> {
    const { enable, faulted } = yield* this.getAttr(container, ATTR.ENABLE, uapi.vfio_pamu_attr_enable);
    return [enable, faulted];
  }
  *mapDma(container: number, iova: number, size: number, vaddr: number, flags = R | W): Task<number> {
    const map = uapi.vfio_iommu_type1_dma_map.make({ argsz: 32, flags, iova, vaddr, size });
    return yield* this.user.ioctlStruct(container, ioctls.VFIO_IOMMU_MAP_DMA, map);
  }
  /** Bytes unmapped. */
  *unmapDma(container: number, iova: number, size: number, flags = 0): Task<number> {
    const unmap = uapi.vfio_iommu_type1_dma_unmap.make({ argsz: 24, flags, iova, size });
    yield* this.user.ioctlStruct(container, ioctls.VFIO_IOMMU_UNMAP_DMA, unmap);
    return unmap.size;
  }
  *mapBank(container: number, msi_bank_index: number, iova: number): Task<number> {
    const map = uapi.vfio_pamu_msi_bank_map.make({ argsz: 24, msi_bank_index, iova });
    return yield* this.user.ioctlStruct(container, ioctls.VFIO_IOMMU_PAMU_MAP_MSI_BANK, map);
  }
  *unmapBank(container: number, iova: number): Task<number> {
    const unmap = uapi.vfio_pamu_msi_bank_unmap.make({ argsz: 16, iova });
    return yield* this.user.ioctlStruct(container, ioctls.VFIO_IOMMU_PAMU_UNMAP_MSI_BANK, unmap);
  }
  *bankInfo(container: number, index: number): Task<View<typeof uapi.vfio_pamu_msi_bank_info.fields>> {
    const info = uapi.vfio_pamu_msi_bank_info.make({ argsz: 40, index });
    yield* this.user.ioctlStruct(container, ioctls.VFIO_IOMMU_PAMU_GET_MSI_BANK_INFO, info);
    return info;
  }
  /** SET_IRQS TRIGGER with an eventfd, or -1. */
  *setIrq(fd: number, index: number, eventfd: number): Task<number> {
    const set = uapi.vfio_irq_set.make({
      argsz: 24,
      flags: uapi.VFIO_IRQ_SET.DATA_EVENTFD | uapi.VFIO_IRQ_SET.ACTION_TRIGGER,
      index,
      count: 1,
    });
    return yield* this.user.ioctlStruct(
      fd,
      ioctls.VFIO_DEVICE_SET_IRQS,
      set,
      new Uint8Array(Int32Array.of(eventfd).buffer),
    );
  }

  /** SET_IRQS UNMASK of the device's own interrupt. */
  *unmaskLine(fd: number): Task<number> {
    const { DATA_NONE, ACTION_UNMASK } = uapi.VFIO_IRQ_SET;
    const set = uapi.vfio_irq_set.make({ argsz: 20, flags: DATA_NONE | ACTION_UNMASK, count: 1 });
    return yield* this.user.ioctlStruct(fd, ioctls.VFIO_DEVICE_SET_IRQS, set);
  }

  // The device, driven by user space

  *register(fd: number, register: keyof typeof FSL_DMA, value?: number): Task<number> {
    const offset = FSL_DMA[register];
    const bytes = new Uint8Array(4);
    const dv = new DataView(bytes.buffer);
    if (value !== undefined) {
      dv.setUint32(0, value);
      yield* this.user.pwrite(fd, bytes, offset);
    }
    return new DataView((yield* this.user.pread(fd, 4, offset)).buffer).getUint32(0);
  }
  /** Starts a direct copy between bus addresses. */
  *startCopy(fd: number, source: number, target: number, length: number, mode = 0): Task {
    yield* this.register(fd, 'MR', 0);
    yield* this.register(fd, 'SATR', FSL_DMA_SNOOP | Math.floor(source / 2 ** 32));
    yield* this.register(fd, 'SAR', source % 2 ** 32);
    yield* this.register(fd, 'DATR', FSL_DMA_SNOOP | Math.floor(target / 2 ** 32));
    yield* this.register(fd, 'DAR', target % 2 ** 32);
    yield* this.register(fd, 'BCR', length);
    yield* this.register(fd, 'MR', FSL_DMA_MR.CS | FSL_DMA_MR.CTM | mode);
  }
  /** {@link startCopy}, and its end: true when all was copied, false for a transfer error. Interrupts are handled by then. */
  *copy(fd: number, source: number, target: number, length: number, mode = 0): Task<boolean> {
    yield* this.register(fd, 'SR', 0xff);
    yield* this.startCopy(fd, source, target, length, mode);
    while (((yield* this.register(fd, 'SR')) & FSL_DMA_SR.CB) !== 0) yield* preempt();
    while (this.soc.interruptPending()) yield* preempt();
    return ((yield* this.register(fd, 'SR')) & (FSL_DMA_SR.TE | FSL_DMA_SR.PE)) === 0;
  }
  /** The registers of the device as they are in hardware, whatever user space sees. */
  hardware(name: string, register: keyof typeof FSL_DMA): number {
    const { registers } = this.host.platform.devices.get(name)?.node ?? { registers: -DMA_CHANNEL_SIZE };
    return this.soc.read32(registers + FSL_DMA[register]) >>> 0;
  }

  // Tables

  primary(liodn: number) {
    const entry = PAACE.at(this.memory.dv, this.host.pamu.tables.primary(liodn));
    return decoded(entry);
  }
  secondary(index: number) {
    return decoded(PAACE.at(this.memory.dv, this.host.pamu.tables.secondary(index)));
  }
  /** Every byte of the tables. */
  tables(): string {
    const { ppaact, omt } = this.host.pamu.tables;
    return Buffer.from(this.memory.bytes(ppaact, omt - ppaact)).toString('base64');
  }

  /** The byte at an address of the process. */
  byte(va: number): number {
    return this.user.bytes(va, 1)[0];
  }
  poke(va: number, value: number): void {
    this.user.bytes(va, 1)[0] = value;
  }
}

/** The fields that tests look at. */
function decoded(entry: View<typeof PAACE.fields>) {
  const af = entry.addr_bitfields;
  return {
    WSE: PPAACE_AF.get(af, 'WSE'),
    MW: PPAACE_AF.get(af, 'MW'),
    AP: PPAACE_AF.get(af, 'AP'),
    PT: PPAACE_AF.get(af, 'PT'),
    V: PPAACE_AF.get(af, 'V'),
    WCE: PAACE_IA.get(entry.impl_attr, 'WCE'),
    CID: PAACE_IA.get(entry.impl_attr, 'CID'),
    SWSE: PAACE_WIN.get(entry.win_bitfields, 'SWSE'),
    physical: entry.twbah * 2 ** 32 + ((entry.win_bitfields & PAACE_WIN.mask.TWBAL) >>> 0),
    fspi: entry.fspi,
  };
}
