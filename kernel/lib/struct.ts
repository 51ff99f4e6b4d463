/**
 * ABI structures as data: declared once, with size and offsets asserted at load, explicit byte order, views that do
 * not copy, and printing.
 *
 * ```ts
 * const vfio_irq_info = struct('vfio_irq_info', 'le', { argsz: u32, flags: u32, index: u32, count: u32 }, { size: 16 });
 * const info = vfio_irq_info.at(memory.dv, address);
 * info.count = 1;
 * ```
 */
import type { BitField, BitRange } from './bits.ts';
import { constants } from './constants.ts';

export type Endian = 'le' | 'be';

/** One kind of field: its size in bytes and how it is read and written through a DataView. */
export interface FieldType<T> {
  readonly size: number;
  readonly get: (dv: DataView, at: number, le: boolean) => T;
  readonly set: (dv: DataView, at: number, value: T, le: boolean) => void;
  readonly print: (value: T) => string;
  /** What DataView calls it, where it has a `get` and a `set` for it. */
  readonly kind?: 'Uint8' | 'Uint16' | 'Uint32' | 'Int32' | 'BigUint64' | 'Float64';
  /** The bit fields of a word that has some. */
  readonly bits?: NamedBits;
  /** The structure inside, where the field is one. */
  readonly inner?: AnyStruct;
}
/** Any {@link BitField}: for those who look at all of its fields. */
export type NamedBits = Pick<BitField<Record<string, BitRange>>, 'name' | 'width' | 'fields'>;
/** Any {@link Struct}: for those who look at all of its fields. */
export type AnyStruct = Pick<Struct<Fields>, 'name' | 'size' | 'endian' | 'fields' | 'offset'>;

const hex = (value: number | bigint) => `0x${value.toString(16)}`;

/** Unsigned byte. */
export const u8: FieldType<number> = {
  size: 1,
  get: (dv, at) => dv.getUint8(at),
  set: (dv, at, value) => dv.setUint8(at, value),
  print: hex,
  kind: 'Uint8',
};
/** Unsigned 16 bits. */
export const u16: FieldType<number> = {
  size: 2,
  get: (dv, at, le) => dv.getUint16(at, le),
  set: (dv, at, value, le) => dv.setUint16(at, value, le),
  print: hex,
  kind: 'Uint16',
};
/** Unsigned 32 bits. */
export const u32: FieldType<number> = {
  size: 4,
  get: (dv, at, le) => dv.getUint32(at, le),
  set: (dv, at, value, le) => dv.setUint32(at, value, le),
  print: hex,
  kind: 'Uint32',
};
/** Signed 32 bits. */
export const s32: FieldType<number> = {
  size: 4,
  get: (dv, at, le) => dv.getInt32(at, le),
  set: (dv, at, value, le) => dv.setInt32(at, value, le),
  print: (value) => `${value}`,
  kind: 'Int32',
};
/** Unsigned 64 bits as a bigint: exact, not for hot loops. */
export const u64: FieldType<bigint> = {
  size: 8,
  get: (dv, at, le) => dv.getBigUint64(at, le),
  set: (dv, at, value, le) => dv.setBigUint64(at, value, le),
  print: hex,
  kind: 'BigUint64',
};
/** 64 bits that hold an address or a size below 2^53, as a number; larger stored values read back rounded. */
export const u64n: FieldType<number> = {
  size: 8,
  get: (dv, at, le) => dv.getUint32(at + (le ? 4 : 0), le) * 0x1_0000_0000 + dv.getUint32(at + (le ? 0 : 4), le),
  set: (dv, at, value, le) => {
    dv.setUint32(at + (le ? 4 : 0), Math.floor(value / 0x1_0000_0000), le);
    dv.setUint32(at + (le ? 0 : 4), value >>> 0, le);
  },
  print: hex,
};

/** Double-precision floating point: sums of times. */
export const f64: FieldType<number> = {
  size: 8,
  get: (dv, at, le) => dv.getFloat64(at, le),
  set: (dv, at, value, le) => dv.setFloat64(at, value, le),
  print: (value) => `${value}`,
  kind: 'Float64',
};

/** `count` bytes, seen in place as a Uint8Array; assigning copies at most `count` bytes. */
export function bytes(count: number): FieldType<Uint8Array> {
  const view = (dv: DataView, at: number) => new Uint8Array(dv.buffer, dv.byteOffset + at, count);
  return {
    size: count,
    get: view,
    set: (dv, at, value) => view(dv, at).set(value.length > count ? value.subarray(0, count) : value),
    print: (value) => Buffer.from(value).toString('hex'),
  };
}

/** An integer whose bits have names: same storage, printed by field. */
export function named(type: FieldType<number>, bits: NamedBits & { print(word: number): string }) {
  return { ...type, bits, print: (value: number) => `${hex(value)}(${bits.print(value)})` } satisfies FieldType<number>;
}

