/** Power-on of the NICs: which PE has which, their EEPROMs, and whether their cables are plugged in. */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { PCI_DEVICE } from '../phb/device.ts';
import { PE, PES, peBlock } from '../phb/pe.ts';
import { E1000_IDS } from './e1000.ts';
import { resetNic } from './e1000_table.ts';
import { burnEeprom } from './eeprom.ts';
import { NIC_AREA_SIZE, nicNumber, STATE_AT, setNicArea } from './nic_area.ts';
import { resetPhy } from './phy.ts';
import { checkCables, type NicOptions, nicAreaAt } from './wire.ts';

/** The six bytes of `52:54:00:12:34:56`. @throws Error for anything else, and for a group address */
export function macBytes(mac: string): number[] {
  const bytes = mac.split(':').map((part) => (/^[0-9a-f]{2}$/i.test(part) ? Number.parseInt(part, 16) : Number.NaN));
  if (bytes.length !== 6 || bytes.some(Number.isNaN) || (bytes[0] & 1) !== 0)
    throw new Error(`${mac}: not the MAC address of a station, such as 52:54:00:12:34:56`);
  return bytes;
}

/**
 * Powers NICs on; after `installHostBridge`, which has put a device `e1000` behind each of their PEs.
 * @param netBase HPA of NIC_AREA_SIZE bytes for each, page-aligned. @param firstPe PE of the first; the others follow.
 * @throws Error for a cable or an address that cannot be
 */
export function installNics(
  memory: HostMemory,
  phbBase: number,
  netBase: number,
  nics: readonly NicOptions[],
  firstPe: number,
): void {
  checkCables(nics);
  nics.forEach((nic, number) => {
    const block = peBlock(phbBase, firstPe + number);
    const area = nicAreaAt(netBase, number);
    memory.bytes(area, NIC_AREA_SIZE).fill(0);
    setNicArea(memory, block, area, number);
    burnEeprom(memory, area, macBytes(nic.mac), E1000_IDS);
    resetPhy(memory, area);
    resetNic(memory, block, area);
    memory.store(area + STATE_AT.carrier, nic.wire !== 'none' && nic.link !== 'down' ? 1 : 0);
  });
}

/** Plugs the cable in or pulls it out, at one end; the caller rings the doorbell of the NIC's engine. */
export function setCarrier(memory: HostMemory, netBase: number, number: number, up: boolean): void {
  memory.store(nicAreaAt(netBase, number) + STATE_AT.carrier, up ? 1 : 0);
}

/** Number of the NIC behind a PE; undefined when there is none. */
export function nicBehind(memory: HostMemory, phbBase: number, pe: number): number | undefined {
  const block = peBlock(phbBase, pe);
  return memory.load(block + PE.offset.device) === PCI_DEVICE.e1000 ? nicNumber(memory, block) : undefined;
}

/** The PE that has a NIC. @throws Error when there is no such NIC */
export function peOfNic(memory: HostMemory, phbBase: number, number: number): number {
  for (let pe = 0; pe < PES; pe++) if (nicBehind(memory, phbBase, pe) === number) return pe;
  throw new Error(`there is no NIC ${number}`);
}
