/**
 * Bit fields as data: a word's fields are declared once with the manual's names and bit numbers, and reading,
 * writing and printing follow from the declaration.
 *
 * Bit 0 is the most significant bit, as in the Principles of Operation and PAPR.
 */

import { constants } from './constants.ts';

/** `[first bit, width]`, bit 0 being the most significant bit of the word. */
export type BitRange = readonly [bit: number, width: number];

/** A declared word of at most 32 bits. */
export interface BitField<F extends Record<string, BitRange>> {
  readonly name: string;
  readonly width: 8 | 16 | 32;
  /** Where each field lies. */
  readonly fields: F;
  /** Mask of each field, in place. */
  readonly mask: { readonly [K in keyof F]: number };
  /** Value of one field, right-aligned. */
  get(word: number, field: keyof F): number;
  /** `word` with one field replaced; the value is cut to the field's width. */
  set(word: number, field: keyof F, value: number): number;
  /** Names and values of the non-zero fields, for people: `key=3 F P`. */
  print(word: number): string;
}

/** A reader of one field, right-aligned: {@link BitField.get} for where every nanosecond counts, the field looked up once. */
export function fieldReader<F extends Record<string, BitRange>>(
  { mask }: BitField<F>,
  field: keyof F,
): (word: number) => number {
  const bits = mask[field];
  const shift = 31 - Math.clz32(bits & -bits);
  return (word) => ((word & bits) >>> 0) >>> shift;
}

/**
 * Declares a bit field.
 * @throws Error when two fields overlap or one leaves the word: a mistake in the table, found at load.
 */
export function bitfield<const F extends Record<string, BitRange>>(
  name: string,
  width: 8 | 16 | 32,
  fields: F,
): BitField<F> {
  const shift: Record<string, number> = {};
  const mask: Record<string, number> = {};
  let seen = 0;
  for (const [field, [bit, bits]] of Object.entries(fields)) {
    if (bit < 0 || bits < 1 || bit + bits > width) throw new Error(`${name}.${field}: bits outside the word`);
    shift[field] = width - bit - bits;
    mask[field] = ((2 ** bits - 1) * 2 ** shift[field]) >>> 0;
    if ((seen & mask[field]) !== 0) throw new Error(`${name}.${field}: overlaps another field`);
    seen |= mask[field];
  }
  const { get, set } = accessors(mask, shift) as Pick<BitField<F>, 'get' | 'set'>;
  return {
    name,
    width,
    fields,
    mask: constants(mask) as { [K in keyof F]: number },
    get,
    set,
    print: (word) =>
      Object.entries(fields)
        .filter(([field]) => get(word, field) !== 0)
        .map(([field, [, bits]]) => (bits === 1 ? field : `${field}=${get(word, field).toString(16)}`))
        .join(' '),
  };
}

/**
 * `get` and `set` of one word. Their text is generated: a field's name, a constant where it is used, then chooses its mask
 * when the code is compiled, and not each time.
 */
function accessors(mask: Readonly<Record<string, number>>, shift: Readonly<Record<string, number>>): unknown {
  const cases = (body: (field: string) => string) =>
    Object.keys(mask)
      .map((field) => `case ${JSON.stringify(field)}: return ${body(field)};`)
      .join('\n');
  const get = cases((field) => `((word & ${mask[field]}) >>> 0) >>> ${shift[field]}`);
  const set = cases((field) => `((word & ${~mask[field]}) | ((value << ${shift[field]}) & ${mask[field]})) >>> 0`);
  const text = `return {
    get: (word, field) => { switch (field) { ${get} } },
    set: (word, field, value) => { switch (field) { ${set} } },
  };`;
  return new Function(text)();
}
