/** COMPARE, signed and logical, with its compare-and-branch and compare-and-trap forms; TEST UNDER MASK. */

import { type I32, type I64, i32, i64, mem } from '../../../kernel/lib/wasm/types.ts';
import { CC, CC_KINDS } from '../condition_code.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import type { Instruction, Row } from '../row.ts';
import {
  alignedRelative,
  family,
  general,
  immediate,
  type Short,
  type Source,
  s16,
  source32,
  source64,
  sourceSize,
} from './operands.ts';

type Sign = typeof CC.SIGNED | typeof CC.UNSIGNED;
const widen = (kind: Sign, value: I32): I64 => (kind === CC.SIGNED ? i64.fromS(value) : i64.fromU(value));

const compare32 = (kind: Sign, rows: Short[]) =>
  family(rows, (b, i, source) => {
    if (!alignedRelative(b, i, sourceSize(source, 32))) return;
    const y = b.let64(widen(kind, source32(b, i, source)));
    b.setCc(kind, widen(kind, b.r32(i.r1)), y);
  });
const compare64 = (kind: Sign, rows: Short[]) =>
  family(rows, (b, i, source) => {
    if (!alignedRelative(b, i, sourceSize(source, 64))) return;
    const y = b.let64(source64(b, i, source));
    b.setCc(kind, b.r64(i.r1), y);
  });

const registers: Row[] = [
  ...compare32(CC.SIGNED, [
    ['CR', '19', 'RR', 'r'],
    ['C', '59', 'RX-a', 'm'],
    ['CY', 'E359', 'RXY-a', 'm', 18],
    ['CRL', 'C6D', 'RIL-b', 'm', 34],
    ['CH', '49', 'RX-a', 'mh'],
    ['CHY', 'E379', 'RXY-a', 'mh', 18],
    ['CHRL', 'C65', 'RIL-b', 'mh', 34],
    ['CHI', 'A7E', 'RI-a', 'i'],
    ['CFI', 'C2D', 'RIL-a', 'i', 21],
  ]),
  ...compare32(CC.UNSIGNED, [
    ['CLR', '15', 'RR', 'r'],
    ['CL', '55', 'RX-a', 'm'],
    ['CLY', 'E355', 'RXY-a', 'm', 18],
    ['CLRL', 'C6F', 'RIL-b', 'm', 34],
    ['CLHRL', 'C67', 'RIL-b', 'muh', 34],
    ['CLFI', 'C2F', 'RIL-a', 'u', 21],
  ]),
  ...compare64(CC.SIGNED, [
    ['CGR', 'B920', 'RRE', 'r'],
    ['CG', 'E320', 'RXY-a', 'm'],
    ['CGRL', 'C68', 'RIL-b', 'm', 34],
    ['CGFR', 'B930', 'RRE', 'rs'],
    ['CGF', 'E330', 'RXY-a', 'ms'],
    ['CGFRL', 'C6C', 'RIL-b', 'ms', 34],
    ['CGH', 'E334', 'RXY-a', 'mh', 34],
    ['CGHRL', 'C64', 'RIL-b', 'mh', 34],
    ['CGHI', 'A7F', 'RI-a', 'i'],
    ['CGFI', 'C2C', 'RIL-a', 'i', 21],
  ]),
  ...compare64(CC.UNSIGNED, [
    ['CLGR', 'B921', 'RRE', 'r'],
    ['CLG', 'E321', 'RXY-a', 'm'],
    ['CLGRL', 'C6A', 'RIL-b', 'm', 34],
    ['CLGFR', 'B931', 'RRE', 'ru'],
    ['CLGF', 'E331', 'RXY-a', 'mu'],
    ['CLGFRL', 'C6E', 'RIL-b', 'mu', 34],
    ['CLGHRL', 'C66', 'RIL-b', 'muh', 34],
    ['CLGFI', 'C2E', 'RIL-a', 'u', 21],
  ]),
];

