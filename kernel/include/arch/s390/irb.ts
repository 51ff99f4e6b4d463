/** Interruption-response block (SA22-7832 chapter 16, "Interruption-Response Block"; vfio-ccw facts 1.6), big-endian. */
import { bytes, nested, struct, u32, u64n, type View } from '../../../lib/struct.ts';
import { SCSW } from './scsw.ts';

/** Extended-report word: bits Linux and QEMU look at. */
export const ERW = {
  AUTHORIZATION: 0x10000000,
  PATH_VERIFICATION: 0x08000000,
  PATH_TIMEOUT: 0x04000000,
  FSA_VALID: 0x02000000,
  CONCURRENT_SENSE: 0x01000000,
  SECONDARY_CCW: 0x00800000,
} as const;
/** Shift of the concurrent-sense count (bits 10-15). */
export const ERW_SENSE_COUNT_SHIFT = 16;

/** SCSW, extended-status word, extended-control word: the 64 bytes TSCH stores. */
export const IRB = struct(
  'irb',
  'be',
  { scsw: nested(SCSW), esw0: u32, erw: u32, fsa: u64n, scca: u32, ecw: bytes(32) },
  { size: 64, offsets: { esw0: 12, erw: 16, fsa: 20, ecw: 32 } },
);
export type Irb = View<typeof IRB.fields>;
