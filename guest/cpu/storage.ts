/**
 * Storage as instructions see it: logical addresses through DAT, prefixing and protection to host memory, filling the
 * software TLB that translated code probes. TLB entry (32 bytes): read tag i64, write tag i64, host minus logical i32.
 */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { ASCE, translate } from './dat.ts';
import { PGM, ProgramInterruption, Retry } from './interruption.ts';
import { addressMask, PSW } from './psw.ts';
import { cpu_state, TLB_SIZE } from './state.ts';

const PAGE = 4096;
const OFF = cpu_state.offset;
/** CR0 bit 35: low-address protection. SA22-7832 chapter 3 "Low-Address Protection". */
const CR0_LOW_ADDRESS_PROTECTION = 0x1000_0000n;
/** TEID bits: store, fetch, DAT protection. */
const TEID_STORE = 0x400n;
const TEID_FETCH = 0x800n;
const TEID_PROTECTION = 4n;

/** What storage needs from around it. */
export interface StorageOwner {
  translate(absolutePage: number, write: boolean): number;
  /** True when the absolute page holds translated code. */
  holdsCode(absolutePage: number): boolean;
  /** Bytes `[start, end)` of an absolute page are about to be stored into. */
  codeWritten(absolutePage: number, start: number, end: number): void;
}

/** A page-crossing store in progress. */
interface Crossing {
  readonly first: number;
  readonly firstLength: number;
  readonly second: number;
  readonly secondLength: number;
}

export class Storage {
  readonly memory: HostMemory;
  readonly #stateBase: number;
  readonly #tlbBase: number;
  readonly #owner: StorageOwner;
  readonly #dv: DataView;
  #crossing: Crossing | undefined;

  constructor(memory: HostMemory, stateBase: number, tlbBase: number, owner: StorageOwner) {
    this.memory = memory;
    this.#stateBase = stateBase;
    this.#tlbBase = tlbBase;
    this.#owner = owner;
    this.#dv = memory.dv;
  }

  /** Forgets every translation. */
  flush(): void {
    // All ones is never a page address, so no probe can hit.
    this.memory.u8.fill(0xff, this.#tlbBase, this.#tlbBase + TLB_SIZE);
  }
  /** Takes the write tags of one absolute page away: it holds code now. */
  forbidWrites(): void {
    for (let at = this.#tlbBase + 8; at < this.#tlbBase + TLB_SIZE; at += 32) {
      this.#dv.setInt32(at, -1, true);
      this.#dv.setInt32(at + 4, -1, true);
    }
  }

  #word(field: keyof typeof OFF, index = 0): bigint {
    return this.#dv.getBigUint64(this.#stateBase + OFF[field] + index * 8, true);
  }
  /** Cuts an address to the addressing mode of the PSW. */
  wrap(address: bigint): bigint {
    const mode = this.#dv.getUint32(this.#stateBase + OFF.modeKey, true) & 3;
    return address & addressMask(mode);
  }

  /** Real to absolute address: the 8 KiB at 0 and at the prefix are exchanged. */
  absolute(real: number): number {
    const prefix = this.#dv.getUint32(this.#stateBase + OFF.prefix, true);
    if (real < 8192) return real + prefix;
    if (real >= prefix && real < prefix + 8192) return real - prefix;
    return real;
  }
  /** Host address of a byte of absolute storage. @throws ProgramInterruption addressing; Retry. */
  hostOfAbsolute(address: number, write: boolean, length: number): number {
    const page = address - (address % PAGE);
    const frame = this.#owner.translate(page, write);
    if (frame === -1) throw new ProgramInterruption(PGM.ADDRESSING);
    if (frame < 0) throw new Retry(page);
    if (write && this.#owner.holdsCode(page)) {
      this.#owner.codeWritten(page, address - page, address - page + length);
    }
    return frame + (address - page);
  }
  /** Host address of real storage; `length` bytes there, within the page, may be stored into. */
  hostOfReal(address: number, write: boolean, length = PAGE): number {
    return this.hostOfAbsolute(this.absolute(address), write, length);
  }

  /**
   * Real page of a logical page. @param space 0 primary, 2 secondary, 3 home; the PSW's when omitted.
   * @throws ProgramInterruption
   */
  realPage(address: bigint, write: boolean, space?: number): { page: bigint; protected: boolean } {
    const mask = this.#word('pswMask');
    const cr0 = this.#word('cr');
    const as = space ?? Number((mask & PSW.AS) >> 46n);
    const dat = space !== undefined || (mask & PSW.DAT) !== 0n;
    const asce = dat ? this.#word('cr', as === 2 ? 7 : as === 3 ? 13 : 1) : 0n;
    const teid = (address & ~0xfffn) | (write ? TEID_STORE : TEID_FETCH) | BigInt(dat ? as : 0);
    if (write && cr0 & CR0_LOW_ADDRESS_PROTECTION && !(dat && asce & ASCE.PRIVATE)) {
      if (address < 512n || (address >= 4096n && address < 4608n)) throw new ProgramInterruption(PGM.PROTECTION, teid);
    }
    if (!dat) return { page: address & ~0xfffn, protected: false };
    const found = translate(address, asce, teid, (real) => this.readReal64(real));
    if (write && found.protected) throw new ProgramInterruption(PGM.PROTECTION, teid | TEID_PROTECTION);
    return found;
  }

