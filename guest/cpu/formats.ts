/**
 * Instruction formats as data: the fields by bit position, and the operands in assembler order. Decoding and
 * disassembly both come from here. SA22-7832 chapter 5 "Instruction Formats"; field letters are the manual's.
 */

/** Every field an instruction may have; absent ones are 0. Displacements are signed numbers, immediates unsigned. */
export interface Fields {
  r1: number;
  r2: number;
  r3: number;
  m1: number;
  m3: number;
  m4: number;
  x2: number;
  b1: number;
  b2: number;
  b4: number;
  d1: number;
  d2: number;
  d4: number;
  l: number;
  l1: number;
  l2: number;
  i: number;
  i1: number;
  i2: number;
  i3: number;
  i4: number;
  i5: number;
  ri2: number;
  ri4: number;
}
export type FieldName = keyof Fields;

/** `name@bit:width`, comma free; d1/d2 with width 20 are the long displacement DL:DH. */
interface FieldBits {
  readonly name: FieldName;
  readonly bit: number;
  readonly width: number;
}
export interface Format {
  readonly length: 2 | 4 | 6;
  readonly fields: readonly FieldBits[];
  /** Operands in assembler order, e.g. `r1`, `d2(x2,b2)`, `d1(l,b1)`. */
  readonly operands: readonly string[];
}

function format(length: 2 | 4 | 6, fields: string, operands: string): Format {
  return {
    length,
    fields: fields.split(' ').flatMap((field) => {
      if (!field) return [];
      const [name, bit, width] = field.split(/[@:]/);
      return [{ name: name as FieldName, bit: Number(bit), width: Number(width ?? 4) }];
    }),
    operands: operands.split(' ').filter(Boolean),
  };
}

