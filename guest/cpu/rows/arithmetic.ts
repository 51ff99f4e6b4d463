/** ADD and SUBTRACT, signed, logical, with carry; also on storage and on high words. */

import { be, type I32, type I64, i32, i64 } from '../../../kernel/lib/wasm/types.ts';
import { CC } from '../condition_code.ts';
import type { Emitter } from '../emitter.ts';
import type { Instruction, Row } from '../row.ts';
import { checkOverflow } from './load.ts';
import { family, general, register1, type Short, s8, source32, source64 } from './operands.ts';

type Operation = 'add' | 'sub';

/** 64-bit signed: result and a value that is negative on overflow. */
function signed64(b: Emitter, op: Operation, first: I64, second: I64): { result: I64; overflow: I64 } {
  const x = b.let64(first);
  const y = b.let64(second);
  const result = b.let64(i64[op](x, y));
  // Addition overflows when both operands differ in sign from the result; subtraction when the operands differ
  // and the result differs from the first.
  const other = op === 'add' ? i64.xor(y, result) : i64.xor(x, y);
  return { result, overflow: b.let64(i64.and(i64.xor(x, result), other)) };
}
/** 32-bit signed, computed exactly in 64 bits. Operands sign-extended. */
function signed32(b: Emitter, op: Operation, x: I64, y: I64): { result: I64; overflow: I64 } {
  const exact = b.let64(i64[op](x, y));
  const result = b.let64(i64.extend32S(exact));
  return { result, overflow: b.let64(i64.xor(exact, result)) };
}
/** 64-bit logical: result and carry (for subtraction: no borrow). */
function logical64(b: Emitter, op: Operation, first: I64, second: I64): { result: I64; carry: I64 } {
  const x = b.let64(first);
  const y = b.let64(second);
  const result = b.let64(i64[op](x, y));
  const carry = op === 'add' ? i64.ltU(result, x) : i64.geU(x, y);
  return { result, carry: b.let64(i64.fromU(carry)) };
}
/** 32-bit logical; operands zero-extended. */
function logical32(b: Emitter, op: Operation, x: I64, y: I64): { result: I64; carry: I64 } {
  const sum = b.let64(op === 'add' ? i64.add(x, y) : i64.add(i64.sub(x, y), i64.const(0x1_0000_0000)));
  return {
    result: b.let64(i64.and(sum, i64.const(0xffff_ffffn))),
    carry: b.let64(i64.shrU(sum, i64.const(32))),
  };
}
function endSigned(b: Emitter, set: () => void, { result, overflow }: { result: I64; overflow: I64 }): void {
  set();
  b.setCc(CC.OVERFLOW, result, overflow);
  checkOverflow(b, overflow);
}

const signedFamily = (op: Operation, rows32: Short[], rows64: Short[]): Row[] => [
  ...family(rows32, (b, i, source) => {
    const y = b.let64(i64.fromS(source32(b, i, source)));
    const done = signed32(b, op, i64.extend32S(b.r64(register1(i))), y);
    endSigned(b, () => b.set32(i.r1, i32.wrap(done.result)), done);
  }),
  ...family(rows64, (b, i, source) => {
    const y = b.let64(source64(b, i, source));
    const done = signed64(b, op, b.r64(register1(i)), y);
    endSigned(b, () => b.set64(i.r1, done.result), done);
  }),
];
const logicalFamily = (op: Operation, rows32: Short[], rows64: Short[]): Row[] => [
  ...family(rows32, (b, i, source) => {
    const y = b.let64(i64.fromU(source32(b, i, source)));
    const { result, carry } = logical32(b, op, i64.fromU(b.r32(register1(i))), y);
    b.set32(i.r1, i32.wrap(result));
    b.setCc(CC.CARRY, result, carry);
  }),
  ...family(rows64, (b, i, source) => {
    const y = b.let64(source64(b, i, source));
    const { result, carry } = logical64(b, op, b.r64(register1(i)), y);
    b.set64(i.r1, result);
    b.setCc(CC.CARRY, result, carry);
  }),
];

