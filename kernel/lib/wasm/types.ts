/**
 * WebAssembly expressions as typed values: an expression is its type and its code, so TypeScript refuses an i64 where
 * an i32 belongs. Code is a tree of bytes flattened once when the module is encoded.
 *
 * Opcodes: WebAssembly core specification 2.0, section 5.4 "Instructions".
 */

/** Bytes and pieces of code, in order. Pieces may be filled in later: they are flattened by reference. */
export type Code = (number | Code)[];

/** An expression leaving a 32-bit integer. */
export interface I32 {
  readonly type: 'i32';
  readonly code: Code;
}
/** An expression leaving a 64-bit integer. */
export interface I64 {
  readonly type: 'i64';
  readonly code: Code;
}
/** An expression leaving a double. */
export interface F64 {
  readonly type: 'f64';
  readonly code: Code;
}

/** Unsigned LEB128. @param value below 2^32. */
export function uleb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest > 127) {
    out.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return out;
}

/** Signed LEB128 of a 32-bit value. */
export function sleb32(value: number): number[] {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 127;
    rest >>= 7;
    if ((rest === 0 && (low & 64) === 0) || (rest === -1 && (low & 64) !== 0)) {
      out.push(low);
      return out;
    }
    out.push(low | 128);
  }
}

/** Signed LEB128 of a 64-bit value. */
export function sleb64(value: bigint): number[] {
  const signed = BigInt.asIntN(64, value);
  if (signed >= -0x8000_0000n && signed <= 0x7fff_ffffn) return sleb32(Number(signed));
  const out: number[] = [];
  let rest = signed;
  for (;;) {
    const low = Number(rest & 127n);
    rest >>= 7n;
    if ((rest === 0n && (low & 64) === 0) || (rest === -1n && (low & 64) !== 0)) {
      out.push(low);
      return out;
    }
    out.push(low | 128);
  }
}

const e32 = (...code: Code): I32 => ({ type: 'i32', code });
const e64 = (...code: Code): I64 => ({ type: 'i64', code });
const ef64 = (...code: Code): F64 => ({ type: 'f64', code });
const bin32 = (op: number) => (a: I32, b: I32) => e32(a.code, b.code, op);
const un32 = (op: number) => (a: I32) => e32(a.code, op);
const bin64 = (op: number) => (a: I64, b: I64) => e64(a.code, b.code, op);
const un64 = (op: number) => (a: I64) => e64(a.code, op);
const cmp64 = (op: number) => (a: I64, b: I64) => e32(a.code, b.code, op);

/** Operations giving (or on) i32. */
export const i32 = {
  const: (value: number): I32 => e32(0x41, sleb32(value)),
  eqz: un32(0x45),
  eq: bin32(0x46),
  ne: bin32(0x47),
  ltS: bin32(0x48),
  ltU: bin32(0x49),
  gtS: bin32(0x4a),
  gtU: bin32(0x4b),
  leS: bin32(0x4c),
  leU: bin32(0x4d),
  geS: bin32(0x4e),
  geU: bin32(0x4f),
  clz: un32(0x67),
  ctz: un32(0x68),
  add: bin32(0x6a),
  sub: bin32(0x6b),
  mul: bin32(0x6c),
  divS: bin32(0x6d),
  divU: bin32(0x6e),
  remS: bin32(0x6f),
  remU: bin32(0x70),
  and: bin32(0x71),
  or: bin32(0x72),
  xor: bin32(0x73),
  shl: bin32(0x74),
  shrS: bin32(0x75),
  shrU: bin32(0x76),
  rotl: bin32(0x77),
  rotr: bin32(0x78),
  extend8S: un32(0xc0),
  extend16S: un32(0xc1),
  /** Low 32 bits. */
  wrap: (a: I64): I32 => e32(a.code, 0xa7),
  select: (condition: I32, yes: I32, no: I32): I32 => e32(yes.code, no.code, condition.code, 0x1b),
};

