/**
 * The type1 backend (drivers/vfio/vfio_iommu_type1.c), versions 1 and 2. For mediated devices a mapping is an entry in a
 * table, and pages are pinned when a device asks; with an IOMMU in the container every mapping is pinned and mapped as
 * it is made. Rules: vfio-tce facts section 2.
 *
 * Version 2 differs from 1: unmapping does not bisect a mapping (EINVAL; version 1 takes it whole or not at all), pages
 * can be pinned for mediated devices and dirty pages be tracked (version 1: EACCES).
 */
import { Errno } from '../include/uapi/errno.ts';
import {
  VFIO_CHECK_EXTENSION,
  VFIO_IOMMU_DIRTY_PAGES,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
} from '../include/uapi/ioctl.ts';
import {
  VFIO_DMA_CC_IOMMU,
  VFIO_DMA_MAP_FLAG,
  VFIO_DMA_UNMAP_FLAG,
  VFIO_IOMMU_DIRTY_PAGES_FLAG,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UNMAP_ALL,
  VFIO_UPDATE_VADDR,
  vfio_bitmap,
  vfio_iommu_type1_dirty_bitmap,
  vfio_iommu_type1_dirty_bitmap_get,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
} from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Fields, Struct, View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import type { Mm } from '../mm/mm.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioIommu, VfioIommuDriver } from './vfio.ts';
import {
  checkBitmap,
  reportDirty,
  reportEntry,
  startTracking,
  stopTracking,
  trackDirty,
} from './vfio_iommu_type1_dirty.ts';
import { END_OF_ADDRESSES, type Type1Dma, Type1State } from './vfio_iommu_type1_dma.ts';
import { Type1Domains } from './vfio_iommu_type1_domain.ts';
import { type1GetInfo } from './vfio_iommu_type1_info.ts';
import { PinnedPages } from './vfio_iommu_type1_pfn.ts';
import { Type1KernelUsers } from './vfio_iommu_type1_pin.ts';
import type { VfioCore } from './vfio_main.ts';

/** Mappings a container may have (module parameter dma_entry_limit, default U16_MAX). */
const DMA_ENTRY_LIMIT = 65535;
/** Rounds in a row that one mapping may stay pinned after devices were told to let go (vfio_dma_do_unmap). */
const MAX_UNMAP_ROUNDS = 10;

const MAP = VFIO_DMA_MAP_FLAG;
const UNMAP = VFIO_DMA_UNMAP_FLAG;
const DIRTY = VFIO_IOMMU_DIRTY_PAGES_FLAG;
const hex = (value: number) => `0x${value.toString(16)}`;

/** A mediated device did not unpin though told ten times: BUG() in Linux, the end of the run here. */
export class Type1DriverBug extends Error {
  constructor(entry: Type1Dma) {
    super(
      `vfio_iommu_type1: iova ${hex(entry.iova)} size ${hex(entry.size)} still has ${entry.pins.size} pinned pages ` +
        `after ${MAX_UNMAP_ROUNDS} dma_unmap notifications: a device driver does not unpin`,
    );
    this.name = 'Type1DriverBug';
  }
}

/** Offers type1 to containers. @param options.dmaEntryLimit mappings per container. */
export function registerType1(core: VfioCore, options: { readonly dmaEntryLimit?: number } = {}): void {
  const { kernel } = core;
  let limit = options.dmaEntryLimit ?? DMA_ENTRY_LIMIT;
  // For containers opened from then on.
  kernel.vfs.attribute(
    '/sys/module/vfio_iommu_type1/parameters/dma_entry_limit',
    () => `${limit}`,
    function* (value) {
      if (!/^\d+$/.test(value) || Number(value) > 0xffffffff) throw new Errno('EINVAL', `dma_entry_limit "${value}"`);
      limit = Number(value);
    },
  );
  const extensions = new Set([VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL, VFIO_UPDATE_VADDR]);
  const driver: VfioIommuDriver = {
    name: 'vfio-iommu-type1',
    checkExtension: (extension) => (extensions.has(extension) ? 1 : 0),
    open(type) {
      if (type !== VFIO_TYPE1_IOMMU && type !== VFIO_TYPE1v2_IOMMU) throw new Errno('EINVAL', `type1: type ${type}`);
      return new Type1Iommu(kernel, driver, type === VFIO_TYPE1v2_IOMMU, limit);
    },
  };
  core.registerIommuDriver(driver);
}

/** Of the process that chose it for its container: pages are pinned in its memory and charged to it, whoever asks (dma->mm). */
export class Type1Iommu implements VfioIommu {
  readonly driver: VfioIommuDriver;
  readonly kernelUsers: Type1KernelUsers;
  readonly ioctl: (command: number, arg: number) => Task<number>;
  readonly #kernel: Kernel;
  readonly #mm: Mm;
  readonly #limit: number;
  readonly #state: Type1State;
  readonly #domains: Type1Domains;
  /** Groups of mediated devices. */
  #emulatedGroups = 0;

