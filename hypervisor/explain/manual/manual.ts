/**
 * What the manuals call the fields of a layout and what their values mean, for people. The layout itself, offsets and
 * bits, stays where it is declared: a manual only adds words, and may divide a word whose bits the layout knows as masks.
 */
import type { BitRange } from '../../../kernel/lib/bits.ts';
import type { AnyStruct, Fields } from '../../../kernel/lib/struct.ts';

/** What a value means; undefined: nothing beyond the name. */
export type Meaning = ((value: bigint) => string | undefined) | Readonly<Record<number, string>>;

/** One bit, or a few. */
export interface BitDoc {
  /** The manual's name, and why one would look at it. */
  readonly title: string;
  readonly means?: Meaning;
}

/** One field. */
export interface FieldDoc {
  readonly title: string;
  readonly means?: Meaning;
  /** Words for the bits, by the names of the layout's bit field, of `masks` or of `ranges`. */
  readonly bits?: Readonly<Record<string, string | BitDoc>>;
  /** For a word whose bits the layout names by masks. */
  readonly masks?: Readonly<Record<string, number>>;
  /** For a word whose bits no table divides; bit 0 is the most significant one. */
  readonly ranges?: Readonly<Record<string, BitRange>>;
  /** For bytes that hold another structure, or a field that is one. */
  readonly holds?: Manual;
  /** The number is a count: shown in decimal. */
  readonly decimal?: true;
}

/** A layout with its words. */
export interface Manual<F extends Fields = Fields> {
  readonly layout: AnyStruct;
  /** `ORB`. */
  readonly name: string;
  /** `operation-request block`. */
  readonly title: string;
  /** Document and section. */
  readonly source: string;
  readonly fields: { readonly [K in keyof F]: string | FieldDoc };
}

/** Declares a manual; the compiler sees to it that no field of the layout is without words. */
export function manual<F extends Fields>(
  layout: AnyStruct & { readonly fields: F },
  words: Omit<Manual<F>, 'layout'>,
): Manual {
  return { layout, ...words } as unknown as Manual;
}

/** The words of a field. */
export function fieldDoc({ fields }: Manual, name: string): FieldDoc {
  const doc = fields[name];
  return typeof doc === 'string' ? { title: doc } : doc;
}

/** What a value means. */
export function meaningOf(means: Meaning | undefined, value: bigint): string | undefined {
  if (means === undefined) return undefined;
  return typeof means === 'function' ? means(value) : means[Number(value)];
}

/** A mask of neighbouring bits as a range in a word of `width` bits. @throws Error when there is a gap in it */
export function rangeOf(mask: number, width: number): BitRange {
  const bits = (mask >>> 0).toString(2).padStart(width, '0');
  const run = /^0*(1+)0*$/.exec(bits);
  if (run === null) throw new Error(`0x${mask.toString(16)} is no run of bits in a word of ${width}`);
  return [bits.indexOf('1'), run[1].length];
}
