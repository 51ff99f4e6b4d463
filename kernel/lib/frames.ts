/**
 * Page-frame descriptors in shared memory (struct page's role). A descriptor has four words: transient references (any
 * thread, atomic), pins (kernel), flags (atomic or/and), and the process and virtual page that map the frame.
 */
import { type HostMemory, PAGE_SHIFT } from './host_memory.ts';
import { AREA, type SharedMap } from './shared_map.ts';

/** Bits of a frame's flags. */
export const PG = {
  /** Some vCPU holds code translated from this frame: writers other than that vCPU announce themselves. */
  CODE: 1,
  /** Written by a device or the kernel since last cleaned (PG_dirty). */
  DIRTY: 2,
  /** Never moved: kernel structures, the VMM's heap, mapped tables. */
  UNMOVABLE: 4,
} as const;

/** Words of a descriptor, in bytes from its start. */
export const FRAME_WORD = { REFS: 0, PINS: 4, FLAGS: 8, MAPPING: 12 } as const;

/** Frame descriptors, usable by every thread. `hpa` may be any address inside the frame. */
export class Frames {
  readonly #memory: HostMemory;
  readonly #base: number;
  readonly first: number;
  readonly end: number;

  constructor(memory: HostMemory, map: SharedMap) {
    this.#memory = memory;
    this.#base = map.frames;
    this.first = map.firstFrame;
    this.end = map.size;
  }
  #word(hpa: number, word: number): number {
    return this.#base + (hpa >>> PAGE_SHIFT) * AREA.frame + word;
  }
  /** Transient references: the frame does not move while it has one. */
  refs(hpa: number): number {
    return this.#memory.load(this.#word(hpa, FRAME_WORD.REFS));
  }
  get(hpa: number): void {
    this.#memory.add(this.#word(hpa, FRAME_WORD.REFS), 1);
  }
  put(hpa: number): void {
    this.#memory.add(this.#word(hpa, FRAME_WORD.REFS), -1);
  }
  /** Long-term pins: DMA may be under way. */
  pins(hpa: number): number {
    return this.#memory.load(this.#word(hpa, FRAME_WORD.PINS));
  }
  pin(hpa: number): void {
    this.#memory.add(this.#word(hpa, FRAME_WORD.PINS), 1);
  }
  /** Pins that are left. @throws Error for a frame without pins: a bug of the kernel, not an input error. */
  unpin(hpa: number): number {
    const left = this.#memory.add(this.#word(hpa, FRAME_WORD.PINS), -1) - 1;
    if (left < 0) throw new Error(`frame 0x${hpa.toString(16)} unpinned too often`);
    return left;
  }
  flags(hpa: number): number {
    return this.#memory.load(this.#word(hpa, FRAME_WORD.FLAGS));
  }
  setFlags(hpa: number, mask: number): void {
    this.#memory.or(this.#word(hpa, FRAME_WORD.FLAGS), mask);
  }
  clearFlags(hpa: number, mask: number): void {
    this.#memory.and(this.#word(hpa, FRAME_WORD.FLAGS), ~mask);
  }
  /** Which page of which process maps the frame (`frameMapping`), or 0. */
  mapping(hpa: number): number {
    return this.#memory.load(this.#word(hpa, FRAME_WORD.MAPPING));
  }
  setMapping(hpa: number, value: number): void {
    this.#memory.store(this.#word(hpa, FRAME_WORD.MAPPING), value);
  }
}