const signed = [
  ...signedFamily(
    'add',
    [
      ['AR', '1A', 'RR', 'r'],
      ['ARK', 'B9F8', 'RRF-a', 'r', 45],
      ['A', '5A', 'RX-a', 'm'],
      ['AY', 'E35A', 'RXY-a', 'm', 18],
      ['AH', '4A', 'RX-a', 'mh'],
      ['AHY', 'E37A', 'RXY-a', 'mh', 18],
      ['AHI', 'A7A', 'RI-a', 'i'],
      ['AFI', 'C29', 'RIL-a', 'i', 21],
      ['AHIK', 'ECD8', 'RIE-d', 'i', 45],
    ],
    [
      ['AGR', 'B908', 'RRE', 'r'],
      ['AGRK', 'B9E8', 'RRF-a', 'r', 45],
      ['AG', 'E308', 'RXY-a', 'm'],
      ['AGFR', 'B918', 'RRE', 'rs'],
      ['AGF', 'E318', 'RXY-a', 'ms'],
      ['AGH', 'E338', 'RXY-a', 'mh', 58],
      ['AGHI', 'A7B', 'RI-a', 'i'],
      ['AGFI', 'C28', 'RIL-a', 'i', 21],
      ['AGHIK', 'ECD9', 'RIE-d', 'i', 45],
    ],
  ),
  ...signedFamily(
    'sub',
    [
      ['SR', '1B', 'RR', 'r'],
      ['SRK', 'B9F9', 'RRF-a', 'r', 45],
      ['S', '5B', 'RX-a', 'm'],
      ['SY', 'E35B', 'RXY-a', 'm', 18],
      ['SH', '4B', 'RX-a', 'mh'],
      ['SHY', 'E37B', 'RXY-a', 'mh', 18],
    ],
    [
      ['SGR', 'B909', 'RRE', 'r'],
      ['SGRK', 'B9E9', 'RRF-a', 'r', 45],
      ['SG', 'E309', 'RXY-a', 'm'],
      ['SGFR', 'B919', 'RRE', 'rs'],
      ['SGF', 'E319', 'RXY-a', 'ms'],
      ['SGH', 'E339', 'RXY-a', 'mh', 58],
    ],
  ),
];
const logical = [
  ...logicalFamily(
    'add',
    [
      ['ALR', '1E', 'RR', 'r'],
      ['ALRK', 'B9FA', 'RRF-a', 'r', 45],
      ['AL', '5E', 'RX-a', 'm'],
      ['ALY', 'E35E', 'RXY-a', 'm', 18],
      ['ALFI', 'C2B', 'RIL-a', 'u', 21],
      ['ALHSIK', 'ECDA', 'RIE-d', 'i', 45],
    ],
    [
      ['ALGR', 'B90A', 'RRE', 'r'],
      ['ALGRK', 'B9EA', 'RRF-a', 'r', 45],
      ['ALG', 'E30A', 'RXY-a', 'm'],
      ['ALGFR', 'B91A', 'RRE', 'ru'],
      ['ALGF', 'E31A', 'RXY-a', 'mu'],
      ['ALGFI', 'C2A', 'RIL-a', 'u', 21],
      ['ALGHSIK', 'ECDB', 'RIE-d', 'i', 45],
    ],
  ),
  ...logicalFamily(
    'sub',
    [
      ['SLR', '1F', 'RR', 'r'],
      ['SLRK', 'B9FB', 'RRF-a', 'r', 45],
      ['SL', '5F', 'RX-a', 'm'],
      ['SLY', 'E35F', 'RXY-a', 'm', 18],
      ['SLFI', 'C25', 'RIL-a', 'u', 21],
    ],
    [
      ['SLGR', 'B90B', 'RRE', 'r'],
      ['SLGRK', 'B9EB', 'RRF-a', 'r', 45],
      ['SLG', 'E30B', 'RXY-a', 'm'],
      ['SLGFR', 'B91B', 'RRE', 'ru'],
      ['SLGF', 'E31B', 'RXY-a', 'mu'],
      ['SLGFI', 'C24', 'RIL-a', 'u', 21],
    ],
  ),
];

/** Carry in: condition code 2 or 3 of the instruction before. */
const carryIn = (b: Emitter): I64 => i64.shrU(i64.fromU(b.cc()), i64.const(1));
/** first + second + carry, where a subtraction adds the complement. */
function withCarry64(b: Emitter, i: Instruction, op: Operation, second: I64): void {
  const y = b.let64(op === 'add' ? second : i64.xor(second, i64.const(-1)));
  const carry = b.let64(carryIn(b));
  const x = b.let64(b.r64(i.r1));
  const partial = b.let64(i64.add(x, y));
  const result = b.let64(i64.add(partial, carry));
  b.set64(i.r1, result);
  b.setCc(CC.CARRY, result, i64.fromU(i32.or(i64.ltU(partial, x), i64.ltU(result, partial))));
}
function withCarry32(b: Emitter, i: Instruction, op: Operation, second: I32): void {
  const y = b.let64(i64.fromU(op === 'add' ? second : i32.xor(second, i32.const(-1))));
  const sum = b.let64(i64.add(i64.add(i64.fromU(b.r32(i.r1)), y), carryIn(b)));
  b.set32(i.r1, i32.wrap(sum));
  b.setCc(CC.CARRY, i64.and(sum, i64.const(0xffff_ffffn)), i64.shrU(sum, i64.const(32)));
}
const carries = [
  ...family(
    [
      ['ALCGR', 'B988', 'RRE', 'r'],
      ['ALCG', 'E388', 'RXY-a', 'm'],
    ],
    (b, i, source) => withCarry64(b, i, 'add', source64(b, i, source)),
  ),
  ...family(
    [
      ['SLBGR', 'B989', 'RRE', 'r'],
      ['SLBG', 'E389', 'RXY-a', 'm'],
    ],
    (b, i, source) => withCarry64(b, i, 'sub', source64(b, i, source)),
  ),
  ...family(
    [
      ['ALCR', 'B998', 'RRE', 'r'],
      ['ALC', 'E398', 'RXY-a', 'm'],
    ],
    (b, i, source) => withCarry32(b, i, 'add', source32(b, i, source)),
  ),
  ...family(
    [
      ['SLBR', 'B999', 'RRE', 'r'],
      ['SLB', 'E399', 'RXY-a', 'm'],
    ],
    (b, i, source) => withCarry32(b, i, 'sub', source32(b, i, source)),
  ),
];

