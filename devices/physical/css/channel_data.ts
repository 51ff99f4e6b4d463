/**
 * The data of one command: from CCW to CCW by data chaining, with the counting that gives residual count and incorrect
 * length (SA22-7832 chapter 15, "Data Chaining"). One object serves a program, command after command.
 *
 * Chaining check (data chaining that comes too late for the device) does not arise: devices here wait for the channel.
 */
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { CCW_SIZE, type Ccw, type CcwFetcher } from './ccw_fetch.ts';
import { DIRECTION, type Direction } from './channel_device.ts';
import { type DataAddress, SKIPPED } from './data_address.ts';

const NONE: Ccw = { address: 0, command: 0, flags: 0, count: 0, cda: 0 };

export class ChannelData {
  readonly #memory: HostMemory;
  readonly #fetcher: CcwFetcher;
  readonly #address: DataAddress;
  readonly #onChained: (ccw: Ccw) => void;
  #input = false;
  #backward = false;
  #ccw = NONE;
  #count = 0;
  /** Bytes moved for the whole command. */
  transferred = 0;
  /** The device had or wanted more bytes than the counts allowed. */
  excess = false;

  /** @param onChained called with every CCW that data chaining makes current. */
  constructor(memory: HostMemory, fetcher: CcwFetcher, address: DataAddress, onChained: (ccw: Ccw) => void) {
    this.#memory = memory;
    this.#fetcher = fetcher;
    this.#address = address;
    this.#onChained = onChained;
  }

  /** A command begins with its first CCW. */
  start(ccw: Ccw, direction: Direction): void {
    this.#backward = direction === DIRECTION.READ_BACKWARD;
    this.#input = this.#backward || direction === DIRECTION.READ || direction === DIRECTION.SENSE;
    this.transferred = 0;
    this.excess = false;
    this.#current(ccw);
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
      const part = this.#next(length - done);
      if (part === 0) break;
      const { hpa } = this.#address;
      this.#memory.copyFrom(hpa, data, done, part);
      done += part;
    }
    return done === length ? data : data.subarray(0, done);
  }

  /** {@link take}, for a device that wants no more than there is. @throws ChannelCheck */
  takeAll(limit: number): Uint8Array {
    const { excess } = this;
    const data = this.take(limit);
    this.excess = excess;
    return data;
  }

  /** Device to memory. @throws ChannelCheck */
  give(data: Uint8Array): number {
    let done = 0;
    while (done < data.length) {
      const part = this.#next(data.length - done);
      if (part === 0) break;
      const { hpa } = this.#address;
      if (hpa !== SKIPPED) {
        const bytes = part === data.length ? data : data.subarray(done, done + part);
        this.#memory.bytes(hpa, part).set(this.#backward ? Uint8Array.from(bytes).reverse() : bytes);
      }
      done += part;
    }
    return done;
  }

  /** Counts the next at most `wanted` bytes; 0 (and excess noted) when all counts are used up. */
  #next(wanted: number): number {
    if (this.#count === 0 && !this.#chain()) {
      this.excess = true;
      return 0;
    }
    const part = this.#address.next(Math.min(wanted, this.#count), this.#count);
    this.#count -= part;
    this.transferred += part;
    return part;
  }

  /** Data chaining: makes the next CCW current. */
  #chain(): boolean {
    if ((this.#ccw.flags & CCW_FLAG.DC) === 0) return false;
    this.#current(this.#fetcher.fetch(this.#ccw.address + CCW_SIZE, 'data'));
    this.#onChained(this.#ccw);
    return true;
  }

  #current(ccw: Ccw): void {
    this.#ccw = ccw;
    this.#count = ccw.count;
    this.#address.start(ccw, this.#input, this.#backward);
  }
}
