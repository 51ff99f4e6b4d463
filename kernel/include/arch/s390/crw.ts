/** Channel-report word, 4 bytes, big-endian (SA22-7832 chapter 17, "Channel Report"; vfio-ccw facts 1.9). */
import { bitfield } from '../../../lib/bits.ts';
import { named, struct, u16, type View } from '../../../lib/struct.ts';

export const CRW_FLAGS = bitfield('crw.flags', 16, {
  S: [1, 1],
  R: [2, 1],
  C: [3, 1],
  RSC: [4, 4],
  A: [8, 1],
  ERC: [10, 6],
});
/** Reporting-source codes. */
export const CRW_RSC = { MONITOR: 2, SUBCH: 3, CHP: 4, CONFIG_ALERT: 9, CSS: 0xb } as const;
/** Error-recovery codes. */
export const CRW_ERC = {
  EVENT: 0,
  AVAIL: 1,
  INIT: 2,
  TERROR: 3,
  IPI: 4,
  TERM: 5,
  PERRN: 6,
  PERRI: 7,
  PMOD: 8,
} as const;

export const CRW = struct('crw', 'be', { flags: named(u16, CRW_FLAGS), rsid: u16 }, { size: 4 });
export type Crw = View<typeof CRW.fields>;
