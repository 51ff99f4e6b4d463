/**
 * Dynamic address translation: virtual to real through region, segment and page tables (SA22-7832 chapter 3, "Dynamic
 * Address Translation"). The walk itself, shared by the CPU, which fills its TLB with it, and by the kernel, which
 * reaches operands of a guest's instructions.
 */
import { CR0 } from '../include/arch/s390/access.ts';
import { FACILITY } from '../include/arch/s390/facilities.ts';
import { PGM } from '../include/arch/s390/pgm.ts';

/** ASCE bits. */
export const ASCE = { PRIVATE: 0x100n, REAL_SPACE: 0x20n, TYPE: 0xcn, LENGTH: 3n } as const;
const ENTRY_INVALID = 0x20n;
const ENTRY_PROTECT = 0x200n;
/** Format control: the entry designates a frame, not a table. */
const ENTRY_FRAME = 0x400n;
/** Segment-table entry: common segment. */
const COMMON_SEGMENT = 0x10n;
const PAGE_INVALID = 0x400n;
const PAGE_PROTECT = 0x200n;
const PAGE_RESERVED = 0x800n;
/** Change-recording override: reserved without enhanced DAT. */
const PAGE_CHANGE_OVERRIDE = 0x100n;

/** Table levels from region-first (3) down to segment (0): index position and exception. */
const LEVELS = [
  { shift: 20n, exception: PGM.SEGMENT },
  { shift: 31n, exception: PGM.REGION_THIRD },
  { shift: 42n, exception: PGM.REGION_SECOND },
  { shift: 53n, exception: PGM.REGION_FIRST },
] as const;

/**
 * Enhanced DAT in force: 0 not, 1 with frames of 1 MiB and protection by region, 2 with frames of 2 GiB too. The
 * access-control bits in entries of frames are not used (the architecture leaves the choice between them and the
 * storage keys to the CPU), nor is change recording ever left out.
 */
export type EnhancedDat = 0 | 1 | 2;

/** Enhanced DAT by the facilities and control register 0. */
export function enhancedDat(facilities: readonly number[], cr0: bigint): EnhancedDat {
  if ((cr0 & CR0.ENHANCED_DAT) === 0n || !facilities.includes(FACILITY.EDAT_1)) return 0;
  return facilities.includes(FACILITY.EDAT_2) ? 2 : 1;
}

/** A translation: real address of the 4 KiB page and whether stores are refused. */
export interface DatResult {
  readonly page: bigint;
  readonly protected: boolean;
}

/**
 * Walks the tables.
 * @param fetch reads a doubleword at a real address; throws when it cannot.
 * @returns the translation, or the code of the program interruption.
 */
export function translate(
  address: bigint,
  asce: bigint,
  enhanced: EnhancedDat,
  fetch: (real: bigint) => bigint,
): DatResult | number {
  const page = address & ~0xfffn;
  if (asce & ASCE.REAL_SPACE) return { page, protected: false };
  let level = Number((asce & ASCE.TYPE) >> 2n);
  let table = asce & ~0xfffn;
  // Bits to the left of the designated table's index must be zero.
  if (level < 3 && address >> (LEVELS[level].shift + 11n) !== 0n) return PGM.ASCE_TYPE;
  let length = asce & ASCE.LENGTH;
  let offset = 0n;
  let guard = false;
  for (; ; level--) {
    const { shift, exception } = LEVELS[level];
    const index = (address >> shift) & 0x7ffn;
    const block = index >> 9n;
    if (block < offset || block > length) return exception;
    const entry = fetch(table + index * 8n);
    if (entry & ENTRY_INVALID) return exception;
    if (Number((entry >> 2n) & 3n) !== level) return PGM.TRANSLATION_SPECIFICATION;
    if (level === 0 && entry & COMMON_SEGMENT && asce & ASCE.PRIVATE) return PGM.TRANSLATION_SPECIFICATION;
    // Regions are protected with enhanced DAT only; segments always may be.
    if (entry & ENTRY_PROTECT && (level === 0 || enhanced > 0)) guard = true;
    if (level <= 1 && entry & ENTRY_FRAME && enhanced > level) {
      const inside = (1n << shift) - 1n;
      return { page: (entry & ~inside) | (page & inside), protected: guard };
    }
    if (level === 0) {
      const px = (address >> 12n) & 0xffn;
      const pte = fetch((entry & ~0x7ffn) + px * 8n);
      if (pte & PAGE_INVALID) return PGM.PAGE;
      if (pte & PAGE_RESERVED || (pte & PAGE_CHANGE_OVERRIDE && enhanced === 0)) return PGM.TRANSLATION_SPECIFICATION;
      return { page: pte & ~0xfffn, protected: guard || (pte & PAGE_PROTECT) !== 0n };
    }
    table = entry & ~0xfffn;
    offset = (entry >> 6n) & 3n;
    length = entry & 3n;
  }
}

/** Bytes of the prefix area (SA22-7832 chapter 3, "Prefixing in the z/Architecture Architectural Mode"). */
export const PREFIX_AREA = 8192;

/** Real to absolute address: the 8 KiB at 0 and at the prefix are exchanged. */
export function realToAbsolute(real: number, prefix: number): number {
  if (real < PREFIX_AREA) return real + prefix;
  return real >= prefix && real < prefix + PREFIX_AREA ? real - prefix : real;
}
