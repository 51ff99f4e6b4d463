/** Interrupt sources of the machine (QEMU include/hw/ppc/spapr_irq.h). */

/** Hot-plug events: SPAPR_IRQ_HOTPLUG. */
export const SPAPR_IRQ_HOTPLUG = 0x1001;
/** Pins of host bridges: SPAPR_IRQ_PCI_LSI. */
export const SPAPR_IRQ_PCI_LSI = 0x1200;
/** Messages, and whatever else asks for sources while the machine is built: SPAPR_IRQ_MSI. */
export const SPAPR_IRQ_MSI = 0x1300;
/** The first number that is none: there are SPAPR_NR_XIRQS, X'1000', from X'1000' on. */
export const SPAPR_IRQ_END = 0x2000;
