/** AND, OR, EXCLUSIVE OR and their combinations; rotate-then-operate on selected bits; bit counting. */

import { type I32, type I64, i32, i64, mem } from '../../../kernel/lib/wasm/types.ts';
import { CC } from '../condition_code.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import type { Instruction, Row } from '../row.ts';
import { evenPair, family, general, register1, type Short, source32, source64 } from './operands.ts';

type Operation = 'and' | 'or' | 'xor';

const logic = (op: Operation, rows32: Short[], rows64: Short[]): Row[] => [
  ...family(rows32, (b, i, source) => {
    const y = source32(b, i, source);
    const r = b.let32(i32[op](b.r32(register1(i)), y));
    b.set32(i.r1, r);
    b.setCc(CC.NONZERO, i64.fromU(r));
  }),
  ...family(rows64, (b, i, source) => {
    const y = source64(b, i, source);
    const r = b.let64(i64[op](b.r64(register1(i)), y));
    b.set64(i.r1, r);
    b.setCc(CC.NONZERO, r);
  }),
];
const registers: Row[] = [
  ...logic(
    'and',
    [
      ['NR', '14', 'RR', 'r'],
      ['NRK', 'B9F4', 'RRF-a', 'r', 45],
      ['N', '54', 'RX-a', 'm'],
      ['NY', 'E354', 'RXY-a', 'm', 18],
      ['NILF', 'C0B', 'RIL-a', 'u', 21],
    ],
    [
      ['NGR', 'B980', 'RRE', 'r'],
      ['NGRK', 'B9E4', 'RRF-a', 'r', 45],
      ['NG', 'E380', 'RXY-a', 'm'],
    ],
  ),
  ...logic(
    'or',
    [
      ['OR', '16', 'RR', 'r'],
      ['ORK', 'B9F6', 'RRF-a', 'r', 45],
      ['O', '56', 'RX-a', 'm'],
      ['OY', 'E356', 'RXY-a', 'm', 18],
      ['OILF', 'C0D', 'RIL-a', 'u', 21],
    ],
    [
      ['OGR', 'B981', 'RRE', 'r'],
      ['OGRK', 'B9E6', 'RRF-a', 'r', 45],
      ['OG', 'E381', 'RXY-a', 'm'],
    ],
  ),
  ...logic(
    'xor',
    [
      ['XR', '17', 'RR', 'r'],
      ['XRK', 'B9F7', 'RRF-a', 'r', 45],
      ['X', '57', 'RX-a', 'm'],
      ['XY', 'E357', 'RXY-a', 'm', 18],
      ['XILF', 'C07', 'RIL-a', 'u', 21],
    ],
    [
      ['XGR', 'B982', 'RRE', 'r'],
      ['XGRK', 'B9E7', 'RRF-a', 'r', 45],
      ['XG', 'E382', 'RXY-a', 'm'],
    ],
  ),
];

const not = (a: I64): I64 => i64.xor(a, i64.const(-1));
/** Facility 61: complemented forms, of 32 and 64 bits. */
const complemented: Row[] = (
  [
    ['NC', '5', (x, y) => i64.and(x, not(y))],
    ['OC', '5', (x, y) => i64.or(x, not(y))],
    ['NN', '4', (x, y) => not(i64.and(x, y))],
    ['NO', '6', (x, y) => not(i64.or(x, y))],
    ['NX', '7', (x, y) => not(i64.xor(x, y))],
  ] as readonly (readonly [string, string, (x: I64, y: I64) => I64])[]
).flatMap(([name, digit, operate]) => {
  const [low, wide] = name === 'NC' ? ['B9F', 'B9E'] : ['B97', 'B96'];
  return [
    general(
      `${name}RK`,
      `${low}${digit}`,
      'RRF-a',
      (b, i) => {
        const r = b.let32(i32.wrap(operate(b.r64(i.r2), b.r64(i.r3))));
        b.set32(i.r1, r);
        b.setCc(CC.NONZERO, i64.fromU(r));
      },
      { facility: 61 },
    ),
    general(
      `${name}GRK`,
      `${wide}${digit}`,
      'RRF-a',
      (b, i) => {
        const r = b.let64(operate(b.r64(i.r2), b.r64(i.r3)));
        b.set64(i.r1, r);
        b.setCc(CC.NONZERO, r);
      },
      { facility: 61 },
    ),
  ];
});