/** High words. `second` gives the other operand. */
const high = (
  mnemonic: string,
  opcode: string,
  format: FormatName,
  kind: Sign,
  second: (b: Emitter, i: Instruction) => I32,
) =>
  general(
    mnemonic,
    opcode,
    format,
    (b, i) => {
      const y = b.let64(widen(kind, second(b, i)));
      b.setCc(kind, widen(kind, b.high32(i.r1)), y);
    },
    { facility: 45, unsigned: kind === CC.UNSIGNED },
  );
const highWords: Row[] = [
  high('CHHR', 'B9CD', 'RRE', CC.SIGNED, (b, i) => b.high32(i.r2)),
  high('CHLR', 'B9DD', 'RRE', CC.SIGNED, (b, i) => b.r32(i.r2)),
  high('CHF', 'E3CD', 'RXY-a', CC.SIGNED, (b, i) => source32(b, i, 'm')),
  high('CIH', 'CCD', 'RIL-a', CC.SIGNED, (_, i) => i32.const(i.i2 | 0)),
  high('CLHHR', 'B9CF', 'RRE', CC.UNSIGNED, (b, i) => b.high32(i.r2)),
  high('CLHLR', 'B9DF', 'RRE', CC.UNSIGNED, (b, i) => b.r32(i.r2)),
  high('CLHF', 'E3CF', 'RXY-a', CC.UNSIGNED, (b, i) => source32(b, i, 'm')),
  high('CLIH', 'CCF', 'RIL-a', CC.UNSIGNED, (_, i) => i32.const(i.i2 | 0)),
];

/** Storage with an immediate. */
const storageImmediate: Row[] = (
  [
    ['CLI', '95', 'SI', CC.UNSIGNED, 'mub', 0],
    ['CLIY', 'EB55', 'SIY', CC.UNSIGNED, 'mub', 18],
    ['CHHSI', 'E554', 'SIL', CC.SIGNED, 'mh', 34],
    ['CHSI', 'E55C', 'SIL', CC.SIGNED, 'ms', 34],
    ['CGHSI', 'E558', 'SIL', CC.SIGNED, 'm', 34],
    ['CLHHSI', 'E555', 'SIL', CC.UNSIGNED, 'muh', 34],
    ['CLFHSI', 'E55D', 'SIL', CC.UNSIGNED, 'mu', 34],
    ['CLGHSI', 'E559', 'SIL', CC.UNSIGNED, 'm', 34],
  ] as readonly (readonly [string, string, FormatName, Sign, Source, number])[]
).map(([mnemonic, opcode, format, kind, source, facility]) =>
  general(
    mnemonic,
    opcode,
    format,
    (b, i) => {
      const at = b.address1(i);
      const x =
        source === 'm'
          ? b.load64(at)
          : source === 'ms' || source === 'mu'
            ? widen(kind, b.load32(at))
            : source === 'mub'
              ? i64.fromU(b.load8U(at))
              : widen(kind, kind === CC.SIGNED ? b.load16S(at) : b.load16U(at));
      b.setCc(kind, b.let64(x), i64.const(kind === CC.SIGNED ? s16(i.i2) : i.i2));
    },
    { facility, unsigned: kind === CC.UNSIGNED },
  ),
);

// --- compare and branch, compare and trap ----------------------------------------------------------------------

