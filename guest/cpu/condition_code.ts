/**
 * The lazy condition code: instructions record what they computed (kind, a, b); the two-bit code is worked out only
 * when something looks. One table; conditional branches fold into one comparison where the kind is known.
 *
 * Meaning of the codes: SA22-7832 chapter 7 "General Instructions", "Resulting Condition Code" of each instruction.
 */
import { FunctionBuilder } from '../../kernel/lib/wasm/function_builder.ts';
import type { ValueType } from '../../kernel/lib/wasm/module.ts';
import { type Code, type I32, type I64, i32, i64 } from '../../kernel/lib/wasm/types.ts';

/** How a pair of operands gives the condition code. */
export interface CcKind {
  readonly name: string;
  /** The code 0..3. */
  readonly code: (a: I64, b: I64) => I32;
  /** Non-zero when the code is one of those in `mask` (8 = code 0 ... 1 = code 3), if there is a short form. */
  readonly test?: (mask: number, a: I64, b: I64) => I32 | undefined;
}

const zero = i64.const(0);
type Compare = (a: I64, b: I64) => I32;
/** Three-way comparison: 0 equal, 1 low, 2 high; code 3 cannot occur. */
const threeWay = (low: Compare, high: Compare) => ({
  code: (a: I64, b: I64) => i32.or(low(a, b), i32.shl(high(a, b), i32.const(1))),
  test: (mask: number, a: I64, b: I64): I32 | undefined => {
    switch (mask & 14) {
      case 0:
        return i32.const(0);
      case 2:
        return high(a, b);
      case 4:
        return low(a, b);
      case 6:
        return i64.ne(a, b);
      case 8:
        return i64.eq(a, b);
      case 10:
        return i32.eqz(low(a, b));
      case 12:
        return i32.eqz(high(a, b));
      default:
        return i32.const(1);
    }
  },
});
const signed = threeWay(i64.ltS, i64.gtS);
const sign = {
  code: (a: I64) => signed.code(a, zero),
  test: (mask: number, a: I64) => signed.test(mask, a, zero),
};

/** Index of each kind: the value stored in `ccOp`. */
export const CC = {
  STATIC: 0,
  SIGN: 1,
  SIGNED: 2,
  UNSIGNED: 3,
  NONZERO: 4,
  CARRY: 5,
  OVERFLOW: 6,
  TM: 7,
  TMX: 8,
} as const;
export type CcOp = (typeof CC)[keyof typeof CC];

/** The kinds, by index. */
export const CC_KINDS: readonly CcKind[] = [
  { name: 'STATIC', code: (a) => i32.wrap(a) },
  { name: 'SIGN', code: sign.code, test: sign.test },
  { name: 'SIGNED', ...signed },
  { name: 'UNSIGNED', ...threeWay(i64.ltU, i64.gtU) },
  {
    name: 'NONZERO',
    code: (a) => i64.ne(a, zero),
    test: (mask, a) => [i32.const(0), i64.ne(a, zero), i64.eqz(a), i32.const(1)][((mask & 8) >> 2) | ((mask & 4) >> 2)],
  },
  {
    // a = result, b = carry (0 or 1; for subtraction, 1 = no borrow).
    name: 'CARRY',
    code: (a, b) => i32.add(i64.ne(a, zero), i32.shl(i32.wrap(b), i32.const(1))),
    test: (mask, a, b) => {
      if (mask === 12) return i64.eqz(b);
      if (mask === 3) return i64.ne(b, zero);
      if (mask === 10) return i64.eqz(a);
      if (mask === 5) return i64.ne(a, zero);
      return undefined;
    },
  },
  {
    // a = sign-extended result, b negative on overflow.
    name: 'OVERFLOW',
    code: (a, b) => i32.select(i64.ltS(b, zero), i32.const(3), sign.code(a)),
    test: (mask, a, b) => {
      const plain = sign.test(mask, a);
      return plain && i32.select(i64.ltS(b, zero), i32.const(mask & 1), plain);
    },
  },
  {
    // a = selected bits, b = mask: zeros, mixed, ones.
    name: 'TM',
    code: (a, b) => i32.select(i64.eqz(a), i32.const(0), i32.select(i64.eq(a, b), i32.const(3), i32.const(1))),
    test: (mask, a, b) => {
      const m = mask & 13;
      if (m === 8) return i64.eqz(a);
      if (m === 5) return i64.ne(a, zero);
      if (m === 1) return i32.and(i64.eq(a, b), i64.ne(a, zero));
      if (m === 12) return i32.or(i64.eqz(a), i64.ne(a, b));
      return undefined;
    },
  },
  {
    // As TM, but mixed bits tell whether the leftmost selected one is set: TEST UNDER MASK of halfwords.
    name: 'TMX',
    code: (a, b) =>
      i32.select(
        i64.eqz(a),
        i32.const(0),
        i32.select(i64.eq(a, b), i32.const(3), i32.select(i64.eq(i64.clz(a), i64.clz(b)), i32.const(2), i32.const(1))),
      ),
    test: (mask, a) => (mask === 8 ? i64.eqz(a) : mask === 7 ? i64.ne(a, zero) : undefined),
  },
];

/** Body of `cc(op, a, b) -> i32`, for code that does not know the kind statically and for the run loop. */
export function ccFunction(): { code: Code; locals: [number, ValueType][] } {
  const b = new FunctionBuilder(3);
  const [op, a, c] = [b.parameter32(0).get, b.parameter64(1).get, b.parameter64(2).get];
  const labels = CC_KINDS.map(() => b.beginBlock()).reverse();
  b.brTable(op, labels);
  for (const kind of CC_KINDS) {
    b.close();
    b.return(kind.code(a, c));
  }
  b.emit(0x41, 0);
  return { code: b.out, locals: b.locals };
}