/** Operations giving (or on) i64; comparisons give i32. */
export const i64 = {
  const: (value: bigint | number): I64 => e64(0x42, typeof value === 'number' ? slebNumber(value) : sleb64(value)),
  eqz: (a: I64): I32 => e32(a.code, 0x50),
  eq: cmp64(0x51),
  ne: cmp64(0x52),
  ltS: cmp64(0x53),
  ltU: cmp64(0x54),
  gtS: cmp64(0x55),
  gtU: cmp64(0x56),
  leS: cmp64(0x57),
  leU: cmp64(0x58),
  geS: cmp64(0x59),
  geU: cmp64(0x5a),
  clz: un64(0x79),
  popcnt: un64(0x7b),
  add: bin64(0x7c),
  sub: bin64(0x7d),
  mul: bin64(0x7e),
  divS: bin64(0x7f),
  divU: bin64(0x80),
  remS: bin64(0x81),
  remU: bin64(0x82),
  and: bin64(0x83),
  or: bin64(0x84),
  xor: bin64(0x85),
  shl: bin64(0x86),
  shrS: bin64(0x87),
  shrU: bin64(0x88),
  rotl: bin64(0x89),
  rotr: bin64(0x8a),
  extend8S: un64(0xc2),
  extend16S: un64(0xc3),
  extend32S: un64(0xc4),
  /** Sign-extends 32 bits. */
  fromS: (a: I32): I64 => e64(a.code, 0xac),
  /** Zero-extends 32 bits. */
  fromU: (a: I32): I64 => e64(a.code, 0xad),
  select: (condition: I32, yes: I64, no: I64): I64 => e64(yes.code, no.code, condition.code, 0x1b),
};

/** Operations giving (or on) doubles; comparisons give i32. */
export const f64 = {
  zero: ef64(0x44, new Array<number>(8).fill(0)),
  lt: (a: F64, b: F64): I32 => e32(a.code, b.code, 0x63),
  ge: (a: F64, b: F64): I32 => e32(a.code, b.code, 0x66),
  add: (a: F64, b: F64): F64 => ef64(a.code, b.code, 0xa0),
  sub: (a: F64, b: F64): F64 => ef64(a.code, b.code, 0xa1),
  /** The unsigned integer as a double, rounded to the nearest. */
  fromU: (a: I64): F64 => ef64(a.code, 0xba),
  /** Towards zero, as an unsigned integer; what does not fit becomes the nearest that does. */
  toU: (a: F64): I64 => e64(a.code, 0xfc, 7),
};

function slebNumber(value: number): number[] {
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? sleb32(value) : sleb64(BigInt(value));
}

const memarg = (align: number, offset: number): Code => [align, uleb(offset)];