  constructor(kernel: Kernel, driver: VfioIommuDriver, v2: boolean, limit: number) {
    this.#kernel = kernel;
    this.#mm = kernel.mm;
    this.driver = driver;
    this.#limit = limit;
    this.#state = new Type1State(v2);
    this.kernelUsers = new Type1KernelUsers(kernel, this.#state);
    this.#domains = new Type1Domains(kernel.mm, this.#state);
    this.ioctl = ioctlOperation(kernel, this.#rows());
  }

  #rows() {
    const iommu = this;
    return [
      row(VFIO_CHECK_EXTENSION, function* (extension) {
        return iommu.#checkExtension(extension);
      }),
      row(VFIO_IOMMU_GET_INFO, (arg, view) => iommu.#getInfo(arg, view)),
      row(VFIO_IOMMU_MAP_DMA, (_arg, map) => iommu.#locked(() => iommu.#map(map))),
      row(VFIO_IOMMU_UNMAP_DMA, (arg, unmap) => iommu.#locked(() => iommu.#unmap(arg, unmap))),
      row(VFIO_IOMMU_DIRTY_PAGES, (arg, dirty) => iommu.#locked(() => iommu.#dirtyPages(arg, dirty))),
    ];
  }

  /** Mappings made, for state inspection. */
  get mappings(): Iterable<Readonly<Type1Dma>> {
    return this.#state.tree;
  }

  *#locked<T>(body: () => Task<T>): Task<T> {
    const { lock } = this.#state;
    yield* lock.lock();
    try {
      return yield* body();
    } finally {
      lock.unlock();
    }
  }

  #checkExtension(extension: number): number {
    switch (extension) {
      case VFIO_UPDATE_VADDR:
        return this.#emulatedGroups === 0 ? 1 : 0; // Mediated devices keep pins that an address change would betray.
      case VFIO_DMA_CC_IOMMU:
        return 1; // Every IOMMU here is coherent.
      default:
        return this.driver.checkExtension(extension);
    }
  }

  /**
   * A mediated device's group changes nothing: its pages are pinned on demand. Any other brings an IOMMU, which maps
   * everything there is.
   * @throws Errno EIO where type1 can drive no IOMMU (iommu_domain_alloc), EBUSY while an address is invalid; EFAULT,
   *   ENOMEM, EINVAL of pinning and mapping
   */
  *attachGroup(group: IommuGroup): Task {
    const { domain } = group;
    if (!group.emulated && domain === undefined)
      throw new Errno('EIO', `type1: group ${group.id} has no IOMMU that type1 drives`);
    const iommu = this;
    yield* this.#locked(function* () {
      if (iommu.#state.invalidVaddrs > 0) throw new Errno('EBUSY', `type1: group ${group.id}: invalid addresses`);
      if (domain !== undefined) yield* iommu.#domains.add(domain);
      if (group.emulated) iommu.#emulatedGroups++;
    });
  }
  *detachGroup(group: IommuGroup): Task {
    const iommu = this;
    yield* this.#locked(function* () {
      if (group.emulated) iommu.#emulatedGroups--;
      if (group.domain !== undefined) iommu.#domains.remove(group.domain);
      // Nobody is left who has a use for the mappings (vfio_iommu_unmap_unpin_all).
      if (iommu.#state.domains === 0 && iommu.#emulatedGroups === 0) iommu.#removeAll();
    });
  }

  *release(): Task {
    this.#removeAll();
  }

  #removeAll(): void {
    for (const entry of [...this.#state.tree]) this.#remove(entry);
  }

  /** vfio_remove_dma. */
  #remove(entry: Type1Dma): void {
    this.#domains.unmap(entry);
    this.kernelUsers.releaseAll(entry);
    this.#state.tree.remove(entry);
    if (entry.vaddrInvalid) this.#state.invalidVaddrs--;
  }

  *#getInfo(arg: number, view: Parameters<typeof type1GetInfo>[2]): Task<number> {
    return yield* type1GetInfo(this.#mm.space, arg, view, this.#limit - this.#state.tree.size);
  }

  /** VFIO_IOMMU_MAP_DMA, checks in the order of facts 2.1. */
  *#map(map: View<typeof vfio_iommu_type1_dma_map.fields>): Task<number> {
    const { flags, iova, size, vaddr } = map;
    const { tree, dirtyTracking } = this.#state;
    const refuse = (what: string) =>
      new Errno('EINVAL', `VFIO_IOMMU_MAP_DMA iova ${hex(iova)} size ${hex(size)}: ${what}`);
    const prot = flags & (MAP.READ | MAP.WRITE);
    const setVaddr = (flags & MAP.VADDR) !== 0;
    if ((flags & ~(MAP.READ | MAP.WRITE | MAP.VADDR)) !== 0) throw refuse(`flags ${hex(flags)}`);
    if (setVaddr === (prot !== 0)) throw refuse(`flags ${hex(flags)}`);
    const { offset } = vfio_iommu_type1_dma_map;
    if (size === 0 || [offset.size, offset.iova, offset.vaddr].some((at) => !pageAligned(map.dv, map.address + at)))
      throw refuse(`size, iova and vaddr ${hex(vaddr)} must be multiples of ${hex(PAGE_SIZE)}, size not 0`);
    if (iova + size > END_OF_ADDRESSES || vaddr + size > END_OF_ADDRESSES) throw refuse('wraps');
    const found = tree.find(iova, size);
    if (setVaddr) {
      if (found === undefined) throw new Errno('ENOENT', `VFIO_IOMMU_MAP_DMA iova ${hex(iova)}: no mapping`);
      if (!found.vaddrInvalid || found.iova !== iova || found.size !== size) throw refuse('address not invalidated');
      found.vaddr = vaddr;
      found.vaddrInvalid = false;
      this.#state.invalidVaddrs--;
      return 0;
    }
    if (found !== undefined)
      throw new Errno(
        'EEXIST',
        `VFIO_IOMMU_MAP_DMA iova ${hex(iova)} size ${hex(size)}: iova ${hex(found.iova)} size ${hex(found.size)} is mapped`,
      );
    if (tree.size >= this.#limit) throw new Errno('ENOSPC', `VFIO_IOMMU_MAP_DMA: ${this.#limit} mappings`);
    const entry: Type1Dma = {
      iova,
      size,
      vaddr,
      prot,
      lockCap: this.#kernel.capable('CAP_IPC_LOCK'),
      pins: new PinnedPages(),
      unmapping: false,
      vaddrInvalid: false,
      frames: undefined,
      dirty: undefined,
    };
    if (dirtyTracking) trackDirty(entry);
    tree.insert(entry);
    try {
      yield* this.#domains.map(entry);
    } catch (error) {
      tree.remove(entry);
      throw error;
    }
    return 0;
  }

  /** VFIO_IOMMU_UNMAP_DMA, facts 2.2. `unmap.size` becomes the number of bytes unmapped. */
  *#unmap(arg: number, unmap: View<typeof vfio_iommu_type1_dma_unmap.fields>): Task<number> {
    const { flags, iova } = unmap;
    const refuse = (what: string) => new Errno('EINVAL', `VFIO_IOMMU_UNMAP_DMA iova ${hex(iova)}: ${what}`);
    const all = (flags & UNMAP.ALL) !== 0;
    const invalidate = (flags & UNMAP.VADDR) !== 0;
    const report = (flags & UNMAP.GET_DIRTY_BITMAP) !== 0;
    if ((flags & ~(UNMAP.GET_DIRTY_BITMAP | UNMAP.ALL | UNMAP.VADDR)) !== 0) throw refuse(`flags ${hex(flags)}`);
    if (report && (all || invalidate)) throw refuse(`flags ${hex(flags)}`);
    let bitmap: number | undefined;
    if (report) {
      const view = yield* this.#behind(arg, unmap.argsz, vfio_iommu_type1_dma_unmap.size, vfio_bitmap);
      checkBitmap(view, unmap.size);
      bitmap = view.data;
    }
    if (invalidate && this.#emulatedGroups > 0)
      throw new Errno('EBUSY', 'VFIO_IOMMU_UNMAP_DMA: mediated devices use the addresses');
    if (all) {
      if (iova !== 0 || unmap.size !== 0) throw refuse('UNMAP_FLAG_ALL takes iova 0 and size 0');
    } else {
      const { offset } = vfio_iommu_type1_dma_unmap;
      if (unmap.size === 0 || [offset.size, offset.iova].some((at) => !pageAligned(unmap.dv, unmap.address + at)))
        throw refuse(`size ${hex(unmap.size)} and iova must be multiples of ${hex(PAGE_SIZE)}, size not 0`);
      if (iova + unmap.size > END_OF_ADDRESSES) throw refuse('wraps');
    }
    if (report && !this.#state.dirtyTracking) throw refuse('dirty tracking is off');
    const size = all ? END_OF_ADDRESSES : unmap.size;
    if (this.#state.v2 && !all) this.#refuseBisection(iova, size);
    unmap.size = invalidate ? this.#invalidate(iova, size) : yield* this.#unmapRange(iova, size, all, bitmap);
    return 0;
  }

  /** The structure behind the fixed part of an argument. @throws Errno EINVAL when argsz does not cover it, EFAULT */
  *#behind<F extends Fields>(arg: number, argsz: number, fixed: number, tail: Struct<F>): Task<View<F>> {
    if (argsz < fixed + tail.size) throw new Errno('EINVAL', `argsz ${argsz} does not cover ${tail.name}`);
    const bytes = yield* this.#mm.space.copyIn(arg + fixed, tail.size);
    return tail.at(new DataView(bytes.buffer));
  }

  /** UNMAP_DMA with VADDR: all mappings of the range or none. @returns bytes. @throws Errno EINVAL */
  #invalidate(iova: number, size: number): number {
    const entries = this.#state.tree.within(iova, size).filter((entry) => this.#state.v2 || iova <= entry.iova);
    const invalid = entries.find((entry) => entry.vaddrInvalid);
    if (invalid !== undefined)
      throw new Errno('EINVAL', `VFIO_IOMMU_UNMAP_DMA: address of iova ${hex(invalid.iova)} is invalid already`);
    for (const entry of entries) entry.vaddrInvalid = true;
    this.#state.invalidVaddrs += entries.length;
    return entries.reduce((sum, entry) => sum + entry.size, 0);
  }

  /** @param bitmap user address of the bitmap that says what was dirty. */
  *#unmapRange(iova: number, size: number, all: boolean, bitmap: number | undefined): Task<number> {
    const { tree, lock, v2 } = this.#state;
    let unmapped = 0;
    let last: Type1Dma | undefined;
    let rounds = 0;
    try {
      for (;;) {
        if (v2 && !all) this.#refuseBisection(iova, size);
        const entry = tree.find(iova, size);
        // Version 1: a range that starts inside a mapping unmaps nothing; one that covers its start takes it whole.
        if (entry === undefined || (!v2 && iova > entry.iova)) return unmapped;
        if (entry.pins.size === 0) {
          if (bitmap !== undefined) yield* reportEntry(this.#state, this.#mm.space, entry, iova, bitmap);
          this.#remove(entry);
          unmapped += entry.size;
          continue;
        }
        rounds = entry === last ? rounds + 1 : 0;
        if (rounds > MAX_UNMAP_ROUNDS) throw new Type1DriverBug(entry);
        if (last !== undefined) last.unmapping = false;
        last = entry;
        entry.unmapping = true;
        // Devices unpin, reset, and may wait for who wants the lock: it must be free, and everything read again after.
        lock.unlock();
        try {
          yield* this.kernelUsers.notifyUnmap(entry);
        } finally {
          yield* lock.lock();
        }
      }
    } finally {
      if (last !== undefined) last.unmapping = false;
    }
  }

  /** Version 2 unmaps whole mappings only: neither end of the range may lie inside one. @throws Errno EINVAL */
  #refuseBisection(iova: number, size: number): void {
    const inside = this.#state.tree.bisected(iova, size);
    if (inside !== undefined)
      throw new Errno(
        'EINVAL',
        `VFIO_IOMMU_UNMAP_DMA iova ${hex(iova)} size ${hex(size)} bisects iova ${hex(inside.iova)} size ${hex(inside.size)}`,
      );
  }