/** A part of a register with an immediate; only the part counts for the condition code. */
const part = (mnemonic: string, opcode: string, format: FormatName, op: Operation, shift: bigint, width: bigint): Row =>
  general(
    mnemonic,
    opcode,
    format,
    (b, i) => {
      const field = ((1n << width) - 1n) << shift;
      const value = BigInt(i.i2) << shift;
      const operand = op === 'and' ? value | ~field : value;
      const r = b.let64(i64[op](b.r64(i.r1), i64.const(operand)));
      b.set64(i.r1, r);
      b.setCc(CC.NONZERO, i64.and(r, i64.const(field)));
    },
    { unsigned: true, facility: width === 32n ? 21 : 0 },
  );
const parts: Row[] = (
  [
    ['HH', 48n, 4],
    ['HL', 32n, 5],
    ['LH', 16n, 6],
    ['LL', 0n, 7],
  ] as const
).flatMap(([name, shift, digit]) => [
  part(`NI${name}`, `A5${digit}`, 'RI-a', 'and', shift, 16n),
  part(`OI${name}`, `A5${(digit + 4).toString(16).toUpperCase()}`, 'RI-a', 'or', shift, 16n),
]);
const highParts: Row[] = [
  part('NIHF', 'C0A', 'RIL-a', 'and', 32n, 32n),
  part('OIHF', 'C0C', 'RIL-a', 'or', 32n, 32n),
  part('XIHF', 'C06', 'RIL-a', 'xor', 32n, 32n),
];

/** A byte of storage with an immediate. */
const byte = (mnemonic: string, opcode: string, format: FormatName, op: Operation, facility = 0): Row =>
  general(
    mnemonic,
    opcode,
    format,
    (b, i) => {
      const host = b.host(b.address1(i), 1, true);
      const r = b.let32(i32[op](mem.load8U(host), i32.const(i.i2)));
      b.emit(mem.store8(host, r));
      b.setCc(CC.NONZERO, i64.fromU(r));
    },
    { unsigned: true, facility },
  );
const bytes: Row[] = (
  [
    ['NI', '94', 'EB54', 'and'],
    ['OI', '96', 'EB56', 'or'],
    ['XI', '97', 'EB57', 'xor'],
  ] as const
).flatMap(([mnemonic, short, long, op]) => [
  byte(mnemonic, short, 'SI', op),
  byte(`${mnemonic}Y`, long, 'SIY', op, 18),
]);

// --- rotate then operate on selected bits ------------------------------------------------------------------------

/** Bits `start..end` of a doubleword (bit 0 leftmost), wrapping around when start > end. */
function selected(start: number, end: number): bigint {
  const from = (n: number) => 0xffff_ffff_ffff_ffffn >> BigInt(n);
  const upTo = BigInt.asUintN(64, 0xffff_ffff_ffff_ffffn << BigInt(63 - end));
  return start <= end ? from(start) & upTo : from(start) | upTo;
}
const rotated = (b: Emitter, i: Instruction): I64 => i64.rotl(b.r64(i.r2), i64.const(i.i5 & 63));
function insert(b: Emitter, i: Instruction, mask: bigint, result: (value: I64, zero: boolean) => void): void {
  const zero = (i.i4 & 0x80) !== 0;
  const bits = i64.and(rotated(b, i), i64.const(mask));
  result(zero ? bits : i64.or(bits, i64.and(b.r64(i.r1), i64.const(~mask))), zero);
}
const insertRow = (mnemonic: string, opcode: string, facility: number, setsCc: boolean): Row =>
  general(
    mnemonic,
    opcode,
    'RIE-f',
    (b, i) =>
      insert(b, i, selected(i.i3 & 63, i.i4 & 63), (value) => {
        b.set64(i.r1, value);
        if (setsCc) b.setCc(CC.SIGN, b.r64(i.r1));
      }),
    { facility },
  );
