/**
 * Translation of a bus address that comes as two 32-bit words, without a bigint or any other allocation: for devices
 * that move many frames. What it cannot show to be allowed goes to {@link translateHeld}, which decides, freezes and
 * logs: the two never disagree.
 */
import { TCE_PCI_READ, TCE_PCI_WRITE, tceAddress } from '../../../kernel/include/arch/ppc/tce.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { translateHeld } from './dma.ts';
import { FREEZE, freezeState, PE, peBlock, TVE } from './pe.ts';
import { cachedTce } from './tce_cache.ts';

/** The bit of the high word that selects the window: TVE_SELECT_BIT. */
const SELECT = 1 << 27;
/** Above this the rest of an address is beyond every window that the fast way handles: 2^52 bytes. */
const HIGH_LIMIT = 1 << 20;

/**
 * Translates one transaction; the caller holds dmaLock and keeps it until the data has moved.
 * @param high, low bus address. @param length bytes, at least 1, not crossing a PCIE_BOUNDARY.
 * @param write true when the device writes memory. @returns HPA; -1 when DMA is stopped, or stops now.
 */
export function translateWords(
  memory: HostMemory,
  phbBase: number,
  pe: number,
  high: number,
  low: number,
  length: number,
  write: boolean,
  tracer?: Tracer,
): number {
  const block = peBlock(phbBase, pe);
  const window = (high >>> 27) & 1;
  const rest = (high & ~SELECT) >>> 0;
  const tve = (block + PE.offset.tve0 + window * TVE.size) >>> 2;
  const { i32 } = memory;
  const shift = i32[tve + (TVE.offset.pageShift >>> 2)];
  const plain =
    rest < HIGH_LIMIT &&
    // The word of levels and levelShift: one level.
    i32[tve + (TVE.offset.levels >>> 2)] === 1 &&
    memory.load(block + PE.offset.inject) === 0 &&
    i32[tve + (TVE.offset.busOffset >>> 2)] === 0 &&
    i32[tve + (TVE.offset.busOffset >>> 2) + 1] === window * SELECT &&
    (freezeState(memory, block) & FREEZE.DMA_STOPPED) === 0;
  if (plain) {
    const offset = rest * 0x1_0000_0000 + (low >>> 0);
    const pageSize = 2 ** shift;
    const entry = Math.floor(offset / pageSize);
    if (entry < i32[tve + (TVE.offset.entries >>> 2)] >>> 0) {
      const tce = cachedTce(memory, block, window, entry, i32[tve + (TVE.offset.tableHpa >>> 2)] >>> 0);
      const hpa = tceAddress(tce, shift) + (offset - entry * pageSize);
      const allowed = (tce & (write ? TCE_PCI_WRITE : TCE_PCI_READ)) !== 0;
      if (allowed && hpa >= memory.load(block + PE.offset.firstFrame) >>> 0 && hpa + length <= memory.size) {
        tracer?.point(EVENT.phb_dma, pe, (high >>> 0) * 0x1_0000_0000 + (low >>> 0), entry, tce >>> 0);
        return hpa;
      }
    }
  }
  const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return translateHeld(memory, phbBase, pe, address, length, write, tracer) ?? -1;
}
