/** The register side of the DMA channels: what loads and stores of the kernel do. */

import { DMA_CHANNELS } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  FSL_DMA,
  FSL_DMA_BCR_MAX_CNT,
  FSL_DMA_MR,
  FSL_DMA_SR,
  FSL_DMA_SR_W1C,
} from '../../../kernel/include/arch/ppc/fsldma.ts';
import type { SocArea } from '../pamu/soc_area.ts';
import { DmaChannel, type FslDmaRegister, nextGeneration } from './channel.ts';

/** What the engine should look at: woken by its doorbell. */
export type Wake = () => void;

/** The bits that a register has, and whether it belongs to the transfer while the channel is busy. */
interface PlainRegister {
  readonly bits: number;
  readonly transfer: boolean;
}

const EXTENDED_ADDRESS: PlainRegister = { bits: 0xf, transfer: true };
const TRANSFER_WORD: PlainRegister = { bits: 0xffff_ffff, transfer: true };
/** The registers that just keep what is written; MR and SR do more. */
const PLAIN: Readonly<Partial<Record<FslDmaRegister, PlainRegister>>> = {
  ECLNDAR: EXTENDED_ADDRESS,
  CLNDAR: { bits: 0xffff_fffe, transfer: true },
  SATR: TRANSFER_WORD,
  SAR: TRANSFER_WORD,
  DATR: TRANSFER_WORD,
  DAR: TRANSFER_WORD,
  BCR: { bits: FSL_DMA_BCR_MAX_CNT, transfer: true },
  ENLNDAR: EXTENDED_ADDRESS,
  NLNDAR: TRANSFER_WORD,
  MSICR: { bits: 1, transfer: false },
  MSIARH: { bits: 0xf, transfer: false },
  MSIAR: { bits: 0xffff_ffff, transfer: false },
  MSIDATA: { bits: 0xffff_ffff, transfer: false },
  SLOW: { bits: 0xffff_ffff, transfer: false },
};
const NAMES = new Map<number, FslDmaRegister>(
  Object.entries(FSL_DMA).map(([name, offset]) => [offset, name as FslDmaRegister]),
);

/** Loads a channel's register; zero where there is none. */
export function readChannel(area: SocArea, number: number, register: number): number {
  const channel = new DmaChannel(area, number);
  if (register === FSL_DMA.SR) return channel.sr;
  const name = NAMES.get(register);
  return name === undefined ? 0 : channel.get(name);
}

/** Stores to a channel's register. @param wake called when the engine has something new to look at. */
export function writeChannel(area: SocArea, number: number, register: number, value: number, wake: Wake): void {
  const channel = new DmaChannel(area, number);
  const name = NAMES.get(register);
  if (name === 'MR') writeMode(channel, value, wake);
  else if (name === 'SR') channel.advance((old) => old & ~(value & FSL_DMA_SR_W1C));
  else if (name !== undefined) {
    const plain = PLAIN[name];
    if (plain !== undefined && !(plain.transfer && channel.busy)) channel.set(name, (value & plain.bits) >>> 0);
  }
}

/** DGSR: SR of every channel, the first in the most significant byte. */
export function readDgsr(area: SocArea): number {
  return DMA_CHANNELS.reduce((word, _, number) => ((word << 8) | new DmaChannel(area, number).sr) >>> 0, 0);
}

function writeMode(channel: DmaChannel, value: number, wake: Wake): void {
  const before = channel.get('MR');
  channel.set('MR', value);
  if ((value & FSL_DMA_MR.CA) !== 0) {
    abort(channel);
    wake();
    return;
  }
  const started = (value & FSL_DMA_MR.CS) !== 0;
  if (started === ((before & FSL_DMA_MR.CS) !== 0)) return;
  const { CB, CH } = FSL_DMA_SR;
  if (started) {
    channel.advance((old) => ((old & CB) !== 0 ? old & ~CH : nextGeneration(old, (old & FSL_DMA_SR_W1C) | CB)));
    wake();
  } else channel.advance((old) => ((old & CB) !== 0 ? old | CH : undefined));
}

/** Ends whatever the channel does; on return nothing of it goes on, not even its interrupt. */
function abort(channel: DmaChannel): void {
  channel.advance((old) => nextGeneration(old, old & FSL_DMA_SR_W1C));
  channel.area.locked(() => {});
}
