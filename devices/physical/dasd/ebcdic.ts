/** EBCDIC for labels and dumps: the invariant part of code page 037, which all code pages share, and a few more. */

const ROWS: readonly (readonly [first: number, text: string])[] = [
  [0x40, ' '],
  [0x4b, '.<(+|&'],
  [0x5a, '!$*);'],
  [0x60, '-/'],
  [0x6b, ',%_>?'],
  [0x7a, ':#@\'="'],
  [0x81, 'abcdefghi'],
  [0x91, 'jklmnopqr'],
  [0xa2, 'stuvwxyz'],
  [0xc1, 'ABCDEFGHI'],
  [0xd1, 'JKLMNOPQR'],
  [0xe2, 'STUVWXYZ'],
  [0xf0, '0123456789'],
];

const TO_ASCII = new Map<number, string>();
const FROM_ASCII = new Map<string, number>();
for (const [first, text] of ROWS)
  for (let i = 0; i < text.length; i++) {
    TO_ASCII.set(first + i, text[i]);
    FROM_ASCII.set(text[i], first + i);
  }

/** EBCDIC blank. */
const EBCDIC_BLANK = 0x40;

/** Text as EBCDIC, padded with blanks or cut to `length`; characters without a code become blanks. */
export function toEbcdic(text: string, length = text.length): Uint8Array {
  const bytes = new Uint8Array(length).fill(EBCDIC_BLANK);
  for (let i = 0; i < Math.min(length, text.length); i++) bytes[i] = FROM_ASCII.get(text[i]) ?? EBCDIC_BLANK;
  return bytes;
}

/** EBCDIC as text; bytes without a character become `replacement`. */
export function fromEbcdic(bytes: Uint8Array, replacement = '.'): string {
  return Array.from(bytes, (byte) => TO_ASCII.get(byte) ?? replacement).join('');
}
