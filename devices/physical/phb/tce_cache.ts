/**
 * A PE's TCE cache: 64 slots, direct-mapped by entry number. A slot keeps what the table held when it was filled, so a
 * table change without a kill goes unnoticed, as in the hardware.
 *
 * A slot is two words: tag (entry << 2 | window << 1 | valid; 0 when empty) and the entry's low word. Hardware
 * installs, holding dmaLock, so data word and tag fit each other for whoever holds it; killers only clear tags and do
 * not take the lock.
 *
 * **Nothing read before a kill survives it.** All accesses are sequentially consistent atomics, so they are in one
 * total order. Killer: (T) table entry changed, (K1) killSequence + 1, (K2) tag read, cleared if it matches, (K3)
 * drain. Hardware, holding dmaLock: (H1) killSequence read, (H2) table entry read, (H3) slot installed, (H4)
 * killSequence read again, slot cleared if it differs from H1. Let H2 precede T, so that the old entry was read. Then
 * H1 precedes K1.
 * - If H4 precedes K1, then H3 precedes K2, and the killer clears the slot.
 * - If K1 precedes H4, then H4 differs from H1, and the hardware clears the slot itself.
 * In the second case the slot is stale for a moment, and in both cases the DMA that caused the fill still uses the old
 * entry. That lies inside dmaLock, which the killer drains at K3: when the kill returns, neither the slot nor the DMA
 * is left, and the page may be unpinned. A DMA that takes the lock after K3 looked at it finds the slot empty and
 * reads the table after T. (The sequence number wraps after 2^32 kills; none of the sections above lasts so long.)
 */

import { TCE_PERMISSION_MASK } from '../../../kernel/include/arch/ppc/tce.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { drainDma, lockDma, PE, PE_PART, peBlock, unlockDma } from './pe.ts';
import { fetchTce } from './tce_table.ts';

/** Slots of a PE's cache. */
export const TCE_CACHE_SLOTS = 64;
/** Bytes of a slot; its tag is the first word. */
export const TCE_CACHE_SLOT_SIZE = 8;
const DATA = 4;
/** Given as the count of a kill: every entry there can be. */
export const ALL_ENTRIES = 2 ** 32;

/** Entries of a window that tags can tell apart. */
export const MOST_ENTRIES = 2 ** 30;
/** Bit of a tag: the slot is in use. */
export const VALID = 1;
const tagOf = (window: number, entry: number) => ((entry << 2) | (window << 1) | VALID) >>> 0;
const slotOf = (block: number, entry: number) =>
  block + PE_PART.tceCache + (entry & (TCE_CACHE_SLOTS - 1)) * TCE_CACHE_SLOT_SIZE;

/** A constant, not a property: kills are on the hypercall path. */
const KILL_SEQUENCE_AT = PE.offset.killSequence;

/**
 * Removes cached entries and returns when no DMA uses them any more. Runs on any thread, in real mode too: shared
 * memory only, no allocation, at most 64 turns; waits at most for the one transaction (a page) that is under way.
 * The entries were changed before.
 * @param first number of the first entry. @param count entries, {@link ALL_ENTRIES} for all.
 * @param window 0 or 1; both when omitted.
 */
export function tceKillRm(
  memory: HostMemory,
  phbBase: number,
  pe: number,
  first: number,
  count: number,
  window = -1,
): void {
  const block = peBlock(phbBase, pe);
  invalidateTces(memory, block, first, count, window);
  drainDma(memory, block);
}

/** Steps K1 and K2 of a kill, for a caller who holds dmaLock and so has nothing to drain. */
export function invalidateTces(memory: HostMemory, block: number, first: number, count: number, window = -1): void {
  memory.add(block + KILL_SEQUENCE_AT, 1);
  const turns = Math.min(count, TCE_CACHE_SLOTS);
  for (let i = 0; i < turns; i++) {
    const slot = slotOf(block, first + i);
    const tag = memory.load(slot);
    const entry = tag >>> 2;
    if (tag === 0 || entry < first || entry >= first + count) continue;
    if (window < 0 || ((tag >>> 1) & 1) === window) memory.store(slot, 0);
  }
}

/**
 * The entry as the PE sees it: from the cache, else from the table, installing it. The caller holds dmaLock.
 * Entries without permission, or with an address the host cannot have, are not kept.
 * @param tableHpa where entry 0 would stand, if the table were one with the level that `entry` is in.
 * @returns HPA and permission bits as {@link fetchTce}.
 */
export function cachedTce(memory: HostMemory, block: number, window: number, entry: number, tableHpa: number): number {
  const slot = slotOf(block, entry);
  const tag = tagOf(window, entry);
  if (memory.load(slot) >>> 0 === tag) return memory.load(slot + DATA) >>> 0;
  const before = memory.load(block + KILL_SEQUENCE_AT);
  const tce = fetchTce(memory, tableHpa, entry);
  if ((tce & TCE_PERMISSION_MASK) === 0 || tce >= 0x1_0000_0000) return tce;
  memory.store(slot + DATA, tce);
  memory.store(slot, tag);
  if (memory.load(block + KILL_SEQUENCE_AT) !== before) memory.store(slot, 0);
  return tce;
}

/** One cached entry. */
export interface CachedTce {
  readonly window: number;
  readonly entry: number;
  /** HPA and permission bits. */
  readonly tce: number;
}

/** What the cache holds: for inspection, and for the rule that it is a subset of the tables. Takes dmaLock. */
export function tceCacheEntries(memory: HostMemory, phbBase: number, pe: number): CachedTce[] {
  const block = peBlock(phbBase, pe);
  const found: CachedTce[] = [];
  lockDma(memory, block); // else a slot's tag and data may be of different entries
  for (let i = 0; i < TCE_CACHE_SLOTS; i++) {
    const slot = slotOf(block, i);
    const tag = memory.load(slot);
    if (tag !== 0) found.push({ window: (tag >>> 1) & 1, entry: tag >>> 2, tce: memory.load(slot + DATA) >>> 0 });
  }
  unlockDma(memory, block);
  return found;
}
