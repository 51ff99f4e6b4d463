/** SHIFT and ROTATE. The amount is the rightmost six bits of the second-operand address. */

import { type I64, i32, i64 } from '../../../kernel/lib/wasm/types.ts';
import { CC } from '../condition_code.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import type { Instruction, Row } from '../row.ts';
import { checkOverflow } from './load.ts';
import { evenPair, general } from './operands.ts';

const amount = (b: Emitter, i: Instruction): I64 => i64.and(b.address2(i), i64.const(63));
const source = (i: Instruction) => (i.row.format === 'RSY-a' ? i.r3 : i.r1);

type Names = readonly (readonly [mnemonic: string, opcode: string, format: FormatName, facility?: number])[];
const rows = (names: Names, emit: (b: Emitter, i: Instruction) => void): Row[] =>
  names.map(([mnemonic, opcode, format, facility]) => general(mnemonic, opcode, format, emit, { facility }));

const logical: Row[] = [
  // In 64 bits a 32-bit value shifted by up to 63 leaves the right low word.
  ...rows(
    [
      ['SLL', '89', 'RS-shift'],
      ['SLLK', 'EBDF', 'RSY-a', 45],
    ],
    (b, i) => b.set32(i.r1, i32.wrap(i64.shl(b.r64(source(i)), amount(b, i)))),
  ),
  ...rows(
    [
      ['SRL', '88', 'RS-shift'],
      ['SRLK', 'EBDE', 'RSY-a', 45],
    ],
    (b, i) => b.set32(i.r1, i32.wrap(i64.shrU(i64.fromU(b.r32(source(i))), amount(b, i)))),
  ),
  ...rows([['SLLG', 'EB0D', 'RSY-a']], (b, i) => b.set64(i.r1, i64.shl(b.r64(i.r3), amount(b, i)))),
  ...rows([['SRLG', 'EB0C', 'RSY-a']], (b, i) => b.set64(i.r1, i64.shrU(b.r64(i.r3), amount(b, i)))),
  ...rows([['RLL', 'EB1D', 'RSY-a']], (b, i) => b.set32(i.r1, i32.rotl(b.r32(i.r3), i32.wrap(amount(b, i))))),
  ...rows([['RLLG', 'EB1C', 'RSY-a']], (b, i) => b.set64(i.r1, i64.rotl(b.r64(i.r3), amount(b, i)))),
];

const right: Row[] = [
  ...rows(
    [
      ['SRA', '8A', 'RS-shift'],
      ['SRAK', 'EBDC', 'RSY-a', 45],
    ],
    (b, i) => {
      const r = b.let64(i64.shrS(i64.extend32S(b.r64(source(i))), amount(b, i)));
      b.set32(i.r1, i32.wrap(r));
      b.setCc(CC.SIGN, r);
    },
  ),
  ...rows([['SRAG', 'EB0A', 'RSY-a']], (b, i) => {
    b.set64(i.r1, i64.shrS(b.r64(i.r3), amount(b, i)));
    b.setCc(CC.SIGN, b.r64(i.r1));
  }),
];

/**
 * Left arithmetic shift of `x`, whose sign bit is bit `width - 1`, sign-extended to 64 bits: the sign stays, the others
 * shift; overflow when a bit unlike the sign is shifted out.
 */
function leftArithmetic(b: Emitter, x: I64, n: I64, width: 32 | 64): { result: I64; overflow: I64 } {
  const sign = i64.const(width === 64 ? -0x8000_0000_0000_0000n : -0x8000_0000n);
  const shifted = b.let64(i64.shl(x, n));
  const magnitude = i64.and(shifted, width === 64 ? i64.const(0x7fff_ffff_ffff_ffffn) : i64.const(0x7fff_ffff));
  const result = b.let64(i64.or(magnitude, i64.and(x, sign)));
  // Shifting the 64-bit value back and forth loses nothing exactly when all bits shifted out equal the sign.
  const lost = i64.ne(i64.shrS(shifted, n), x);
  const wrong = width === 64 ? lost : i32.or(lost, i64.ne(i64.extend32S(shifted), shifted));
  return { result, overflow: b.let64(i64.sub(i64.const(0), i64.fromU(wrong))) };
}
const left: Row[] = [
  ...rows(
    [
      ['SLA', '8B', 'RS-shift'],
      ['SLAK', 'EBDD', 'RSY-a', 45],
    ],
    (b, i) => {
      const x = b.let64(i64.extend32S(b.r64(source(i))));
      const { result, overflow } = leftArithmetic(b, x, b.let64(amount(b, i)), 32);
      b.set32(i.r1, i32.wrap(result));
      b.setCc(CC.OVERFLOW, result, overflow);
      checkOverflow(b, overflow);
    },
  ),
  ...rows([['SLAG', 'EB0B', 'RSY-a']], (b, i) => {
    const { result, overflow } = leftArithmetic(b, b.let64(b.r64(i.r3)), b.let64(amount(b, i)), 64);
    b.set64(i.r1, result);
    b.setCc(CC.OVERFLOW, result, overflow);
    checkOverflow(b, overflow);
  }),
];

const pair = (b: Emitter, r: number): I64 => i64.or(i64.shl(b.r64(r), i64.const(32)), i64.fromU(b.r32(r + 1)));
function setPair(b: Emitter, r: number, value: I64): void {
  b.set32(r, i32.wrap(i64.shrU(value, i64.const(32))));
  b.set32(r + 1, i32.wrap(value));
}
const double: Row[] = [
  general('SLDL', '8D', 'RS-shift', (b, i) => {
    if (evenPair(b, i.r1)) setPair(b, i.r1, b.let64(i64.shl(pair(b, i.r1), amount(b, i))));
  }),
  general('SRDL', '8C', 'RS-shift', (b, i) => {
    if (evenPair(b, i.r1)) setPair(b, i.r1, b.let64(i64.shrU(pair(b, i.r1), amount(b, i))));
  }),
  general('SRDA', '8E', 'RS-shift', (b, i) => {
    if (!evenPair(b, i.r1)) return;
    const r = b.let64(i64.shrS(pair(b, i.r1), amount(b, i)));
    setPair(b, i.r1, r);
    b.setCc(CC.SIGN, r);
  }),
  general('SLDA', '8F', 'RS-shift', (b, i) => {
    if (!evenPair(b, i.r1)) return;
    const { result, overflow } = leftArithmetic(b, b.let64(pair(b, i.r1)), b.let64(amount(b, i)), 64);
    setPair(b, i.r1, result);
    b.setCc(CC.OVERFLOW, result, overflow);
    checkOverflow(b, overflow);
  }),
];

/** SHIFT and ROTATE rows. */
export const SHIFTS: readonly Row[] = [...logical, ...right, ...left, ...double];
