/**
 * Access-register translation: which address space an access register names (SA22-7832 chapter 5, "Access-Register
 * Translation"). Only KVM's accesses for a guest come here; the CPU core has no access-register mode.
 */
import { PGM } from '../include/arch/s390/pgm.ts';

/** ALETs of the primary and the secondary space. */
const ALET = { PRIMARY: 0, SECONDARY: 1 } as const;

/** What the translation reads. */
export interface ArSource {
  cr(n: number): bigint;
  /** Bytes of real storage as a big-endian number. @throws an access exception */
  readReal(address: number, size: 1 | 4 | 8): bigint;
}

const field = (word: bigint, from: number, width: number, of = 32) =>
  Number((word >> BigInt(of - from - width)) & ((1n << BigInt(width)) - 1n));

/** @returns the address-space-control element, or the code of the program interruption */
export function translateAlet(source: ArSource, alet: number, write: boolean): bigint | number {
  if (alet === ALET.PRIMARY) return source.cr(1);
  if (alet === ALET.SECONDARY) return source.cr(7);
  // ALET: 7 zeros, primary list, sequence number (8), number (16).
  if (alet >>> 25 !== 0) return PGM.ALET_SPECIFICATION;
  const primaryList = (alet & 0x0100_0000) !== 0;
  const sequence = (alet >>> 16) & 0xff;
  const number = alet & 0xffff;
  const control = Number(source.cr(primaryList ? 5 : 2) & 0x7fff_ffc0n);
  // Access-list designation: origin (bits 1-24), length in units of eight entries.
  const designation = source.readReal(control + 16, 4);
  const origin = field(designation, 1, 24) * 128;
  if (number >>> 3 > field(designation, 25, 7)) return PGM.ALEN_TRANSLATION;
  if (origin + number * 16 > 0x7fff_ffff) return PGM.ADDRESSING;
  const entry = origin + number * 16;
  const word0 = source.readReal(entry, 4);
  if (field(word0, 0, 1) === 1) return PGM.ALEN_TRANSLATION;
  if (field(word0, 8, 8) !== sequence) return PGM.ALE_SEQUENCE;
  const aste = field(source.readReal(entry + 8, 4), 1, 25) * 64;
  const aste0 = source.readReal(aste, 4);
  if (field(aste0, 0, 1) === 1) return PGM.ASTE_VALIDITY;
  if (source.readReal(aste + 20, 4) !== source.readReal(entry + 12, 4)) return PGM.ASTE_SEQUENCE;
  if (field(word0, 7, 1) === 1 && !authorized(source, field(word0, 16, 16), aste, aste0)) return PGM.EXTENDED_AUTHORITY;
  // Fetch only.
  if (write && field(word0, 6, 1) === 1) return PGM.PROTECTION;
  return source.readReal(aste + 8, 8);
}

/** A private entry is for its owner, and for whom the authority table of the space allows. */
function authorized(source: ArSource, owner: number, aste: number, aste0: bigint): boolean {
  const index = Number((source.cr(8) >> 16n) & 0xffffn);
  if (index === owner) return true;
  const length = field(source.readReal(aste + 4, 4), 16, 12);
  if (index >>> 4 > length) return false;
  // Two bits each: primary and secondary authority.
  const byte = source.readReal(field(aste0, 1, 29) * 4 + (index >>> 2), 1);
  return (Number(byte) & (0x40 >>> ((index & 3) * 2))) !== 0;
}