/** Memory accesses in host (little-endian) order; `at` is the i32 base, `offset` a constant added to it. */
export const mem = {
  load32: (at: I32, offset = 0): I32 => e32(at.code, 0x28, memarg(0, offset)),
  load64: (at: I32, offset = 0): I64 => e64(at.code, 0x29, memarg(0, offset)),
  load8S: (at: I32, offset = 0): I32 => e32(at.code, 0x2c, memarg(0, offset)),
  load8U: (at: I32, offset = 0): I32 => e32(at.code, 0x2d, memarg(0, offset)),
  load16U: (at: I32, offset = 0): I32 => e32(at.code, 0x2f, memarg(0, offset)),
  store32: (at: I32, value: I32, offset = 0): Code => [at.code, value.code, 0x36, memarg(0, offset)],
  store64: (at: I32, value: I64, offset = 0): Code => [at.code, value.code, 0x37, memarg(0, offset)],
  store8: (at: I32, value: I32, offset = 0): Code => [at.code, value.code, 0x3a, memarg(0, offset)],
  store16: (at: I32, value: I32, offset = 0): Code => [at.code, value.code, 0x3b, memarg(0, offset)],
  loadF64: (at: I32, offset = 0): F64 => ef64(at.code, 0x2b, memarg(0, offset)),
  // Atomic accesses (threads extension) are sequentially consistent; `at` is aligned to the size.
  atomicLoad32: (at: I32, offset = 0): I32 => e32(at.code, 0xfe, 0x10, memarg(2, offset)),
  atomicStore32: (at: I32, value: I32, offset = 0): Code => [at.code, value.code, 0xfe, 0x17, memarg(2, offset)],
  /** Adds; leaves the old value. */
  atomicAdd32: (at: I32, value: I32, offset = 0): I32 => e32(at.code, value.code, 0xfe, 0x1e, memarg(2, offset)),
  /** Ors; leaves the old value. */
  atomicOr32: (at: I32, value: I32, offset = 0): I32 => e32(at.code, value.code, 0xfe, 0x33, memarg(2, offset)),
  /** A full barrier. */
  fence: [0xfe, 0x03, 0x00] as Code,
  /** Wakes at most `count` of those who wait at `at`; leaves how many. */
  notify: (at: I32, count: I32, offset = 0): I32 => e32(at.code, count.code, 0xfe, 0x00, memarg(2, offset)),
  /** Exchanges; leaves the old value. */
  exchange32: (at: I32, value: I32, offset = 0): I32 => e32(at.code, value.code, 0xfe, 0x41, memarg(2, offset)),
  /** Compare and exchange; leaves the value seen. */
  cmpxchg32: (at: I32, expected: I32, value: I32, offset = 0): I32 =>
    e32(at.code, expected.code, value.code, 0xfe, 0x48, memarg(2, offset)),
  /** Compare and exchange; leaves the value seen. */
  cmpxchg64: (at: I32, expected: I64, value: I64): I64 =>
    e64(at.code, expected.code, value.code, 0xfe, 0x49, memarg(3, 0)),
  /** memory.copy (overlap-safe, as memmove). */
  copy: (to: I32, from: I32, length: I32): Code => [to.code, from.code, length.code, 0xfc, 10, 0, 0],
  /** memory.fill */
  fill: (to: I32, value: I32, length: I32): Code => [to.code, value.code, length.code, 0xfc, 11, 0],
};

/** i8x16.swizzle pattern reversing the bytes of lane 0 of width `size`. */
const reversal = (size: number): number[] => Array.from({ length: 16 }, (_, n) => (n < size ? size - 1 - n : 0x80));
const V128_CONST = [0xfd, 12];
const SWIZZLE = [0xfd, 14];

/** Big-endian accesses: one vector shuffle per access, the cheapest swap measured. */
export const be = {
  load64: (at: I32, offset = 0): I64 =>
    e64(at.code, 0xfd, 93, memarg(0, offset), V128_CONST, reversal(8), SWIZZLE, 0xfd, 29, 0),
  load32: (at: I32, offset = 0): I32 =>
    e32(at.code, 0xfd, 92, memarg(0, offset), V128_CONST, reversal(4), SWIZZLE, 0xfd, 27, 0),
  load16U: (at: I32, offset = 0): I32 => swap16(mem.load16U(at, offset)),
  store64: (at: I32, value: I64, offset = 0): Code => [
    [at.code, value.code, 0xfd, 18, V128_CONST, reversal(8), SWIZZLE],
    [0xfd, 91, memarg(0, offset), 0],
  ],
  store32: (at: I32, value: I32, offset = 0): Code => [
    [at.code, value.code, 0xfd, 17, V128_CONST, reversal(4), SWIZZLE],
    [0xfd, 90, memarg(0, offset), 0],
  ],
  store16: (at: I32, value: I32, offset = 0): Code => mem.store16(at, swap16(value), offset),
};

/** Swaps the two low bytes and clears the rest. Evaluates `a` in one place. */
function swap16(a: I32): I32 {
  // (a * 0x10001) >>> 8 has the two bytes exchanged in its low half.
  return i32.and(i32.shrU(i32.mul(i32.and(a, i32.const(0xffff)), i32.const(0x10001)), i32.const(8)), i32.const(0xffff));
}

/** Reverses the bytes of a 32-bit value. */
export const swap32 = (a: I32): I32 => e32(a.code, 0xfd, 17, V128_CONST, reversal(4), SWIZZLE, 0xfd, 27, 0);
/** Reverses the bytes of a 64-bit value. */
export const swap64 = (a: I64): I64 => e64(a.code, 0xfd, 18, V128_CONST, reversal(8), SWIZZLE, 0xfd, 29, 0);
/** Reverses the bytes of a 16-bit value. */
export const swapHalf = swap16;
