/**
 * Translation control entries, the windows they translate and the numbers that name those windows (PAPR,
 * "Translation Control Entries"; Linux arch/powerpc/include/asm/tce.h; QEMU include/hw/pci-host/spapr.h).
 *
 * An entry is 64 bits, big-endian in memory: a page address and, in the two lowest bits, what a device may do. An
 * entry without permission is invalid, and any address may stand in it.
 */

/** Bytes of an entry. */
export const TCE_SIZE = 8;
/** The device may read memory. */
export const TCE_PCI_READ = 1;
/** The device may write memory. */
export const TCE_PCI_WRITE = 2;
/** Both permission bits. */
export const TCE_PERMISSION_MASK = 3;
/** The address bits of a 64-bit entry with the smallest (4K) IOMMU page. */
export const TCE_ADDRESS_MASK = 0xffff_ffff_ffff_f000n;

/** log2 of the page sizes that a window may have: 4K, 64K, 2M, 16M, 256M (powernv, ibm,supported-tce-sizes). */
export const TCE_PAGE_SHIFTS = [12, 16, 21, 24, 28] as const;

/** Direction of DMA as seen from memory (Linux include/linux/dma-direction.h). */
export const DMA_DIRECTION = { DMA_BIDIRECTIONAL: 0, DMA_TO_DEVICE: 1, DMA_FROM_DEVICE: 2, DMA_NONE: 3 } as const;
export type DmaDirection = (typeof DMA_DIRECTION)[keyof typeof DMA_DIRECTION];

const { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE } = DMA_DIRECTION;

/** Direction by permission bits (Linux iommu_tce_direction). */
const DIRECTION_OF = [DMA_NONE, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL] as const;

/** What the hardware gets per direction: the host bridge is given READ wherever there is WRITE (Linux pnv_tce_build). */
const HARDWARE_PERMISSION = {
  [DMA_BIDIRECTIONAL]: TCE_PCI_READ | TCE_PCI_WRITE,
  [DMA_TO_DEVICE]: TCE_PCI_READ,
  [DMA_FROM_DEVICE]: TCE_PCI_READ | TCE_PCI_WRITE,
  [DMA_NONE]: 0,
} as const;

/** Direction that an entry allows. @param tce the entry, or its low 32 bits. */
export function tceDirection(tce: number): DmaDirection {
  return DIRECTION_OF[tce & TCE_PERMISSION_MASK];
}

/** Page address in an entry below 2^53, for pages of `1 << pageShift` bytes. */
export function tceAddress(tce: number, pageShift: number): number {
  return tce - (tce % 2 ** pageShift);
}

/** The hardware's entry for a host page. @param hpa page-aligned host-physical address. */
export function hardwareTce(hpa: number, direction: DmaDirection): number {
  return direction === DMA_NONE ? 0 : hpa + HARDWARE_PERMISSION[direction];
}

/** Windows of a partitionable endpoint: a 32-bit one and one above bit 59 (powernv, tve index = pe << 1 | window). */
export const DMA_WINDOWS = 2;
/** The bus-address bit that selects window 1 (powernv, IODA2 translation-validation entry select). */
export const TVE_SELECT_BIT = 59n;
/** Bus address at which each window starts (QEMU defaults of dma_win_addr and dma64_win_addr). */
export const DMA_WINDOW_START = [0n, 1n << TVE_SELECT_BIT] as const;
/** Bytes of the default window, 1 GiB (QEMU dma_win_size). */
export const DMA_WINDOW_SIZE = 0x4000_0000;

/** Bit of a LIOBN that says PCI rather than virtual I/O (QEMU SPAPR_PCI_LIOBN). */
const LIOBN_PCI = 0x8000_0000;

/** The LIOBN of a window of a PCI host bridge (QEMU SPAPR_PCI_LIOBN). @param phb 0..255. @param window 0 or 1. */
export function pciLiobn(phb: number, window: number): number {
  return (LIOBN_PCI | (phb << 8) | window) >>> 0;
}
/** True for the LIOBN of a PCI window; the others are of virtual I/O devices, their unit address. */
export function isPciLiobn(liobn: number): boolean {
  return (liobn & LIOBN_PCI) !== 0;
}
/** Index of the host bridge in the LIOBN of a PCI window (QEMU SPAPR_PCI_LIOBN). */
export function liobnPhb(liobn: number): number {
  return (liobn >>> 8) & 0xff;
}
/** Number of the window in the LIOBN of a PCI window (QEMU SPAPR_PCI_DMA_WINDOW_NUM). */
export function liobnWindow(liobn: number): number {
  return liobn & 0xff;
}
