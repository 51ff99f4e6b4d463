/** Subchannel-information block, 52 bytes, big-endian (SA22-7832 chapter 15, "Subchannel-Information Block"; vfio-ccw facts 1.3). */
import { bitfield } from '../../../lib/bits.ts';
import { bytes, named, nested, struct, u8, u16, u32, u64n, type View } from '../../../lib/struct.ts';
import { SCSW } from './scsw.ts';

export const PMCW_FLAGS = bitfield('pmcw.flags', 16, {
  QF: [0, 1],
  W: [1, 1],
  ISC: [2, 3],
  zero: [5, 3],
  E: [8, 1],
  LM: [9, 2],
  MM: [11, 2],
  D: [13, 1],
  T: [14, 1],
  V: [15, 1],
});
export const PMCW_CHARS = bitfield('pmcw.chars', 32, { type: [8, 3], MBFC: [29, 1], XMWME: [30, 1], CSENSE: [31, 1] });

/** Path-management-control word. */
export const PMCW = struct(
  'pmcw',
  'be',
  {
    intparm: u32,
    flags: named(u16, PMCW_FLAGS),
    devno: u16,
    lpm: u8,
    pnom: u8,
    lpum: u8,
    pim: u8,
    mbi: u16,
    pom: u8,
    pam: u8,
    chpid: bytes(8),
    chars: named(u32, PMCW_CHARS),
  },
  { size: 28, offsets: { flags: 4, devno: 6, lpm: 8, mbi: 12, chpid: 16, chars: 24 } },
);
export type Pmcw = View<typeof PMCW.fields>;

export const SCHIB = struct(
  'schib',
  'be',
  { pmcw: nested(PMCW), scsw: nested(SCSW), mba: u64n, mda: u32 },
  { size: 52, offsets: { scsw: 28, mba: 40, mda: 48 } },
);
export type Schib = View<typeof SCHIB.fields>;
