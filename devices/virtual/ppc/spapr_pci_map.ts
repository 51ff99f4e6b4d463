/** Where a sPAPR host bridge is: numbers that the bridge and whoever tells a guest of it need (QEMU hw/ppc/spapr_pci.c). */

/** Bus unit identifier of the first bridge (QEMU: 0x800000020000000 + index). */
const BUID_FIRST = 0x800_0000_2000_0000n;
/** Guest-physical addresses of a bridge: 64 GiB each, from here on (QEMU SPAPR_PCI_BASE, before 2.10: SPAPR_PCI_WINDOW_BASE). */
const WINDOW_BASE = 0x100_0000_0000;
const WINDOW_SPACING = 0x10_0000_0000;
/** Bus addresses of 32-bit memory: the upper half below 4 GiB. A BAR's guest-physical address is its bus address above the bridge's base. */
export const MEMORY_START = 0x8000_0000;
export const MEMORY_SIZE = 0x8000_0000;

/** Bus unit identifier of a bridge. */
export function phbBuid(index: number): bigint {
  return BUID_FIRST + BigInt(index);
}
/** What is added to a bus address to get the guest-physical one. */
export function phbBase(index: number): number {
  return WINDOW_BASE + index * WINDOW_SPACING;
}
/** Guest-physical address where a bridge's memory space begins, and with it BAR 0 of its first device. */
export function phbMemory(index: number): number {
  return phbBase(index) + MEMORY_START;
}
