/**
 * The type1 backend (drivers/vfio/vfio_iommu_type1.c), versions 1 and 2, for containers without an IOMMU: a mapping
 * is an entry in a table, and pages are pinned when a mediated device asks. Rules: vfio-tce facts section 2. Dirty
 * tracking (VFIO_IOMMU_DIRTY_PAGES) is not offered: its capability is absent and the command is unknown.
 */
import { Errno } from '../include/uapi/errno.ts';
import {
  VFIO_CHECK_EXTENSION,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
} from '../include/uapi/ioctl.ts';
import {
  VFIO_DMA_CC_IOMMU,
  VFIO_DMA_MAP_FLAG,
  VFIO_DMA_UNMAP_FLAG,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UNMAP_ALL,
  VFIO_UPDATE_VADDR,
  vfio_iommu_type1_dma_map,
  vfio_iommu_type1_dma_unmap,
} from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { View } from '../lib/struct.ts';
import { Mutex, type Task } from '../lib/task.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import type { IommuGroup, VfioIommu, VfioIommuDriver } from './vfio.ts';
import { type Type1Dma, Type1DmaTree } from './vfio_iommu_type1_dma.ts';
import { type1GetInfo } from './vfio_iommu_type1_info.ts';
import { Type1KernelUsers } from './vfio_iommu_type1_pin.ts';
import type { VfioCore } from './vfio_main.ts';

/** Mappings a container may have (module parameter dma_entry_limit, default U16_MAX). */
const DMA_ENTRY_LIMIT = 65535;
/** Rounds in a row that one mapping may stay pinned after devices were told to let go (vfio_dma_do_unmap). */
const MAX_UNMAP_ROUNDS = 10;
const END_OF_ADDRESSES = 2 ** 64;

const MAP = VFIO_DMA_MAP_FLAG;
const UNMAP = VFIO_DMA_UNMAP_FLAG;
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
  const limit = options.dmaEntryLimit ?? DMA_ENTRY_LIMIT;
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

export class Type1Iommu implements VfioIommu {
  readonly driver: VfioIommuDriver;
  readonly kernelUsers: Type1KernelUsers;
  readonly ioctl: (command: number, arg: number) => Task<number>;
  readonly #kernel: Kernel;
  readonly #v2: boolean;
  readonly #limit: number;
  readonly #tree = new Type1DmaTree();
  /** iommu->lock: the mappings and their pins. Dropped while devices are told of an unmap. */
  readonly #lock = new Mutex('type1 iommu');

  constructor(kernel: Kernel, driver: VfioIommuDriver, v2: boolean, limit: number) {
    this.#kernel = kernel;
    this.driver = driver;
    this.#v2 = v2;
    this.#limit = limit;
    this.kernelUsers = new Type1KernelUsers(kernel, this.#tree, this.#lock, v2);
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
      row(VFIO_IOMMU_UNMAP_DMA, (_arg, unmap) => iommu.#locked(() => iommu.#unmap(unmap))),
    ];
  }

  /** Mappings made, for state inspection. */
  get mappings(): Iterable<Readonly<Type1Dma>> {
    return this.#tree;
  }

  *#locked<T>(body: () => Task<T>): Task<T> {
    yield* this.#lock.lock();
    try {
      return yield* body();
    } finally {
      this.#lock.unlock();
    }
  }

