/**
 * What one channel program may touch of storage: the addresses there are, key-controlled protection with the key of
 * the ORB (SA22-7832 chapter 3), and the address limit (chapter 17, "Address-Limit Checking"), which applies to data
 * only. Nothing outside `[firstFrame, memory size)` is storage to a channel, whatever the program says.
 */
import { ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { CSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import { type HostMemory, PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import type { StorageKeys } from '../../../kernel/lib/storage_keys.ts';

/** First address that a format-0 CCW, 24 bits, cannot name. */
export const LIMIT_24 = 0x1000000;
/** First address that a format-1 CCW or IDAW, 31 bits, cannot name. */
export const LIMIT_31 = 0x80000000;

/** The channel found something wrong with the program: ends it, with a subchannel-status bit. */
export class ChannelCheck extends Error {
  /** Subchannel status. */
  readonly cstat: number;
  constructor(reason: string, cstat: number = CSTAT.PROG_CHECK) {
    super(reason);
    this.name = 'ChannelCheck';
    this.cstat = cstat;
  }
}

/** Limit modes of the PMCW: which side of the address limit data must lie on. */
export const LIMIT_MODE = { NONE: 0, NOT_BELOW: 1, BELOW: 2 } as const;

/** Storage as all programs see it. */
export interface StorageOptions {
  readonly memory: HostMemory;
  /** Lowest storage address a channel may use. */
  readonly firstFrame: number;
  /** Absent: nothing is protected. */
  readonly storageKeys?: StorageKeys;
}

export class ChannelStorage {
  readonly memory: HostMemory;
  readonly #firstFrame: number;
  readonly #keys: StorageKeys | undefined;
  readonly #key: number;
  /** Bounds of data: the lowest address, and the first address too high. */
  readonly #low: number;
  readonly #high: number;
  /** Lowest address of the bytes that {@link data} allowed last. */
  hpa = 0;

  /**
   * @param ctrl0 of the ORB: key and A (address-limit-checking control).
   * @param limitMode PMCW.LM. @param limit the address limit.
   */
  constructor(options: StorageOptions, ctrl0: number, limitMode: number, limit: number) {
    const { memory, firstFrame } = options;
    this.memory = memory;
    this.#firstFrame = firstFrame;
    this.#keys = options.storageKeys;
    this.#key = ORB_CTRL0.get(ctrl0, 'key');
    const mode = (ctrl0 & ORB_CTRL0.mask.A) !== 0 ? limitMode : LIMIT_MODE.NONE;
    this.#low = mode === LIMIT_MODE.NOT_BELOW ? Math.max(firstFrame, limit) : firstFrame;
    this.#high = mode === LIMIT_MODE.BELOW ? Math.min(memory.size, limit) : memory.size;
  }

  /** Whether all bytes are storage. @param limit first address that cannot be named. */
  contains(at: number, length: number, limit: number): boolean {
    return at >= this.#firstFrame && at + length <= Math.min(limit, this.memory.size);
  }

  /**
   * The channel fetches a CCW, IDAW or MIDAW, which does not cross a page.
   * @throws ChannelCheck (program check, protection check)
   */
  fetch(at: number, length: number, limit: number, what: string): void {
    if (!this.contains(at, length, limit)) throw new ChannelCheck(`invalid ${what} address`);
    if (this.#keys?.access(at, this.#key, false) === false)
      throw new ChannelCheck(`${what} is protected`, CSTAT.PROT_CHECK);
  }

  /**
   * Data from `at` on, or from `at` down: how many of the next `length` bytes can be moved at once, at least 1;
   * {@link hpa} is the lowest of them.
   * @param limit first address that cannot be named. @param stored the channel stores.
   * @throws ChannelCheck (program check, protection check)
   */
  data(at: number, length: number, limit: number, stored: boolean, backward: boolean): number {
    const high = Math.min(limit, this.#high);
    if (at < this.#low || at >= high) throw new ChannelCheck('invalid data address');
    let part = Math.min(length, backward ? at + 1 - this.#low : high - at);
    const keys = this.#keys;
    if (keys !== undefined) {
      const inPage = at % PAGE_SIZE;
      part = Math.min(part, backward ? inPage + 1 : PAGE_SIZE - inPage);
      if (!keys.access(at, this.#key, stored)) throw new ChannelCheck('data is protected', CSTAT.PROT_CHECK);
    }
    this.hpa = backward ? at + 1 - part : at;
    return part;
  }
}
