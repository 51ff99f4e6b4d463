/** MULTIPLY and DIVIDE. */

import { type I64, i32, i64 } from '../../../kernel/lib/wasm/types.ts';
import { CC } from '../condition_code.ts';
import type { Cpu } from '../cpu.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import type { Instruction, Row } from '../row.ts';
import { checkOverflow } from './load.ts';
import { evenPair, family, GENERAL, general, register1, source32, source64 } from './operands.ts';

/** Products as long as the operands: no condition code. */
const single: Row[] = [
  ...family(
    [
      ['MSR', 'B252', 'RRE', 'r'],
      ['MS', '71', 'RX-a', 'm'],
      ['MSY', 'E351', 'RXY-a', 'm', 18],
      ['MSFI', 'C21', 'RIL-a', 'i', 34],
      ['MHI', 'A7C', 'RI-a', 'i'],
      ['MH', '4C', 'RX-a', 'mh'],
      ['MHY', 'E37C', 'RXY-a', 'mh', 34],
    ],
    (b, i, source) => {
      const y = source32(b, i, source);
      b.set32(i.r1, i32.mul(b.r32(i.r1), y));
    },
  ),
  ...family(
    [
      ['MSGR', 'B90C', 'RRE', 'r'],
      ['MSG', 'E30C', 'RXY-a', 'm'],
      ['MSGFR', 'B91C', 'RRE', 'rs'],
      ['MSGF', 'E31C', 'RXY-a', 'ms'],
      ['MSGFI', 'C20', 'RIL-a', 'i', 34],
      ['MGHI', 'A7D', 'RI-a', 'i'],
      ['MGH', 'E33C', 'RXY-a', 'mh', 58],
    ],
    (b, i, source) => {
      const y = source64(b, i, source);
      b.set64(i.r1, i64.mul(b.r64(i.r1), y));
    },
  ),
];

/** High 64 bits of the unsigned product, from four 32-bit products. */
function highProduct(b: Emitter, x: I64, y: I64): I64 {
  const low = (a: I64) => i64.and(a, i64.const(0xffff_ffffn));
  const high = (a: I64) => i64.shrU(a, i64.const(32));
  const cross = b.let64(i64.add(i64.mul(high(x), low(y)), high(i64.mul(low(x), low(y)))));
  const middle = b.let64(i64.add(i64.mul(low(x), high(y)), low(cross)));
  return i64.add(i64.add(i64.mul(high(x), high(y)), high(cross)), high(middle));
}
/** The same for signed operands. */
function highSigned(b: Emitter, x: I64, y: I64): I64 {
  const corrected = i64.sub(highProduct(b, x, y), i64.and(i64.shrS(x, i64.const(63)), y));
  return i64.sub(corrected, i64.and(i64.shrS(y, i64.const(63)), x));
}
/** MSRKC and relatives: with condition code. */
const withCode: Row[] = [
  ...family(
    [
      ['MSRKC', 'B9FD', 'RRF-a', 'r', 58],
      ['MSC', 'E353', 'RXY-a', 'm', 58],
    ],
    (b, i, source) => {
      const y = i64.fromS(source32(b, i, source));
      const exact = b.let64(i64.mul(i64.extend32S(b.r64(register1(i))), y));
      const result = b.let64(i64.extend32S(exact));
      const overflow = b.let64(i64.sub(i64.const(0), i64.fromU(i64.ne(exact, result))));
      b.set32(i.r1, i32.wrap(result));
      b.setCc(CC.OVERFLOW, result, overflow);
      checkOverflow(b, overflow);
    },
  ),
  ...family(
    [
      ['MSGRKC', 'B9ED', 'RRF-a', 'r', 58],
      ['MSGC', 'E383', 'RXY-a', 'm', 58],
    ],
    (b, i, source) => {
      const y = b.let64(source64(b, i, source));
      const x = b.let64(b.r64(register1(i)));
      const result = b.let64(i64.mul(x, y));
      const lost = i64.ne(highSigned(b, x, y), i64.shrS(result, i64.const(63)));
      const overflow = b.let64(i64.sub(i64.const(0), i64.fromU(lost)));
      b.set64(i.r1, result);
      b.setCc(CC.OVERFLOW, result, overflow);
      checkOverflow(b, overflow);
    },
  ),
];

const double: Row[] = [
  ...(
    [
      ['MR', '1C', 'RR', 'r', true, 0],
      ['M', '5C', 'RX-a', 'm', true, 0],
      ['MFY', 'E35C', 'RXY-a', 'm', true, 34],
      ['MLR', 'B996', 'RRE', 'r', false, 0],
      ['ML', 'E396', 'RXY-a', 'm', false, 0],
    ] as const
  ).map(([mnemonic, opcode, format, source, isSigned, facility]) =>
    general(
      mnemonic,
      opcode,
      format,
      (b, i) => {
        if (!evenPair(b, i.r1)) return;
        const operand = source32(b, i, source);
        const y = isSigned ? i64.fromS(operand) : i64.fromU(operand);
        const x = isSigned ? i64.extend32S(b.r64(i.r1 + 1)) : i64.fromU(b.r32(i.r1 + 1));
        const product = b.let64(i64.mul(x, y));
        b.set32(i.r1, i32.wrap(i64.shrU(product, i64.const(32))));
        b.set32(i.r1 + 1, i32.wrap(product));
      },
      { facility },
    ),
  ),
  ...(
    [
      ['MLGR', 'B986', 'RRE', 'r', false, 0],
      ['MLG', 'E386', 'RXY-a', 'm', false, 0],
      ['MG', 'E384', 'RXY-a', 'm', true, 58],
    ] as const
  ).map(([mnemonic, opcode, format, source, isSigned, facility]) =>
    general(
      mnemonic,
      opcode,
      format,
      (b, i) => {
        if (!evenPair(b, i.r1)) return;
        const y = b.let64(source64(b, i, source));
        const x = b.let64(b.r64(i.r1 + 1));
        b.set64(i.r1, isSigned ? highSigned(b, x, y) : highProduct(b, x, y));
        b.set64(i.r1 + 1, i64.mul(x, y));
      },
      { facility },
    ),
  ),
  general(
    'MGRK',
    'B9EC',
    'RRF-a',
    (b, i) => {
      if (!evenPair(b, i.r1)) return;
      const x = b.let64(b.r64(i.r2));
      const y = b.let64(b.r64(i.r3));
      b.set64(i.r1, highSigned(b, x, y));
      b.set64(i.r1 + 1, i64.mul(x, y));
    },
    { facility: 58 },
  ),
];

