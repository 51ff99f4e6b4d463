/** LOAD and its relatives: registers from registers, storage and immediates, without arithmetic. */

import { be, type I64, i32, i64, mem, swap32, swap64, swapHalf } from '../../../kernel/lib/wasm/types.ts';
import { CC } from '../condition_code.ts';
import type { Emitter } from '../emitter.ts';
import type { Instruction, Row } from '../row.ts';
import { alignedRelative, family, general, type Short, source32, source64, sourceSize } from './operands.ts';

const load32 = family(
  [
    ['LR', '18', 'RR', 'r'],
    ['L', '58', 'RX-a', 'm'],
    ['LY', 'E358', 'RXY-a', 'm', 18],
    ['LRL', 'C4D', 'RIL-b', 'm', 34],
    ['LHI', 'A78', 'RI-a', 'i'],
    ['LH', '48', 'RX-a', 'mh'],
    ['LHY', 'E378', 'RXY-a', 'mh', 18],
    ['LHRL', 'C45', 'RIL-b', 'mh', 34],
    ['LHR', 'B927', 'RRE', 'rh', 21],
    ['LB', 'E376', 'RXY-a', 'mb', 18],
    ['LBR', 'B926', 'RRE', 'rb', 21],
    ['LLC', 'E394', 'RXY-a', 'mub', 21],
    ['LLCR', 'B994', 'RRE', 'rub', 21],
    ['LLH', 'E395', 'RXY-a', 'muh', 21],
    ['LLHR', 'B995', 'RRE', 'ruh', 21],
    ['LLHRL', 'C42', 'RIL-b', 'muh', 34],
    ['IILF', 'C09', 'RIL-a', 'u', 21],
  ],
  (b, i, source) => {
    if (alignedRelative(b, i, sourceSize(source, 32))) b.set32(i.r1, source32(b, i, source));
  },
);

const load64 = family(
  [
    ['LGR', 'B904', 'RRE', 'r'],
    ['LG', 'E304', 'RXY-a', 'm'],
    ['LGRL', 'C48', 'RIL-b', 'm', 34],
    ['LGHI', 'A79', 'RI-a', 'i'],
    ['LGFI', 'C01', 'RIL-a', 'i', 21],
    ['LGFR', 'B914', 'RRE', 'rs'],
    ['LGF', 'E314', 'RXY-a', 'ms'],
    ['LGFRL', 'C4C', 'RIL-b', 'ms', 34],
    ['LGH', 'E315', 'RXY-a', 'mh'],
    ['LGHR', 'B907', 'RRE', 'rh', 21],
    ['LGHRL', 'C44', 'RIL-b', 'mh', 34],
    ['LGB', 'E377', 'RXY-a', 'mb', 18],
    ['LGBR', 'B906', 'RRE', 'rb', 21],
    ['LLGFR', 'B916', 'RRE', 'ru'],
    ['LLGF', 'E316', 'RXY-a', 'mu'],
    ['LLGFRL', 'C4E', 'RIL-b', 'mu', 34],
    ['LLGC', 'E390', 'RXY-a', 'mub'],
    ['LLGCR', 'B984', 'RRE', 'rub', 21],
    ['LLGH', 'E391', 'RXY-a', 'muh'],
    ['LLGHR', 'B985', 'RRE', 'ruh', 21],
    ['LLGHRL', 'C46', 'RIL-b', 'muh', 34],
    ['LLILF', 'C0F', 'RIL-a', 'u', 21],
  ],
  (b, i, source) => {
    if (alignedRelative(b, i, sourceSize(source, 64))) b.set64(i.r1, source64(b, i, source));
  },
);

const MASK31 = i64.const(0x7fff_ffff);
const load31 = family(
  [
    ['LLGTR', 'B917', 'RRE', 'rs'],
    ['LLGT', 'E317', 'RXY-a', 'ms'],
  ],
  (b, i, source) => b.set64(i.r1, i64.and(source64(b, i, source), MASK31)),
);

