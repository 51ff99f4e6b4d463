/**
 * The hardware's TCE table: 64-bit big-endian entries in host memory, in one level or several. Above the lowest level an
 * entry names the table of the next one, with both permission bits; it is empty without them.
 *
 * Host memory is smaller than 4 GiB, so the high word of an entry is zero from the clearing of the table on, and
 * nobody writes it again: exchanging the low word exchanges the entry, atomically and without a bigint, which
 * real-mode code could not allocate. Every access is of the same 32-bit words, so all are in one total order.
 */
import { TCE_PERMISSION_MASK, TCE_SIZE } from '../../../kernel/include/arch/ppc/tce.ts';
import { type HostMemory, PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';

/** Byte offset of the low word in a big-endian entry. */
export const TCE_LOW = 4;

/** Reverses the bytes of a 32-bit word; the result is signed, as an atomic word is. */
function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** Most levels a table may have (Linux POWERNV_IOMMU_MAX_LEVELS). */
export const MAX_TCE_LEVELS = 5;

/** Place in its level of the entry that leads to entry `entry`; level 0 is the lowest. @param shift log2 of the entries in a level. */
function indexInLevel(entry: number, level: number, shift: number): number {
  const bits = level * shift;
  return bits > 31 ? 0 : (entry >>> bits) & ((1 << shift) - 1);
}

/**
 * HPA of the lowest level's table with entry `entry`, which stands there at `entry` modulo its size.
 * @param shift log2 of the entries in a level. @param lowest tables below this HPA are none. @param stop level whose table is wanted: 0 is the lowest.
 * @returns 0 when a level is missing; -1 when an entry names no host memory.
 */
export function tceLevel(
  memory: HostMemory,
  root: number,
  levels: number,
  shift: number,
  entry: number,
  lowest = 0,
  stop = 0,
): number {
  let table = root;
  for (let level = levels - 1; level > stop; level--) {
    const next = fetchTce(memory, table, indexInLevel(entry, level, shift));
    if ((next & TCE_PERMISSION_MASK) === 0) return 0;
    table = next - (next % PAGE_SIZE);
    if (table < lowest || table + TCE_SIZE * 2 ** shift > memory.size) return -1;
  }
  return table;
}

/** Puts a cleared table of the next level below `table`, which is of level `level`, on the way to entry `entry`. */
export function linkTceLevel(
  memory: HostMemory,
  table: number,
  level: number,
  shift: number,
  entry: number,
  next: number,
): void {
  exchangeTce(memory, table, indexInLevel(entry, level, shift), next + TCE_PERMISSION_MASK);
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