/** The comparison of a compare-and-branch or -trap: widths and signedness from the mnemonic, operand from the format. */
interface Comparison {
  readonly wide: boolean;
  readonly kind: Sign;
  readonly immediate: boolean;
}
function outcome(b: Emitter, i: Instruction, { wide, kind, immediate: literal }: Comparison): I32 {
  const value = (r: number) => (wide ? b.r64(r) : widen(kind, b.r32(r)));
  const constant = () => {
    if (kind === CC.SIGNED) return i64.const(immediate(i));
    return i64.const(i.i2);
  };
  const test = CC_KINDS[kind].test?.(i.m3 & 14, value(i.r1), literal ? constant() : value(i.r2));
  return test as I32;
}
const branches: Row[] = (
  [
    ['CRJ', 'EC76', 'RIE-b', { wide: false, kind: CC.SIGNED, immediate: false }],
    ['CGRJ', 'EC64', 'RIE-b', { wide: true, kind: CC.SIGNED, immediate: false }],
    ['CLRJ', 'EC77', 'RIE-b', { wide: false, kind: CC.UNSIGNED, immediate: false }],
    ['CLGRJ', 'EC65', 'RIE-b', { wide: true, kind: CC.UNSIGNED, immediate: false }],
    ['CIJ', 'EC7E', 'RIE-c', { wide: false, kind: CC.SIGNED, immediate: true }],
    ['CGIJ', 'EC7C', 'RIE-c', { wide: true, kind: CC.SIGNED, immediate: true }],
    ['CLIJ', 'EC7F', 'RIE-c', { wide: false, kind: CC.UNSIGNED, immediate: true }],
    ['CLGIJ', 'EC7D', 'RIE-c', { wide: true, kind: CC.UNSIGNED, immediate: true }],
  ] as const
).map(([mnemonic, opcode, format, comparison]) =>
  general(mnemonic, opcode, format, (b, i) => b.branch(outcome(b, i, comparison), i), {
    facility: 34,
    flow: 'branch',
    unsigned: comparison.kind === CC.UNSIGNED,
  }),
);
const indirect: Row[] = (
  [
    ['CRB', 'ECF6', 'RRS', { wide: false, kind: CC.SIGNED, immediate: false }],
    ['CGRB', 'ECE4', 'RRS', { wide: true, kind: CC.SIGNED, immediate: false }],
    ['CLRB', 'ECF7', 'RRS', { wide: false, kind: CC.UNSIGNED, immediate: false }],
    ['CLGRB', 'ECE5', 'RRS', { wide: true, kind: CC.UNSIGNED, immediate: false }],
    ['CIB', 'ECFE', 'RIS', { wide: false, kind: CC.SIGNED, immediate: true }],
    ['CGIB', 'ECFC', 'RIS', { wide: true, kind: CC.SIGNED, immediate: true }],
    ['CLIB', 'ECFF', 'RIS', { wide: false, kind: CC.UNSIGNED, immediate: true }],
    ['CLGIB', 'ECFD', 'RIS', { wide: true, kind: CC.UNSIGNED, immediate: true }],
  ] as const
).map(([mnemonic, opcode, format, comparison]) =>
  general(mnemonic, opcode, format, (b, i) => b.branchIndirect(outcome(b, i, comparison), b.address(i.b4, 0, i.d4)), {
    facility: 34,
    flow: 'indirect',
    unsigned: comparison.kind === CC.UNSIGNED,
  }),
);
/** Data exception with data-exception code X'FF' is a compare-and-trap. */
const TRAP = 0x07 | (0xff << 12);
const traps: Row[] = (
  [
    ['CRT', 'B972', 'RRF-c', { wide: false, kind: CC.SIGNED, immediate: false }],
    ['CGRT', 'B960', 'RRF-c', { wide: true, kind: CC.SIGNED, immediate: false }],
    ['CLRT', 'B973', 'RRF-c', { wide: false, kind: CC.UNSIGNED, immediate: false }],
    ['CLGRT', 'B961', 'RRF-c', { wide: true, kind: CC.UNSIGNED, immediate: false }],
    ['CIT', 'EC72', 'RIE-a', { wide: false, kind: CC.SIGNED, immediate: true }],
    ['CGIT', 'EC70', 'RIE-a', { wide: true, kind: CC.SIGNED, immediate: true }],
    ['CLFIT', 'EC73', 'RIE-a', { wide: false, kind: CC.UNSIGNED, immediate: true }],
    ['CLGIT', 'EC71', 'RIE-a', { wide: true, kind: CC.UNSIGNED, immediate: true }],
  ] as const
).map(([mnemonic, opcode, format, comparison]) =>
  general(mnemonic, opcode, format, (b, i) => b.raiseIf(outcome(b, i, comparison), TRAP), {
    facility: 34,
    unsigned: comparison.kind === CC.UNSIGNED,
  }),
);
const storageTraps: Row[] = (
  [
    ['CLT', 'EB23', false],
    ['CLGT', 'EB2B', true],
  ] as const
).map(([mnemonic, opcode, wide]) =>
  general(
    mnemonic,
    opcode,
    'RSY-b',
    (b, i) => {
      const y = wide ? b.load64(b.address2(i)) : i64.fromU(b.load32(b.address2(i)));
      const x = wide ? b.r64(i.r1) : i64.fromU(b.r32(i.r1));
      b.raiseIf(CC_KINDS[CC.UNSIGNED].test?.(i.m3 & 14, x, y) as I32, TRAP);
    },
    { facility: 49 },
  ),
);

