/** The guests that come with the machine: their images, and what their command lines tell them of it. */
import { fileURLToPath } from 'node:url';
import { phbBuid, phbMemory } from '../../devices/virtual/ppc/spapr_pci_map.ts';
import { pciLiobn } from '../../kernel/include/arch/ppc/tce.ts';
import type { MachineConfig } from '../config.ts';
import { DMA_PORT } from '../dma_port.ts';
import { UserError } from '../user_error.ts';
import { neighbourOfFirst, platformWords } from './device_option.ts';

/** Names for `--guest`. */
export const GUESTS = ['toy', 'net', 'dma'] as const;
export type Guest = (typeof GUESTS)[number];

/** The image, built by `npm run guests` and kept in the repository. */
export function guestImage(guest: Guest): string {
  return fileURLToPath(new URL(`../../guest/images/${guest}.elf`, import.meta.url));
}

const hex = (value: number | bigint) => `0x${value.toString(16)}`;

/** The words that a guest of ours needs. */
export function guestWords(guest: Guest, config: MachineConfig): string {
  return WORDS[guest](config);
}

const WORDS: Readonly<Record<Guest, (config: MachineConfig) => string>> = {
  toy: toyWords,
  net: netWords,
  dma: dmaWords,
};

/** Under memory pressure all tiers are one: nothing is compared. */
function toyWords({ drives, ccwApi = 'region', memoryPressure, pamu }: MachineConfig): string {
  const dasd = drives.find((drive) => drive.type !== 'echo');
  return [
    `liobn=${hex(DMA_PORT.liobn)} window=${hex(DMA_PORT.window)} dmaport=${hex(DMA_PORT.bar)}`,
    ...(dasd?.slow === undefined ? [] : [`slow=${dasd.slow.cylinder}`]),
    `bench=${memoryPressure ? 0 : 1}`,
    ...(ccwApi === 'region' ? [] : [`ccwapi=${ccwApi}`]),
    ...(pamu === undefined ? [] : [platformWords(pamu).trim()]),
  ].join(' ');
}

/** The first NIC, and the one that a cable leads to from it: their host bridges come behind the DMA port's. */
function netWords({ dmaPort, memory, memoryPressure, nics = [] }: MachineConfig): string {
  const wire = nics[0]?.wire;
  const used = typeof wire === 'object' && wire.elsewhere !== true ? [0, wire.pair] : [0];
  const words = used.map((nic, n) => {
    const phb = (dmaPort ? 1 : 0) + nic;
    const suffix = n === 0 ? '' : `${n + 1}`;
    const place = `nic${suffix}=${hex(phbMemory(phb))} liobn${suffix}=${hex(pciLiobn(phb, 0))}`;
    // A container that pins page by page has one window.
    return memoryPressure ? place : `${place} buid${suffix}=${hex(phbBuid(phb))}`;
  });
  // Another machine's guest is at the other end: it is that one's frames that come.
  const peer = typeof wire === 'object' && wire.elsewhere === true ? ' peer=1' : '';
  return `${words.join(' ')} mem=${hex(memory)} config=0${peer}`;
}

/**
 * Refuses a machine on which a guest of ours would wait for ever: the net guest needs back what it sends, from the plug
 * in the socket, at another NIC of its own, or, with `lbm=1`, from the NIC's own loopback; with `peer=1` it asks at the other
 * end of its cable, and tells itself when nobody is there. @param append what the user adds to its command line
 */
export function checkGuest(
  guest: Guest,
  { nics = [], pamu, label }: Pick<MachineConfig, 'nics' | 'pamu' | 'label'>,
  append: string,
): void {
  if (guest === 'dma' && label !== undefined && pamu === undefined)
    throw new UserError(
      `${label}: the dma guest has no device; give it one (--device vfio-platform,host=dma0,vm=${label.slice(2)})`,
    );
  const wire = nics[0]?.wire;
  const back = wire === undefined || wire === 'loopback' || typeof wire === 'object';
  if (guest !== 'net' || back || /(^| )(lbm|peer)=(0x0*)?[1-9a-f]/.test(append)) return;
  throw new UserError(
    `--nic wire=${wire}: the net guest needs its frames back; give its first NIC wire=loopback or pair:N, or --append lbm=1`,
  );
}

/** The platform devices, what is in front of them, where RAM ends, and which device is in another IOMMU group. */
function dmaWords({ memory, pamu }: MachineConfig): string {
  const neighbour = neighbourOfFirst(pamu);
  const words = `mem=${hex(memory)} iommu=${pamu?.iommu ?? 'pamu'}${platformWords(pamu)}`;
  return neighbour === undefined ? words : `${words} neighbour=${neighbour}`;
}
