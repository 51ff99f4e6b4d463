/**
 * A DMA channel as both of its sides see it: the register side on the kernel's thread, the engine on a hardware thread.
 *
 * | words | written by | how |
 * |---|---|---|
 * | SR | both | compare and exchange; SR itself in the low byte, above it a generation that every start and abort advances |
 * | MR, MSI registers, SLOW | kernel | atomic words, read by the engine when it needs them |
 * | the other registers | kernel while the channel is not busy (ignored otherwise), engine while it is, holding the area's lock | SR.CB carries them over |
 *
 * An engine whose transfer was aborted, even if another began meanwhile, finds another generation, stops, and reports
 * nothing. It looks with the lock held before it moves anything; so when abort has taken the lock once, nothing moves.
 */
import {
  CCSR,
  DMA_CHANNEL_SIZE,
  DMA_CHANNELS,
  type DmaChannelNode,
  GUTS,
} from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA, FSL_DMA_SR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import type { BusMaster } from '../pamu/interconnect.ts';
import type { SocArea } from '../pamu/soc_area.ts';

export type FslDmaRegister = keyof typeof FSL_DMA;

/** SR in the state word. */
const SR_MASK = 0xff;
const GENERATION_SHIFT = 8;
/** Bits of a LIODN register (p4080si-post.dtsi, fsl,liodn-bits). */
export const LIODN_MASK = 0xfff;

export class DmaChannel {
  readonly number: number;
  readonly node: DmaChannelNode;
  readonly area: SocArea;

  constructor(area: SocArea, number: number) {
    this.area = area;
    this.number = number;
    this.node = DMA_CHANNELS[number];
  }

  get(register: FslDmaRegister): number {
    return this.area.load(this.node.registers + FSL_DMA[register]);
  }
  set(register: FslDmaRegister, value: number): void {
    this.area.store(this.node.registers + FSL_DMA[register], value);
  }

  /** SR with the generation. */
  get state(): number {
    return this.get('SR') | 0;
  }
  get busy(): boolean {
    return (this.state & FSL_DMA_SR.CB) !== 0;
  }
  get halted(): boolean {
    return (this.state & FSL_DMA_SR.CH) !== 0;
  }
  /** SR as software reads it. */
  get sr(): number {
    return this.state & SR_MASK;
  }

  /** Whether the transfer that began with the state `started` is still the channel's. */
  alive(started: number): boolean {
    const { state } = this;
    return (state & FSL_DMA_SR.CB) !== 0 && state >> GENERATION_SHIFT === started >> GENERATION_SHIFT;
  }

  /** Changes the state; `next` sees the current one and may refuse by returning undefined. @returns whether it did. */
  advance(next: (old: number) => number | undefined): boolean {
    const at = this.area.at(this.node.registers + FSL_DMA.SR);
    for (;;) {
      const old = this.area.memory.load(at);
      const wanted = next(old);
      if (wanted === undefined) return false;
      // Fails only when the other side has just changed it, which each does a few times a transfer.
      if (this.area.memory.cas(at, old, wanted) === old) return true;
    }
  }

  /** The channel as the interconnect knows it. */
  master(): BusMaster {
    return { pamu: this.node.pamu, liodn: this.area.load(GUTS.DMA_LIODNR + 4 * this.number) & LIODN_MASK };
  }
}

/** The next generation of `old` with the given SR. */
export function nextGeneration(old: number, sr: number): number {
  return (((old >> GENERATION_SHIFT) + 1) << GENERATION_SHIFT) | sr;
}

/** The channel and the register at an offset in CCSR; undefined where no channel is. */
export function channelAt(offset: number): { readonly number: number; readonly register: number } | undefined {
  const number = Math.floor((offset - DMA_CHANNELS[0].registers) / DMA_CHANNEL_SIZE);
  if (offset < CCSR.DMA || number < 0 || number >= DMA_CHANNELS.length) return undefined;
  return { number, register: offset - DMA_CHANNELS[number].registers };
}