  #checkExtension(extension: number): number {
    switch (extension) {
      case VFIO_UPDATE_VADDR:
        return 0; // Mediated devices keep pins that an address change would betray.
      case VFIO_DMA_CC_IOMMU:
        return 1; // No domain is without coherency: there is no domain.
      default:
        return this.driver.checkExtension(extension);
    }
  }

  /**
   * Only groups of mediated devices: nothing on this machine has an IOMMU that type1 drives.
   * @throws Errno EIO, as where no domain can be allocated (vfio_iommu_type1_attach_group, iommu_domain_alloc)
   */
  *attachGroup(group: IommuGroup): Task {
    if (!group.emulated) throw new Errno('EIO', `type1: group ${group.id} has no IOMMU that type1 drives`);
  }
  *detachGroup(): Task {}

  *release(): Task {
    for (const entry of [...this.#tree]) {
      this.kernelUsers.releaseAll(entry);
      this.#tree.remove(entry);
    }
  }

  *#getInfo(arg: number, view: Parameters<typeof type1GetInfo>[2]): Task<number> {
    return yield* type1GetInfo(this.#kernel.mm.space, arg, view, this.#limit - this.#tree.size);
  }

  /** VFIO_IOMMU_MAP_DMA, checks in the order of facts 2.1. */
  *#map(map: View<typeof vfio_iommu_type1_dma_map.fields>): Task<number> {
    const { flags, vaddr, iova, size } = map;
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
    const found = this.#tree.find(iova, size);
    if (setVaddr) {
      if (found === undefined) throw new Errno('ENOENT', `VFIO_IOMMU_MAP_DMA iova ${hex(iova)}: no mapping`);
      throw refuse('address not invalidated'); // Mediated devices refuse UNMAP_FLAG_VADDR, so none ever is.
    }
    if (found !== undefined)
      throw new Errno(
        'EEXIST',
        `VFIO_IOMMU_MAP_DMA iova ${hex(iova)} size ${hex(size)}: iova ${hex(found.iova)} size ${hex(found.size)} is mapped`,
      );
    if (this.#tree.size >= this.#limit) throw new Errno('ENOSPC', `VFIO_IOMMU_MAP_DMA: ${this.#limit} mappings`);
    this.#tree.insert({ iova, size, vaddr, prot, pins: new Map(), unmapping: false });
    return 0;
  }

  /** VFIO_IOMMU_UNMAP_DMA, facts 2.2. `unmap.size` becomes the number of bytes unmapped. */
  *#unmap(unmap: View<typeof vfio_iommu_type1_dma_unmap.fields>): Task<number> {
    const { flags, iova } = unmap;
    const refuse = (what: string) => new Errno('EINVAL', `VFIO_IOMMU_UNMAP_DMA iova ${hex(iova)}: ${what}`);
    if ((flags & ~(UNMAP.GET_DIRTY_BITMAP | UNMAP.ALL | UNMAP.VADDR)) !== 0) throw refuse(`flags ${hex(flags)}`);
    if ((flags & UNMAP.GET_DIRTY_BITMAP) !== 0) throw refuse('dirty tracking is off');
    if ((flags & UNMAP.VADDR) !== 0)
      throw new Errno('EBUSY', 'VFIO_IOMMU_UNMAP_DMA: mediated devices use the addresses');
    const all = (flags & UNMAP.ALL) !== 0;
    if (all) {
      if (iova !== 0 || unmap.size !== 0) throw refuse('UNMAP_FLAG_ALL takes iova 0 and size 0');
    } else {
      const { offset } = vfio_iommu_type1_dma_unmap;
      if (unmap.size === 0 || [offset.size, offset.iova].some((at) => !pageAligned(unmap.dv, unmap.address + at)))
        throw refuse(`size ${hex(unmap.size)} and iova must be multiples of ${hex(PAGE_SIZE)}, size not 0`);
      if (iova + unmap.size > END_OF_ADDRESSES) throw refuse('wraps');
    }
    const size = all ? END_OF_ADDRESSES : unmap.size;
    unmap.size = yield* this.#unmapRange(iova, size, all);
    return 0;
  }

  *#unmapRange(iova: number, size: number, all: boolean): Task<number> {
    let unmapped = 0;
    let last: Type1Dma | undefined;
    let rounds = 0;
    try {
      for (;;) {
        if (this.#v2 && !all) this.#refuseBisection(iova, size);
        const entry = this.#tree.find(iova, size);
        // Version 1: a range that starts inside a mapping unmaps nothing; one that covers its start takes it whole.
        if (entry === undefined || (!this.#v2 && iova > entry.iova)) return unmapped;
        if (entry.pins.size === 0) {
          this.#tree.remove(entry);
          unmapped += entry.size;
          continue;
        }
        rounds = entry === last ? rounds + 1 : 0;
        if (rounds > MAX_UNMAP_ROUNDS) throw new Type1DriverBug(entry);
        if (last !== undefined) last.unmapping = false;
        last = entry;
        entry.unmapping = true;
        // Devices unpin, reset, and may wait for who wants the lock: it must be free, and everything read again after.
        this.#lock.unlock();
        try {
          yield* this.kernelUsers.notifyUnmap(entry);
        } finally {
          yield* this.#lock.lock();
        }
      }
    } finally {
      if (last !== undefined) last.unmapping = false;
    }
  }

  /** Version 2 unmaps whole mappings only: neither end of the range may lie inside one. @throws Errno EINVAL */
  #refuseBisection(iova: number, size: number): void {
    const first = this.#tree.find(iova, PAGE_SIZE);
    const end = iova + size;
    const last = this.#tree.find(end - PAGE_SIZE, PAGE_SIZE);
    const inside = first !== undefined && first.iova < iova ? first : last;
    if (inside !== undefined && (inside.iova < iova || inside.iova + inside.size > end))
      throw new Errno(
        'EINVAL',
        `VFIO_IOMMU_UNMAP_DMA iova ${hex(iova)} size ${hex(size)} bisects iova ${hex(inside.iova)} size ${hex(inside.size)}`,
      );
  }
}

/** Whether the 64-bit little-endian word at `at` is a multiple of the page size: of all its bits, not of a rounded number. */
function pageAligned(dv: DataView, at: number): boolean {
  return dv.getUint32(at, true) % PAGE_SIZE === 0;
}