/** Immediate added to storage. */
function addToStorage(b: Emitter, i: Instruction, wide: boolean, isSigned: boolean): void {
  const value = i64.const(s8(i.i2));
  const host = b.host(b.address1(i), wide ? 8 : 4, true);
  if (wide) {
    const x = be.load64(host);
    if (isSigned) {
      const done = signed64(b, 'add', x, value);
      endSigned(b, () => storeBack(b, host, done.result, true), done);
      return;
    }
    const { result, carry } = logical64(b, 'add', x, value);
    storeBack(b, host, result, true);
    b.setCc(CC.CARRY, result, carry);
    return;
  }
  if (isSigned) {
    const done = signed32(b, 'add', i64.fromS(be.load32(host)), value);
    endSigned(b, () => storeBack(b, host, done.result, false), done);
    return;
  }
  const { result, carry } = logical32(b, 'add', i64.fromU(be.load32(host)), i64.and(value, i64.const(0xffff_ffffn)));
  storeBack(b, host, result, false);
  b.setCc(CC.CARRY, result, carry);
}
function storeBack(b: Emitter, host: I32, value: I64, wide: boolean): void {
  b.emit(wide ? be.store64(host, value) : be.store32(host, i32.wrap(value)));
  b.commit(host);
}
const toStorage: Row[] = [
  general('ASI', 'EB6A', 'SIY', (b, i) => addToStorage(b, i, false, true), { facility: 34 }),
  general('AGSI', 'EB7A', 'SIY', (b, i) => addToStorage(b, i, true, true), { facility: 34 }),
  general('ALSI', 'EB6E', 'SIY', (b, i) => addToStorage(b, i, false, false), { facility: 34 }),
  general('ALGSI', 'EB7E', 'SIY', (b, i) => addToStorage(b, i, true, false), { facility: 34 }),
];

/** High-word facility: bits 0-31 of R2 with bits 0-31 or 32-63 of R3. */
const highWord = (mnemonic: string, opcode: string, op: Operation, isSigned: boolean, low: boolean): Row =>
  general(
    mnemonic,
    opcode,
    'RRF-a',
    (b, i) => {
      const y = low ? b.r32(i.r3) : b.high32(i.r3);
      if (isSigned) {
        const done = signed32(b, op, i64.fromS(b.high32(i.r2)), i64.fromS(y));
        endSigned(b, () => b.setHigh32(i.r1, i32.wrap(done.result)), done);
      } else {
        const { result, carry } = logical32(b, op, i64.fromU(b.high32(i.r2)), i64.fromU(y));
        b.setHigh32(i.r1, i32.wrap(result));
        b.setCc(CC.CARRY, result, carry);
      }
    },
    { facility: 45 },
  );
const high: Row[] = [
  highWord('AHHHR', 'B9C8', 'add', true, false),
  highWord('SHHHR', 'B9C9', 'sub', true, false),
  highWord('ALHHHR', 'B9CA', 'add', false, false),
  highWord('SLHHHR', 'B9CB', 'sub', false, false),
  highWord('AHHLR', 'B9D8', 'add', true, true),
  highWord('SHHLR', 'B9D9', 'sub', true, true),
  highWord('ALHHLR', 'B9DA', 'add', false, true),
  highWord('SLHHLR', 'B9DB', 'sub', false, true),
  general(
    'AIH',
    'CC8',
    'RIL-a',
    (b, i) => {
      const done = signed32(b, 'add', i64.fromS(b.high32(i.r1)), i64.const(i.i2 | 0));
      endSigned(b, () => b.setHigh32(i.r1, i32.wrap(done.result)), done);
    },
    { facility: 45 },
  ),
  ...(
    [
      ['ALSIH', 'CCA', true],
      ['ALSIHN', 'CCB', false],
    ] as const
  ).map(([mnemonic, opcode, setsCc]) =>
    general(
      mnemonic,
      opcode,
      'RIL-a',
      (b, i) => {
        const { result, carry } = logical32(b, 'add', i64.fromU(b.high32(i.r1)), i64.const(i.i2));
        b.setHigh32(i.r1, i32.wrap(result));
        if (setsCc) b.setCc(CC.CARRY, result, carry);
      },
      { facility: 45 },
    ),
  ),
];

/** ADD and SUBTRACT rows. */
export const ARITHMETIC: readonly Row[] = [...signed, ...logical, ...carries, ...toStorage, ...high];
