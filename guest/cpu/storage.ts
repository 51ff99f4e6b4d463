/**
 * Storage as instructions see it: logical addresses through DAT, prefixing and protection to host memory, filling the
 * software TLB that translated code probes. TLB entry (32 bytes): read tag i64, write tag i64, host minus logical i32.
 *
 * Key-controlled protection is decided when an entry is filled, for the access key in force then, and so are the
 * reference bit recorded (any filling) and the change bit (filling for a store). Hits cost nothing and record nothing,
 * hence two rules. A new access key other than 0 drops the entries, unless they were filled for that key: 0 may use
 * what any key may. Whoever changes a storage key or turns its reference or change bit off drops the entries of every
 * CPU, if the reference bit was on; it is off only when no CPU has an entry for the frame.
 */

import {
  ASCE_REGISTER,
  CR0,
  FETCH_OVERRIDE_END,
  lowAddressProtected,
  pswAddressSpace,
  pswKey,
  TEID,
  teidOf,
} from '../../kernel/include/arch/s390/access.ts';
import { ASCE, enhancedDat, realToAbsolute, translate } from '../../kernel/lib/dat.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { OVERRIDE, StorageKeys } from '../../kernel/lib/storage_keys.ts';
import { high32, low32 } from '../../kernel/lib/words64.ts';
import type { CpuConfig } from './config.ts';
import { PGM, ProgramInterruption, Retry } from './interruption.ts';
import { addressMask, PSW } from './psw.ts';
import { cpu_state, TLB_SIZE } from './state.ts';

const PAGE = 4096;
const OFF = cpu_state.offset;
/** Another view on storage than the PSW's: MOVE TO PRIMARY and its like, TEST PROTECTION, tables. */
export interface View {
  /** Access key; the PSW's when left out. */
  readonly key?: number;
  /** Address space as in the PSW, with DAT on; the PSW's when left out. */
  readonly space?: number;
}
/** An interruption's accesses, and those to tables, know no key. */
const UNPROTECTED = 0;

/** What storage needs from around it. */
export interface StorageOwner {
  translate(absolutePage: number, write: boolean): number;
  /** True when the absolute page holds translated code. */
  holdsCode(absolutePage: number): boolean;
  /** Bytes `[start, end)` of an absolute page are about to be stored into. */
  codeWritten(absolutePage: number, start: number, end: number): void;
}

/** What translation gives: the real page, whether its space is private, and the identification of the access. */
export interface RealPage {
  readonly page: bigint;
  readonly isPrivate: boolean;
  readonly teid: bigint;
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
  readonly #facilities: readonly number[];
  readonly keys: StorageKeys;
  /** Access key that what was permitted since the last flush is good for; undefined when nothing was. */
  #filledFor: number | undefined;
  #crossing: Crossing | undefined;

  constructor(memory: HostMemory, config: CpuConfig, owner: StorageOwner) {
    this.memory = memory;
    this.#stateBase = config.stateBase;
    this.#tlbBase = config.tlbBase;
    this.#facilities = config.model.facilities;
    this.keys = new StorageKeys(memory, config.storageKeys);
    this.#owner = owner;
    this.#dv = memory.dv;
  }

