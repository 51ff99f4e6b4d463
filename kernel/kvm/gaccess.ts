/**
 * Reaching a guest's storage the way its CPU does: prefixing, address translation, and every kind of protection
 * (arch/s390/kvm/gaccess.c). An access is checked as a whole before its first byte is moved, so that a program
 * interruption finds the operand untouched.
 */
import {
  ADDRESS_SPACE,
  ASCE_REGISTER,
  CR0,
  FETCH_OVERRIDE_END,
  lowAddressProtected,
  PSW_DAT,
  pswAddressMask,
  pswAddressSpace,
  TEID,
  teidOf,
} from '../include/arch/s390/access.ts';
import { TOY_FACILITIES } from '../include/arch/s390/facilities.ts';
import { PGM } from '../include/arch/s390/pgm.ts';
import { Errno } from '../include/uapi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { type AddressSpace, BUSY, FAULT } from '../lib/address_space.ts';
import { ASCE, enhancedDat, realToAbsolute, translate } from '../lib/dat.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { ProgramInformation } from '../lib/local_interrupts.ts';
import { Memslots } from '../lib/memslots.ts';
import { keyPermits, OVERRIDE } from '../lib/storage_keys.ts';
import { type Task, until } from '../lib/task.ts';
import { translateAlet } from './ar_translation.ts';

/** The registers an access depends on. */
export interface GuestRegisters {
  readonly pswMask: bigint;
  readonly prefix: number;
  cr(n: number): bigint;
  ar(n: number): number;
}

/** What an access does and how it is checked. */
export interface AccessMode {
  readonly write: boolean;
  /** Access key; 0 passes key-controlled protection. */
  readonly key: number;
}

/** Thrown within an access: the guest's program interruption. */
export class AccessException extends Error {
  readonly information: ProgramInformation;
  constructor(information: ProgramInformation) {
    super(`program interruption 0x${information.code.toString(16)}`);
    this.information = information;
  }
}

/** A table's page is being moved: the walk starts over when that is done. */
class PageBusy extends Error {
  readonly va: number;
  constructor(va: number) {
    super('page being moved');
    this.va = va;
  }
}

/** Part of an access within one page, as the VMM's address. */
interface Piece {
  readonly va: number;
  readonly length: number;
}

/** What the pages of one access have in common. */
interface Space {
  readonly asce: bigint;
  readonly space: number;
  /** Number of the access register that chose the space, for the exception access id. */
  readonly accessId: number | undefined;
}

