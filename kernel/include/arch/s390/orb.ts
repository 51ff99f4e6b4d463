/** Operation-request block, 12 bytes, big-endian (SA22-7832 chapter 15, "Operation-Request Block"; vfio-ccw facts 1.2). */
import { bitfield } from '../../../lib/bits.ts';
import { named, struct, u8, u16, u32, type View } from '../../../lib/struct.ts';

/** Halfword at offset 4. */
export const ORB_CTRL0 = bitfield('orb.ctrl0', 16, {
  key: [0, 4],
  S: [4, 1],
  C: [5, 1],
  M: [6, 1],
  Y: [7, 1],
  F: [8, 1],
  P: [9, 1],
  I: [10, 1],
  A: [11, 1],
  U: [12, 1],
  B: [13, 1],
  H: [14, 1],
  T: [15, 1],
});
/** Byte at offset 7. */
export const ORB_CTRL1 = bitfield('orb.ctrl1', 8, { L: [0, 1], D: [1, 1], zero: [2, 5], X: [7, 1] });

export const ORB = struct(
  'orb',
  'be',
  { intparm: u32, ctrl0: named(u16, ORB_CTRL0), lpm: u8, ctrl1: named(u8, ORB_CTRL1), cpa: u32 },
  { size: 12, offsets: { ctrl0: 4, lpm: 6, ctrl1: 7, cpa: 8 } },
);
export type Orb = View<typeof ORB.fields>;