// --- under mask --------------------------------------------------------------------------------------------------

/** COMPARE LOGICAL CHARACTERS UNDER MASK. */
function compareUnderMask(b: Emitter, i: Instruction, word: 'low' | 'high'): void {
  const positions = [8, 4, 2, 1].flatMap((bit, n) => (i.m3 & bit ? [24 - 8 * n] : []));
  const host = b.host(b.address2(i), Math.max(1, positions.length), false);
  const value = b.let32(word === 'low' ? b.r32(i.r1) : b.high32(i.r1));
  const pack = (byte: (at: number, n: number) => I32): I64 =>
    i64.fromU(positions.reduce((sum, at, n) => i32.or(sum, i32.shl(byte(at, n), i32.const(24 - 8 * n))), i32.const(0)));
  const first = pack((at) => i32.and(i32.shrU(value, i32.const(at)), i32.const(0xff)));
  const second = b.let64(pack((_, n) => mem.load8U(host, n)));
  b.setCc(CC.UNSIGNED, first, second);
}
const underMask: Row[] = [
  general('CLM', 'BD', 'RS-b', (b, i) => compareUnderMask(b, i, 'low')),
  general('CLMY', 'EB21', 'RSY-b', (b, i) => compareUnderMask(b, i, 'low'), { facility: 18 }),
  general('CLMH', 'EB20', 'RSY-b', (b, i) => compareUnderMask(b, i, 'high')),
  general('TM', '91', 'SI', (b, i) =>
    b.setCc(CC.TM, i64.and(i64.fromU(b.load8U(b.address1(i))), i64.const(i.i2)), i64.const(i.i2)),
  ),
  general(
    'TMY',
    'EB51',
    'SIY',
    (b, i) => b.setCc(CC.TM, i64.and(i64.fromU(b.load8U(b.address1(i))), i64.const(i.i2)), i64.const(i.i2)),
    { facility: 18, unsigned: true },
  ),
  ...(
    [
      ['TMHH', 'A72', 48n],
      ['TMHL', 'A73', 32n],
      ['TMLH', 'A70', 16n],
      ['TMLL', 'A71', 0n],
    ] as const
  ).map(([mnemonic, opcode, shift]) =>
    general(
      mnemonic,
      opcode,
      'RI-a',
      (b, i) => {
        const mask = i64.const(BigInt(i.i2) << shift);
        b.setCc(CC.TMX, i64.and(b.r64(i.r1), mask), mask);
      },
      { unsigned: true },
    ),
  ),
];

/** COMPARE and TEST UNDER MASK rows. */
export const COMPARES: readonly Row[] = [
  ...registers,
  ...highWords,
  ...storageImmediate,
  ...branches,
  ...indirect,
  ...traps,
  ...storageTraps,
  ...underMask,
];
