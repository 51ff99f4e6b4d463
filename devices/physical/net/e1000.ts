/**
 * The 82540EM as a PCI device: what the host bridge's MMIO reaches. The registers are in `e1000_table.ts`, the engine in
 * `engine.ts`.
 */
import type { PciDevice } from '../phb/device.ts';
import { readRegister, resetNic, writeRegister } from './e1000_table.ts';
import { nicArea, REGISTERS_SIZE } from './nic_area.ts';
import { resetPhy } from './phy.ts';

/** Vendor Intel, device 82540EM (manual, table 5-1). */
export const E1000_IDS = { vendor: 0x8086, device: 0x100e } as const;
/** Bytes of BAR 0 (manual, table 4-2). */
const BAR0_SIZE = 0x2_0000;

/**
 * The device. Registers are 32 bits wide: a narrower load gives its part of the whole, a narrower store is ignored. The
 * packet buffer behind the registers is not modelled: it reads zero.
 */
export const e1000: PciDevice = {
  name: 'e1000',
  identity: {
    ...E1000_IDS,
    revision: 3,
    classCode: 0x02_0000, // network controller, Ethernet (PCI Code and ID Assignment Specification, class 02)
    bar0Size: BAR0_SIZE,
    interruptPin: 1,
    msi: true,
  },
  read(memory, block, offset, size) {
    if (offset >= REGISTERS_SIZE) return 0;
    const value = readRegister({ memory, block, area: nicArea(memory, block) }, offset & ~3) >>> 0;
    return size === 4 ? value : Math.floor(value / 2 ** ((offset & 3) * 8)) % 2 ** (8 * size);
  },
  write(memory, block, offset, size, value) {
    if (offset >= REGISTERS_SIZE || size !== 4) return false;
    return writeRegister({ memory, block, area: nicArea(memory, block) }, offset, value);
  },
  passesFreeze: () => false,
  reset(memory, block) {
    const area = nicArea(memory, block);
    resetPhy(memory, area);
    resetNic(memory, block, area);
  },
};
