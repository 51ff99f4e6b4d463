/**
 * Storage keys: one byte per page frame of host memory (SA22-7832 chapter 3, "Storage Key"). A guest's SET STORAGE KEY
 * EXTENDED sets the key of the frame that backs its page, and the channel subsystem checks the same byte, as on a host
 * where the guest's keys are the machine's. A frame that moves takes its key along.
 *
 * | byte bits | meaning |
 * |---|---|
 * | 0-3 | access-control bits |
 * | 4 | fetch protection |
 * | 5 | reference |
 * | 6 | change |
 *
 * Any thread reads and writes: every access is atomic on the aligned word that holds the byte.
 */
import { type HostMemory, PAGE_SHIFT } from './host_memory.ts';

/** Parts of a storage key. */
export const STORAGE_KEY = { ACC: 0xf0, FETCH: 0x08, REFERENCE: 0x04, CHANGE: 0x02 } as const;
/** Ways past key-controlled protection, for {@link keyPermits}; control register 0 switches them on. */
export const OVERRIDE = {
  /** Fetch protection does not count: effective addresses 0-2047. */
  FETCH: 1,
  /** Blocks with access-control bits 9 are open to every access key. */
  STORAGE: 2,
} as const;
/** Access-control bits that storage-protection override opens (SA22-7832 chapter 3, "Storage-Protection Override"). */
const OVERRIDE_ACC = 9;

/** What key-controlled protection says of an access to a block with storage key `key` (SA22-7832 figure 3-6). */
export function keyPermits(key: number, accessKey: number, stored: boolean, overrides = 0): boolean {
  if (accessKey === 0 || key >>> 4 === accessKey) return true;
  if ((overrides & OVERRIDE.STORAGE) !== 0 && key >>> 4 === OVERRIDE_ACC) return true;
  return !stored && ((key & STORAGE_KEY.FETCH) === 0 || (overrides & OVERRIDE.FETCH) !== 0);
}

/** Every architected bit. */
const ALL = STORAGE_KEY.ACC | STORAGE_KEY.FETCH | STORAGE_KEY.REFERENCE | STORAGE_KEY.CHANGE;

/** `hpa` may be any address inside the frame; an access key is a number from 0 to 15. */
export class StorageKeys {
  readonly #memory: HostMemory;
  readonly #base: number;

  /** @param base `SharedMap.storageKeys` */
  constructor(memory: HostMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
  }

  get(hpa: number): number {
    const at = this.#base + (hpa >>> PAGE_SHIFT);
    return (this.#memory.load(at & ~3) >>> ((at & 3) * 8)) & 0xff;
  }
  /** Replaces the whole key. */
  set(hpa: number, key: number): void {
    this.update(hpa, ALL, key);
  }
  /** Replaces the bits of `mask`; returns the key as it was. */
  update(hpa: number, mask: number, key: number): number {
    const at = this.#base + (hpa >>> PAGE_SHIFT);
    const shift = (at & 3) * 8;
    for (;;) {
      const word = this.#memory.load(at & ~3);
      const wanted = (word & ~((mask & ALL) << shift)) | ((key & mask & ALL) << shift);
      if (wanted === word || this.#memory.cas(at & ~3, word, wanted) === word) return (word >>> shift) & 0xff;
    }
  }

  /**
   * An access: asks key-controlled protection and notes the reference, and the change when `stored`. Permission and
   * reference bit are of one value of the key: whoever changes the key afterwards finds the reference bit on, and so
   * knows that somebody may hold a translation with this permission. @returns whether it is permitted
   */
  access(hpa: number, accessKey: number, stored: boolean, overrides = 0): boolean {
    const bits = STORAGE_KEY.REFERENCE | (stored ? STORAGE_KEY.CHANGE : 0);
    const at = this.#base + (hpa >>> PAGE_SHIFT);
    const shift = (at & 3) * 8;
    for (;;) {
      const word = this.#memory.load(at & ~3);
      const key = (word >>> shift) & 0xff;
      if (!keyPermits(key, accessKey, stored, overrides)) return false;
      if ((key & bits) === bits) return true;
      if (this.#memory.cas(at & ~3, word, word | (bits << shift)) === word) return true;
    }
  }
  /** Notes a reference, and a change when `stored`. */
  touched(hpa: number, stored: boolean): void {
    const bits = STORAGE_KEY.REFERENCE | (stored ? STORAGE_KEY.CHANGE : 0);
    if ((this.get(hpa) & bits) !== bits) this.update(hpa, bits, bits);
  }
}
