/** Floating-point support: moves only. Registers hold bits; arithmetic is not provided. */

import { type I64, i32, i64 } from '../../../kernel/lib/wasm/types.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import type { Instruction, Row } from '../row.ts';

const SPEC = 'SA22-7832 chapter 9 "Floating-Point Overview and Support Instructions"';
const row = (
  mnemonic: string,
  opcode: string,
  format: FormatName,
  emit: (b: Emitter, i: Instruction) => void,
  facility?: number,
): Row => ({ mnemonic, opcode, format, facility, class: 'fp-support', spec: SPEC, emit });

const SIGN = i64.const(-0x8000_0000_0000_0000n);
const MAGNITUDE = i64.const(0x7fff_ffff_ffff_ffffn);
const fpr = (b: Emitter, n: number): I64 => b.state64('fpr', n);
/** Bits of the FPC that may be one: IEEE masks, flags, data-exception code, rounding modes. SA22-7832 chapter 9 "FPC Register". */
const FPC_VALID = 0xfcfc_ff77;
const checkFpc = (value: number): number => {
  if (value & ~FPC_VALID) throw new ProgramInterruption(PGM.SPECIFICATION);
  return value >>> 0;
};

/** Floating-point support rows. */
export const FLOATING_POINT: readonly Row[] = [
  row('LD', '68', 'RX-a', (b, i) => b.setState64('fpr', b.load64(b.address2(i)), i.r1)),
  row('LDY', 'ED65', 'RXY-a', (b, i) => b.setState64('fpr', b.load64(b.address2(i)), i.r1), 18),
  row('STD', '60', 'RX-a', (b, i) => b.store64(b.address2(i), fpr(b, i.r1))),
  row('STDY', 'ED67', 'RXY-a', (b, i) => b.store64(b.address2(i), fpr(b, i.r1)), 18),
  row('LE', '78', 'RX-a', (b, i) => b.setState32High('fpr', b.load32(b.address2(i)), i.r1)),
  row('LEY', 'ED64', 'RXY-a', (b, i) => b.setState32High('fpr', b.load32(b.address2(i)), i.r1), 18),
  row('STE', '70', 'RX-a', (b, i) => b.store32(b.address2(i), i32.wrap(i64.shrU(fpr(b, i.r1), i64.const(32))))),
  row('STEY', 'ED66', 'RXY-a', (b, i) => b.store32(b.address2(i), i32.wrap(i64.shrU(fpr(b, i.r1), i64.const(32)))), 18),
  row('LDR', '28', 'RR', (b, i) => b.setState64('fpr', fpr(b, i.r2), i.r1)),
  row('LER', '38', 'RR', (b, i) => b.setState32High('fpr', i32.wrap(i64.shrU(fpr(b, i.r2), i64.const(32))), i.r1)),
  row('LZDR', 'B375', 'RRE-1', (b, i) => b.setState64('fpr', i64.const(0), i.r1)),
  row('LZER', 'B374', 'RRE-1', (b, i) => b.setState32High('fpr', i32.const(0), i.r1)),
  row('LDGR', 'B3C1', 'RRE', (b, i) => b.setState64('fpr', b.r64(i.r2), i.r1), 41),
  row('LGDR', 'B3CD', 'RRE', (b, i) => b.set64(i.r1, fpr(b, i.r2)), 41),
  row('LZXR', 'B376', 'RRE-1', (b, i) => {
    if (i.r1 & 2) return b.raise(6);
    b.setState64('fpr', i64.const(0), i.r1);
    b.setState64('fpr', i64.const(0), i.r1 + 2);
  }),
  row('LXR', 'B365', 'RRE', (b, i) => {
    if ((i.r1 | i.r2) & 2) return b.raise(6);
    b.setState64('fpr', fpr(b, i.r2), i.r1);
    b.setState64('fpr', fpr(b, i.r2 + 2), i.r1 + 2);
  }),
  row('LPDFR', 'B370', 'RRE', (b, i) => b.setState64('fpr', i64.and(fpr(b, i.r2), MAGNITUDE), i.r1), 41),
  row('LNDFR', 'B371', 'RRE', (b, i) => b.setState64('fpr', i64.or(fpr(b, i.r2), SIGN), i.r1), 41),
  row('LCDFR', 'B373', 'RRE', (b, i) => b.setState64('fpr', i64.xor(fpr(b, i.r2), SIGN), i.r1), 41),
  row(
    'CPSDR',
    'B372',
    'RRF-b',
    (b, i) => b.setState64('fpr', i64.or(i64.and(fpr(b, i.r3), SIGN), i64.and(fpr(b, i.r2), MAGNITUDE)), i.r1),
    41,
  ),
  row('STFPC', 'B29C', 'S', (b, i) => b.store32(b.address2(i), b.state32('fpc'))),
  row('EFPC', 'B38C', 'RRE-1', (b, i) => b.set32(i.r1, b.state32('fpc'))),
  {
    mnemonic: 'LFPC',
    opcode: 'B29D',
    format: 'S',
    class: 'fp-support',
    spec: SPEC,
    registerFree: true,
    exec: (cpu) => {
      cpu.state.fpc = checkFpc(cpu.storage.readNumber(cpu.operand2, 4));
    },
  },
  {
    mnemonic: 'SFPC',
    opcode: 'B384',
    format: 'RRE-1',
    class: 'fp-support',
    spec: SPEC,
    exec: (cpu, i) => {
      cpu.state.fpc = checkFpc(cpu.gprLow(i.r1));
    },
  },
];
