/**
 * A classic IOMMU for the same devices as PAMU: 4K pages at any address, and messages that are remapped by source. It is
 * this machine's own, as plain as can be, in the manner of VT-d and the Arm SMMU: type1's side of the argument about
 * windowed IOMMUs. All words in memory are little-endian.
 *
 * A LIODN selects a device entry: blocked, passed through, or a root table. Three levels of 8-byte entries: bits 35:30,
 * 29:21 and 20:12 of the address; an entry of the second level may be a page of 2 MiB. A write to the message window
 * selects, by its address, an entry of the remapping table, which says which doorbell gets which data if the writer's LIODN
 * is the entry's: a device reaches its own vectors and no other, whatever it writes.
 */

/** LIODNs of the device table (fsl,liodn-bits: 12 bits). */
export const IOMMU4K_DEVICES = 4096;
/** Bytes of an entry of the device table, of the page tables, and of the remapping table. */
export const IOMMU4K_ENTRY = { DEVICE: 4, PAGE: 8, MESSAGE: 16 } as const;
/** Low bits of a device entry; above them the root table's address. Both zero: blocked. */
export const IOMMU4K_DEVICE = { TRANSLATE: 1, PASS: 2 } as const;
/** Low bits of a page table entry; above them an address. An entry without READ and WRITE is not there. */
export const IOMMU4K_PAGE = { READ: 1, WRITE: 2, LARGE: 4 } as const;
/** Entries of a table of the second and third level. */
export const IOMMU4K_TABLE = 512;
/** Bytes that an entry of each level stands for, the root's first. */
export const IOMMU4K_LEVELS = [2 ** 30, 2 ** 21, 2 ** 12] as const;
/** Addresses of devices have 36 bits. */
export const IOMMU4K_ADDRESS_LIMIT = 2 ** 36;

/** The message window, on every device's bus: one entry of the remapping table every 16 bytes. RAM cannot be there. */
export const IOMMU4K_MESSAGES = { start: 0xfee0_0000, size: 0x1000, stride: 16 } as const;
/** Words of an entry of the remapping table. Flag VALID; LIODN; bank; data. */
export const IOMMU4K_MESSAGE = { FLAGS: 0, LIODN: 4, BANK: 8, DATA: 12 } as const;
export const IOMMU4K_MESSAGE_VALID = 1;
/** Entries of the remapping table. */
export const IOMMU4K_VECTORS = IOMMU4K_MESSAGES.size / IOMMU4K_MESSAGES.stride;

/** Why an access was refused. */
export const IOMMU4K_FAULT = { BLOCKED: 1, NOT_MAPPED: 2, PERMISSION: 3, MESSAGE: 4 } as const;
export type Iommu4kFault = keyof typeof IOMMU4K_FAULT;
