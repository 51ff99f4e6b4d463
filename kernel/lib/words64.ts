/** The halves of a 64-bit value as numbers, and back: masks and shifts of bigints make a new one each time. */
const doubleword = new BigUint64Array(1);
/** Its words, the low one first: the host is little-endian. */
const words = new Uint32Array(doubleword.buffer);

/** Bits 32 to 63, unsigned. */
export function low32(value: bigint): number {
  doubleword[0] = value;
  return words[0];
}

/** Bits 0 to 31, unsigned. */
export function high32(value: bigint): number {
  doubleword[0] = value;
  return words[1];
}

/** The unsigned value of two words, of which each may be signed. */
export function join64(high: number, low: number): bigint {
  words[0] = low;
  words[1] = high;
  return doubleword[0];
}