/** A structure inside a structure; reading it gives a view of the inner one. */
export function nested<F extends Fields>(inner: Struct<F>): FieldType<View<F>> {
  return {
    size: inner.size,
    get: (dv, at) => inner.at(dv, at),
    set: (dv, at, value) => copyBytes(dv, at, value.dv, value.address, inner.size),
    print: (value) => inner.print(value),
    inner,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: a field list mixes number, bigint and view fields
export type Fields = Record<string, FieldType<any>>;

/** A live view of one structure in memory: property reads and writes go straight to the bytes. */
export type View<F extends Fields> = { -readonly [K in keyof F]: F[K] extends FieldType<infer T> ? T : never } & {
  dv: DataView;
  /** Byte offset of the structure inside `dv`; may be changed to look at another instance. */
  address: number;
};

export interface Struct<F extends Fields> {
  readonly name: string;
  readonly size: number;
  readonly endian: Endian;
  readonly fields: F;
  /** Byte offset of each field. */
  readonly offset: { readonly [K in keyof F]: number };
  /** A view of the instance at `address` (0 when omitted). */
  at(dv: DataView, address?: number): View<F>;
  /** A zeroed instance in memory of its own. */
  make(values?: Partial<{ [K in keyof View<F>]: View<F>[K] }>): View<F>;
  /** The raw bytes of a view, in place. */
  bytes(view: View<F>): Uint8Array;
  /** Makes the instance that `to` looks at a copy of that of `from`. Cheaper than by {@link bytes}: no object is made. */
  copy(to: View<F>, from: View<F>): void;
  /** Copies the bytes of a view to `at` of other memory. */
  store(dv: DataView, at: number, view: View<F>): void;
  /** Copies them from there. */
  load(view: View<F>, dv: DataView, at: number): void;
  /** `name{field=value ...}` for people and traces. */
  print(view: View<F>): string;
}

/** Copies `size` bytes from one view's memory to another's: structures are short, and a typed array takes longer to make. */
function copyBytes(to: DataView, toAt: number, from: DataView, fromAt: number, size: number): void {
  let done = 0;
  for (; done + 4 <= size; done += 4) to.setInt32(toAt + done, from.getInt32(fromAt + done));
  for (; done < size; done++) to.setUint8(toAt + done, from.getUint8(fromAt + done));
}

/** A view as it is made: it can take several values at once. */
type Assignable<F extends Fields> = View<F> & { assign(values: object): void };

/**
 * Declares a structure: fields follow each other without padding, as all ABIs here name their padding.
 * @param layout `size` is asserted; `offsets` asserts the fields a reader would check first.
 * @throws Error at load when the declaration does not have the asserted size or offsets.
 */
export function struct<F extends Fields>(
  name: string,
  endian: Endian,
  fields: F,
  layout: { readonly size: number; readonly offsets?: { readonly [K in keyof F]?: number } },
): Struct<F> {
  const offset: Record<string, number> = {};
  let size = 0;
  for (const [field, type] of Object.entries(fields)) {
    if (OWN.includes(field)) throw new Error(`struct ${name}.${field}: a view has its own ${field}`);
    offset[field] = size;
    size += type.size;
  }
  if (size !== layout.size) throw new Error(`struct ${name}: declared ${layout.size} bytes, fields make ${size}`);
  for (const [field, at] of Object.entries(layout.offsets ?? {})) {
    if (offset[field] !== at) throw new Error(`struct ${name}.${field}: declared at ${at}, is at ${offset[field]}`);
  }
  const at = viewsOf(fields, offset, endian === 'le') as (...of: Parameters<Struct<F>['at']>) => Assignable<F>;
  return {
    name,
    size,
    endian,
    fields,
    offset: constants(offset) as { [K in keyof F]: number },
    at,
    make: (values) => {
      const view = at(new DataView(new ArrayBuffer(size)));
      if (values !== undefined) view.assign(values);
      return view;
    },
    copy: (to, from) => copyBytes(to.dv, to.address, from.dv, from.address, size),
    store: (dv, address, view) => copyBytes(dv, address, view.dv, view.address, size),
    load: (view, dv, address) => copyBytes(view.dv, view.address, dv, address, size),
    bytes: (view) => new Uint8Array(view.dv.buffer, view.dv.byteOffset + view.address, size),
    print: (view) =>
      `${name}{${Object.entries(fields)
        .map(([field, type]) => `${field}=${type.print((view as Record<string, unknown>)[field])}`)
        .join(' ')}}`,
  };
}

/** What a view has besides its fields. */
const OWN: readonly string[] = ['dv', 'address', 'assign'];

/**
 * The function that makes views. Its text is generated, so that every field has accessors of its own: they are inlined
 * into their users then, which accessors that share their code, and what it learned of its arguments, never are. Views
 * are read and written at every step of every I/O.
 */
function viewsOf(fields: Fields, offset: Readonly<Record<string, number>>, le: boolean): unknown {
  const accessors = Object.entries(fields).map(([field, { kind }]) => {
    const at = `this.address + ${offset[field]}`;
    const name = JSON.stringify(field);
    const [get, set] =
      kind === undefined
        ? [`types[${name}].get(this.dv, ${at}, ${le})`, `types[${name}].set(this.dv, ${at}, value, ${le})`]
        : [`this.dv.get${kind}(${at}, ${le})`, `this.dv.set${kind}(${at}, value, ${le})`];
    return `get [${name}]() { return ${get}; } set [${name}](value) { ${set}; }`;
  });
  const assignments = Object.keys(fields).map((field) => {
    const name = JSON.stringify(field);
    return `if (values[${name}] !== undefined) this[${name}] = values[${name}];`;
  });
  const text = `
    class View {
      constructor(dv, address) { this.dv = dv; this.address = address; }
      assign(values) { ${assignments.join('\n')} }
      ${accessors.join('\n')}
    }
    for (const field of Object.keys(types)) {
      const { get, set } = Object.getOwnPropertyDescriptor(View.prototype, field);
      Object.defineProperty(View.prototype, field, { get, set, enumerable: true });
    }
    return (dv, address = 0) => new View(dv, address);`;
  return new Function('types', text)(fields);
}