const zeroRightmost = [
  ...family([['LZRF', 'E33B', 'RXY-a', 'm', 53]], (b, i) =>
    b.set32(i.r1, i32.and(source32(b, i, 'm'), i32.const(-256))),
  ),
  ...family(
    [
      ['LZRG', 'E32A', 'RXY-a', 'm', 53],
      ['LLZRGF', 'E33A', 'RXY-a', 'mu', 53],
    ],
    (b, i, source) => b.set64(i.r1, i64.and(source64(b, i, source), i64.const(-256))),
  ),
];

/** LOAD AND TEST / COMPLEMENT / POSITIVE / NEGATIVE: the result with its condition code. */
const sign = (
  rows64: Short[],
  rows32: Short[],
  result: (b: Emitter, value: I64, overflows: bigint) => { value: I64; overflow?: I64 },
): Row[] => {
  const finish = (b: Emitter, i: Instruction, wide: boolean, operand: I64) => {
    const x = b.let64(operand);
    const { value, overflow } = result(b, x, wide ? -0x8000_0000_0000_0000n : -0x8000_0000n);
    const r = b.let64(wide ? value : i64.extend32S(value));
    if (wide) b.set64(i.r1, r);
    else b.set32(i.r1, i32.wrap(r));
    if (overflow) b.setCc(CC.OVERFLOW, r, overflow);
    else b.setCc(CC.SIGN, r);
    if (overflow) checkOverflow(b, overflow);
  };
  return [
    ...family(rows64, (b, i, source) => finish(b, i, true, source64(b, i, source))),
    ...family(rows32, (b, i, source) => finish(b, i, false, i64.fromS(source32(b, i, source)))),
  ];
};
/** Fixed-point overflow is a program interruption when the program mask says so. */
export function checkOverflow(b: Emitter, negativeWhenOverflow: I64): void {
  if (b.mode.fixedOverflow) b.raiseIf(i64.ltS(negativeWhenOverflow, i64.const(0)), 8);
}
const tests = sign(
  [
    ['LTGR', 'B902', 'RRE', 'r'],
    ['LTGFR', 'B912', 'RRE', 'rs'],
    ['LTG', 'E302', 'RXY-a', 'm', 21],
    ['LTGF', 'E332', 'RXY-a', 'ms', 34],
  ],
  [
    ['LTR', '12', 'RR', 'r'],
    ['LT', 'E312', 'RXY-a', 'm', 21],
  ],
  (_, value) => ({ value }),
);
/** Negative (all ones) exactly when the operand is the most negative number, whose complement overflows. */
const mostNegative = (x: I64, min: bigint) => i64.sub(i64.const(0), i64.fromU(i64.eq(x, i64.const(min))));
const complements = sign(
  [
    ['LCGR', 'B903', 'RRE', 'r'],
    ['LCGFR', 'B913', 'RRE', 'rs'],
  ],
  [['LCR', '13', 'RR', 'r']],
  (b, x, min) => ({ value: i64.sub(i64.const(0), x), overflow: b.let64(mostNegative(x, min)) }),
);
const negates = (x: I64) => i64.sub(i64.const(0), x);
const positives = sign(
  [
    ['LPGR', 'B900', 'RRE', 'r'],
    ['LPGFR', 'B910', 'RRE', 'rs'],
  ],
  [['LPR', '10', 'RR', 'r']],
  (b, x, min) => ({
    value: i64.select(i64.ltS(x, i64.const(0)), negates(x), x),
    overflow: b.let64(mostNegative(x, min)),
  }),
);
const negatives = sign(
  [
    ['LNGR', 'B901', 'RRE', 'r'],
    ['LNGFR', 'B911', 'RRE', 'rs'],
  ],
  [['LNR', '11', 'RR', 'r']],
  (_, x) => ({ value: i64.select(i64.gtS(x, i64.const(0)), negates(x), x) }),
);

