/** The mappings of one type1 container (struct vfio_dma and its tree), ordered by I/O virtual address. */

/** A page held for in-kernel users (struct vfio_pfn). */
export interface PinnedPage {
  readonly hpa: number;
  references: number;
}

/** One mapping. */
export interface Type1Dma {
  readonly iova: number;
  readonly size: number;
  readonly vaddr: number;
  /** VFIO_DMA_MAP_FLAG.READ and WRITE. */
  readonly prot: number;
  /** Pages pinned, by iova: the same page pinned under two iovas is counted twice. */
  readonly pins: Map<number, PinnedPage>;
  /** UNMAP_DMA is letting devices release it: no new pins, or a device could keep the call from ending. */
  unmapping: boolean;
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
    const entry = this.#entries[this.#from(iova)];
    return entry !== undefined && entry.iova < iova + size ? entry : undefined;
  }

  /** Adds a mapping that overlaps none. */
  insert(entry: Type1Dma): void {
    this.#entries.splice(this.#from(entry.iova), 0, entry);
  }
  remove(entry: Type1Dma): void {
    this.#entries.splice(this.#entries.indexOf(entry, this.#from(entry.iova)), 1);
  }
}
