/**
 * The data of one command: from CCW to CCW by data chaining, directly addressed or through IDAWs, with the counting
 * that gives residual count and incorrect length (SA22-7832 chapter 15, "Data Chaining", "Channel Indirect Data
 * Addressing").
 */
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { CCW_SIZE, type Ccw, type CcwFetcher, ChannelCheck, LIMIT_31 } from './ccw_fetch.ts';
import { DIRECTION, type Direction } from './channel_device.ts';

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

/** Where the next bytes of a command lie; `hpa` -1 means they are skipped. */
interface Segment {
  readonly hpa: number;
  readonly length: number;
}

export class ChannelData {
  readonly #memory: HostMemory;
  readonly #firstFrame: number;
  readonly #fetcher: CcwFetcher;
  readonly #idaw: IdawFormat;
  readonly #input: boolean;
  readonly #backward: boolean;
  readonly #onChained: (ccw: Ccw) => void;
  #ccw: Ccw;
  /** Next byte, when directly addressed or inside an IDAW's block. */
  #address: number;
  /** Bytes left of the IDAW's block. */
  #blockLeft = 0;
  #idawsUsed = 0;
  #count: number;
  /** Bytes moved for the whole command. */
  transferred = 0;
  /** The device had or wanted more bytes than the counts allowed. */
  excess = false;

  /** @param onChained called with every CCW that data chaining makes current. */
  constructor(
    memory: HostMemory,
    firstFrame: number,
    fetcher: CcwFetcher,
    idaw: IdawFormat,
    ccw: Ccw,
    direction: Direction,
    onChained: (ccw: Ccw) => void,
  ) {
    this.#memory = memory;
    this.#firstFrame = firstFrame;
    this.#fetcher = fetcher;
    this.#idaw = idaw;
    this.#backward = direction === DIRECTION.READ_BACKWARD;
    this.#input = this.#backward || direction === DIRECTION.READ || direction === DIRECTION.SENSE;
    this.#onChained = onChained;
    this.#ccw = ccw;
    this.#address = ccw.cda;
    this.#count = ccw.count;
  }

  /** The CCW whose count is being used. */
  get ccw(): Ccw {
    return this.#ccw;
  }
  /** Residual count of the current CCW. */
  get residual(): number {
    return this.#count;
  }

  /** Memory to device. @throws ChannelCheck */
  take(length: number): Uint8Array {
    const data = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const segment = this.#next(length - done);
      if (segment === undefined) break;
      data.set(this.#memory.bytes(segment.hpa, segment.length), done);
      done += segment.length;
    }
    return done === length ? data : data.subarray(0, done);
  }

  /** Device to memory. @throws ChannelCheck */
  give(data: Uint8Array): number {
    let done = 0;
    while (done < data.length) {
      const segment = this.#next(data.length - done);
      if (segment === undefined) break;
      if (segment.hpa >= 0) {
        const part = data.subarray(done, done + segment.length);
        this.#memory.bytes(segment.hpa, segment.length).set(this.#backward ? Uint8Array.from(part).reverse() : part);
      }
      done += segment.length;
    }
    return done;
  }

  /** The next at most `wanted` bytes, or undefined (and excess noted) when all counts are used up. */
  #next(wanted: number): Segment | undefined {
    if (this.#count === 0 && !this.#chain()) {
      this.excess = true;
      return undefined;
    }
    let length = Math.min(wanted, this.#count);
    let hpa = -1;
    if (!this.#input || (this.#ccw.flags & CCW_FLAG.SKIP) === 0) {
      const indirect = (this.#ccw.flags & CCW_FLAG.IDA) !== 0;
      if (indirect) {
        if (this.#blockLeft === 0) this.#fetchIdaw();
        length = Math.min(length, this.#blockLeft);
      }
      [hpa, length] = this.#check(length, indirect);
      this.#address += this.#backward ? -length : length;
      this.#blockLeft -= indirect ? length : 0;
    }
    this.#count -= length;
    this.transferred += length;
    return { hpa, length };
  }

  /** Data chaining: makes the next CCW current. */
  #chain(): boolean {
    if ((this.#ccw.flags & CCW_FLAG.DC) === 0) return false;
    this.#ccw = this.#fetcher.fetch(this.#ccw.address + CCW_SIZE, 'data');
    this.#address = this.#ccw.cda;
    this.#count = this.#ccw.count;
    this.#blockLeft = 0;
    this.#idawsUsed = 0;
    this.#onChained(this.#ccw);
    return true;
  }

  /** The part of the next `length` bytes that is storage: its lowest address and its length, at least 1. */
  #check(length: number, indirect: boolean): [hpa: number, length: number] {
    const limit = indirect && this.#idaw.size === 8 ? this.#memory.size : Math.min(LIMIT_31, this.#memory.size);
    const at = this.#address;
    if (at < this.#firstFrame || at >= limit) throw new ChannelCheck('invalid data address');
    if (!this.#backward) return [at, Math.min(length, limit - at)];
    const part = Math.min(length, at + 1 - this.#firstFrame);
    return [at + 1 - part, part];
  }

  #fetchIdaw(): void {
    const { size, block } = this.#idaw;
    const list = this.#ccw.cda;
    if (list % size !== 0) throw new ChannelCheck('IDAL off its boundary');
    const at = list + this.#idawsUsed * size;
    const limit = Math.min(LIMIT_31, this.#memory.size);
    if (at < this.#firstFrame || at + size > limit) throw new ChannelCheck('invalid IDAW address');
    const address = this.#idawAt(at);
    const offset = address % block;
    const ahead = this.#backward ? offset + 1 : block - offset;
    if (this.#idawsUsed > 0 && ahead !== block) throw new ChannelCheck('IDAW off its block boundary');
    this.#idawsUsed++;
    this.#address = address;
    this.#blockLeft = ahead;
  }

  #idawAt(at: number): number {
    const { dv } = this.#memory;
    const low = dv.getUint32(at + this.#idaw.size - 4);
    if (this.#idaw.size === 8) {
      if (dv.getUint32(at) !== 0) throw new ChannelCheck('invalid data address');
      return low;
    }
    if (low >= LIMIT_31) throw new ChannelCheck('bit 0 of a format-1 IDAW');
    return low;
  }
}
