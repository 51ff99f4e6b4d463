/**
 * What the 4K-page IOMMU does with an access. Nothing is cached: every access walks the tables, which are host memory.
 * Tables that lie where no memory is refuse like entries that are not there.
 */

import { msiDoorbell } from '../../../kernel/include/arch/ppc/fsl_msi.ts';
import { CCSR_BASE, MPIC_SOURCE, PHYSICAL_ADDRESS_LIMIT } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  IOMMU4K_ADDRESS_LIMIT,
  IOMMU4K_DEVICE,
  IOMMU4K_DEVICES,
  IOMMU4K_ENTRY,
  IOMMU4K_FAULT,
  IOMMU4K_LEVELS,
  IOMMU4K_MESSAGE,
  IOMMU4K_MESSAGE_VALID,
  IOMMU4K_MESSAGES,
  IOMMU4K_PAGE,
  type Iommu4kFault,
} from '../../../kernel/include/arch/ppc/iommu4k.ts';
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import { msiModel, postMessage } from '../mpic/msi_bank.ts';
import type { SocArea } from '../pamu/soc_area.ts';
import type { SocPort } from '../pamu/soc_port.ts';
import { iommu4kWord, setIommu4kWord } from './page_iommu_area.ts';

/** An access of a device, not crossing a 4 KiB boundary. */
export interface Iommu4kAccess {
  readonly liodn: number;
  readonly address: number;
  readonly length: number;
  readonly write: boolean;
}

/** Whether this unit, and not the PAMUs, decides what devices may do. */
export function iommu4kEnabled(area: SocArea): boolean {
  return iommu4kWord(area, 'enabled') !== 0;
}

/** A word of a table, or 0 where no memory is. */
function word(area: SocArea, at: number): number {
  return at >= area.get('firstFrame') && at + 4 <= area.memory.size ? area.memory.load(at) >>> 0 : 0;
}

function deviceEntry(area: SocArea, liodn: number): number {
  return liodn < IOMMU4K_DEVICES ? word(area, iommu4kWord(area, 'deviceTable') + liodn * IOMMU4K_ENTRY.DEVICE) : 0;
}

/** The host-physical address, or why not. The caller holds the area's lock until the data has moved. */
export function translate4k(area: SocArea, { liodn, address, write }: Iommu4kAccess): number | Iommu4kFault {
  const device = deviceEntry(area, liodn);
  if ((device & IOMMU4K_DEVICE.PASS) !== 0) return address;
  if ((device & IOMMU4K_DEVICE.TRANSLATE) === 0) return 'BLOCKED';
  if (address >= IOMMU4K_ADDRESS_LIMIT) return 'NOT_MAPPED';
  let table = device - (device % PAGE_SIZE);
  let left = address;
  const needed = write ? IOMMU4K_PAGE.WRITE : IOMMU4K_PAGE.READ;
  for (const size of IOMMU4K_LEVELS) {
    const entry = word(area, table + Math.floor(left / size) * IOMMU4K_ENTRY.PAGE);
    left %= size;
    if ((entry & (IOMMU4K_PAGE.READ | IOMMU4K_PAGE.WRITE)) === 0) return 'NOT_MAPPED';
    if ((entry & needed) === 0) return 'PERMISSION';
    const target = entry - (entry % PAGE_SIZE);
    if (size === PAGE_SIZE || (entry & IOMMU4K_PAGE.LARGE) !== 0) return target + left;
    table = target;
  }
  return 'NOT_MAPPED';
}

/** Lets an access through, or registers the fault. The lock is held. */
export function pass4k(port: SocPort, access: Iommu4kAccess): { readonly physical: number } | undefined {
  const physical = translate4k(port.area, access);
  if (typeof physical === 'number' && physical < PHYSICAL_ADDRESS_LIMIT) return { physical };
  fault(port, access, typeof physical === 'number' ? 'NOT_MAPPED' : physical);
  return undefined;
}

/**
 * A write to the message window of a device that is translated: remapped and delivered, or a fault. The lock is held.
 * @returns what the interconnect says of the write; 'memory' when it is none of these
 */
export function remapMessage(
  port: SocPort,
  access: Iommu4kAccess,
): { readonly physical: number } | 'memory' | undefined {
  const { area } = port;
  const { liodn, address, length } = access;
  const { start, size, stride } = IOMMU4K_MESSAGES;
  if (address < start || address >= start + size) return 'memory';
  // The host itself, and devices that it lets pass, have memory there.
  if ((deviceEntry(area, liodn) & IOMMU4K_DEVICE.PASS) !== 0) return 'memory';
  const index = (address - start) / stride;
  const entry = iommu4kWord(area, 'messageTable') + Math.floor(index) * IOMMU4K_ENTRY.MESSAGE;
  const field = (name: keyof typeof IOMMU4K_MESSAGE) => word(area, entry + IOMMU4K_MESSAGE[name]);
  const model = msiModel(area);
  const bank = field('BANK');
  const good = Number.isInteger(index) && length === 4 && (field('FLAGS') & IOMMU4K_MESSAGE_VALID) !== 0;
  if (!good || field('LIODN') !== liodn || bank >= model.banks) {
    fault(port, access, 'MESSAGE');
    return undefined;
  }
  // The data is the entry's: what the device has written does not count.
  postMessage(port, bank, field('DATA'), liodn);
  return { physical: CCSR_BASE + msiDoorbell(model, bank) };
}

/** The first fault is kept until the kernel takes it; all are counted. */
function fault(port: SocPort, { liodn, address, write }: Iommu4kAccess, reason: Iommu4kFault): void {
  const { area } = port;
  setIommu4kWord(area, 'faults', iommu4kWord(area, 'faults') + 1);
  if (iommu4kWord(area, 'pending') !== 0) return;
  setIommu4kWord(area, 'liodn', liodn);
  setIommu4kWord(area, 'addressHigh', Math.floor(address / 2 ** 32));
  setIommu4kWord(area, 'addressLow', address % 2 ** 32);
  setIommu4kWord(area, 'write', write ? 1 : 0);
  setIommu4kWord(area, 'reason', IOMMU4K_FAULT[reason]);
  setIommu4kWord(area, 'pending', 1);
  port.interrupt(MPIC_SOURCE.ERROR);
}
