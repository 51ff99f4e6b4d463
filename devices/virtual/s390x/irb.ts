/**
 * Extended status of an interruption response: the formats of the extended-status word and where concurrent sense is
 * told (SA22-7832 chapter 16, "Extended-Status Word", "Extended-Report Word", "Extended-Control Word"; vfio-ccw facts 1.6).
 */
import { ERW, ERW_SENSE_COUNT_SHIFT, IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { PMCW_CHARS } from '../../../kernel/include/arch/s390/schib.ts';
import { CSTAT, SCSW_FLAGS } from '../../../kernel/include/arch/s390/scsw.ts';
import { type MeasurementCheck, SENSE_SIZE, type Subchannel } from './subchannel.ts';

/** Word 0 of format 0, subchannel logout: extended-status flags, field-validity flags. */
export const ESW0_FORMAT0 = {
  /** Measurement-block program check: the block's address is not valid. */
  MEASUREMENT_PROGRAM_CHECK: 0x2000_0000,
  /** Measurement-block protection check: its storage key forbids the update. */
  MEASUREMENT_PROTECTION_CHECK: 0x0800_0000,
  /** A CCW could not be fetched without error. */
  CCW_CHECK: 0x0400_0000,
  /** The last-path-used mask is valid. */
  LPUM_VALID: 0x0000_4000,
} as const;
/** By why the block could not be updated. */
const MEASUREMENT_CHECK = {
  program: ESW0_FORMAT0.MEASUREMENT_PROGRAM_CHECK,
  protection: ESW0_FORMAT0.MEASUREMENT_PROTECTION_CHECK,
} as const;
const LPUM_SHIFT = 16;
/** Bits 16-31 of format 2: device-connect-time interval. */
const DCTI_MASK = 0xffff;
/** Where the extended-report word is in `Subchannel.esw`. */
const ERW_AT = IRB.offset.erw - IRB.offset.esw0;
/** Concurrent sense and its count. */
const ERW_SENSE = ERW.CONCURRENT_SENSE | (0x3f << ERW_SENSE_COUNT_SHIFT);

/** The subchannel checks whose logout is format 0; everything else is format 1 or, with a connect time, 2. */
const LOGOUT = CSTAT.DATA_CHECK | CSTAT.CHN_CTRL_CHK | CSTAT.INTF_CTRL_CHK;

/** Extended status for a status that did not come from hardware; `scsw` says which. */
export function synthesizeEsw(sch: Subchannel): void {
  const { scsw, pmcw } = sch.schib;
  sch.esw.fill(0);
  const logout = (scsw.cstat & LOGOUT) !== 0;
  scsw.flags &= ~(SCSW_FLAGS.mask.L | SCSW_FLAGS.mask.E);
  if (logout) scsw.flags |= SCSW_FLAGS.mask.L;
  const lpum = pmcw.lpum << LPUM_SHIFT;
  sch.eswWords.setUint32(0, logout ? ESW0_FORMAT0.CCW_CHECK | ESW0_FORMAT0.LPUM_VALID | lpum : lpum);
}

/**
 * Makes extended status of the host's one of the guest's: sense data is told only to a guest that has enabled concurrent
 * sense on its subchannel, whatever the host has, and E says whether the extended-control word has any.
 */
export function filterSense(sch: Subchannel): void {
  const { scsw, pmcw } = sch.schib;
  const dv = sch.eswWords;
  const erw = dv.getUint32(ERW_AT);
  if ((pmcw.chars & PMCW_CHARS.mask.CSENSE) !== 0 && (erw & ERW.CONCURRENT_SENSE) !== 0) {
    scsw.flags |= SCSW_FLAGS.mask.E;
    return;
  }
  dv.setUint32(ERW_AT, erw & ~ERW_SENSE);
  scsw.flags &= ~SCSW_FLAGS.mask.E;
  sch.senseData.fill(0);
}

/** Concurrent sense of a virtual device: S, the count, E and the bytes. Only for a guest that has enabled it. */
export function presentSense(sch: Subchannel, sense: Uint8Array): void {
  const { scsw, pmcw } = sch.schib;
  if ((pmcw.chars & PMCW_CHARS.mask.CSENSE) === 0) return;
  const count = Math.min(sense.length, SENSE_SIZE);
  sch.senseData.fill(0);
  sch.senseData.set(sense.subarray(0, count));
  sch.eswWords.setUint32(ERW_AT, ERW.CONCURRENT_SENSE | (count << ERW_SENSE_COUNT_SHIFT));
  scsw.flags |= SCSW_FLAGS.mask.E;
}

/** Format 2: the device-connect-time interval, in units of 128 us. Not with a subchannel logout, which has no room for it. */
export function presentConnectTime(sch: Subchannel, units: number): void {
  if ((sch.schib.scsw.flags & SCSW_FLAGS.mask.L) !== 0) return;
  const dv = sch.eswWords;
  dv.setUint32(0, (dv.getUint32(0) & ~DCTI_MASK) | Math.min(units, DCTI_MASK));
}

/** The measurement block could not be updated: a subchannel logout says so with the next status. */
export function presentMeasurementCheck(sch: Subchannel, check: MeasurementCheck): void {
  const { scsw } = sch.schib;
  const dv = sch.eswWords;
  const word = dv.getUint32(0);
  const logout = (scsw.flags & SCSW_FLAGS.mask.L) !== 0 ? word : (word & ~DCTI_MASK) | ESW0_FORMAT0.LPUM_VALID;
  dv.setUint32(0, logout | MEASUREMENT_CHECK[check]);
  scsw.flags |= SCSW_FLAGS.mask.L;
}
