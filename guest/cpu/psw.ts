/**
 * Bits of the first doubleword of the 16-byte PSW, and the early validity check.
 * SA22-7832 chapter 4 "Program-Status-Word Format in z/Architecture", "Early Exception Recognition".
 */

import { high32, low32 } from '../../kernel/lib/words64.ts';

/** PSW bits in place. */
export const PSW = {
  PER: 1n << 62n,
  DAT: 1n << 58n,
  IO: 1n << 57n,
  EXT: 1n << 56n,
  KEY: 0xfn << 52n,
  SHORT: 1n << 51n,
  MCHECK: 1n << 50n,
  WAIT: 1n << 49n,
  PROBLEM: 1n << 48n,
  AS: 3n << 46n,
  CC: 3n << 44n,
  PROGRAM_MASK: 0xfn << 40n,
  FIXED_OVERFLOW: 1n << 43n,
  EA: 1n << 32n,
  BA: 1n << 31n,
} as const;

/** Bits that must be zero: 0, 2-4, 12 and 24-30, 33-63. */
const UNASSIGNED =
  ~(
    PSW.PER |
    PSW.DAT |
    PSW.IO |
    PSW.EXT |
    PSW.KEY |
    PSW.MCHECK |
    PSW.WAIT |
    PSW.PROBLEM |
    PSW.AS |
    PSW.CC |
    PSW.PROGRAM_MASK |
    PSW.EA |
    PSW.BA
  ) & 0xffff_ffff_ffff_ffffn;

const UNASSIGNED_HIGH = high32(UNASSIGNED);
const UNASSIGNED_LOW = low32(UNASSIGNED);

/** Bits of the first word: masks and shifts of bigints take long, and every interruption swaps PSWs. */
export const PSW_HIGH = {
  KEY: high32(PSW.KEY),
  CC: high32(PSW.CC),
  /** Interruption masks whose opening may admit a pending interruption. */
  INTERRUPTION_MASKS: high32(PSW.IO | PSW.EXT | PSW.MCHECK),
} as const;
/** Place of the condition code in it. */
export const PSW_CC_SHIFT = 12;

/** Addressing modes as coded in the mode key. */
export const AMODE_24 = 0;
export const AMODE_31 = 1;
export const AMODE_64 = 3;

/** What translated code depends on, taken from the PSW. */
export interface Mode {
  readonly amode: number;
  readonly problem: boolean;
  /** Fixed-point overflow causes a program interruption. */
  readonly fixedOverflow: boolean;
}

/**
 * Mode key: BA|EA<<1 (2 bits), problem state 4, fixed-overflow mask 8, DAT 16, address space 32 and 64. @param high the
 * first word of the mask, `low` the second
 */
export function modeKey(high: number, low: number): number {
  const amode = (low >>> 31) | ((high & 1) << 1);
  const dat = (high >>> 26) & 1;
  return (
    amode | (((high >>> 16) & 1) << 2) | (((high >>> 11) & 1) << 3) | (dat << 4) | (dat ? ((high >>> 14) & 3) << 5 : 0)
  );
}

/** Reads a mode key. */
export function modeOf(key: number): Mode {
  return { amode: key & 3, problem: (key & 4) !== 0, fixedOverflow: (key & 8) !== 0 };
}

/** Mask of valid address bits in an addressing mode. */
export function addressMask(amode: number): bigint {
  return amode === AMODE_64 ? 0xffff_ffff_ffff_ffffn : amode === AMODE_31 ? 0x7fff_ffffn : 0xff_ffffn;
}

/** True when using this PSW gives an early specification exception. */
export function invalidPsw(mask: bigint, address: bigint): boolean {
  const high = high32(mask);
  const low = low32(mask);
  if (((high & UNASSIGNED_HIGH) | (low & UNASSIGNED_LOW)) !== 0) return true;
  const amode = modeKey(high, low) & 3;
  if (amode === AMODE_64) return false;
  return amode === 2 || (address & ~addressMask(amode)) !== 0n;
}