  /** VFIO_IOMMU_DIRTY_PAGES, facts 2.3. */
  *#dirtyPages(arg: number, { argsz, flags }: View<typeof vfio_iommu_type1_dirty_bitmap.fields>): Task<number> {
    if (!this.#state.v2) throw new Errno('EACCES', 'VFIO_IOMMU_DIRTY_PAGES: type1 (v1)');
    const refuse = (what: string) => new Errno('EINVAL', `VFIO_IOMMU_DIRTY_PAGES: ${what}`);
    switch (flags) {
      case DIRTY.START:
        startTracking(this.#state);
        return 0;
      case DIRTY.STOP:
        stopTracking(this.#state);
        return 0;
      case DIRTY.GET_BITMAP: {
        const { size: fixed } = vfio_iommu_type1_dirty_bitmap;
        const get = yield* this.#behind(arg, argsz, fixed, vfio_iommu_type1_dirty_bitmap_get);
        const { iova, size, bitmap } = get;
        const { offset } = vfio_iommu_type1_dirty_bitmap_get;
        if (iova + size > END_OF_ADDRESSES) throw refuse('wraps');
        checkBitmap(bitmap, size);
        if ([offset.iova, offset.size].some((at) => !pageAligned(get.dv, at))) throw refuse(`iova ${hex(iova)}`);
        if (!this.#state.dirtyTracking) throw refuse('not started');
        yield* reportDirty(this.#state, this.#mm.space, iova, size, bitmap.data);
        return 0;
      }
      default:
        throw refuse(`flags ${hex(flags)}: not exactly one that is known`);
    }
  }
}

/** Whether the 64-bit little-endian word at `at` is a multiple of the page size: of all its bits, not of a rounded number. */
function pageAligned(dv: DataView, at: number): boolean {
  return dv.getUint32(at, true) % PAGE_SIZE === 0;
}
