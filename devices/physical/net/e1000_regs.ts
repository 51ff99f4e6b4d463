/**
 * Offsets and bits of the 82540EM's registers, as far as code names them. Names and numbers: Intel, "PCI/PCI-X Family of
 * Gigabit Ethernet Controllers Software Developer's Manual" (317453), chapter 13 ("the manual" in this folder).
 */

/** Byte offsets in BAR 0 (manual, table 13-2). */
export const REG = {
  CTRL: 0x0000,
  STATUS: 0x0008,
  EECD: 0x0010,
  EERD: 0x0014,
  CTRL_EXT: 0x0018,
  MDIC: 0x0020,
  VET: 0x0038,
  ICR: 0x00c0,
  ITR: 0x00c4,
  ICS: 0x00c8,
  IMS: 0x00d0,
  IMC: 0x00d8,
  RCTL: 0x0100,
  TCTL: 0x0400,
  TIPG: 0x0410,
  PBA: 0x1000,
  RDBAL: 0x2800,
  RDBAH: 0x2804,
  RDLEN: 0x2808,
  RDH: 0x2810,
  RDT: 0x2818,
  RDTR: 0x2820,
  RADV: 0x282c,
  TDBAL: 0x3800,
  TDBAH: 0x3804,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  TIDV: 0x3820,
  TXDCTL: 0x3828,
  TADV: 0x382c,
  /** First statistics register; the last is at 40FC. */
  STATISTICS: 0x4000,
  MTA: 0x5200,
  RAL: 0x5400,
  RAH: 0x5404,
  VFTA: 0x5600,
} as const;

/** Device control (manual, table 13-3). */
export const CTRL = {
  FD: 1 << 0,
  SLU: 1 << 6,
  /** Speed 1000 Mb/s: value 2 of bits 8 and 9. */
  SPEED_1000: 2 << 8,
  RST: 1 << 26,
  /** Tags are taken off received frames and put into sent ones. */
  VME: 1 << 30,
  PHY_RST: 2 ** 31,
} as const;

/** Device status (manual, table 13-5). */
export const STATUS = { FD: 1, LU: 2, SPEED_1000: 2 << 6, ASDV_1000: 2 << 8 } as const;

/** Interrupt causes: bits of ICR, ICS, IMS and IMC (manual, table 13-63). */
export const CAUSE = {
  TXDW: 1 << 0,
  TXQE: 1 << 1,
  LSC: 1 << 2,
  RXSEQ: 1 << 3,
  RXDMT0: 1 << 4,
  RXO: 1 << 6,
  RXT0: 1 << 7,
  MDAC: 1 << 9,
  TXD_LOW: 1 << 15,
} as const;
/** The causes the 82540EM has; the other bits of the interrupt registers are zero. */
export const CAUSES = 0x1_f6df;

/** Receive control (manual, table 13-67). */
export const RCTL = {
  EN: 1 << 1,
  SBP: 1 << 2,
  UPE: 1 << 3,
  MPE: 1 << 4,
  LPE: 1 << 5,
  LBM: 3 << 6,
  RDMTS_SHIFT: 8,
  MO_SHIFT: 12,
  BAM: 1 << 15,
  BSIZE_SHIFT: 16,
  VFE: 1 << 18,
  CFIEN: 1 << 19,
  CFI: 1 << 20,
  BSEX: 1 << 25,
  SECRC: 1 << 26,
} as const;

/** Transmit control (manual, table 13-76). */
export const TCTL = { EN: 1 << 1, PSP: 1 << 3 } as const;
/** RDTR and TIDV bit 31: end the delay now (manual 13.4.30). */
export const FLUSH_PARTIAL = 2 ** 31;

/** Receive address high: which address of a frame is compared, and whether the pair is valid (manual 13.5.3). */
export const RAH = { AS_SHIFT: 16, AV: 2 ** 31 } as const;
/** Pairs of receive address registers of the 82540EM. */
export const RECEIVE_ADDRESSES = 16;

/** Command bits of a legacy transmit descriptor (manual, table 3-10). */
export const TXD_CMD = {
  EOP: 1 << 0,
  IFCS: 1 << 1,
  IC: 1 << 2,
  RS: 1 << 3,
  RPS: 1 << 4,
  DEXT: 1 << 5,
  VLE: 1 << 6,
  IDE: 1 << 7,
} as const;
/** Status bit of a descriptor, either kind: done. */
export const DESCRIPTOR_DONE = 1;
/** Bytes of a descriptor. */
export const DESCRIPTOR_SIZE = 16;

/** Status bits of a receive descriptor (manual, table 3-2). */
export const RXD_STAT = { DD: 1, EOP: 2, IXSM: 4, VP: 8, PIF: 0x80 } as const;
/** Error bits of a receive descriptor (manual, table 3-3). */
export const RXD_ERR = { CE: 1 } as const;

/** Statistics registers (manual, table 13-2, and 13.7). Octet counters are pairs, the low word first. */
export const STAT = {
  CRCERRS: 0x4000,
  MPC: 0x4010,
  PRC64: 0x405c,
  PRC127: 0x4060,
  PRC255: 0x4064,
  PRC511: 0x4068,
  PRC1023: 0x406c,
  PRC1522: 0x4070,
  GPRC: 0x4074,
  BPRC: 0x4078,
  MPRC: 0x407c,
  GPTC: 0x4080,
  GORCL: 0x4088,
  GOTCL: 0x4090,
  RNBC: 0x40a0,
  RUC: 0x40a4,
  ROC: 0x40ac,
  TORL: 0x40c0,
  TOTL: 0x40c8,
  TPR: 0x40d0,
  TPT: 0x40d4,
  PTC64: 0x40d8,
  PTC127: 0x40dc,
  PTC255: 0x40e0,
  PTC511: 0x40e4,
  PTC1023: 0x40e8,
  PTC1522: 0x40ec,
  MPTC: 0x40f0,
  BPTC: 0x40f4,
} as const;

/** Bytes of a frame check sequence. */
export const FCS_SIZE = 4;
/** Shortest and longest frame, check sequence included (IEEE 802.3-2018, 4A.4.2; the longest with one VLAN tag). */
export const MIN_FRAME = 64;
export const MAX_FRAME = 1522;
/** The longest frame that the 82540EM sends, in bytes without check sequence (manual 3.3.1: 16288). */
export const MAX_TRANSMIT = 16288;
/** The longest it receives with RCTL.LPE (manual, table 13-67: 16384). */
export const MAX_LONG_FRAME = 16384;