const addresses: Row[] = [
  general('LA', '41', 'RX-a', (b, i) => b.setAddress(i.r1, b.address2(i))),
  general('LAY', 'E371', 'RXY-a', (b, i) => b.setAddress(i.r1, b.address2(i)), { facility: 18 }),
  general('LARL', 'C00', 'RIL-b', (b, i) => b.setAddress(i.r1, i64.const(b.relative(i)))),
];

/** LOGICAL IMMEDIATE loads place 16 or 32 bits and clear the rest; insertions keep the rest. */
const immediates: Row[] = (
  [
    ['HH', 48n, '0'],
    ['HL', 32n, '1'],
    ['LH', 16n, '2'],
    ['LL', 0n, '3'],
  ] as const
).flatMap(([part, shift, digit]) => [
  general(
    `LLI${part}`,
    `A5${(Number(digit) + 12).toString(16).toUpperCase()}`,
    'RI-a',
    (b, i) => b.set64(i.r1, i64.const(BigInt(i.i2) << shift)),
    { unsigned: true },
  ),
  general(
    `II${part}`,
    `A5${digit}`,
    'RI-a',
    (b, i) =>
      b.set64(i.r1, i64.or(i64.and(b.r64(i.r1), i64.const(~(0xffffn << shift))), i64.const(BigInt(i.i2) << shift))),
    { unsigned: true },
  ),
]);
const highImmediates: Row[] = [
  general('LLIHF', 'C0E', 'RIL-a', (b, i) => b.set64(i.r1, i64.const(BigInt(i.i2) << 32n)), {
    unsigned: true,
    facility: 21,
  }),
  general('IIHF', 'C08', 'RIL-a', (b, i) => b.setHigh32(i.r1, i32.const(i.i2 | 0)), { unsigned: true, facility: 21 }),
];

const highWords = family(
  [
    ['LFH', 'E3CA', 'RXY-a', 'm', 45],
    ['LHH', 'E3C4', 'RXY-a', 'mh', 45],
    ['LBH', 'E3C0', 'RXY-a', 'mb', 45],
    ['LLHH', 'E3C6', 'RXY-a', 'muh', 45],
    ['LLCH', 'E3C2', 'RXY-a', 'mub', 45],
  ],
  (b, i, source) => b.setHigh32(i.r1, source32(b, i, source)),
);

const reversed: Row[] = [
  general('LRVR', 'B91F', 'RRE', (b, i) => b.set32(i.r1, swap32(b.r32(i.r2)))),
  general('LRVGR', 'B90F', 'RRE', (b, i) => b.set64(i.r1, swap64(b.r64(i.r2)))),
  // Storage is big-endian: reversed is the host's own order.
  general('LRV', 'E31E', 'RXY-a', (b, i) => b.set32(i.r1, mem.load32(b.host(b.address2(i), 4, false)))),
  general('LRVG', 'E30F', 'RXY-a', (b, i) => b.set64(i.r1, mem.load64(b.host(b.address2(i), 8, false)))),
  general('LRVH', 'E31F', 'RXY-a', (b, i) => {
    const half = swapHalf(b.load16U(b.address2(i)));
    b.set32(i.r1, i32.or(i32.and(b.r32(i.r1), i32.const(0xffff_0000)), half));
  }),
];

const insertByte: Row[] = (['RX-a:43:IC', 'RXY-a:E373:ICY'] as const).map((entry) => {
  const [format, opcode, mnemonic] = entry.split(':') as ['RX-a', string, string];
  return general(
    mnemonic,
    opcode,
    format,
    (b, i) => {
      const byte = b.load8U(b.address2(i));
      b.set64(i.r1, i64.or(i64.and(b.r64(i.r1), i64.const(-256)), i64.fromU(byte)));
    },
    { facility: mnemonic === 'ICY' ? 18 : 0 },
  );
});

