/**
 * Module encoder: types, imports, functions, exports and code, in the binary format of the WebAssembly core
 * specification 2.0, chapter 5.
 */
import { type Code, uleb } from './types.ts';

/** Value types by their binary code. */
export const VALUE = { i32: 0x7f, i64: 0x7e, f64: 0x7c } as const;
export type ValueType = keyof typeof VALUE;
/** Parameter and result types of a function. */
export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}
/** What a module takes from outside. */
export type Import =
  | { readonly name: string; readonly kind: 'function'; readonly signature: Signature }
  | { readonly name: string; readonly kind: 'memory'; readonly pages: number }
  | { readonly name: string; readonly kind: 'table' };
/** A function defined in the module; `locals` follow the parameters, grouped by type in the order given. */
export interface FunctionBody {
  readonly signature: Signature;
  readonly locals: readonly (readonly [count: number, type: ValueType])[];
  readonly code: Code;
  readonly export?: string;
}

/** Flattens code to bytes. */
export function flatten(code: Code): Uint8Array {
  let length = 0;
  const measure = (piece: Code): void => {
    for (const part of piece) {
      if (typeof part === 'number') length++;
      else measure(part);
    }
  };
  measure(code);
  const out = new Uint8Array(length);
  let at = 0;
  const write = (piece: Code): void => {
    for (const part of piece) {
      if (typeof part === 'number') out[at++] = part;
      else write(part);
    }
  };
  write(code);
  return out;
}

class Writer {
  #out = new Uint8Array(4096);
  #at = 0;
  bytes(piece: ArrayLike<number>): void {
    if (this.#at + piece.length > this.#out.length) {
      const grown = new Uint8Array((this.#at + piece.length) * 2);
      grown.set(this.#out.subarray(0, this.#at));
      this.#out = grown;
    }
    this.#out.set(piece, this.#at);
    this.#at += piece.length;
  }
  section(id: number, content: ArrayLike<number>): void {
    this.bytes([id, ...uleb(content.length)]);
    this.bytes(content);
  }
  get result(): Uint8Array<ArrayBuffer> {
    return this.#out.slice(0, this.#at);
  }
}

const text = (value: string): number[] => [...uleb(value.length), ...Buffer.from(value, 'latin1')];
const vector = (items: readonly number[][]): number[] => [...uleb(items.length), ...items.flat()];
const same = (a: Signature, b: Signature) =>
  a.params.join() === b.params.join() && a.results.join() === b.results.join();

/** Encodes a module. Imported functions are numbered before the defined ones, each in the order given. */
export function encodeModule(
  imports: readonly Import[],
  functions: readonly FunctionBody[],
  extraTypes: readonly Signature[] = [],
): Uint8Array<ArrayBuffer> {
  const types: Signature[] = [...extraTypes];
  const typeIndex = (signature: Signature): number => {
    const found = types.findIndex((known) => same(known, signature));
    if (found >= 0) return found;
    types.push(signature);
    return types.length - 1;
  };
  const importEntries = imports.map((entry) => {
    const head = [...text('m'), ...text(entry.name)];
    if (entry.kind === 'function') return [...head, 0, ...uleb(typeIndex(entry.signature))];
    if (entry.kind === 'memory') return [...head, 2, 3, ...uleb(entry.pages), ...uleb(entry.pages)];
    return [...head, 1, 0x70, 0, 0];
  });
  const functionTypes = functions.map((f) => uleb(typeIndex(f.signature)));
  const imported = imports.filter((entry) => entry.kind === 'function').length;
  const exports = functions.flatMap((f, n) => (f.export ? [[...text(f.export), 0, ...uleb(imported + n)]] : []));
  const valueTypes = (list: readonly ValueType[]) => vector(list.map((type) => [VALUE[type]]));

  const code = new Writer();
  code.bytes(uleb(functions.length));
  for (const f of functions) {
    const locals = vector(f.locals.map(([count, type]) => [...uleb(count), VALUE[type]]));
    const body = flatten(f.code);
    code.bytes(uleb(locals.length + body.length + 1));
    code.bytes(locals);
    code.bytes(body);
    code.bytes([0x0b]);
  }
  const module = new Writer();
  module.bytes([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  module.section(1, vector(types.map((type) => [0x60, ...valueTypes(type.params), ...valueTypes(type.results)])));
  module.section(2, vector(importEntries));
  module.section(3, vector(functionTypes));
  module.section(7, vector(exports));
  module.section(10, code.result);
  return module.result;
}
