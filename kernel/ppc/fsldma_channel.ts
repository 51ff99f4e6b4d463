/** One DMA channel's registers, for the drivers that own it: the host's and vfio-platform (drivers/dma/fsldma.c). */
import type { DmaChannelNode } from '../include/arch/ppc/fsl_soc.ts';
import { FSL_DMA, FSL_DMA_MR, FSL_DMA_SR_W1C } from '../include/arch/ppc/fsldma.ts';
import type { FslSocBus } from './fsl_soc_bus.ts';

export type FslDmaRegister = keyof typeof FSL_DMA;

export class FslDmaChannel {
  readonly node: DmaChannelNode;
  readonly #bus: FslSocBus;

  constructor(bus: FslSocBus, node: DmaChannelNode) {
    this.#bus = bus;
    this.node = node;
  }

  /** @param offset in the channel, 4-aligned. */
  read(offset: number): number {
    return this.#bus.read32(this.node.registers + offset) >>> 0;
  }
  write(offset: number, value: number): void {
    this.#bus.write32(this.node.registers + offset, value);
  }
  get(register: FslDmaRegister): number {
    return this.read(FSL_DMA[register]);
  }
  set(register: FslDmaRegister, value: number): void {
    this.write(FSL_DMA[register], value);
  }

  /** Aborts what the channel does and clears its registers: when it returns, the channel does nothing any more. */
  reset(): void {
    this.set('MR', FSL_DMA_MR.CA);
    for (const register of Object.keys(FSL_DMA) as FslDmaRegister[]) if (register !== 'SR') this.set(register, 0);
    this.set('SR', FSL_DMA_SR_W1C);
  }

  /** Has the channel send a message in place of its interrupt; undefined: no message. */
  setMessage(message: { readonly address: number; readonly data: number } | undefined): void {
    this.set('MSICR', 0);
    if (message === undefined) return;
    this.set('MSIARH', Math.floor(message.address / 2 ** 32));
    this.set('MSIAR', message.address % 2 ** 32);
    this.set('MSIDATA', message.data);
    this.set('MSICR', 1);
  }
}
