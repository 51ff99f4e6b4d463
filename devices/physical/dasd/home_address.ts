/** The home address as diagnostic commands see it, 28 bytes (Linux `struct eckd_home`; vfio-ccw facts 5.1). */

import { bytes, struct, u8, u16 } from '../../../kernel/lib/struct.ts';

export const HOME_ADDRESS = struct(
  'home_address',
  'be',
  {
    skipControl: bytes(14),
    cell: u16,
    physical: bytes(3),
    /** Zero: a good primary track. */
    flag: u8,
    cylinder: u16,
    head: u16,
    reserved: bytes(4),
  },
  { size: 28, offsets: { cell: 14, flag: 19, cylinder: 20, head: 22 } },
);
