/** The frame allocator: which page frames are free, and in what order they are handed out. Kernel only. */
import { Frames, PG } from '../lib/frames.ts';
import { type HostMemory, PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { Random } from '../lib/random.ts';
import type { SharedMap } from '../lib/shared_map.ts';
import { StorageKeys } from '../lib/storage_keys.ts';

/** Fills frames that were moved away or freed, so that a stale address shows wrong data at once. */
const POISON = 0xa5;

/** Low frames kept together for tables and buffers that need a run of them (a zone with CMA's purpose), bytes. */
const CONTIGUOUS_ZONE = 32 * 1024 * 1024;

/** Hands out frames. Kernel only. */
export class PageAllocator {
  readonly frames: Frames;
  readonly #memory: HostMemory;
  readonly #keys: StorageKeys;
  readonly #free: Int32Array;
  #freeCount = 0;
  readonly #used: Uint8Array;
  /** 1 for a frame that has an entry in `#free`: a frame taken by a run keeps its entry, and must not get a second. */
  readonly #listed: Uint8Array;
  readonly #dirty: Uint8Array;
  #allocated = 0;
  #lowest: number;

  /** @param seed scatters frames, so that neighbours in a guest are none in the host, as on a machine that has run for a while. */
  constructor(memory: HostMemory, map: SharedMap, seed = 1) {
    this.#memory = memory;
    this.frames = new Frames(memory, map);
    this.#keys = new StorageKeys(memory, map.storageKeys);
    const first = map.firstFrame >>> PAGE_SHIFT;
    const count = ((map.size - map.firstFrame) / PAGE_SIZE) | 0;
    this.#used = new Uint8Array(first + count);
    this.#listed = new Uint8Array(first + count).fill(1);
    this.#dirty = new Uint8Array(first + count);
    this.#free = new Int32Array(count);
    for (let i = 0; i < count; i++) this.#free[i] = first + i;
    // Single frames come scattered from above the contiguous zone, and from the zone itself only at the very end.
    const zone = Math.min(CONTIGUOUS_ZONE / PAGE_SIZE, count >>> 1);
    const random = new Random(seed);
    for (let i = count - 1; i > zone; i--) {
      const j = zone + random.below(i - zone + 1);
      const swap = this.#free[i];
      this.#free[i] = this.#free[j];
      this.#free[j] = swap;
    }
    this.#freeCount = count;
    this.#lowest = first;
  }

  /** Frames handed out and not returned. */
  get allocated(): number {
    return this.#allocated;
  }

  /** One zeroed frame with storage key 0; undefined when memory is exhausted. */
  allocPage(): number | undefined {
    while (this.#freeCount > 0) {
      const frame = this.#free[--this.#freeCount];
      this.#listed[frame] = 0;
      if (this.#used[frame] === 0) return this.#take(frame);
    }
    return undefined;
  }

  /**
   * `count` zeroed frames that follow each other; undefined when there is no such run.
   * @param align frames: the first frame's number is a multiple of it
   */
  allocPages(count: number, align = 1): number | undefined {
    let run = 0;
    for (let frame = this.#lowest; frame < this.#used.length; frame++) {
      run = this.#used[frame] === 0 ? run + 1 : 0;
      const first = frame - count + 1;
      if (run >= count && first % align === 0) {
        for (let i = first; i <= frame; i++) this.#take(i);
        return first * PAGE_SIZE;
      }
    }
    return undefined;
  }

  #take(frame: number): number {
    this.#used[frame] = 1;
    this.#allocated++;
    const hpa = frame * PAGE_SIZE;
    if (this.#dirty[frame] !== 0) this.#memory.u8.fill(0, hpa, hpa + PAGE_SIZE);
    this.#dirty[frame] = 1;
    this.#keys.set(hpa, 0);
    return hpa;
  }

  /** Returns `count` frames from `hpa` on. @throws Error when one is still pinned, or free already. */
  freePages(hpa: number, count = 1): void {
    for (let i = 0; i < count; i++) {
      const frame = (hpa >>> PAGE_SHIFT) + i;
      const at = frame * PAGE_SIZE;
      if (this.#used[frame] === 0) throw new Error(`frame 0x${at.toString(16)} freed twice`);
      if (this.frames.pins(at) !== 0) throw new Error(`frame 0x${at.toString(16)} freed while pinned`);
      this.#used[frame] = 0;
      this.#allocated--;
      this.#memory.u8.fill(POISON, at, at + PAGE_SIZE);
      this.frames.setMapping(at, 0);
      this.frames.clearFlags(at, PG.CODE | PG.DIRTY | PG.UNMOVABLE);
      if (this.#listed[frame] !== 0) continue;
      this.#listed[frame] = 1;
      this.#free[this.#freeCount++] = frame;
    }
  }
}
