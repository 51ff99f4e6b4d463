/**
 * One decoder for every structure: a layout (`kernel/lib/struct.ts`) and its manual in, the fields with their bytes, values
 * and meanings out. Every bit of the bytes is in exactly one part of exactly one field; bits that nothing names are parts
 * called `reserved`.
 */
import type { BitRange } from '../../kernel/lib/bits.ts';
import type { AnyStruct, FieldType } from '../../kernel/lib/struct.ts';
import { type FieldDoc, fieldDoc, type Manual, meaningOf, rangeOf } from './manual/manual.ts';

/** Some bits of a field. */
export interface Part {
  readonly name: string;
  /** The first bit; bit 0 is the most significant one of the field's value. */
  readonly bit: number;
  readonly width: number;
  readonly value: bigint;
  readonly title: string;
  readonly meaning?: string;
}

/** One field, or one field of a structure inside it. */
export interface Field {
  /** Bytes from the start of the whole. */
  readonly at: number;
  readonly bytes: Uint8Array;
  /** `scsw.cpa`: with the names of the structures around it. */
  readonly name: string;
  readonly title: string;
  /** Undefined for a string of bytes that is no number. */
  readonly value?: bigint;
  readonly decimal?: boolean;
  readonly meaning?: string;
  /** In the order of the bits; empty for a field that is one number. */
  readonly parts: readonly Part[];
}

/** The name of bits that nothing names. */
export const RESERVED = 'reserved';

/** A field that the manual says nothing of would be a mistake in the table: it is decoded without words. */
const WORDLESS: FieldDoc = { title: '' };

/**
 * Decodes one instance. @param bytes at least the layout's size; the rest is not looked at
 * @param only names of the fields wanted, the others are left out; all when omitted
 */
export function decode(manual: Manual, bytes: Uint8Array, only?: readonly string[]): Field[] {
  const { fields, offset } = manual.layout;
  return Object.keys(fields)
    .filter((name) => only === undefined || only.includes(name))
    .flatMap((name) =>
      decodeField(manual.layout, name, fields[name], fieldDoc(manual, name) ?? WORDLESS, bytes, offset[name]),
    );
}

function decodeField(
  { endian }: AnyStruct,
  name: string,
  type: FieldType<unknown>,
  doc: FieldDoc,
  whole: Uint8Array,
  at: number,
): Field[] {
  const bytes = whole.slice(at, at + type.size);
  if (doc.holds !== undefined) return inside(doc.holds, name, bytes, at, type.size);
  const { title } = doc;
  if (type.size > 8 || !isNumber(type)) return [{ at, bytes, name, title, parts: [], meaning: undefined }];
  const value = numberOf(bytes, endian === 'le');
  const parts = partsOf(type, doc, value);
  const meaning = meaningOf(doc.means, value);
  return [{ at, bytes, name, title, value, parts, meaning, decimal: doc.decimal }];
}

/** The fields of a structure that a field holds; bytes behind it are a field of their own. */
function inside(held: Manual, name: string, bytes: Uint8Array, at: number, size: number): Field[] {
  const fields = decode(held, bytes).map((field) => ({ ...field, name: `${name}.${field.name}`, at: at + field.at }));
  const rest = held.layout.size;
  if (rest >= size) return fields;
  return [
    ...fields,
    { at: at + rest, bytes: bytes.slice(rest), name: `${name}.${RESERVED}`, title: 'not used', parts: [] },
  ];
}

/** Whether a field is a number rather than a string of bytes. */
function isNumber({ get, size }: FieldType<unknown>): boolean {
  const value = get(new DataView(new ArrayBuffer(Math.max(size, 8))), 0, true);
  return typeof value === 'number' || typeof value === 'bigint';
}

function numberOf(bytes: Uint8Array, littleEndian: boolean): bigint {
  const ordered = littleEndian ? [...bytes].reverse() : [...bytes];
  return ordered.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function partsOf({ size, bits }: FieldType<unknown>, doc: FieldDoc, value: bigint): Part[] {
  const width = size * 8;
  const masks = Object.entries(doc.masks ?? {}).map(([name, mask]) => [name, rangeOf(mask, width)] as const);
  const named = [...Object.entries(bits?.fields ?? doc.ranges ?? {}), ...masks];
  if (named.length === 0) return [];
  return complete(named, width).map(([name, [bit, count]]) => {
    const part = (value >> BigInt(width - bit - count)) & ((1n << BigInt(count)) - 1n);
    const words = doc.bits?.[name];
    const { title, means = undefined } = typeof words === 'object' ? words : { title: words ?? '' };
    return { name, bit, width: count, value: part, title, meaning: meaningOf(means, part) };
  });
}

/** Ranges in the order of their bits, and the gaps between them. @throws Error when two overlap: a mistake in a table */
function complete(
  ranges: readonly (readonly [string, BitRange])[],
  width: number,
): readonly (readonly [string, BitRange])[] {
  const result: (readonly [string, BitRange])[] = [];
  let next = 0;
  for (const range of [...ranges].sort((a, b) => a[1][0] - b[1][0])) {
    const [bit, count] = range[1];
    if (bit < next) throw new Error(`bits of ${range[0]} overlap others`);
    if (bit > next) result.push([RESERVED, [next, bit - next]]);
    result.push(range);
    next = bit + count;
  }
  if (next < width) result.push([RESERVED, [next, width - next]]);
  return result;
}
