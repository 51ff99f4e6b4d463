/**
 * DMA of a NIC's engine: every transaction is translated and moved under the PE's dmaLock, and belongs to an epoch: one
 * that the kernel has ended since gets nothing done. No allocation, no bigint.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import type { Tracer } from '../../../kernel/lib/trace.ts';
import { PCI_COMMAND, pciCommand } from '../phb/config_space.ts';
import { PCIE_BOUNDARY } from '../phb/dma.ts';
import { translateWords } from '../phb/dma_words.ts';
import { lockDma, peBlock, unlockDma } from '../phb/pe.ts';

/** Where a NIC's DMA goes through. */
export interface NicDmaOptions {
  readonly memory: HostMemory;
  readonly phbBase: number;
  readonly pe: number;
  readonly tracer?: Tracer;
}

/** Bytes up to the next boundary that no transaction crosses. */
function toBoundary(low: number): number {
  return PCIE_BOUNDARY - (low & (PCIE_BOUNDARY - 1));
}

/** The transactions of one side (sending or receiving). */
export class NicDma {
  readonly #memory: HostMemory;
  readonly #phbBase: number;
  readonly #pe: number;
  readonly #block: number;
  readonly #tracer: Tracer | undefined;
  readonly #epochAt: number;
  /** The epoch that transactions belong to. */
  epoch = 0;

  /** @param epochAt HPA of the side's epoch word. */
  constructor(options: NicDmaOptions, epochAt: number) {
    this.#memory = options.memory;
    this.#phbBase = options.phbBase;
    this.#pe = options.pe;
    this.#block = peBlock(options.phbBase, options.pe);
    this.#tracer = options.tracer;
    this.#epochAt = epochAt;
  }

  /** Takes dmaLock and translates; -1, and the lock released, when nothing may move. */
  #begin(high: number, low: number, length: number, write: boolean): number {
    const memory = this.#memory;
    lockDma(memory, this.#block);
    const current = memory.load(this.#epochAt) === this.epoch;
    if (current && (pciCommand(memory, this.#block) & PCI_COMMAND.MASTER) !== 0) {
      const hpa = translateWords(memory, this.#phbBase, this.#pe, high, low, length, write, this.#tracer);
      if (hpa >= 0) return hpa;
    }
    unlockDma(memory, this.#block);
    return -1;
  }

  /** Moves `length` bytes of memory at a bus address to `target`; false when refused, which froze the PE, or ended. */
  read(high: number, low: number, target: number, length: number): boolean {
    return this.#move(high, low, target, length, false);
  }

  /** Moves `length` bytes at `source` to memory at a bus address; false as {@link read}. */
  write(high: number, low: number, source: number, length: number): boolean {
    return this.#move(high, low, source, length, true);
  }

  /** Moves bytes between a bus address and `local`, one transaction for each stretch between boundaries. */
  #move(high: number, low: number, local: number, length: number, write: boolean): boolean {
    const { u8 } = this.#memory;
    let atHigh = high;
    let atLow = low >>> 0;
    for (let done = 0; done < length; ) {
      const piece = Math.min(length - done, toBoundary(atLow));
      const hpa = this.#begin(atHigh, atLow, piece, write);
      if (hpa < 0) return false;
      const at = local + done;
      if (write) u8.copyWithin(hpa, at, at + piece);
      else u8.copyWithin(at, hpa, hpa + piece);
      unlockDma(this.#memory, this.#block);
      done += piece;
      atLow += piece;
      if (atLow >= 0x1_0000_0000) {
        atLow -= 0x1_0000_0000;
        atHigh = (atHigh + 1) | 0;
      }
    }
    return true;
  }

  /** Fetches descriptors, which do not cross a boundary, as native words. */
  fetchDescriptors(high: number, low: number, into: Int32Array, count: number): boolean {
    const hpa = this.#begin(high, low, count * 16, false);
    if (hpa < 0) return false;
    const { i32 } = this.#memory;
    for (let i = 0, from = hpa >>> 2; i < count * 4; i++) into[i] = i32[from + i];
    unlockDma(this.#memory, this.#block);
    return true;
  }

  /**
   * Writes the last two words of descriptors `first` to `end` of `words` back to a ring's memory, of which `low` is
   * descriptor `first`; of those only that `mask` bit `i` is set for. The last word, with DD, comes last and is atomic:
   * whoever sees DD sees the rest, and the frame.
   */
  writeBack(high: number, low: number, words: Int32Array, first: number, end: number, mask: number): boolean {
    const hpa = this.#begin(high, low, (end - first) * 16, true);
    if (hpa < 0) return false;
    const memory = this.#memory;
    for (let i = first; i < end; i++) {
      if ((mask & (1 << i)) === 0) continue;
      const at = hpa + (i - first) * 16;
      memory.i32[(at + 8) >>> 2] = words[i * 4 + 2];
      memory.store(at + 12, words[i * 4 + 3]);
    }
    unlockDma(memory, this.#block);
    return true;
  }
}
