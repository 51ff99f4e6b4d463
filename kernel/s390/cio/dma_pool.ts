/**
 * Small blocks of host memory below 2 GiB for what the channel subsystem fetches: CCWs and IDALs (GFP_DMA | GFP_KERNEL
 * kmalloc in Linux; format-1 CCW and IDAL addresses have 31 bits). Blocks are powers of two, so none crosses a page.
 */
import { Errno } from '../../include/uapi/errno.ts';
import { PG } from '../../lib/frames.ts';
import { type HostMemory, PAGE_SIZE } from '../../lib/host_memory.ts';
import type { PageAllocator } from '../../mm/page.ts';

/** 31-bit addressing. */
const DMA_LIMIT = 0x80000000;
/** Smallest block: a format-2 IDAL of two words. */
const LEAST = 16;
/** Fills freed blocks, so that a channel program that outlives its translation shows. */
const POISON = 0xa5;

interface Slab {
  readonly page: number;
  readonly block: number;
  readonly free: number[];
}

export class DmaPool {
  readonly #memory: HostMemory;
  readonly #pages: PageAllocator;
  /** Slabs with a free block, by block size. */
  readonly #partial = new Map<number, Slab[]>();
  /** The slab of every page in use. */
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
    let block = LEAST;
    while (block < size) block *= 2;
    if (block > PAGE_SIZE) throw new Error(`DMA block of ${size} bytes`);
    const partial = this.#partial.get(block) ?? [];
    this.#partial.set(block, partial);
    const slab = partial[partial.length - 1] ?? this.#grow(block, partial);
    const hpa = slab.free.pop() as number;
    if (slab.free.length === 0) partial.pop();
    this.#memory.bytes(hpa, block).fill(0);
    this.#live++;
    return hpa;
  }

  #grow(block: number, partial: Slab[]): Slab {
    const page = this.#pages.allocPages(1);
    if (page === undefined) throw new Errno('ENOMEM', 'DMA memory');
    if (page + PAGE_SIZE > DMA_LIMIT) {
      this.#pages.freePages(page);
      throw new Errno('ENOMEM', 'DMA memory below 2 GiB');
    }
    this.#pages.frames.setFlags(page, PG.UNMOVABLE);
    const free = Array.from({ length: PAGE_SIZE / block }, (_, i) => page + i * block);
    const slab = { page, block, free };
    this.#slabs.set(page, slab);
    partial.push(slab);
    return slab;
  }

  /** Gives a block back. @throws Error when it is none, or free: a bug of the driver */
  free(hpa: number): void {
    const slab = this.#slabs.get(hpa - (hpa % PAGE_SIZE));
    if (slab === undefined || slab.free.includes(hpa) || hpa % slab.block !== 0)
      throw new Error(`DMA block 0x${hpa.toString(16)} freed twice or never allocated`);
    this.#memory.bytes(hpa, slab.block).fill(POISON);
    this.#live--;
    const partial = this.#partial.get(slab.block) as Slab[];
    if (slab.free.length === 0) partial.push(slab);
    slab.free.push(hpa);
    // One empty page per size is kept for the next program.
    const empty = slab.free.length === PAGE_SIZE / slab.block;
    if (empty && partial.length > 1) this.#return(slab);
  }

  /** Returns every page without a block in use to the page allocator. */
  shrink(): void {
    for (const slab of [...this.#slabs.values()]) if (slab.free.length === PAGE_SIZE / slab.block) this.#return(slab);
  }

  #return(slab: Slab): void {
    const partial = this.#partial.get(slab.block) as Slab[];
    partial.splice(partial.indexOf(slab), 1);
    this.#slabs.delete(slab.page);
    this.#pages.freePages(slab.page);
  }
}