  /** Host address of the byte at a logical address; fills the TLB. @throws ProgramInterruption, Retry */
  host(address: bigint, write: boolean, length = 1): number {
    const { page: real } = this.realPage(address, write);
    if (real > 0xffff_ffff_ffffn) throw new ProgramInterruption(PGM.ADDRESSING);
    const page = this.absolute(Number(real));
    const frame = this.#owner.translate(page, write);
    if (frame === -1) throw new ProgramInterruption(PGM.ADDRESSING);
    if (frame < 0) throw new Retry(page);
    const low = Number(address & 0xfffn);
    const code = this.#owner.holdsCode(page);
    if (write && code) this.#owner.codeWritten(page, low, low + length);
    this.#fill(address, frame, write && !code);
    return frame + low;
  }
  #fill(address: bigint, frame: number, writable: boolean): void {
    const logical = address & ~0xfffn;
    const low = Number(logical & 0xffff_ffffn);
    const at = this.#tlbBase + ((low >>> 7) & 0xffe0);
    const delta = (frame - low) | 0;
    const kept = this.#dv.getBigUint64(at + 8, true) === logical && this.#dv.getInt32(at + 16, true) === delta;
    // Pages 0 and 1 hold protected ranges: every store there is checked by address.
    const guarded = logical < 8192n && (this.#word('cr') & CR0_LOW_ADDRESS_PROTECTION) !== 0n;
    this.#dv.setBigUint64(at, logical, true);
    this.#dv.setInt32(at + 16, delta, true);
    if (!writable || guarded) {
      if (!kept) this.#dv.setBigInt64(at + 8, -1n, true);
    } else this.#dv.setBigUint64(at + 8, logical, true);
  }

  /** The slow path of translated code: see `Emitter.host`. @returns a host address. */
  access(address: bigint, size: number, write: boolean, other = false): number {
    const low = Number(address & 0xfffn);
    if (write) this.#crossing = undefined;
    if (low + size <= PAGE) return this.host(address, write, size);
    const firstLength = PAGE - low;
    const secondLength = size - firstLength;
    const first = this.host(address, write, firstLength);
    const second = this.host(this.wrap(address + BigInt(firstLength)), write, secondLength);
    const scratch = this.#stateBase + (other ? OFF.scratch2 : OFF.scratch);
    this.memory.u8.copyWithin(scratch, first, first + firstLength);
    this.memory.u8.copyWithin(scratch + firstLength, second, second + secondLength);
    if (write) this.#crossing = { first, firstLength, second, secondLength };
    return scratch;
  }
  /** Ends a page-crossing store. */
  commit(): void {
    const crossing = this.#crossing;
    if (!crossing) return;
    const scratch = this.#stateBase + OFF.scratch;
    this.memory.u8.copyWithin(crossing.first, scratch, scratch + crossing.firstLength);
    this.memory.u8.copyWithin(
      crossing.second,
      scratch + crossing.firstLength,
      scratch + crossing.firstLength + crossing.secondLength,
    );
    this.#crossing = undefined;
  }

  /** Host pieces of a logical range, in order; all checked before any is returned. */
  pieces(address: bigint, length: number, write: boolean): { host: number; length: number }[] {
    const out: { host: number; length: number }[] = [];
    for (let done = 0; done < length; ) {
      const at = this.wrap(address + BigInt(done));
      const piece = Math.min(length - done, PAGE - Number(at & 0xfffn));
      out.push({ host: this.host(at, write, piece), length: piece });
      done += piece;
    }
    return out;
  }
  /** Copies `length` bytes out of logical storage. */
  read(address: bigint, length: number): Uint8Array {
    const out = new Uint8Array(length);
    let at = 0;
    for (const piece of this.pieces(address, length, false)) {
      out.set(this.memory.u8.subarray(piece.host, piece.host + piece.length), at);
      at += piece.length;
    }
    return out;
  }
  /** Copies bytes into logical storage: all of them or, on an exception, none. */
  write(address: bigint, bytes: Uint8Array): void {
    let at = 0;
    for (const piece of this.pieces(address, bytes.length, true)) {
      this.memory.u8.set(bytes.subarray(at, at + piece.length), piece.host);
      at += piece.length;
    }
  }
  /** Big-endian unsigned value of `size` bytes. */
  readNumber(address: bigint, size: 1 | 2 | 4): number {
    const bytes = this.read(address, size);
    return bytes.reduce((value, byte) => value * 256 + byte, 0);
  }
  read64(address: bigint): bigint {
    const bytes = this.read(address, 8);
    return new DataView(bytes.buffer).getBigUint64(0);
  }
  writeNumber(address: bigint, size: 1 | 2 | 4, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value >>> 0);
    this.write(address, bytes.subarray(4 - size));
  }
  write64(address: bigint, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value));
    this.write(address, bytes);
  }

  /** Doubleword at a real address (table entries, lowcore). */
  readReal64(real: bigint): bigint {
    if (real > 0xffff_ffff_ffffn) throw new ProgramInterruption(PGM.ADDRESSING);
    return this.#dv.getBigUint64(this.hostOfReal(Number(real), false));
  }
}
