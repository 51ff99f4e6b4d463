/**
 * DMA through the bridge: a bus address selects a window (bit 59), the window's table an entry, the entry a host page.
 * What is refused freezes the PE (Linux arch/powerpc/platforms/powernv/pci-ioda.c; PAPR, "Enhanced I/O Error Handling").
 */

import {
  TCE_PCI_READ,
  TCE_PCI_WRITE,
  TCE_SIZE,
  TVE_SELECT_BIT,
  tceAddress,
} from '../../../kernel/include/arch/ppc/tce.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import {
  FREEZE,
  freezePe,
  freezeState,
  INJECT,
  injectedError,
  lockDma,
  PE,
  PE_ERROR,
  peBlock,
  tveAt,
  unlockDma,
} from './pe.ts';
import { cachedTce } from './tce_cache.ts';
import { tceLevel } from './tce_table.ts';

/**
 * Bytes that no transaction crosses a multiple of (PCI Express Base Specification 2.2.7); the smallest IOMMU page, so
 * one transaction has one entry.
 */
export const PCIE_BOUNDARY = 4096;

/** A piece of a DMA in host memory. */
export interface DmaSegment {
  readonly hpa: number;
  readonly length: number;
}

/** A translation: the bytes up to the end of the IOMMU page, or why there is none. */
type Translation =
  | { readonly hpa: number; readonly left: number; readonly entry: number; readonly tce: number }
  | { readonly reason: number };

function translatePage(
  memory: HostMemory,
  block: number,
  address: bigint,
  length: number,
  write: boolean,
): Translation {
  if (injectedError(memory, block, write ? INJECT.DMA_WRITE : INJECT.DMA_READ, address))
    return { reason: PE_ERROR.INJECTED };
  const window = Number((address >> TVE_SELECT_BIT) & 1n);
  const tve = tveAt(memory, block, window);
  if (tve.entries === 0) return { reason: PE_ERROR.NO_WINDOW };
  const pageSize = 2 ** tve.pageShift;
  const offset = address - tve.busOffset;
  // Bits above 59 stay in the entry number, which is then beyond any table. At most 52 bits: exact.
  const entry = Number(offset >> BigInt(tve.pageShift));
  if (entry >= tve.entries) return { reason: PE_ERROR.OUT_OF_RANGE };
  const firstFrame = memory.load(block + PE.offset.firstFrame) >>> 0;
  let table = tve.tableHpa;
  if (tve.levels > 1) {
    const { levelShift } = tve;
    table = tceLevel(memory, table, tve.levels, levelShift, entry, firstFrame);
    // Nobody takes a level away from a table in use: the caches of entries need not know of levels.
    if (table <= 0) return { reason: table === 0 ? PE_ERROR.NO_PERMISSION : PE_ERROR.BAD_ADDRESS };
    table -= (entry - (entry % 2 ** levelShift)) * TCE_SIZE;
  }
  const tce = cachedTce(memory, block, window, entry, table);
  if ((tce & (write ? TCE_PCI_WRITE : TCE_PCI_READ)) === 0) return { reason: PE_ERROR.NO_PERMISSION };
  const inPage = Number(offset % BigInt(pageSize));
  const left = pageSize - inPage;
  const hpa = tceAddress(tce, tve.pageShift) + inPage;
  if (hpa < firstFrame || hpa + Math.min(left, length) > memory.size) return { reason: PE_ERROR.BAD_ADDRESS };
  return { hpa, left, entry, tce };
}

/**
 * Translates one transaction; the caller holds dmaLock and keeps it until the data has moved.
 * @param address bus address. @param length bytes, not crossing a {@link PCIE_BOUNDARY}.
 * @param write true when the device writes memory. @returns HPA; undefined when DMA is stopped, or stops now.
 */
export function translateHeld(
  memory: HostMemory,
  phbBase: number,
  pe: number,
  address: bigint,
  length: number,
  write: boolean,
  tracer?: Tracer,
): number | undefined {
  const block = peBlock(phbBase, pe);
  if ((freezeState(memory, block) & FREEZE.DMA_STOPPED) !== 0) return undefined;
  const found = translatePage(memory, block, address, length, write);
  if ('hpa' in found) {
    tracer?.point(EVENT.phb_dma, pe, Number(address), found.entry, found.tce >>> 0);
    return found.hpa;
  }
  freezePe(memory, phbBase, pe, { reason: found.reason, address, length }, tracer);
  return undefined;
}

/**
 * Translates a range, IOMMU page by IOMMU page. A kill may follow at once: a device that is to move data translates
 * each transaction with {@link translateHeld} instead.
 * @param busAddress 64 bits. @param length bytes, at least 1. @param write true when the device writes memory.
 * @returns the pieces in order, all inside host memory; undefined when any was refused, which freezes the PE, or when
 *   the PE's DMA was already stopped.
 * @throws RangeError when the length is not positive.
 */
export function dmaTranslate(
  memory: HostMemory,
  phbBase: number,
  pe: number,
  busAddress: bigint,
  length: number,
  write: boolean,
  tracer?: Tracer,
): DmaSegment[] | undefined {
  if (!(length >= 1)) throw new RangeError(`DMA of ${length} bytes`);
  const block = peBlock(phbBase, pe);
  const segments: DmaSegment[] = [];
  lockDma(memory, block);
  try {
    if ((freezeState(memory, block) & FREEZE.DMA_STOPPED) !== 0) return undefined;
    for (let done = 0; done < length; ) {
      const address = busAddress + BigInt(done);
      const found = translatePage(memory, block, address, length - done, write);
      if (!('hpa' in found)) {
        freezePe(memory, phbBase, pe, { reason: found.reason, address, length: length - done }, tracer);
        return undefined;
      }
      tracer?.point(EVENT.phb_dma, pe, Number(address), found.entry, found.tce >>> 0);
      const piece = Math.min(found.left, length - done);
      segments.push({ hpa: found.hpa, length: piece });
      done += piece;
    }
    return segments;
  } finally {
    unlockDma(memory, block);
  }
}