/** RISBHG and RISBLG: into one word; the other is untouched. */
const insertWord = (mnemonic: string, opcode: string, highWord: boolean): Row =>
  general(
    mnemonic,
    opcode,
    'RIE-f',
    (b, i) => {
      const mask32 = Number(selected((i.i3 & 31) + 32, (i.i4 & 31) + 32) & 0xffff_ffffn);
      const wide = rotated(b, i);
      const bits = i32.and(i32.wrap(highWord ? i64.shrU(wide, i64.const(32)) : wide), i32.const(mask32 | 0));
      const old = highWord ? b.high32(i.r1) : b.r32(i.r1);
      const value: I32 = i.i4 & 0x80 ? bits : i32.or(bits, i32.and(old, i32.const(~mask32)));
      if (highWord) b.setHigh32(i.r1, value);
      else b.set32(i.r1, value);
    },
    { facility: 45 },
  );
const operateRow = (mnemonic: string, opcode: string, op: Operation): Row =>
  general(
    mnemonic,
    opcode,
    'RIE-f',
    (b, i) => {
      const mask = selected(i.i3 & 63, i.i4 & 63);
      const operand = op === 'and' ? i64.or(rotated(b, i), i64.const(~mask)) : i64.and(rotated(b, i), i64.const(mask));
      const r = b.let64(i64[op](b.r64(i.r1), operand));
      // I3 bit 0: test only.
      if (!(i.i3 & 0x80)) b.set64(i.r1, r);
      b.setCc(CC.NONZERO, i64.and(r, i64.const(mask)));
    },
    { facility: 34 },
  );
const rotates: Row[] = [
  insertRow('RISBG', 'EC55', 34, true),
  insertRow('RISBGN', 'EC59', 49, false),
  insertWord('RISBHG', 'EC5D', true),
  insertWord('RISBLG', 'EC51', false),
  operateRow('RNSBG', 'EC54', 'and'),
  operateRow('ROSBG', 'EC56', 'or'),
  operateRow('RXSBG', 'EC57', 'xor'),
];

const counting: Row[] = [
  general(
    'FLOGR',
    'B983',
    'RRE',
    (b, i) => {
      if (!evenPair(b, i.r1)) return;
      const x = b.let64(b.r64(i.r2));
      const count = b.let64(i64.clz(x));
      b.set64(i.r1, count);
      b.set64(
        i.r1 + 1,
        i64.and(x, not(i64.select(i64.eqz(x), i64.const(0), i64.shrU(i64.const(-0x8000_0000_0000_0000n), count)))),
      );
      b.setCc(CC.STATIC, i64.fromU(i32.select(i64.eqz(x), i32.const(0), i32.const(2))));
    },
    { facility: 21 },
  ),
  general(
    'POPCNT',
    'B9E1',
    'RRF-c',
    (b, i) => {
      const x = b.let64(b.r64(i.r2));
      if (i.m3 & 8) b.set64(i.r1, i64.popcnt(x));
      else {
        // Bits of each byte, counted in parallel.
        const m = (pattern: bigint) => i64.const(pattern);
        const pairs = b.let64(i64.sub(x, i64.and(i64.shrU(x, m(1n)), m(0x5555_5555_5555_5555n))));
        const low = m(0x3333_3333_3333_3333n);
        const nibbles = b.let64(i64.add(i64.and(pairs, low), i64.and(i64.shrU(pairs, m(2n)), low)));
        b.set64(i.r1, i64.and(i64.add(nibbles, i64.shrU(nibbles, m(4n))), m(0x0f0f_0f0f_0f0f_0f0fn)));
      }
      b.setCc(CC.NONZERO, b.r64(i.r1));
    },
    { facility: 45 },
  ),
];

/** Bit operation rows. */
export const BITS: readonly Row[] = [
  ...registers,
  ...complemented,
  ...parts,
  ...highParts,
  ...bytes,
  ...rotates,
  ...counting,
];
