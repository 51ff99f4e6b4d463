/**
 * PAMU, the peripheral access management unit: tables in memory, registers, codes (Linux drivers/iommu/fsl_pamu.h and
 * fsl_pamu.c; QorIQ P4080 reference manual, "Peripheral access management unit"). All words are big-endian.
 *
 * A LIODN selects a primary entry (PPAACE); one with sub-windows has its window 0 in itself and windows 1 to N-1 in
 * consecutive secondary entries (SPAACE) from FSPI on. All PAMUs of the chip are given the same tables.
 */
import { bitfield } from '../../../lib/bits.ts';
import { bytes, named, struct, u32, type View } from '../../../lib/struct.ts';

/** PAMUs of the chip (p4080si-post.dtsi, iommu@20000 with five nodes). */
export const PAMUS = 5;
/** Bytes from one PAMU's registers to the next (PAMU_OFFSET). */
export const PAMU_STRIDE = 0x1000;
/** Entries of the primary table, the secondary table and the operation mapping table as Linux sizes them. */
export const PAACE_NUMBER_ENTRIES = 0x500;
export const SPAACE_NUMBER_ENTRIES = 0x800;
export const OME_NUMBER_ENTRIES = 16;
/** Bytes of an operation mapping entry: one for each operation (NUM_MOE). */
export const OME_SIZE = 128;
/** Smallest window, bytes (fsl_pamu.h, PAMU_PAGE_SIZE). */
export const PAMU_PAGE_SIZE = 4096;

/** Word 1 of a primary entry (PPAACE_AF_*): window base 31:12, size code, multiple windows, and the common bits. */
export const PPAACE_AF = bitfield('ppaace_af', 32, {
  WBAL: [0, 20],
  WSE: [20, 6],
  MW: [26, 1],
  AP: [27, 2],
  DD: [29, 1],
  PT: [30, 1],
  V: [31, 1],
});
/** Word 1 of a secondary entry (SPAACE_AF_LIODN, PAACE_AF_*). */
export const SPAACE_AF = bitfield('spaace_af', 32, {
  LIODN: [0, 16],
  AP: [27, 2],
  DD: [29, 1],
  PT: [30, 1],
  V: [31, 1],
});
/** Word 2 when DD is 0 (to_host): destination, partition, snoop, coherency required (PAACE_DA_HOST_CR). */
export const PAACE_DA_HOST = bitfield('paace_da_host', 32, { DID: [0, 8], PID: [8, 8], SNPID: [16, 8], CR: [24, 1] });
/** Word 3 (PAACE_IA_*): stash id, window count code, address and operation translation modes. */
export const PAACE_IA = bitfield('paace_ia', 32, { CID: [8, 8], WCE: [24, 4], ATM: [28, 2], OTM: [30, 2] });
/** Word 5 (PAACE_WIN_*): translated base 31:12, size code of what is mapped. */
export const PAACE_WIN = bitfield('paace_win', 32, { TWBAL: [0, 20], SWSE: [20, 6] });
/** Word 7 when OTM is 2 (op_encode.index_ot). */
export const PAACE_OP_INDEX = bitfield('paace_op_index', 32, { OMI: [16, 16] });

/** An entry of either table (struct paace). */
export const PAACE = struct(
  'paace',
  'be',
  {
    wbah: u32,
    /** {@link PPAACE_AF} or {@link SPAACE_AF}: what makes an entry valid, to be stored last. */
    addr_bitfields: u32,
    domain_attr: named(u32, PAACE_DA_HOST),
    impl_attr: named(u32, PAACE_IA),
    twbah: u32,
    win_bitfields: named(u32, PAACE_WIN),
    fspi: u32,
    op_encode: u32,
    reserved: bytes(32),
  },
  { size: 64, offsets: { addr_bitfields: 4, impl_attr: 12, win_bitfields: 20, fspi: 24, op_encode: 28 } },
);
export type Paace = View<typeof PAACE.fields>;

/** AP: what a device may do (PAACE_AP_PERMS_*). */
export const PAACE_AP = { DENIED: 0, QUERY: 1, UPDATE: 2, ALL: 3 } as const;
/** DD: destination domain (PAACE_DD_*). */
export const PAACE_DD = { TO_HOST: 0, TO_IO: 1 } as const;
/** PT: which table the entry belongs to (PAACE_PT_*). */
export const PAACE_PT = { PRIMARY: 0, SECONDARY: 1 } as const;
/** ATM: address translation (PAACE_ATM_*). */
export const PAACE_ATM = { NO_XLATE: 0, WINDOW_XLATE: 1, PAGE_XLATE: 2, WIN_PG_XLATE: 3 } as const;
/** OTM: operation translation (PAACE_OTM_*). */
export const PAACE_OTM = { NO_XLATE: 0, IMMEDIATE: 1, INDEXED: 2, RESERVED: 3 } as const;
/** Bit of a byte of an operation mapping entry that is in use (EOE_VALID). */
export const EOE_VALID = 0x80;
/** What a device asks for, and with that the byte of an operation mapping entry (IOE_*_IDX). */
export const IOE_IDX = {
  READ: 0x00,
  WRITE: 0x01,
  /** Enhanced reads and writes, and directives, of two types. */
  EREAD0: 0x02,
  EWRITE0: 0x03,
  DIRECT0: 0x04,
  EREAD1: 0x05,
  EWRITE1: 0x06,
  DIRECT1: 0x07,
  /** Reads that clear, set, decrement and increment atomically. */
  RAC: 0x0c,
  RAS: 0x0d,
  RAD: 0x0e,
  RAI: 0x0f,
} as const;
/** What becomes of it on CoreNet: those that Linux uses (EOE_*). */
export const EOE = {
  READ: 0x00,
  WRITE: 0x01,
  /** Load external cache; the same, exclusive if it can be had. */
  LDEC: 0x10,
  LDECPE: 0x12,
  /** Read with stash allocate; read with invalidate. */
  RSA: 0x16,
  READI: 0x18,
  /** Write with stash allocate; the same, into the cache only. */
  WWSA: 0x1b,
  WWSAO: 0x1d,
} as const;
/** Entries of the operation mapping table, by whose they are (fsl_pamu.c, OMI_*). */
export const OMI = { QMAN: 0, FMAN: 1, QMAN_PRIV: 2, CAAM: 3 } as const;
/** Word 2 of an entry for coherent host memory (PAACE_DA_HOST_CR). */
export const PAACE_DA_HOST_CR = 0x80;

