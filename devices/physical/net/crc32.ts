/** Checksums of frames: the frame check sequence and the Internet checksum. */

/** The polynomial of Ethernet, reflected (IEEE 802.3-2018, 3.2.9). */
const POLYNOMIAL = 0xedb88320;

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/** Frame check sequence of `[at, at + length)`, as the little-endian word that follows a frame. */
export function frameCheck(u8: Uint8Array, at: number, length: number): number {
  let crc = -1;
  for (let i = at; i < at + length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ u8[i]) & 0xff];
  return ~crc >>> 0;
}

/** One's complement sum of big-endian 16-bit words, not inverted (RFC 1071). */
export function internetSum(u8: Uint8Array, at: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (i & 1) === 0 ? u8[at + i] << 8 : u8[at + i];
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}
