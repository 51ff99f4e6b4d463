/** Reserved bits and unsupported options of the operands of MSCH and SSCH (vfio-ccw facts 1.2, 1.3). */
import { ORB_CTRL0, ORB_CTRL1, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, PMCW_FLAGS, type Schib } from '../../../kernel/include/arch/s390/schib.ts';

/** Bits of PMCW.chars that are neither reserved nor ignored: subchannel type, MBFC, XMWME, CSENSE. */
const CHARS_KNOWN = PMCW_CHARS.mask.type | PMCW_CHARS.mask.MBFC | PMCW_CHARS.mask.XMWME | PMCW_CHARS.mask.CSENSE;
/** Format-1 measurement blocks are 64 bytes, on such a boundary (SA22-7832 chapter 17, "Measurement Block"). */
const MEASUREMENT_BLOCK = 64;

/** The SCHIB of MSCH is acceptable; else operand exception. */
export function schibValid(schib: Schib): boolean {
  const { flags, chars } = schib.pmcw;
  if ((flags & PMCW_FLAGS.mask.zero) !== 0) return false;
  // Extended measurement words are not offered: an IRB is always 64 bytes.
  if ((chars & ~CHARS_KNOWN) !== 0 || (chars & PMCW_CHARS.mask.XMWME) !== 0) return false;
  return (chars & PMCW_CHARS.mask.MBFC) === 0 || schib.mba % MEASUREMENT_BLOCK === 0;
}

/** The ORB of SSCH is acceptable; else operand exception. Transport mode and MIDAWs are not offered. */
export function orbValid(orb: Orb): boolean {
  return (
    (orb.ctrl0 & ORB_CTRL0.mask.B) === 0 &&
    (orb.ctrl1 & (ORB_CTRL1.mask.D | ORB_CTRL1.mask.zero)) === 0 &&
    orb.cpa < 0x8000_0000
  );
}
