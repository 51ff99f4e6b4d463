/**
 * Host memory for the IDALs of one segment of a channel program: cut from few blocks, which go back together. Linux
 * allocates each by itself (kcalloc in ccwchain_fetch_ccw); with up to 255 for every I/O that took a fifth of its time.
 */
import { PAGE_SIZE } from '../../lib/host_memory.ts';
import { u64 } from '../../lib/struct.ts';
import type { DmaPool } from './dma_pool.ts';

/** Words that the IDAL of a CCW with a page of data has: its own, and the one behind it. */
const USUAL_WORDS = 2;

export class Idals {
  readonly #pool: DmaPool;
  #blocks: number[] = [];
  /** Bytes of a block: what the segment needs as a rule, at most a page, so that no IDAL crosses one. */
  readonly #size: number;
  #next = 0;
  #end = 0;
  /** HPA of the IDAL handed out last. */
  last = 0;

  /** @param ccws of the segment */
  constructor(pool: DmaPool, ccws: number) {
    this.#pool = pool;
    this.#size = Math.min(ccws * USUAL_WORDS * u64.size, PAGE_SIZE);
  }

  /** Room for one IDAL of `words` words: its HPA. @throws Errno ENOMEM */
  alloc(words: number): number {
    const bytes = words * u64.size;
    if (this.#next + bytes > this.#end) {
      const size = Math.max(this.#size, bytes);
      this.#next = this.#pool.alloc(size);
      this.#end = this.#next + size;
      this.#blocks.push(this.#next);
    }
    this.last = this.#next;
    this.#next += bytes;
    return this.last;
  }

  /** Gives everything back. */
  free(): void {
    for (const block of this.#blocks) this.#pool.free(block);
    this.#blocks = [];
    this.#next = 0;
    this.#end = 0;
  }
}
