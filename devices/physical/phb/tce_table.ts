/**
 * The hardware's TCE table: 64-bit big-endian entries in host memory, one level.
 *
 * Host memory is smaller than 4 GiB, so the high word of an entry is zero from the clearing of the table on, and
 * nobody writes it again: exchanging the low word exchanges the entry, atomically and without a bigint, which
 * real-mode code could not allocate. Every access is of the same 32-bit words, so all are in one total order.
 */
import { TCE_PERMISSION_MASK, TCE_SIZE } from '../../../kernel/include/arch/ppc/tce.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';

/** Byte offset of the low word in a big-endian entry. */
export const TCE_LOW = 4;

/** Reverses the bytes of a 32-bit word; the result is signed, as an atomic word is. */
function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** Clears a table. The kernel's, before any window uses it. */
export function clearTceTable(memory: HostMemory, tableHpa: number, entries: number): void {
  memory.bytes(tableHpa, entries * TCE_SIZE).fill(0);
}

/** The entry as software left it. @returns HPA and permission bits, below 2^32. */
export function readTce(memory: HostMemory, tableHpa: number, entry: number): number {
  return swap32(memory.load(tableHpa + entry * TCE_SIZE + TCE_LOW)) >>> 0;
}

/**
 * Replaces an entry atomically; callable in real mode. The PE's cache keeps the old one until it is killed.
 * @param tce HPA and permission bits, below 2^32. @returns the old entry.
 */
export function exchangeTce(memory: HostMemory, tableHpa: number, entry: number, tce: number): number {
  return swap32(memory.exchange(tableHpa + entry * TCE_SIZE + TCE_LOW, swap32(tce))) >>> 0;
}

/**
 * The entry as the hardware fetches it: all 64 bits count. An address of 4 GiB or more reads as 4 GiB, which is beyond
 * any host memory; the permission bits are exact.
 */
export function fetchTce(memory: HostMemory, tableHpa: number, entry: number): number {
  const low = readTce(memory, tableHpa, entry);
  if (memory.load(tableHpa + entry * TCE_SIZE) === 0) return low;
  return 0x1_0000_0000 + (low & TCE_PERMISSION_MASK);
}