/** The formats used by rows. */
export const FORMATS = {
  E: format(2, '', ''),
  I: format(2, 'i@8:8', 'i'),
  RR: format(2, 'r1@8 r2@12', 'r1 r2'),
  'RR-m': format(2, 'm1@8 r2@12', 'm1 r2'),
  RRE: format(4, 'r1@24 r2@28', 'r1 r2'),
  'RRF-a': format(4, 'r3@16 m4@20 r1@24 r2@28', 'r1 r2 r3'),
  'RRF-a4': format(4, 'r3@16 m4@20 r1@24 r2@28', 'r1 r2 r3 m4'),
  'RRF-b': format(4, 'r3@16 m4@20 r1@24 r2@28', 'r1 r3 r2'),
  'RRF-c': format(4, 'm3@16 r1@24 r2@28', 'r1 r2 m3'),
  'RX-a': format(4, 'r1@8 x2@12 b2@16 d2@20:12', 'r1 d2(x2,b2)'),
  'RX-b': format(4, 'm1@8 x2@12 b2@16 d2@20:12', 'm1 d2(x2,b2)'),
  'RXY-a': format(6, 'r1@8 x2@12 b2@16 d2@20:20', 'r1 d2(x2,b2)'),
  'RXY-b': format(6, 'm1@8 x2@12 b2@16 d2@20:20', 'm1 d2(x2,b2)'),
  'RS-a': format(4, 'r1@8 r3@12 b2@16 d2@20:12', 'r1 r3 d2(b2)'),
  'RS-shift': format(4, 'r1@8 r3@12 b2@16 d2@20:12', 'r1 d2(b2)'),
  'RS-b': format(4, 'r1@8 m3@12 b2@16 d2@20:12', 'r1 m3 d2(b2)'),
  'RSY-a': format(6, 'r1@8 r3@12 b2@16 d2@20:20', 'r1 r3 d2(b2)'),
  'RSY-b': format(6, 'r1@8 m3@12 b2@16 d2@20:20', 'r1 m3 d2(b2)'),
  'RSY-loc': format(6, 'r1@8 m3@12 b2@16 d2@20:20', 'r1 d2(b2) m3'),
  RSI: format(4, 'r1@8 r3@12 ri2@16:16', 'r1 r3 ri2'),
  'RI-a': format(4, 'r1@8 i2@16:16', 'r1 i2'),
  'RI-b': format(4, 'r1@8 ri2@16:16', 'r1 ri2'),
  'RI-c': format(4, 'm1@8 ri2@16:16', 'm1 ri2'),
  'RIL-a': format(6, 'r1@8 i2@16:32', 'r1 i2'),
  'RIL-b': format(6, 'r1@8 ri2@16:32', 'r1 ri2'),
  'RIL-c': format(6, 'm1@8 ri2@16:32', 'm1 ri2'),
  'RIE-a': format(6, 'r1@8 i2@16:16 m3@32', 'r1 i2 m3'),
  'RIE-b': format(6, 'r1@8 r2@12 ri4@16:16 m3@32', 'r1 r2 m3 ri4'),
  'RIE-c': format(6, 'r1@8 m3@12 ri4@16:16 i2@32:8', 'r1 i2 m3 ri4'),
  'RIE-d': format(6, 'r1@8 r3@12 i2@16:16', 'r1 r3 i2'),
  'RIE-e': format(6, 'r1@8 r3@12 ri2@16:16', 'r1 r3 ri2'),
  'RIE-f': format(6, 'r1@8 r2@12 i3@16:8 i4@24:8 i5@32:8', 'r1 r2 i3 i4 i5'),
  'RIE-g': format(6, 'r1@8 m3@12 i2@16:16', 'r1 i2 m3'),
  RIS: format(6, 'r1@8 m3@12 b4@16 d4@20:12 i2@32:8', 'r1 i2 m3 d4(b4)'),
  RRS: format(6, 'r1@8 r2@12 b4@16 d4@20:12 m3@32', 'r1 r2 m3 d4(b4)'),
  S: format(4, 'b2@16 d2@20:12', 'd2(b2)'),
  'S-none': format(4, '', ''),
  SI: format(4, 'i2@8:8 b1@16 d1@20:12', 'd1(b1) i2'),
  'SI-none': format(4, 'i2@8:8 b1@16 d1@20:12', 'd1(b1)'),
  SIY: format(6, 'i2@8:8 b1@16 d1@20:20', 'd1(b1) i2'),
  SIL: format(6, 'b1@16 d1@20:12 i2@32:16', 'd1(b1) i2'),
  'SS-a': format(6, 'l@8:8 b1@16 d1@20:12 b2@32 d2@36:12', 'd1(l,b1) d2(b2)'),
  'SS-b': format(6, 'l1@8 l2@12 b1@16 d1@20:12 b2@32 d2@36:12', 'd1(l1,b1) d2(l2,b2)'),
  'SS-d': format(6, 'r1@8 r3@12 b1@16 d1@20:12 b2@32 d2@36:12', 'd1(r1,b1) d2(b2) r3'),
  'SS-e': format(6, 'r1@8 r3@12 b2@16 d2@20:12 b4@32 d4@36:12', 'r1 r3 d2(b2) d4(b4)'),
  SSE: format(6, 'b1@16 d1@20:12 b2@32 d2@36:12', 'd1(b1) d2(b2)'),
  SSF: format(6, 'r3@8 b1@16 d1@20:12 b2@32 d2@36:12', 'd1(b1) d2(b2) r3'),
  'SSF-load': format(6, 'r3@8 b1@16 d1@20:12 b2@32 d2@36:12', 'r3 d1(b1) d2(b2)'),
  MII: format(6, 'm1@8', 'm1'),
  'RRE-1': format(4, 'r1@24 r2@28', 'r1'),
  'RR-1': format(2, 'r1@8 r2@12', 'r1'),
  IE: format(4, 'i1@24 i2@28', 'i1 i2'),
} as const satisfies Record<string, Format>;
export type FormatName = keyof typeof FORMATS;

const NO_FIELDS: Fields = {
  r1: 0,
  r2: 0,
  r3: 0,
  m1: 0,
  m3: 0,
  m4: 0,
  x2: 0,
  b1: 0,
  b2: 0,
  b4: 0,
  d1: 0,
  d2: 0,
  d4: 0,
  l: 0,
  l1: 0,
  l2: 0,
  i: 0,
  i1: 0,
  i2: 0,
  i3: 0,
  i4: 0,
  i5: 0,
  ri2: 0,
  ri4: 0,
};

/** Length in bytes from the first byte of an instruction. */
export const instructionLength = (first: number): 2 | 4 | 6 => (first < 0x40 ? 2 : first < 0xc0 ? 4 : 6);

/** Extracts the fields of an instruction text. */
export function decodeFields(shape: Format, text: Uint8Array): Fields {
  const fields: Fields = { ...NO_FIELDS };
  for (const { name, bit, width } of shape.fields) {
    if (width === 20) {
      const low = ((text[bit >> 3] & 15) << 8) | text[(bit >> 3) + 1];
      fields[name] = ((text[4] << 24) >> 12) | low;
      continue;
    }
    let value = 0;
    for (let at = bit; at < bit + width; at += 4) {
      const nibble = (at & 4) === 0 ? text[at >> 3] >> 4 : text[at >> 3] & 15;
      value = value * 16 + nibble;
    }
    // Relative operands are signed counts of halfwords.
    fields[name] = name === 'ri2' || name === 'ri4' ? (width === 16 ? (value << 16) >> 16 : value | 0) : value;
  }
  return fields;
}