/** LOAD AND TRAP: the register is loaded, then a zero value is a data exception with data-exception code X'FF'. */
const TRAP = 0x07 | (0xff << 12);
const traps: Row[] = [
  ...family([['LAT', 'E39F', 'RXY-a', 'm', 49]], (b, i) => {
    b.set32(i.r1, source32(b, i, 'm'));
    b.raiseIf(i32.eqz(b.r32(i.r1)), TRAP);
  }),
  ...family([['LFHAT', 'E3C8', 'RXY-a', 'm', 49]], (b, i) => {
    b.setHigh32(i.r1, source32(b, i, 'm'));
    b.raiseIf(i32.eqz(b.high32(i.r1)), TRAP);
  }),
  ...family(
    [
      ['LGAT', 'E385', 'RXY-a', 'm', 49],
      ['LLGFAT', 'E39D', 'RXY-a', 'mu', 49],
    ],
    (b, i, source) => {
      b.set64(i.r1, source64(b, i, source));
      b.raiseIf(i64.eqz(b.r64(i.r1)), TRAP);
    },
  ),
  ...family([['LLGTAT', 'E39C', 'RXY-a', 'ms', 49]], (b, i, source) => {
    b.set64(i.r1, i64.and(source64(b, i, source), i64.const(0x7fff_ffff)));
    b.raiseIf(i64.eqz(b.r64(i.r1)), TRAP);
  }),
];

/** INSERT CHARACTERS UNDER MASK. @param high the mask selects bytes of bits 0-31 */
function insertUnderMask(b: Emitter, i: Instruction, high: boolean): void {
  const positions = [8, 4, 2, 1].flatMap((bit, n) => (i.m3 & bit ? [24 - 8 * n] : []));
  const count = positions.length;
  // With mask 0 an access exception for one byte may be recognised; the condition code is 0.
  const host = b.host(b.address2(i), Math.max(1, count), false);
  if (count === 0) {
    b.setCc(CC.STATIC, i64.const(0));
    return;
  }
  const bytes = positions.map((_, n) => b.let32(mem.load8U(host, n)));
  const clear = positions.reduce((mask, at) => mask & ~(0xff << at), -1);
  const old = high ? b.high32(i.r1) : b.r32(i.r1);
  const inserted = bytes.reduce((sum, byte, n) => i32.or(sum, i32.shl(byte, i32.const(positions[n]))), i32.const(0));
  const bits = b.let32(inserted);
  const value = i32.or(i32.and(old, i32.const(clear)), bits);
  if (high) b.setHigh32(i.r1, value);
  else b.set32(i.r1, value);
  // Left-align the inserted field so that its leftmost bit is the sign.
  const field = bytes.reduce((sum, byte, n) => i32.or(sum, i32.shl(byte, i32.const(24 - 8 * n))), i32.const(0));
  b.setCc(CC.SIGN, i64.fromS(field));
}
const underMask: Row[] = [
  general('ICM', 'BF', 'RS-b', (b, i) => insertUnderMask(b, i, false)),
  general('ICMY', 'EB81', 'RSY-b', (b, i) => insertUnderMask(b, i, false), { facility: 18 }),
  general('ICMH', 'EB80', 'RSY-b', (b, i) => insertUnderMask(b, i, true)),
];

/** LOAD MULTIPLE. The whole range is reached before any register changes. */
function loadMultiple(b: Emitter, i: Instruction, part: 'low' | 'high' | 'all'): void {
  const count = ((i.r3 - i.r1) & 15) + 1;
  const size = part === 'all' ? 8 : 4;
  const host = b.host(b.address2(i), count * size, false);
  for (let n = 0; n < count; n++) {
    const r = (i.r1 + n) & 15;
    if (part === 'all') b.set64(r, be.load64(host, n * 8));
    else if (part === 'low') b.set32(r, be.load32(host, n * 4));
    else b.setHigh32(r, be.load32(host, n * 4));
  }
}
const multiples: Row[] = [
  general('LM', '98', 'RS-a', (b, i) => loadMultiple(b, i, 'low')),
  general('LMY', 'EB98', 'RSY-a', (b, i) => loadMultiple(b, i, 'low'), { facility: 18 }),
  general('LMG', 'EB04', 'RSY-a', (b, i) => loadMultiple(b, i, 'all')),
  general('LMH', 'EB96', 'RSY-a', (b, i) => loadMultiple(b, i, 'high')),
  general('LPQ', 'E38F', 'RXY-a', (b, i) => {
    if (i.r1 & 1) return b.raise(6);
    const address = b.let64(b.address2(i));
    b.raiseIf(i32.wrap(i64.and(address, i64.const(15))), 6);
    const host = b.host(address, 16, false);
    b.set64(i.r1, be.load64(host));
    b.set64(i.r1 + 1, be.load64(host, 8));
  }),
];