/** For the time of one call, of the process that makes it. */
export class GuestAccess {
  readonly #kernel: Kernel;
  readonly #user: AddressSpace;
  readonly #memslots: Memslots;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#user = kernel.mm.space;
    this.#memslots = new Memslots(kernel.memory, kernel.process.map.memslots);
  }

  /**
   * Checks `[address, address + length)` of a CPU's logical storage.
   * @param ar access register that goes with the operand's base; counts in the access-register mode only
   * @throws AccessException; Errno EFAULT when a memory slot has no memory behind it
   */
  *logical(cpu: GuestRegisters, address: bigint, length: number, ar: number, mode: AccessMode): Task<Piece[]> {
    const mask = pswAddressMask(cpu.pswMask);
    const pieces: Piece[] = [];
    for (let done = 0; done < length; ) {
      const at = (address + BigInt(done)) & mask;
      const piece = Math.min(length - done, PAGE_SIZE - Number(at & 0xfffn));
      pieces.push({ va: yield* this.#page(cpu, at, piece, ar, mode), length: piece });
      done += piece;
    }
    return pieces;
  }

  /** Checks absolute storage. @throws AccessException, Errno as {@link logical} */
  *absolute(address: bigint, length: number, mode: AccessMode): Task<Piece[]> {
    const pieces: Piece[] = [];
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const piece = Math.min(length - done, PAGE_SIZE - Number(at & 0xfffn));
      const va = this.#hva(at);
      if (!(yield* this.#permitted(va, mode, 0))) throw new AccessException({ code: PGM.PROTECTION });
      pieces.push({ va, length: piece });
      done += piece;
    }
    return pieces;
  }

  /** Moves bytes of pieces that were checked. */
  *copy(pieces: readonly Piece[], bytes: Uint8Array, write: boolean): Task {
    let done = 0;
    for (const { va, length } of pieces) {
      yield* this.#user.copy(va, bytes.subarray(done, done + length), write);
      done += length;
    }
  }

  /** The VMM's address of a logical address, everything checked for `length` bytes in its page. */
  *#page(cpu: GuestRegisters, address: bigint, length: number, ar: number, mode: AccessMode): Task<number> {
    for (;;) {
      let busy: PageBusy;
      try {
        const { absolute, overrides, information } = this.#translate(cpu, address, length, ar, mode);
        const va = this.#hva(BigInt(absolute));
        if (yield* this.#permitted(va, mode, overrides)) return va;
        throw new AccessException(information);
      } catch (error) {
        if (!(error instanceof PageBusy)) throw error;
        busy = error;
      }
      yield* until('page being moved', () => this.#user.lookup(busy.va, false) !== BUSY);
    }
  }

  /** Absolute address, overrides in force, and what to tell when key-controlled protection refuses. */
  #translate(cpu: GuestRegisters, address: bigint, length: number, ar: number, { write }: AccessMode) {
    const dat = (cpu.pswMask & PSW_DAT) !== 0n;
    const cr0 = cpu.cr(0);
    const { asce, space, accessId } = dat ? this.#space(cpu, address, ar, write) : NO_SPACE;
    const isPrivate = (asce & ASCE.PRIVATE) !== 0n;
    const teid = teidOf(address, write, space);
    const information = { code: PGM.PROTECTION, teid, accessId };
    if (write && (cr0 & CR0.LOW_ADDRESS_PROTECTION) !== 0n && !isPrivate && lowAddressProtected(address))
      throw new AccessException(information);
    let real = address;
    if (dat) {
      const found = translate(address, asce, enhancedDat(TOY_FACILITIES, cr0), (at) => this.#readReal(cpu, at, 8));
      if (typeof found === 'number')
        throw new AccessException(
          found === PGM.TRANSLATION_SPECIFICATION ? { code: found } : { code: found, teid, accessId },
        );
      if (write && found.protected) throw new AccessException({ ...information, teid: teid | TEID.DAT_PROTECTION });
      real = found.page | (address & 0xfffn);
    }
    if (real > LAST_ADDRESS) throw new AccessException({ code: PGM.ADDRESSING });
    const low = !isPrivate && (cr0 & CR0.FETCH_PROTECTION_OVERRIDE) !== 0n;
    const overrides =
      (low && address + BigInt(length) <= FETCH_OVERRIDE_END ? OVERRIDE.FETCH : 0) |
      ((cr0 & CR0.STORAGE_PROTECTION_OVERRIDE) !== 0n ? OVERRIDE.STORAGE : 0);
    return { absolute: realToAbsolute(Number(real), cpu.prefix), overrides, information };
  }

  /** The address space of an access under DAT. */
  #space(cpu: GuestRegisters, address: bigint, ar: number, write: boolean): Space {
    const space = pswAddressSpace(cpu.pswMask);
    if (space !== ADDRESS_SPACE.ACCESS_REGISTER)
      return { asce: cpu.cr(ASCE_REGISTER[space]), space, accessId: undefined };
    // Access register 0 stands for the primary space, whatever it holds.
    const alet = ar === 0 ? 0 : cpu.ar(ar);
    const source = { cr: cpu.cr, readReal: (at: number, size: 1 | 4 | 8) => this.#readReal(cpu, BigInt(at), size) };
    const asce = translateAlet(source, alet, write);
    if (typeof asce === 'bigint') return { asce, space, accessId: ar };
    if (asce === PGM.ADDRESSING) throw new AccessException({ code: asce });
    const teid = teidOf(address, write, space);
    if (asce === PGM.PROTECTION)
      throw new AccessException({ code: asce, teid: teid | TEID.DAT_PROTECTION, accessId: ar });
    throw new AccessException({ code: asce, accessId: ar });
  }

  /** A big-endian number in real storage, aligned. @throws AccessException addressing; PageBusy */
  #readReal(cpu: GuestRegisters, real: bigint, size: 1 | 4 | 8): bigint {
    if (real > LAST_ADDRESS) throw new AccessException({ code: PGM.ADDRESSING });
    const va = this.#hva(BigInt(realToAbsolute(Number(real), cpu.prefix)));
    const space = this.#user;
    const hpa = space.getPage(va, false);
    if (hpa === BUSY) throw new PageBusy(va);
    if (hpa === FAULT) throw new Errno('EFAULT', `guest table at 0x${real.toString(16)}`);
    const { dv } = this.#kernel.memory;
    const at = hpa + (va % PAGE_SIZE);
    const value = size === 8 ? dv.getBigUint64(at) : BigInt(size === 4 ? dv.getUint32(at) : dv.getUint8(at));
    space.keys.touched(hpa, false);
    space.putPage(va, hpa, false);
    return value;
  }

  /** The VMM's address of absolute storage. @throws AccessException addressing */
  #hva(absolute: bigint): number {
    const va = absolute > LAST_ADDRESS ? -1 : this.#memslots.hva(Number(absolute));
    if (va < 0) throw new AccessException({ code: PGM.ADDRESSING });
    return va;
  }

  /** Asks the storage key of the frame behind `va`; the reference is noted when the bytes are moved. */
  *#permitted(va: number, { write, key }: AccessMode, overrides: number): Task<boolean> {
    const space = this.#user;
    let hpa = space.getPage(va, write);
    while (hpa === BUSY) {
      yield* until('page being moved', () => space.lookup(va, write) !== BUSY);
      hpa = space.getPage(va, write);
    }
    if (hpa === FAULT) throw new Errno('EFAULT', `guest memory at 0x${va.toString(16)}`);
    const permitted = keyPermits(space.keys.get(hpa), key, write, overrides);
    space.putPage(va, hpa, false);
    return permitted;
  }
}

/** DAT is off. */
const NO_SPACE: Space = { asce: 0n, space: 0, accessId: undefined };
/** Addresses beyond this are in no slot, and would not be exact numbers. */
const LAST_ADDRESS = 0xffff_ffff_ffffn;
