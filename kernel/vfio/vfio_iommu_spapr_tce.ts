/**
 * The sPAPR TCE backend of VFIO (drivers/vfio/vfio_iommu_spapr_tce.c): DMA through the windows of the groups' PEs. Version
 * 2 maps preregistered memory and lets user space create windows; version 1 pins at every MAP_DMA and has the default
 * window only. Ioctls of the other version are unknown (ENOTTY).
 */
import { MAX_TCE_LEVELS } from '../../devices/physical/phb/tce_table.ts';
import { Errno } from '../include/uapi/errno.ts';
import {
  VFIO_CHECK_EXTENSION,
  VFIO_EEH_PE_OP,
  VFIO_IOMMU_DISABLE,
  VFIO_IOMMU_ENABLE,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
  VFIO_IOMMU_SPAPR_TCE_CREATE,
  VFIO_IOMMU_SPAPR_TCE_GET_INFO,
  VFIO_IOMMU_SPAPR_TCE_REMOVE,
  VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
  VFIO_IOMMU_UNMAP_DMA,
} from '../include/uapi/ioctl.ts';
import {
  VFIO_DMA_MAP_FLAG,
  VFIO_EEH,
  VFIO_IOMMU_SPAPR_INFO_DDW,
  VFIO_SPAPR_TCE_IOMMU,
  VFIO_SPAPR_TCE_v2_IOMMU,
  type vfio_iommu_spapr_tce_create,
  vfio_iommu_spapr_tce_info,
  vfio_iommu_spapr_tce_remove,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
} from '../include/uapi/vfio.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { View } from '../lib/struct.ts';
import { Mutex, type Task } from '../lib/task.ts';
import type { MmIommuRegion } from '../ppc/mm_iommu_regions.ts';
import type { Powernv } from '../ppc/powernv.ts';
import { PAGE_SIZES, TableGroup, TCE32_SIZE } from '../ppc/table_group.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import { type IoctlRow, ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioIommu, VfioIommuDriver } from './vfio.ts';
import { mapDma } from './vfio_iommu_spapr_tce_map.ts';
import { mapDmaV1 } from './vfio_iommu_spapr_tce_v1.ts';
import { lowWord, SpaprWindows, type TableRange } from './vfio_iommu_spapr_tce_windows.ts';
import { eehPeOp } from './vfio_spapr_eeh.ts';

/** The backend, to be registered with the VFIO core. */
export function spaprTceDriver(host: Powernv): VfioIommuDriver {
  const driver: VfioIommuDriver = {
    name: 'iommu-vfio-powerpc',
    checkExtension: (extension) => (EXTENSIONS.includes(extension) ? 1 : 0),
    open(type) {
      if (type !== VFIO_SPAPR_TCE_IOMMU && type !== VFIO_SPAPR_TCE_v2_IOMMU)
        throw new Errno('EINVAL', `IOMMU type ${type}`);
      return new SpaprTceContainer(host.context, driver, type === VFIO_SPAPR_TCE_v2_IOMMU);
    },
  };
  return driver;
}

/** VFIO_EEH: VFIO_EEH_PE_OP exists, and the host has EEH. */
const EXTENSIONS: readonly number[] = [VFIO_SPAPR_TCE_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU, VFIO_EEH];

/** Pages that a v1 container is charged for when it is enabled: the whole default window, however little is mapped. */
const V1_CHARGE = TCE32_SIZE / PAGE_SIZE;

const MAP = vfio_iommu_type1_dma_map.offset;
const UNMAP = vfio_iommu_type1_dma_unmap.offset;

/** struct tce_container. */
export class SpaprTceContainer implements VfioIommu {
  readonly driver: VfioIommuDriver;
  readonly windows: SpaprWindows;
  readonly ioctl: (command: number, arg: number) => Task<number>;
  /** Of the process that opened it. */
  readonly #host: TceContext;
  readonly #v2: boolean;
  /** Regions this container registered. */
  readonly #registered: MmIommuRegion[] = [];
  readonly #mutex = new Mutex('tce_container');
  /** MAP_DMA and UNMAP_DMA are allowed: v1 was enabled, or v2 has registered memory once. */
  #enabled = false;

