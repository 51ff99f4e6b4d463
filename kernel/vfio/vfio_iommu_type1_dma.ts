/** The mappings of one type1 container (struct vfio_iommu, struct vfio_dma and its tree), ordered by I/O virtual address. */
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Mutex } from '../lib/task.ts';
import type { PinnedPages } from './vfio_iommu_type1_pfn.ts';

/** End of the 64-bit address space. */
export const END_OF_ADDRESSES = 2 ** 64;

/** One mapping. */
export interface Type1Dma {
  readonly iova: number;
  readonly size: number;
  vaddr: number;
  /** VFIO_DMA_MAP_FLAG.READ and WRITE. */
  readonly prot: number;
  /** Who mapped it had CAP_IPC_LOCK: its pages are counted, but no limit is asked for. */
  readonly lockCap: boolean;
  /** Pages held for in-kernel users: the same frame pinned under two iovas is counted twice. */
  readonly pins: PinnedPages;
  /** UNMAP_DMA is letting devices release it: no new pins, or a device could keep the call from ending. */
  unmapping: boolean;
  /** UNMAP_DMA with VADDR: `vaddr` is no longer valid, MAP_DMA with VADDR will bring a new one. */
  vaddrInvalid: boolean;
  /** Frames of all its pages, pinned while an IOMMU maps it; undefined while none does. */
  frames: number[] | undefined;
  /**
   * Numbers of its pages that were pinned or written by the kernel since the last report, while dirty pages are tracked.
   * A set and not Linux's bitmap: a mapping of 2^31 pages costs what is dirty of it.
   */
  dirty: Set<number> | undefined;
}

/** Disjoint mappings in order. */
export class Type1DmaTree {
  readonly #entries: Type1Dma[] = [];

  get size(): number {
    return this.#entries.length;
  }
  [Symbol.iterator](): Iterator<Type1Dma> {
    return this.#entries[Symbol.iterator]();
  }

  /** Index of the first mapping that ends behind `iova`. */
  #from(iova: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { iova: start, size } = this.#entries[middle];
      if (start + size > iova) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The lowest mapping that shares a byte with `[iova, iova + size)`. */
  find(iova: number, size: number): Type1Dma | undefined {
    const index = this.#from(iova);
    if (index === this.#entries.length) return undefined;
    const entry = this.#entries[index];
    return entry.iova < iova + size ? entry : undefined;
  }

  /** Every mapping that shares a byte with `[iova, iova + size)`, lowest first. */
  within(iova: number, size: number): Type1Dma[] {
    const entries: Type1Dma[] = [];
    for (let i = this.#from(iova); i < this.#entries.length && this.#entries[i].iova < iova + size; i++)
      entries.push(this.#entries[i]);
    return entries;
  }

  /** The mapping that one end of `[iova, iova + size)` lies inside of, if there is one. */
  bisected(iova: number, size: number): Type1Dma | undefined {
    const first = this.find(iova, PAGE_SIZE);
    if (first !== undefined && first.iova < iova) return first;
    const last = this.find(iova + size - PAGE_SIZE, PAGE_SIZE);
    return last !== undefined && last.iova + last.size > iova + size ? last : undefined;
  }

  /** Adds a mapping that overlaps none. */
  insert(entry: Type1Dma): void {
    this.#entries.splice(this.#from(entry.iova), 0, entry);
  }
  remove(entry: Type1Dma): void {
    this.#entries.splice(this.#entries.indexOf(entry, this.#from(entry.iova)), 1);
  }
}

/** What the parts of one container's type1 share. */
export class Type1State {
  readonly tree = new Type1DmaTree();
  /** iommu->lock: the mappings and their pins. Dropped while devices are told of an unmap. */
  readonly lock = new Mutex('type1 iommu');
  readonly v2: boolean;
  /** VFIO_IOMMU_DIRTY_PAGES has started it. */
  dirtyTracking = false;
  /** Mappings whose address is invalid (vaddr_invalid_count). */
  invalidVaddrs = 0;
  /** IOMMUs that map everything: pages are pinned and charged by MAP_DMA then. */
  domains = 0;

  constructor(v2: boolean) {
    this.v2 = v2;
  }
}
