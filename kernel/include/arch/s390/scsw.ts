/** Subchannel-status word, 12 bytes, big-endian (SA22-7832 chapter 16, "Subchannel-Status Word"; vfio-ccw facts 1.4). */
import { bitfield } from '../../../lib/bits.ts';
import { named, struct, u8, u16, u32, type View } from '../../../lib/struct.ts';

/** First halfword: flags. */
export const SCSW_FLAGS = bitfield('scsw.flags', 16, {
  key: [0, 4],
  S: [4, 1],
  L: [5, 1],
  CC: [6, 2],
  F: [8, 1],
  P: [9, 1],
  I: [10, 1],
  A: [11, 1],
  U: [12, 1],
  Z: [13, 1],
  E: [14, 1],
  N: [15, 1],
});
/** Second halfword: function, activity and status control. */
export const SCSW_CTRL = bitfield('scsw.ctrl', 16, { fctl: [1, 3], actl: [4, 7], stctl: [11, 5] });

/** Function-control bits of `scsw.ctrl`. */
export const SCSW_FCTL_START_FUNC = 0x4000;
export const SCSW_FCTL_HALT_FUNC = 0x2000;
export const SCSW_FCTL_CLEAR_FUNC = 0x1000;
/** All function-control bits. */
export const SCSW_CTRL_MASK_FCTL = 0x7000;
/** Activity-control bits of `scsw.ctrl`. */
export const SCSW_ACTL_RESUME_PEND = 0x0800;
export const SCSW_ACTL_START_PEND = 0x0400;
export const SCSW_ACTL_HALT_PEND = 0x0200;
export const SCSW_ACTL_CLEAR_PEND = 0x0100;
export const SCSW_ACTL_SUBCH_ACTIVE = 0x0080;
export const SCSW_ACTL_DEVICE_ACTIVE = 0x0040;
export const SCSW_ACTL_SUSP = 0x0020;
/** All activity-control bits. */
export const SCSW_CTRL_MASK_ACTL = 0x0fe0;
/** Status-control bits of `scsw.ctrl`. */
export const SCSW_STCTL_ALERT = 0x0010;
export const SCSW_STCTL_INTERMEDIATE = 0x0008;
export const SCSW_STCTL_PRIMARY = 0x0004;
export const SCSW_STCTL_SECONDARY = 0x0002;
export const SCSW_STCTL_STATUS_PEND = 0x0001;
/** All status-control bits. */
export const SCSW_CTRL_MASK_STCTL = 0x001f;

/** Device-status byte. */
export const DSTAT = {
  ATTENTION: 0x80,
  STAT_MOD: 0x40,
  CU_END: 0x20,
  BUSY: 0x10,
  CHANNEL_END: 0x08,
  DEVICE_END: 0x04,
  UNIT_CHECK: 0x02,
  UNIT_EXCEP: 0x01,
} as const;
/** Subchannel-status byte. */
export const CSTAT = {
  PCI: 0x80,
  INCORR_LEN: 0x40,
  PROG_CHECK: 0x20,
  PROT_CHECK: 0x10,
  DATA_CHECK: 0x08,
  CHN_CTRL_CHK: 0x04,
  INTF_CTRL_CHK: 0x02,
  CHAIN_CHECK: 0x01,
} as const;

export const SCSW = struct(
  'scsw',
  'be',
  { flags: named(u16, SCSW_FLAGS), ctrl: named(u16, SCSW_CTRL), cpa: u32, dstat: u8, cstat: u8, count: u16 },
  { size: 12, offsets: { ctrl: 2, cpa: 4, dstat: 8, count: 10 } },
);
export type Scsw = View<typeof SCSW.fields>;
