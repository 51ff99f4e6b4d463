/**
 * Dynamic address translation: virtual to real through region, segment and page tables.
 * SA22-7832 chapter 3 "Dynamic Address Translation". 4 KiB pages; EDAT is not provided.
 */
import { PGM, ProgramInterruption } from './interruption.ts';

/** ASCE bits. */
export const ASCE = { PRIVATE: 0x100n, REAL_SPACE: 0x20n, TYPE: 0xcn, LENGTH: 3n } as const;
const ENTRY_INVALID = 0x20n;
const TABLE_PROTECT = 0x200n;
const PAGE_INVALID = 0x400n;
const PAGE_PROTECT = 0x200n;
const PAGE_RESERVED = 0x800n;

/** Table levels from region-first (3) down to segment (0): index position and exception. */
const LEVELS = [
  { shift: 20n, exception: PGM.SEGMENT },
  { shift: 31n, exception: PGM.REGION_THIRD },
  { shift: 42n, exception: PGM.REGION_SECOND },
  { shift: 53n, exception: PGM.REGION_FIRST },
] as const;

/** A translation: real address of the page and whether stores are refused. */
export interface DatResult {
  readonly page: bigint;
  readonly protected: boolean;
}

/**
 * Walks the tables.
 * @param fetch reads a doubleword at a real address; throws {@link ProgramInterruption} (addressing).
 * @param teid identification stored with translation exceptions.
 * @throws ProgramInterruption translation exceptions, with `teid`; translation specification without.
 */
export function translate(address: bigint, asce: bigint, teid: bigint, fetch: (real: bigint) => bigint): DatResult {
  const page = address & ~0xfffn;
  if (asce & ASCE.REAL_SPACE) return { page, protected: false };
  let level = Number((asce & ASCE.TYPE) >> 2n);
  let table = asce & ~0xfffn;
  // Bits to the left of the designated table's index must be zero.
  if (level < 3 && address >> (LEVELS[level].shift + 11n) !== 0n) throw new ProgramInterruption(PGM.ASCE_TYPE, teid);
  let length = asce & ASCE.LENGTH;
  let offset = 0n;
  let guard = false;
  for (; ; level--) {
    const { shift, exception } = LEVELS[level];
    const index = (address >> shift) & 0x7ffn;
    const block = index >> 9n;
    if (block < offset || block > length) throw new ProgramInterruption(exception, teid);
    const entry = fetch(table + index * 8n);
    if (entry & ENTRY_INVALID) throw new ProgramInterruption(exception, teid);
    if (Number((entry >> 2n) & 3n) !== level) throw new ProgramInterruption(PGM.TRANSLATION_SPECIFICATION);
    if (entry & TABLE_PROTECT) guard = true;
    if (level === 0) {
      const px = (address >> 12n) & 0xffn;
      const pte = fetch((entry & ~0x7ffn) + px * 8n);
      if (pte & PAGE_INVALID) throw new ProgramInterruption(PGM.PAGE, teid);
      if (pte & PAGE_RESERVED) throw new ProgramInterruption(PGM.TRANSLATION_SPECIFICATION);
      return { page: pte & ~0xfffn, protected: guard || (pte & PAGE_PROTECT) !== 0n };
    }
    table = entry & ~0xfffn;
    offset = (entry >> 6n) & 3n;
    length = entry & 3n;
  }
}
