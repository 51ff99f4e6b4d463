/**
 * A queue of Ethernet frames in shared memory, for one producer and one consumer on any threads: one direction of a
 * cable, or a FIFO. Frames come out in place, so that a receiver moves them straight to where they belong.
 *
 * | word | written by | |
 * |---|---|---|
 * | 0 head | consumer | bytes taken out; wraps at 2^32 |
 * | 64 tail | producer | bytes put in, stored after the bytes themselves |
 * | 128 wanted | producer sets, consumer clears | the producer waits for room: ring its doorbell |
 *
 * `head` and `tail` carry the data over by being atomic: what lies between them belongs to the consumer, the rest to the
 * producer. The producer that finds no room sets `wanted` and looks once more; the consumer moves `head`, then looks at
 * `wanted`: one of them sees the other. A record is two words (bytes of the frame, flags) and the frame, with room for
 * {@link FRAME_SLACK} bytes more behind it, in a multiple of 8 bytes; no record goes round the end.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';

/** Bytes before the frames. */
export const FRAME_RING_HEADER = 256;
/** Bytes behind each frame that the consumer may write to: a check sequence. */
export const FRAME_SLACK = 4;

const HEAD = 0;
const TAIL = 64;
const WANTED = 128;
const RECORD = 8;
/** In place of a length: the rest of the memory up to its end is not used. */
const SKIP = -1;

const align8 = (value: number) => (value + 7) & ~7;

export class FrameRing {
  readonly #memory: HostMemory;
  readonly #base: number;
  readonly #frames: number;
  readonly #capacity: number;
  /** The frame that {@link peek} found: where it lies (a multiple of 8), its bytes, and its flags. */
  hpa = 0;
  length = 0;
  flags = 0;

  /** @param base HPA, a multiple of 8, of FRAME_RING_HEADER + capacity bytes, zero at power-on. @param capacity a power of two. */
  constructor(memory: HostMemory, base: number, capacity: number) {
    this.#memory = memory;
    this.#base = base;
    this.#frames = base + FRAME_RING_HEADER;
    this.#capacity = capacity;
  }

  /** Bytes in use, with their records. */
  get used(): number {
    return (this.#memory.load(this.#base + TAIL) - this.#memory.load(this.#base + HEAD)) >>> 0;
  }

  empty(): boolean {
    return this.#memory.load(this.#base + TAIL) === this.#memory.load(this.#base + HEAD);
  }

  /** Producer: whether a frame of `length` bytes fits now. */
  fits(length: number): boolean {
    const tail = this.#memory.load(this.#base + TAIL);
    return this.#place(tail, align8(RECORD + length + FRAME_SLACK)) >= 0;
  }

  /** Producer: copies a frame in; false when there is no room. The caller rings the consumer's doorbell afterwards. */
  push(hpa: number, length: number, flags: number): boolean {
    const memory = this.#memory;
    const tail = memory.load(this.#base + TAIL);
    const size = align8(RECORD + length + FRAME_SLACK);
    const skip = this.#place(tail, size);
    if (skip < 0) return false;
    if (skip > 0) memory.i32[this.#at(tail) >>> 2] = SKIP;
    const at = this.#at(tail + skip);
    memory.i32[at >>> 2] = length;
    memory.i32[(at + 4) >>> 2] = flags;
    memory.u8.copyWithin(at + RECORD, hpa, hpa + length);
    memory.store(this.#base + TAIL, (tail + skip + size) | 0);
    return true;
  }

  /** Producer: asks to be woken when there is room for `length` bytes; true when there is room already. */
  want(length: number): boolean {
    this.#memory.store(this.#base + WANTED, 1);
    return this.fits(length);
  }

  /** Consumer: looks at the oldest frame; false when there is none. */
  peek(): boolean {
    const memory = this.#memory;
    for (;;) {
      const head = memory.load(this.#base + HEAD);
      if (head === memory.load(this.#base + TAIL)) return false;
      const at = this.#at(head);
      const length = memory.i32[at >>> 2];
      if (length !== SKIP) {
        this.hpa = at + RECORD;
        this.length = length;
        this.flags = memory.i32[(at + 4) >>> 2];
        return true;
      }
      memory.store(this.#base + HEAD, (head + this.#toEnd(head)) | 0);
    }
  }

  /** Consumer: takes out the frame that {@link peek} found, as it was then; returns whether the producer waits for room. */
  pop(): boolean {
    const memory = this.#memory;
    const head = memory.load(this.#base + HEAD);
    const size = align8(RECORD + memory.i32[this.#at(head) >>> 2] + FRAME_SLACK);
    memory.store(this.#base + HEAD, (head + size) | 0);
    return memory.load(this.#base + WANTED) !== 0 && memory.exchange(this.#base + WANTED, 0) !== 0;
  }

  /** Consumer: takes everything out. */
  clear(): void {
    this.#memory.store(this.#base + HEAD, this.#memory.load(this.#base + TAIL));
  }

  /** Bytes to be left out before a record of `size`; -1 when it does not fit. */
  #place(tail: number, size: number): number {
    const toEnd = this.#toEnd(tail);
    const skip = size > toEnd ? toEnd : 0;
    const used = (tail - this.#memory.load(this.#base + HEAD)) >>> 0;
    return used + skip + size > this.#capacity ? -1 : skip;
  }

  #at(counter: number): number {
    return this.#frames + (counter & (this.#capacity - 1));
  }

  #toEnd(counter: number): number {
    return this.#capacity - (counter & (this.#capacity - 1));
  }
}
