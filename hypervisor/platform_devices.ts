/**
 * Platform devices of machine `toy`: where the guest finds their registers. QEMU's e500 machine has its platform bus at the
 * same address (hw/ppc/e500plat.c, platform_bus_base); a page for each device.
 */
import { SPAPR_IRQ_MSI } from '../devices/virtual/ppc/spapr_irq_numbers.ts';

const PLATFORM_BUS_BASE = 0xf_0000_0000;
const DEVICE_SPACING = 0x1000;

/** Guest-physical address of the registers of platform device `number`, in the order of the command line. */
export function platformDeviceAddress(number: number): number {
  return PLATFORM_BUS_BASE + number * DEVICE_SPACING;
}
/** Interrupt source of its message: the first ones for messages, taken before any PCI device asks. */
export const PLATFORM_FIRST_IRQ = SPAPR_IRQ_MSI;