/** LOAD ON CONDITION, SELECT. Storage is reached only when the condition holds. */
const conditional: Row[] = [
  general('LOCR', 'B9F2', 'RRF-c', (b, i) => b.if(b.condition(i.m3), () => b.set32(i.r1, b.r32(i.r2))), {
    facility: 45,
  }),
  general('LOCGR', 'B9E2', 'RRF-c', (b, i) => b.if(b.condition(i.m3), () => b.set64(i.r1, b.r64(i.r2))), {
    facility: 45,
  }),
  general('LOC', 'EBF2', 'RSY-loc', (b, i) => b.if(b.condition(i.m3), () => b.set32(i.r1, b.load32(b.address2(i)))), {
    facility: 45,
  }),
  general('LOCG', 'EBE2', 'RSY-loc', (b, i) => b.if(b.condition(i.m3), () => b.set64(i.r1, b.load64(b.address2(i)))), {
    facility: 45,
  }),
  general('LOCHI', 'EC42', 'RIE-g', (b, i) => b.if(b.condition(i.m3), () => b.set32(i.r1, source32(b, i, 'i'))), {
    facility: 53,
  }),
  general('LOCGHI', 'EC46', 'RIE-g', (b, i) => b.if(b.condition(i.m3), () => b.set64(i.r1, source64(b, i, 'i'))), {
    facility: 53,
  }),
  general('LOCHHI', 'EC4E', 'RIE-g', (b, i) => b.if(b.condition(i.m3), () => b.setHigh32(i.r1, source32(b, i, 'i'))), {
    facility: 53,
  }),
  general('LOCFHR', 'B9E0', 'RRF-c', (b, i) => b.if(b.condition(i.m3), () => b.setHigh32(i.r1, b.high32(i.r2))), {
    facility: 53,
  }),
  general(
    'LOCFH',
    'EBE0',
    'RSY-loc',
    (b, i) => b.if(b.condition(i.m3), () => b.setHigh32(i.r1, b.load32(b.address2(i)))),
    {
      facility: 53,
    },
  ),
  general('SELR', 'B9F0', 'RRF-a4', (b, i) => b.set32(i.r1, i32.select(b.condition(i.m4), b.r32(i.r2), b.r32(i.r3))), {
    facility: 61,
  }),
  general('SELGR', 'B9E3', 'RRF-a4', (b, i) => b.set64(i.r1, i64.select(b.condition(i.m4), b.r64(i.r2), b.r64(i.r3))), {
    facility: 61,
  }),
  general(
    'SELFHR',
    'B9C0',
    'RRF-a4',
    (b, i) => b.setHigh32(i.r1, i32.select(b.condition(i.m4), b.high32(i.r2), b.high32(i.r3))),
    { facility: 61 },
  ),
];

/** LOAD ... rows. */
export const LOADS: readonly Row[] = [
  ...load32,
  ...load64,
  ...load31,
  ...zeroRightmost,
  ...tests,
  ...complements,
  ...positives,
  ...negatives,
  ...addresses,
  ...immediates,
  ...highImmediates,
  ...highWords,
  ...reversed,
  ...insertByte,
  ...underMask,
  ...multiples,
  ...conditional,
  ...traps,
];