/** Size code of a power-of-two number of bytes, 4096 at least: WSE and SWSE (fsl_pamu.c, map_addrspace_size_to_wse). */
export function windowSizeCode(size: number): number {
  return Math.log2(size) - 1;
}
/** Bytes that a size code stands for. */
export function windowSize(code: number): number {
  return 2 ** (code + 1);
}
/** Window count code of 2 to 65536 windows (WCE). A single window has MW and WCE zero. */
export function windowCountCode(count: number): number {
  return Math.log2(count) - 1;
}
/** Windows that a count code stands for. */
export function windowCount(code: number): number {
  return 2 ** (code + 1);
}

/**
 * Register offsets in one PAMU. A limit is the first byte behind its table (fsl_pamu.c, setup_one_pamu). Power-on
 * values are zero, but for the read-only ones.
 */
export const PAMU = {
  PPBAH: 0x00,
  PPBAL: 0x04,
  PPLAH: 0x08,
  PPLAL: 0x0c,
  SPBAH: 0x10,
  SPBAL: 0x14,
  SPLAH: 0x18,
  SPLAL: 0x1c,
  OBAH: 0x20,
  OBAL: 0x24,
  OLAH: 0x28,
  OLAL: 0x2c,
  /** Operation error status, write one to clear. */
  POES1: 0x40,
  POES2: 0x44,
  /** Address of the entry of the captured violation; zero when there was none. */
  POEAH: 0x48,
  POEAL: 0x4c,
  /** Access violation status, write one to clear {@link PAMU_AVS1}. */
  AVS1: 0x50,
  AVS2: 0x54,
  AVAH: 0x58,
  AVAL: 0x5c,
  EECTL: 0x60,
  EEDIS: 0x64,
  EEINTEN: 0x68,
  EEDET: 0x6c,
  EEATTR: 0x70,
  EEAHI: 0x74,
  EEALO: 0x78,
  EEDHI: 0x7c,
  EEDLO: 0x80,
  EECC: 0x84,
  UDAD: 0x90,
  PR1: 0xbf8,
  PR2: 0xbfc,
  PC1: 0xc00,
  PC2: 0xc04,
  PC3: 0xc08,
  PC4: 0xc0c,
  PC: 0xc10,
  PICS: 0xc1c,
} as const;

/** AVS1 (PAMU_AVS1_*): the fields. Which bits of a field are set is unverified on silicon; {@link PAMU_VIOLATION}. */
export const PAMU_AVS1 = {
  AV: 0x1,
  OTV: 0x6,
  APV: 0x78,
  WAV: 0x380,
  LAV: 0x1c00,
  GCV: 0x2000,
  PDV: 0x4000,
} as const;
/** All violation bits of AVS1 (PAMU_AV_MASK). */
export const PAMU_AV_MASK = 0x7fff;
/** LIODN in AVS1 (PAMU_AVS1_LIODN_SHIFT). */
export const PAMU_AVS1_LIODN_SHIFT = 16;

/** What this machine puts into AVS1 beside AV: the lowest bit of the field; LAV's is PAMU_LAV_LIODN_NOT_IN_PPAACT. */
export const PAMU_VIOLATION = {
  /** No valid operation mapping. */
  OTV: 0x2,
  /** The entry does not allow reading, or writing. */
  APV: 0x8,
  /** Outside the window, no such window, or behind what is mapped in it. */
  WAV: 0x80,
  /** The LIODN has no valid primary entry. */
  LAV: 0x400,
  /** The gate is closed. */
  GCV: 0x2000,
} as const;
export type PamuViolation = keyof typeof PAMU_VIOLATION;

/** AVS2, this machine's own: what the refused transaction was. Captured with AVS1. */
export const PAMU_AVS2 = { READ: 1, WRITE: 2 } as const;
/** POES1, this machine's own: a table entry that was needed lies outside of memory. */
export const PAMU_POES1_FETCH = 0x8000_0000;

/** PC, the control register (PAMU_PC_*): gate closed, enable, caches on. This machine's PAMU caches nothing. */
export const PAMU_PC = { PGC: 0x8000_0000, PE: 0x4000_0000, OCE: 0x1000, SPCC: 0x10, PPCC: 0x1 } as const;
/**
 * PICS (PAMU_ACCESS_VIOLATION_*): pending, as long as AVS1.AV is set, whatever is stored; and interrupt enable. Enabling
 * while a violation is pending raises the interrupt at once: to start afresh, AVS1 is cleared before.
 */
export const PAMU_PICS = { STAT: 0x8, ENABLE: 0x4 } as const;
/** PC3: largest window count code (PAMU_PC3_MWCE). */
export const PAMU_PC3 = bitfield('pamu_pc3', 32, { MWCE: [7, 4] });
/** PC2: largest LIODN (PAMU_PC2_MLIODN). */
export const PAMU_PC2 = bitfield('pamu_pc2', 32, { MLIODN: [0, 16] });
/** MWCE of this machine: 256 windows. */
export const PAMU_MAX_WCE = 7;