  constructor(host: TceContext, driver: VfioIommuDriver, v2: boolean) {
    this.#host = host;
    this.driver = driver;
    this.#v2 = v2;
    this.windows = new SpaprWindows(host, !v2);
    this.ioctl = ioctlOperation(host.kernel, [...this.#commonRows(), ...(v2 ? this.#v2Rows() : this.#v1Rows())]);
  }

  get tceTables(): SpaprWindows['tables'] {
    return this.windows.tables;
  }

  // Groups

  *attachGroup(group: IommuGroup): Task {
    yield* this.#locked(this.#attach(group));
  }
  *#attach(group: IommuGroup): Task {
    const { tableGroup } = group;
    if (!(tableGroup instanceof TableGroup)) throw new Errno('ENODEV', `group ${group.id} has no TCE tables`);
    if (!this.#v2 && this.windows.groups.length > 0)
      throw new Errno('EBUSY', `group ${group.id}: a v1 container takes one group`);
    this.windows.attach(tableGroup);
  }

  *detachGroup(group: IommuGroup): Task {
    const { tableGroup } = group;
    if (!(tableGroup instanceof TableGroup)) return;
    yield* this.#mutex.lock();
    this.windows.detach(tableGroup);
    this.#mutex.unlock();
  }

  *release(): Task {
    yield* this.#mutex.lock();
    for (const group of [...this.windows.groups]) this.windows.detach(group);
    yield* this.windows.release();
    for (const region of this.#registered.splice(0))
      if (!(yield* this.#host.regions.abandon(region)))
        this.#host.kernel.log(
          `WARNING: tce_iommu_release: 0x${region.ua.toString(16)} stays registered, another container has it mapped`,
        );
    // What another one left behind, and only this one's windows had mapped.
    yield* this.#host.regions.reap();
    if (!this.#v2) this.#disable();
    this.#mutex.unlock();
  }

  // ioctls

  #commonRows(): IoctlRow[] {
    return [
      row(VFIO_CHECK_EXTENSION, (extension) => this.driver.checkExtension(extension)),
      row(VFIO_IOMMU_SPAPR_TCE_GET_INFO, (arg, info) => this.#getInfo(arg, info)),
      row(VFIO_IOMMU_MAP_DMA, (_, map) => this.#change(() => this.#map(map))),
      row(VFIO_IOMMU_UNMAP_DMA, (_, unmap) => this.#change(() => this.#unmap(unmap))),
      row(VFIO_EEH_PE_OP, (arg, op) =>
        this.#locked(
          eehPeOp(
            this.#host.kernel,
            this.windows.groups.map(({ eeh }) => eeh),
            arg,
            op,
          ),
        ),
      ),
    ];
  }
  #v1Rows(): IoctlRow[] {
    return [
      row(VFIO_IOMMU_ENABLE, () => this.#locked(this.#enableV1())),
      row(VFIO_IOMMU_DISABLE, () => this.#disable()),
    ];
  }
  #v2Rows(): IoctlRow[] {
    return [
      row(VFIO_IOMMU_SPAPR_REGISTER_MEMORY, (_, { vaddr, size }) => this.#locked(this.#register(vaddr, size))),
      row(VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, (_, { vaddr, size }) => this.#locked(this.#unregister(vaddr, size))),
      row(VFIO_IOMMU_SPAPR_TCE_CREATE, (_, create) => this.#locked(this.#create(create))),
      row(VFIO_IOMMU_SPAPR_TCE_REMOVE, (_, remove) =>
        this.#locked(this.#remove(remove.start_addr, lowWord(remove, vfio_iommu_spapr_tce_remove.offset.start_addr))),
      ),
    ];
  }

  *#locked<T>(body: Task<T>): Task<T> {
    if (!this.#mutex.tryLock()) yield* this.#mutex.lock();
    try {
      return yield* body;
    } finally {
      this.#mutex.unlock();
    }
  }

  /**
   * Changes entries, which is done at once as a rule: a task for it would take longer than it does, and this is in the path
   * of every hypercall that ends in the VMM. @param body gives what cannot be done at once
   */
  #change(body: () => Task | undefined): number | Task<number> {
    return this.#mutex.tryLock() ? this.#changeLocked(body) : this.#changeLater(body);
  }
  *#changeLater(body: () => Task | undefined): Task<number> {
    yield* this.#mutex.lock();
    const answer = this.#changeLocked(body);
    return typeof answer === 'number' ? answer : yield* answer;
  }
  /** Holding the lock, which is released when all is done. */
  #changeLocked(body: () => Task | undefined): number | Task<number> {
    let rest: Task | undefined;
    try {
      rest = body();
    } finally {
      if (rest === undefined) this.#mutex.unlock();
    }
    return rest === undefined ? 0 : this.#finishChange(rest);
  }
  *#finishChange(rest: Task): Task<number> {
    try {
      yield* rest;
    } finally {
      this.#mutex.unlock();
    }
    return 0;
  }

  *#getInfo(arg: number, info: View<typeof vfio_iommu_spapr_tce_info.fields>): Task<number> {
    if (this.windows.groups.length === 0) throw new Errno('ENXIO', 'no group is attached');
    const { size } = vfio_iommu_spapr_tce_info;
    const withWindows = this.#v2 && info.argsz >= size;
    info.flags = withWindows ? VFIO_IOMMU_SPAPR_INFO_DDW : 0;
    info.dma32_window_start = 0;
    info.dma32_window_size = TCE32_SIZE;
    if (withWindows) {
      info.ddw_pgsizes = PAGE_SIZES;
      info.ddw_max_dynamic_windows_supported = this.windows.tables.length;
      info.ddw_levels = MAX_TCE_LEVELS;
    }
    const bytes = vfio_iommu_spapr_tce_info.bytes(info);
    yield* this.#host.mm.space.copy(arg, withWindows ? bytes : bytes.subarray(0, 16), true);
    return 0;
  }

  *#enableV1(): Task<number> {
    if (this.#enabled) throw new Errno('EBUSY', 'the container is enabled already');
    if (this.windows.groups.length === 0) throw new Errno('ENODEV', 'no group is attached');
    this.#host.mm.account(V1_CHARGE);
    this.#enabled = true;
    this.windows.enable(true);
    return 0;
  }
  #disable(): number {
    if (this.#enabled) this.#host.mm.unaccount(V1_CHARGE);
    this.#enabled = false;
    this.windows.enable(false);
    return 0;
  }

  *#register(vaddr: number, size: number): Task<number> {
    if (size === 0 || vaddr % PAGE_SIZE !== 0 || size % PAGE_SIZE !== 0 || vaddr + size >= 2 ** 53)
      throw new Errno('EINVAL', `register 0x${vaddr.toString(16)} size 0x${size.toString(16)}`);
    const known = this.#host.regions.find(vaddr, size / PAGE_SIZE);
    if (known !== undefined && this.#registered.includes(known))
      throw new Errno('EBUSY', `0x${vaddr.toString(16)} is registered already`);
    this.#registered.push(yield* this.#host.regions.get(vaddr, size / PAGE_SIZE));
    this.#enabled = true;
    return 0;
  }

  *#unregister(vaddr: number, size: number): Task<number> {
    if (vaddr % PAGE_SIZE !== 0 || size % PAGE_SIZE !== 0)
      throw new Errno('EINVAL', `unregister 0x${vaddr.toString(16)} size 0x${size.toString(16)}`);
    const at = this.#registered.findIndex((region) => region.ua === vaddr && region.pages === size / PAGE_SIZE);
    if (at < 0) throw new Errno('ENOENT', `0x${vaddr.toString(16)} is not registered with this size`);
    yield* this.#host.regions.put(this.#registered[at]);
    this.#registered.splice(at, 1);
    return 0;
  }

  *#create(create: View<typeof vfio_iommu_spapr_tce_create.fields>): Task<number> {
    if (this.windows.groups.length === 0) throw new Errno('ENXIO', 'no group is attached');
    this.windows.settleDefault();
    const table = this.windows.create(create.page_shift, create.window_size, create.levels);
    create.start_addr = table.startAddress;
    return 0;
  }

  *#remove(start: number, startLow: number): Task<number> {
    const result = yield* this.windows.remove(start, startLow);
    yield* this.#host.regions.reap();
    return result;
  }

  #needEnabled(): void {
    if (!this.#enabled)
      throw new Errno('EPERM', this.#v2 ? 'no memory was registered' : 'the container is not enabled');
  }

  #map(map: View<typeof vfio_iommu_type1_dma_map.fields>): Task | undefined {
    this.#needEnabled();
    const permission = map.flags & (VFIO_DMA_MAP_FLAG.READ | VFIO_DMA_MAP_FLAG.WRITE);
    if (permission !== map.flags || permission === 0) throw new Errno('EINVAL', `MAP_DMA: flags ${map.flags}`);
    this.windows.settleDefault();
    const range = this.windows.range({ iova: map.iova, size: map.size, iovaLow: lowWord(map, MAP.iova) }, map.vaddr);
    return this.#v2
      ? mapDma(this.#host, range, map.vaddr / PAGE_SIZE, permission)
      : mapDmaV1(this.#host, range, map.vaddr, permission);
  }

  #unmap(unmap: View<typeof vfio_iommu_type1_dma_unmap.fields>): Task | undefined {
    this.#needEnabled();
    if (unmap.flags !== 0) throw new Errno('EINVAL', `UNMAP_DMA: flags ${unmap.flags}`);
    this.windows.settleDefault();
    const iovaLow = lowWord(unmap, UNMAP.iova);
    const range = this.windows.range({ iova: unmap.iova, size: unmap.size, iovaLow }, 0);
    const cleared = range.table.clearNow(range.first, range.count);
    return cleared && !this.#host.regions.abandoned ? undefined : this.#unmapRest(range);
  }
  *#unmapRest({ table, first, count }: TableRange): Task {
    yield* table.clear(first, count);
    yield* this.#host.regions.reap();
  }
}
