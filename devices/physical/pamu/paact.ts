/**
 * Entries of the PAMU's tables in host memory, word by word: big-endian, each word read and written atomically, so that
 * a PAMU sees a change of AP or V at once or not yet.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';

/** Reverses the bytes of a 32-bit word; the result is signed, as an atomic word is. */
export function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** A word of an entry, unsigned. @param entryHpa of the PAACE, 64-aligned. @param offset of `PAACE.offset`. */
export function readPaaceWord(memory: HostMemory, entryHpa: number, offset: number): number {
  return swap32(memory.load(entryHpa + offset)) >>> 0;
}

/** Stores a word of an entry. No PAMU caches it; for what may still be under way, see `kernel/ppc/fsl_soc_bus.ts`. */
export function writePaaceWord(memory: HostMemory, entryHpa: number, offset: number, value: number): void {
  memory.store(entryHpa + offset, swap32(value));
}
