/**
 * Where the data of one CCW lies: at its address, or where IDAWs or MIDAWs say (SA22-7832 chapter 15, "Channel
 * Indirect Data Addressing", "Modified-CCW-Indirect Data Addressing").
 *
 * Choices the text leaves open: MIDAWs are fetched one at a time when data reaches them, so that what comes before a
 * bad one is moved; the interruption that a MIDAW asks for is recognised when its last byte was moved.
 */
import { CCW_FLAG, MIDAW, MIDAW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import type { View } from '../../../kernel/lib/struct.ts';
import type { Ccw } from './ccw_fetch.ts';
import { ChannelCheck, type ChannelStorage, LIMIT_24, LIMIT_31 } from './channel_storage.ts';

/** Formats of indirect-data-address words: bytes of a word and of the block it names. */
export interface IdawFormat {
  readonly size: 4 | 8;
  readonly block: 2048 | 4096;
}

/** ORB.H and ORB.T choose the format; T means something only with H. */
export function idawFormat(h: boolean, t: boolean): IdawFormat {
  if (!h) return { size: 4, block: 2048 };
  return { size: 8, block: t ? 2048 : 4096 };
}

/** No storage: the bytes are skipped. */
export const SKIPPED = -1;

export class DataAddress {
  readonly #storage: ChannelStorage;
  readonly #idaw: IdawFormat;
  /** First address that data without indirection cannot name. */
  readonly #directLimit: number;
  readonly #onInterruption: () => void;
  #midaw: View<typeof MIDAW.fields> | undefined;
  #input = false;
  #backward = false;
  #flags = 0;
  /** Address of the list. */
  #list = 0;
  /** Words of it used. */
  #words = 0;
  /** Next byte, when directly addressed or inside what a word of the list names. */
  #address = 0;
  /** Bytes left of what the current word of the list names. */
  #left = 0;
  #midawFlags = 0;
  /** Lowest address of the bytes that {@link next} found last, or {@link SKIPPED}. */
  hpa = SKIPPED;

  /** @param onInterruption a MIDAW with the data-transfer-interruption flag is done. */
  constructor(storage: ChannelStorage, idaw: IdawFormat, format1: boolean, onInterruption: () => void) {
    this.#storage = storage;
    this.#idaw = idaw;
    this.#directLimit = format1 ? LIMIT_31 : LIMIT_24;
    this.#onInterruption = onInterruption;
  }

  /** A CCW became current. @param input the channel stores. */
  start(ccw: Ccw, input: boolean, backward: boolean): void {
    this.#input = input;
    this.#backward = backward;
    this.#flags = ccw.flags;
    this.#list = ccw.cda;
    this.#address = ccw.cda;
    this.#words = 0;
    this.#left = 0;
  }

  /**
   * How many of the next `wanted` bytes can be moved at once, at least 1; {@link hpa} says where.
   * @param count what is left of the CCW's count, at least `wanted`.
   * @throws ChannelCheck
   */
  next(wanted: number, count: number): number {
    const flags = this.#flags;
    if (this.#input && (flags & CCW_FLAG.SKIP) !== 0) return this.#skip(wanted);
    if ((flags & CCW_FLAG.MIDA) !== 0) return this.#modified(wanted, count);
    if ((flags & CCW_FLAG.IDA) !== 0) {
      if (this.#left === 0) this.#fetchIdaw();
      return this.#move(Math.min(wanted, this.#left), this.#idaw.size === 8 ? Number.POSITIVE_INFINITY : LIMIT_31);
    }
    return this.#move(wanted, this.#directLimit);
  }

  #skip(length: number): number {
    this.hpa = SKIPPED;
    return length;
  }

  #move(wanted: number, limit: number): number {
    const storage = this.#storage;
    const length = storage.data(this.#address, wanted, limit, this.#input, this.#backward);
    this.hpa = storage.hpa;
    this.#address += this.#backward ? -length : length;
    this.#left -= length;
    return length;
  }

  #modified(wanted: number, count: number): number {
    if (this.#left === 0) this.#fetchMidaw(count);
    const most = Math.min(wanted, this.#left);
    let length = most;
    // The skip flag means something only when the channel would store.
    if (this.#input && (this.#midawFlags & MIDAW_FLAG.SKIP) !== 0) {
      this.#skip(most);
      this.#left -= most;
    } else {
      length = this.#move(most, Number.POSITIVE_INFINITY);
    }
    if (this.#left === 0 && (this.#midawFlags & MIDAW_FLAG.INTERRUPT) !== 0) this.#onInterruption();
    return length;
  }

  #fetchIdaw(): void {
    const { size, block } = this.#idaw;
    const list = this.#list;
    if (list % size !== 0) throw new ChannelCheck('IDAL off its boundary');
    const at = list + this.#words * size;
    this.#storage.fetch(at, size, LIMIT_31, 'IDAW');
    const address = this.#idawAt(at);
    const offset = address % block;
    const ahead = this.#backward ? offset + 1 : block - offset;
    if (this.#words > 0 && ahead !== block) throw new ChannelCheck('IDAW off its block boundary');
    this.#words++;
    this.#address = address;
    this.#left = ahead;
  }

  #idawAt(at: number): number {
    const { dv } = this.#storage.memory;
    const low = dv.getUint32(at + this.#idaw.size - 4);
    if (this.#idaw.size === 8) {
      if (dv.getUint32(at) !== 0) throw new ChannelCheck('invalid data address');
      return low;
    }
    if (low >= LIMIT_31) throw new ChannelCheck('bit 0 of a format-1 IDAW');
    return low;
  }

  #fetchMidaw(count: number): void {
    const at = this.#list + this.#words * MIDAW.size;
    if (this.#list % MIDAW.size !== 0) throw new ChannelCheck('MIDAL off its boundary');
    if (this.#words > 0 && at % PAGE_SIZE === 0) throw new ChannelCheck('MIDAL crosses a page');
    this.#storage.fetch(at, MIDAW.size, LIMIT_31, 'MIDAW');
    this.#midaw ??= MIDAW.at(this.#storage.memory.dv);
    const word = this.#midaw;
    word.address = at;
    // Read once: the program may change it meanwhile.
    const { flags, count: length, data: address } = word;
    const skips = this.#input && (flags & MIDAW_FLAG.SKIP) !== 0;
    const last = (flags & MIDAW_FLAG.LAST) !== 0;
    const offset = address % PAGE_SIZE;
    const inPage = this.#backward ? offset + 1 : PAGE_SIZE - offset;
    if (word.reserved1 !== 0 || word.reserved2 !== 0 || (flags & MIDAW_FLAG.RESERVED) !== 0)
      throw new ChannelCheck('reserved bits of a MIDAW');
    if (length === 0) throw new ChannelCheck('count zero in a MIDAW');
    if (length > count) throw new ChannelCheck('MIDAW beyond the count of its CCW');
    if (last !== (length === count)) throw new ChannelCheck('last MIDAW before or behind the end of the count');
    if (!skips && length > inPage) throw new ChannelCheck('MIDAW data crosses a page');
    this.#words++;
    this.#address = address;
    this.#left = length;
    this.#midawFlags = flags;
  }
}