const FIXED_DIVIDE = 9;
/** DIVIDE of a 64-bit pair by a word: quotient in the odd register, remainder in the even one. */
const divide32 = (mnemonic: string, opcode: string, format: FormatName, isSigned: boolean): Row =>
  general(mnemonic, opcode, format, (b, i) => {
    if (!evenPair(b, i.r1)) return;
    const operand = source32(b, i, format === 'RR' || format === 'RRE' ? 'r' : 'm');
    const y = b.let64(isSigned ? i64.fromS(operand) : i64.fromU(operand));
    const x = b.let64(i64.or(i64.shl(b.r64(i.r1), i64.const(32)), i64.fromU(b.r32(i.r1 + 1))));
    b.raiseIf(i64.eqz(y), FIXED_DIVIDE);
    if (isSigned) {
      // The one quotient the host's own division traps on.
      const worst = i32.and(i64.eq(x, i64.const(-0x8000_0000_0000_0000n)), i64.eq(y, i64.const(-1)));
      b.raiseIf(worst, FIXED_DIVIDE);
    }
    const quotient = b.let64(isSigned ? i64.divS(x, y) : i64.divU(x, y));
    const fits = isSigned ? i64.extend32S(quotient) : i64.and(quotient, i64.const(0xffff_ffffn));
    b.raiseIf(i64.ne(quotient, fits), FIXED_DIVIDE);
    const remainder = b.let64(isSigned ? i64.remS(x, y) : i64.remU(x, y));
    b.set32(i.r1, i32.wrap(remainder));
    b.set32(i.r1 + 1, i32.wrap(quotient));
  });
/** DIVIDE SINGLE: 64 by 64 or 32 bits, signed. */
const divideSingle = family(
  [
    ['DSGR', 'B90D', 'RRE', 'r'],
    ['DSG', 'E30D', 'RXY-a', 'm'],
    ['DSGFR', 'B91D', 'RRE', 'rs'],
    ['DSGF', 'E31D', 'RXY-a', 'ms'],
  ],
  (b, i, source) => {
    if (!evenPair(b, i.r1)) return;
    const y = b.let64(source64(b, i, source));
    const x = b.let64(b.r64(i.r1 + 1));
    b.raiseIf(i64.eqz(y), FIXED_DIVIDE);
    b.raiseIf(i32.and(i64.eq(x, i64.const(-0x8000_0000_0000_0000n)), i64.eq(y, i64.const(-1))), FIXED_DIVIDE);
    b.set64(i.r1, i64.remS(x, y));
    b.set64(i.r1 + 1, i64.divS(x, y));
  },
);
/** 128 by 64 bits, unsigned. */
function divideLogical(cpu: Cpu, i: Instruction, y: bigint): void {
  if (i.r1 & 1) throw new ProgramInterruption(PGM.SPECIFICATION);
  if (y === 0n) throw new ProgramInterruption(PGM.FIXED_DIVIDE);
  const x = (cpu.gpr(i.r1) << 64n) | cpu.gpr(i.r1 + 1);
  const quotient = x / y;
  if (quotient >> 64n !== 0n) throw new ProgramInterruption(PGM.FIXED_DIVIDE);
  cpu.setGpr(i.r1, x % y);
  cpu.setGpr(i.r1 + 1, quotient);
}
const divides: Row[] = [
  divide32('DR', '1D', 'RR', true),
  divide32('D', '5D', 'RX-a', true),
  divide32('DLR', 'B997', 'RRE', false),
  divide32('DL', 'E397', 'RXY-a', false),
  ...divideSingle,
  {
    mnemonic: 'DLGR',
    opcode: 'B987',
    format: 'RRE',
    class: 'general',
    spec: GENERAL,
    exec: (cpu, i) => divideLogical(cpu, i, cpu.gpr(i.r2)),
  },
  {
    mnemonic: 'DLG',
    opcode: 'E387',
    format: 'RXY-a',
    class: 'general',
    spec: GENERAL,
    exec: (cpu, i) => {
      if (i.r1 & 1) throw new ProgramInterruption(PGM.SPECIFICATION);
      divideLogical(cpu, i, cpu.storage.read64(cpu.operand2));
    },
  },
];

/** MULTIPLY and DIVIDE rows. */
export const MULTIPLY_DIVIDE: readonly Row[] = [...single, ...withCode, ...double, ...divides];
