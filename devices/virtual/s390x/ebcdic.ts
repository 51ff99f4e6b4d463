/** EBCDIC code page 037 and ASCII, for SCLP messages and identification blocks. */

/** The printable ASCII characters, 0x20 to 0x7e, in code page 037 (IBM CDRA, CCSID 37). */
const CP037 =
  '405a7f7b5b6c507d4d5d5c4e6b604b61f0f1f2f3f4f5f6f7f8f97a5e4c7e6e6f' +
  '7cc1c2c3c4c5c6c7c8c9d1d2d3d4d5d6d7d8d9e2e3e4e5e6e7e8e9bae0bbb06d' +
  '79818283848586878889919293949596979899a2a3a4a5a6a7a8a9c04fd0a1';
const FIRST = 0x20;

const TO_EBCDIC = new Uint8Array(256).fill(0x6f);
const TO_ASCII = new Uint8Array(256).fill(0x3f);
for (let i = 0; i < CP037.length / 2; i++) {
  const code = Number.parseInt(CP037.slice(2 * i, 2 * i + 2), 16);
  TO_EBCDIC[FIRST + i] = code;
  TO_ASCII[code] = FIRST + i;
}
// New line: X'15' in text that comes from EBCDIC programs, X'25' line feed.
TO_ASCII[0x15] = TO_ASCII[0x25] = 0x0a;
TO_ASCII[0x05] = 0x09;
TO_ASCII[0x00] = 0x20;

/** ASCII bytes of EBCDIC text; what has no ASCII character becomes `?`. */
export function ebcdicToAscii(text: Uint8Array): Uint8Array {
  return text.map((byte) => TO_ASCII[byte]);
}
/** `text` in EBCDIC, cut or filled with blanks to `length` bytes. */
export function ebcdic(text: string, length: number): Uint8Array {
  return Uint8Array.from(text.padEnd(length, ' ').slice(0, length), (c) => TO_EBCDIC[c.charCodeAt(0) & 0xff]);
}
