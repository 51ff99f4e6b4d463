/** Channel-command words, big-endian (SA22-7832 chapter 15, "Channel-Command Word"; vfio-ccw facts 1.5). */
import { struct, u8, u16, u32, u64n, type View } from '../../../lib/struct.ts';

/** CCW flag bits, the same in both formats. */
export const CCW_FLAG = {
  DC: 0x80,
  CC: 0x40,
  SLI: 0x20,
  SKIP: 0x10,
  PCI: 0x08,
  IDA: 0x04,
  SUSPEND: 0x02,
  MIDA: 0x01,
} as const;

/** Format-1 CCW: 31-bit data address. */
export const CCW1 = struct('ccw1', 'be', { cmd: u8, flags: u8, count: u16, cda: u32 }, { size: 8 });
export type Ccw1 = View<typeof CCW1.fields>;

/** Format-0 CCW: 24-bit data address in bytes 1-3. */
export const CCW0 = struct(
  'ccw0',
  'be',
  { cmd: u8, cdaHigh: u8, cda: u16, flags: u8, reserved: u8, count: u16 },
  { size: 8, offsets: { flags: 4, count: 6 } },
);

/** Flag bits of a MIDAW. */
export const MIDAW_FLAG = { LAST: 0x80, SKIP: 0x40, INTERRUPT: 0x20, RESERVED: 0x1f } as const;

/** Modified-CCW-indirect-data-address word; the first 40 bits are zero (vfio-ccw facts 1.5). */
export const MIDAW = struct(
  'midaw',
  'be',
  { reserved1: u32, reserved2: u8, flags: u8, count: u16, data: u64n },
  { size: 16, offsets: { flags: 5, count: 6, data: 8 } },
);

/** Channel commands common to all devices. */
export const CCW_CMD = { WRITE: 0x01, READ: 0x02, NOOP: 0x03, BASIC_SENSE: 0x04, TIC: 0x08, SENSE_ID: 0xe4 } as const;
