/** The DMA port of machine `toy`: where it sits on the host, and what the guest is told of it. */
import { phbMemory } from '../devices/virtual/ppc/spapr_pci_map.ts';
import { pciLiobn } from '../kernel/include/arch/ppc/tce.ts';

export const DMA_PORT = {
  host: '0000:01:00.0',
  /** Guest-physical address of BAR 0: the first device of host bridge 0. */
  bar: phbMemory(0),
  /** LIOBN of its window: window 0 of host bridge 0. */
  liobn: pciLiobn(0, 0),
  /** Bytes of its 32-bit DMA window (QEMU's default for a sPAPR host bridge: 1 GiB at bus address 0). */
  window: 0x4000_0000,
} as const;
