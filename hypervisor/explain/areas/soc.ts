/** The SoC's registers and PAMU's tables in memory. */
import { SocArea } from '../../../devices/physical/pamu/soc_area.ts';
import { CCSR, DMA_CHANNELS } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA } from '../../../kernel/include/arch/ppc/fsldma.ts';
import {
  PAACE,
  PAACE_IA,
  PAACE_WIN,
  PAMU,
  PPAACE_AF,
  windowCount,
  windowSize,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import type { MachineMemory, Placed } from '../peek.ts';

/** Registers that follow each other, as a program would load them. */
interface Registers {
  /** Big-endian. */
  readonly bytes: Uint8Array;
  /** Of the first one, from CCSR. */
  readonly offset: number;
}

function registers({ memory, map }: MachineMemory, offset: number, count: number): Registers {
  const area = new SocArea(memory, map.soc);
  const bytes = new Uint8Array(4 * count);
  const dv = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) dv.setUint32(at, area.load(offset + at));
  return { bytes, offset };
}

/** POEAH, POEAL, AVS1, AVS2, AVAH, AVAL of PAMU 0. */
export function violationRegisters(machine: MachineMemory): Registers {
  return registers(machine, CCSR.PAMU + PAMU.POEAH, (PAMU.AVAL - PAMU.POEAH) / 4 + 1);
}

/** MR to BCR of a DMA channel. The status has a counter of the model above it, left out here. */
export function channelRegisters(machine: MachineMemory, channel: number): Registers {
  const found = registers(machine, DMA_CHANNELS[channel].registers, FSL_DMA.BCR / 4 + 1);
  const dv = new DataView(found.bytes.buffer);
  dv.setUint32(FSL_DMA.SR, dv.getUint32(FSL_DMA.SR) & FSL_DMA_SR_MASK);
  return found;
}
/** SR has eight bits. */
const FSL_DMA_SR_MASK = 0xff;

/** The primary entry of a LIODN. */
export function primaryEntry(machine: MachineMemory, liodn: number): Placed {
  const hpa = new SocArea(machine.memory, machine.map.soc).load(CCSR.PAMU + PAMU.PPBAL) + liodn * PAACE.size;
  return { bytes: machine.memory.bytes(hpa, PAACE.size).slice(), hpa };
}

/** How the aperture of a LIODN is divided. */
export interface Windows {
  readonly base: number;
  readonly size: number;
  readonly count: number;
}
/** The aperture of a primary entry. */
export function windowsOf({ bytes }: Placed): Windows {
  const { wbah, addr_bitfields: af, impl_attr } = PAACE.at(new DataView(bytes.buffer, bytes.byteOffset));
  return {
    base: wbah * 0x1_0000_0000 + ((af & PPAACE_AF.mask.WBAL) >>> 0),
    size: windowSize(PPAACE_AF.get(af, 'WSE')),
    count: PPAACE_AF.get(af, 'MW') === 1 ? windowCount(PAACE_IA.get(impl_attr, 'WCE')) : 1,
  };
}

/** The secondary entry of window `number`, 1 or more, of a primary entry. */
export function secondaryEntry(machine: MachineMemory, primary: Placed, number: number): Placed {
  const { fspi } = PAACE.at(new DataView(primary.bytes.buffer, primary.bytes.byteOffset));
  const table = new SocArea(machine.memory, machine.map.soc).load(CCSR.PAMU + PAMU.SPBAL);
  const hpa = table + (fspi + number - 1) * PAACE.size;
  return { bytes: machine.memory.bytes(hpa, PAACE.size).slice(), hpa };
}

/** Bytes that an entry's window maps. */
export function mappedSize({ bytes }: Placed): number {
  const { win_bitfields } = PAACE.at(new DataView(bytes.buffer, bytes.byteOffset));
  return windowSize(PAACE_WIN.get(win_bitfields, 'SWSE'));
}
