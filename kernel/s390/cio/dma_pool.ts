/**
 * Small blocks of host memory below 2 GiB for what the channel subsystem fetches: CCWs and IDALs (GFP_DMA | GFP_KERNEL
 * kmalloc in Linux; format-1 CCW and IDAL addresses have 31 bits). Blocks are powers of two, so none crosses a page.
 */
import { Errno } from '../../include/uapi/errno.ts';
import { PG } from '../../lib/frames.ts';
import { type HostMemory, PAGE_SHIFT, PAGE_SIZE } from '../../lib/host_memory.ts';
import type { PageAllocator } from '../../mm/page.ts';

/** 31-bit addressing. */
const DMA_LIMIT = 0x80000000;
/** log2 of the smallest block: a format-2 IDAL of two words. */
const LEAST_ORDER = 4;
/** Fills freed blocks, so that a channel program that outlives its translation shows. */
const POISON = 0xa5;

/** Blocks up to this are filled word by word: quicker than the call. */
const SMALL = 128;

interface Slab {
  readonly page: number;
  /** log2 of the size of its blocks. */
  readonly order: number;
  /** Addresses of free blocks, the next one last. */
  readonly free: number[];
  /** 1 for a free block, by its number in the page. */
  readonly isFree: Uint8Array;
}

export class DmaPool {
  readonly #memory: HostMemory;
  readonly #pages: PageAllocator;
  /** Slabs with a free block, by order. */
  readonly #partial: Slab[][] = Array.from({ length: PAGE_SHIFT + 1 }, () => []);
  /** The slab of every page in use, by page number. */
  readonly #slabs = new Map<number, Slab>();
  #live = 0;

  constructor(memory: HostMemory, pages: PageAllocator) {
    this.#memory = memory;
    this.#pages = pages;
  }

  /** Blocks handed out and not freed. */
  get live(): number {
    return this.#live;
  }
  /** Page frames held, free blocks included. */
  get pages(): number {
    return this.#slabs.size;
  }

  /** HPA of `size` zeroed bytes, at most a page, aligned to the next power of two. @throws Errno ENOMEM */
  alloc(size: number): number {
    if (size > PAGE_SIZE) throw new Error(`DMA block of ${size} bytes`);
    const order = Math.max(LEAST_ORDER, 32 - Math.clz32(size - 1));
    const partial = this.#partial[order];
    const slab = partial.length > 0 ? partial[partial.length - 1] : this.#grow(order, partial);
    const hpa = slab.free.pop() as number;
    slab.isFree[(hpa - slab.page) >>> order] = 0;
    if (slab.free.length === 0) partial.pop();
    this.#fill(hpa, 1 << order, 0);
    this.#live++;
    return hpa;
  }

  #fill(hpa: number, size: number, byte: number): void {
    if (size > SMALL) {
      this.#memory.u8.fill(byte, hpa, hpa + size);
      return;
    }
    const { i32 } = this.#memory;
    const word = Math.imul(byte, 0x01010101);
    for (let at = hpa >>> 2; at < (hpa + size) >>> 2; at++) i32[at] = word;
  }

  #grow(order: number, partial: Slab[]): Slab {
    const page = this.#pages.allocPages(1);
    if (page === undefined) throw new Errno('ENOMEM', 'DMA memory');
    if (page + PAGE_SIZE > DMA_LIMIT) {
      this.#pages.freePages(page);
      throw new Errno('ENOMEM', 'DMA memory below 2 GiB');
    }
    this.#pages.frames.setFlags(page, PG.UNMOVABLE);
    const blocks = PAGE_SIZE >>> order;
    const free = Array.from({ length: blocks }, (_, i) => page + (i << order));
    const slab = { page, order, free, isFree: new Uint8Array(blocks).fill(1) };
    this.#slabs.set(page >>> PAGE_SHIFT, slab);
    partial.push(slab);
    return slab;
  }

  /** Gives a block back. @throws Error when it is none, or free: a bug of the driver */
  free(hpa: number): void {
    const slab = this.#slabs.get(hpa >>> PAGE_SHIFT);
    const number = slab === undefined ? 0 : (hpa - slab.page) >>> slab.order;
    if (slab === undefined || slab.isFree[number] !== 0 || slab.page + (number << slab.order) !== hpa)
      throw new Error(`DMA block 0x${hpa.toString(16)} freed twice or never allocated`);
    slab.isFree[number] = 1;
    this.#fill(hpa, 1 << slab.order, POISON);
    this.#live--;
    const partial = this.#partial[slab.order];
    if (slab.free.length === 0) partial.push(slab);
    slab.free.push(hpa);
    // One empty page per size is kept for the next program.
    if (slab.free.length === slab.isFree.length && partial.length > 1) this.#return(slab);
  }

  /** Returns every page without a block in use to the page allocator. */
  shrink(): void {
    for (const slab of [...this.#slabs.values()]) if (slab.free.length === slab.isFree.length) this.#return(slab);
  }

  #return(slab: Slab): void {
    const partial = this.#partial[slab.order];
    partial.splice(partial.indexOf(slab), 1);
    this.#slabs.delete(slab.page >>> PAGE_SHIFT);
    this.#pages.freePages(slab.page);
  }
}