  /** Forgets every translation. */
  flush(): void {
    // All ones is never a page address, so no probe can hit.
    this.memory.u8.fill(0xff, this.#tlbBase, this.#tlbBase + TLB_SIZE);
    this.#filledFor = undefined;
  }
  /** True when translations made before may not be used with this access key. */
  closedTo(key: number): boolean {
    return key !== 0 && this.#filledFor !== undefined && this.#filledFor !== key;
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

  /** Real to absolute address. */
  absolute(real: number): number {
    return realToAbsolute(real, this.#dv.getUint32(this.#stateBase + OFF.prefix, true));
  }
  /** HPA of the frame of an absolute page. @throws ProgramInterruption addressing; Retry */
  frame(page: number, write: boolean): number {
    const frame = this.#owner.translate(page, write);
    if (frame === -1) throw new ProgramInterruption(PGM.ADDRESSING);
    if (frame < 0) throw new Retry(page);
    return frame;
  }
  /** Host address of a byte of absolute storage. @throws ProgramInterruption addressing; Retry. */
  hostOfAbsolute(address: number, write: boolean, length: number): number {
    const page = address - (address % PAGE);
    const frame = this.frame(page, write);
    this.keys.access(frame, UNPROTECTED, write);
    if (write && this.#owner.holdsCode(page)) {
      this.#owner.codeWritten(page, address - page, address - page + length);
    }
    return frame + (address - page);
  }
  /** Host address of real storage; `length` bytes there, within the page, may be stored into. */
  hostOfReal(address: number, write: boolean, length = PAGE): number {
    return this.hostOfAbsolute(this.absolute(address), write, length);
  }
  /** Low-address protection of a real operand that is stored into. @throws ProgramInterruption protection */
  refuseLowAddress(address: bigint): void {
    if (lowAddressProtected(address) && this.#cr0() & CR0.LOW_ADDRESS_PROTECTION)
      throw new ProgramInterruption(PGM.PROTECTION, teidOf(address, true, 0));
  }
  /** Host address of a real operand of an instruction, which protection applies to. */
  hostOfRealOperand(address: number, write: boolean, length: number): number {
    const operand = BigInt(address);
    const teid = teidOf(operand, write, 0);
    if (write) this.refuseLowAddress(operand);
    const absolute = this.absolute(address);
    const frame = this.frame(absolute - (absolute % PAGE), write);
    if (!this.keys.access(frame, this.#key(), write, this.overrides(operand, length, false)))
      throw new ProgramInterruption(PGM.PROTECTION, teid);
    return this.hostOfAbsolute(absolute, write, length);
  }

  #cr0(): bigint {
    return this.#word('cr');
  }
  #key(): number {
    return pswKey(this.#word('pswMask'));
  }
  /** Ways past key-controlled protection for `length` bytes at a logical address. @param isPrivate the space's bit */
  overrides(address: bigint, length: number, isPrivate: boolean): number {
    const cr0 = this.#cr0();
    const low = !isPrivate && (cr0 & CR0.FETCH_PROTECTION_OVERRIDE) !== 0n;
    return (
      (low && address + BigInt(length) <= FETCH_OVERRIDE_END ? OVERRIDE.FETCH : 0) |
      ((cr0 & CR0.STORAGE_PROTECTION_OVERRIDE) !== 0n ? OVERRIDE.STORAGE : 0)
    );
  }

  /**
   * Real page of a logical page; low-address and DAT protection are checked.
   * @param space as in the PSW, with DAT on; the PSW's when omitted. @throws ProgramInterruption
   */
  realPage(address: bigint, write: boolean, space?: number): RealPage {
    const mask = this.#word('pswMask');
    const cr0 = this.#cr0();
    const as = space ?? pswAddressSpace(mask);
    const dat = space !== undefined || (mask & PSW.DAT) !== 0n;
    const asce = dat ? this.#word('cr', ASCE_REGISTER[as]) : 0n;
    const isPrivate = (asce & ASCE.PRIVATE) !== 0n;
    const teid = teidOf(address, write, dat ? as : 0);
    if (write && cr0 & CR0.LOW_ADDRESS_PROTECTION && !isPrivate && lowAddressProtected(address))
      throw new ProgramInterruption(PGM.PROTECTION, teid);
    if (!dat) return { page: address & ~0xfffn, isPrivate, teid };
    const found = translate(address, asce, enhancedDat(this.#facilities, cr0), (real) => this.readReal64(real));
    if (typeof found === 'number')
      throw new ProgramInterruption(found, found === PGM.TRANSLATION_SPECIFICATION ? undefined : teid);
    if (write && found.protected) throw new ProgramInterruption(PGM.PROTECTION, teid | TEID.DAT_PROTECTION);
    return { page: found.page, isPrivate, teid };
  }

  /** Absolute page of a real page. @throws ProgramInterruption addressing */
  absolutePage(real: bigint): number {
    if (real > 0xffff_ffff_ffffn) throw new ProgramInterruption(PGM.ADDRESSING);
    return this.absolute(Number(real));
  }

  /** Host address of the byte at a logical address; fills the TLB for the PSW's view. @throws ProgramInterruption, Retry */
  host(address: bigint, write: boolean, length = 1, view?: View): number {
    const { page: real, isPrivate, teid } = this.realPage(address, write, view?.space);
    const page = this.absolutePage(real);
    const frame = this.frame(page, write);
    const key = view?.key ?? this.#key();
    const overrides = key === 0 ? 0 : this.overrides(address, length, isPrivate);
    if (!this.keys.access(frame, key, write, overrides)) throw new ProgramInterruption(PGM.PROTECTION, teid);
    const low = Number(address & 0xfffn);
    const code = this.#owner.holdsCode(page);
    if (write && code) this.#owner.codeWritten(page, low, low + length);
    if (view !== undefined) return frame + low;
    if (key === 0) this.#filledFor = 0;
    else this.#filledFor ??= key;
    // Permission for the first half of a page only is not for the TLB.
    if ((overrides & OVERRIDE.FETCH) === 0) this.#fill(address, frame, write && !code);
    return frame + low;
  }
  #fill(address: bigint, frame: number, writable: boolean): void {
    const logical = address & ~0xfffn;
    const low = low32(logical);
    const at = this.#tlbBase + ((low >>> 7) & 0xffe0);
    const delta = (frame - low) | 0;
    const kept = this.#dv.getBigUint64(at + 8, true) === logical && this.#dv.getInt32(at + 16, true) === delta;
    // Pages 0 and 1 hold protected ranges: every store there is checked by address.
    const guarded = logical < 8192n && (this.#cr0() & CR0.LOW_ADDRESS_PROTECTION) !== 0n;
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
  pieces(address: bigint, length: number, write: boolean, view?: View): { host: number; length: number }[] {
    const out: { host: number; length: number }[] = [];
    for (let done = 0; done < length; ) {
      const at = this.wrap(address + BigInt(done));
      const piece = Math.min(length - done, PAGE - Number(at & 0xfffn));
      out.push({ host: this.host(at, write, piece, view), length: piece });
      done += piece;
    }
    return out;
  }
  /** HPA of a byte in the PSW's view if translated code could use it as well: what the TLB has; else -1. */
  #hit(address: bigint, write: boolean): number {
    const low = low32(address);
    const high = high32(address);
    const at = this.#tlbBase + ((low >>> 7) & 0xffe0);
    const tag = write ? at + 8 : at;
    if (this.#dv.getUint32(tag, true) !== (low & ~0xfff) >>> 0 || this.#dv.getUint32(tag + 4, true) !== high) return -1;
    return (low + this.#dv.getInt32(at + 16, true)) >>> 0;
  }
  /**
   * HPA of an operand in the PSW's view that lies in one page, or -1 for one that does not: most instructions need no
   * more. @throws ProgramInterruption, Retry
   */
  #operand(address: bigint, length: number, write: boolean): number {
    if (length === 0) return -1;
    const at = this.wrap(address);
    if ((low32(at) & (PAGE - 1)) + length > PAGE) return -1;
    const hit = this.#hit(at, write);
    return hit >= 0 ? hit : this.host(at, write, length);
  }

  /** Copies `length` bytes out of logical storage. */
  read(address: bigint, length: number, view?: View): Uint8Array {
    const out = new Uint8Array(length);
    const { u8 } = this.memory;
    const host = view === undefined ? this.#operand(address, length, false) : -1;
    if (host >= 0) {
      this.memory.copyFrom(host, out, 0, length);
      return out;
    }
    let at = 0;
    for (const piece of this.pieces(address, length, false, view)) {
      out.set(u8.subarray(piece.host, piece.host + piece.length), at);
      at += piece.length;
    }
    return out;
  }
  /** Copies bytes into logical storage: all of them or, on an exception, none. */
  write(address: bigint, bytes: Uint8Array, view?: View): void {
    const host = view === undefined ? this.#operand(address, bytes.length, true) : -1;
    if (host >= 0) {
      this.memory.copyTo(host, bytes, 0, bytes.length);
      return;
    }
    let at = 0;
    for (const piece of this.pieces(address, bytes.length, true, view)) {
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
    const host = this.#operand(address, 8, false);
    if (host >= 0) return this.#dv.getBigUint64(host);
    return new DataView(this.read(address, 8).buffer).getBigUint64(0);
  }
  writeNumber(address: bigint, size: 1 | 2 | 4, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value >>> 0);
    this.write(address, bytes.subarray(4 - size));
  }
  write64(address: bigint, value: bigint): void {
    const host = this.#operand(address, 8, true);
    if (host >= 0) {
      this.#dv.setBigUint64(host, BigInt.asUintN(64, value));
      return;
    }
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
