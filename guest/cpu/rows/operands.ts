/** Operands as instruction families name them: where a second operand comes from and how it is extended. */

import { type I32, type I64, i32, i64 } from '../../../kernel/lib/wasm/types.ts';
import type { Emitter } from '../emitter.ts';
import type { FormatName } from '../formats.ts';
import type { Instruction, Row } from '../row.ts';

/** Chapter of most rows. */
export const GENERAL = 'SA22-7832 chapter 7 "General Instructions"';

/**
 * Source of a second operand:
 * `r` register of the operation's width · `rs` `ru` word register, extended · `m` storage of the width · `ms` `mu` word in
 * storage, extended · `mh` `muh` halfword · `mb` `mub` byte · `i` immediate, signed · `u` immediate, unsigned; storage of
 * RIL-b is relative.
 */
export type Source =
  | 'r'
  | 'rs'
  | 'ru'
  | 'rh'
  | 'ruh'
  | 'rb'
  | 'rub'
  | 'm'
  | 'ms'
  | 'mu'
  | 'mh'
  | 'muh'
  | 'mb'
  | 'mub'
  | 'i'
  | 'u';

/** A row in short form: mnemonic, opcode, format, source, facility. */
export type Short = readonly [mnemonic: string, opcode: string, format: FormatName, source: Source, facility?: number];

/** Signed value of a 16-bit field. */
export const s16 = (value: number) => (value << 16) >> 16;
/** Signed value of an 8-bit field. */
export const s8 = (value: number) => (value << 24) >> 24;

const wideImmediate = (i: Instruction) => i.row.format === 'RIL-a';
/** Signed immediate I2. */
export function immediate(i: Instruction): number {
  if (wideImmediate(i)) return i.i2 | 0;
  const { format } = i.row;
  return format === 'SIY' || format === 'SI' || format === 'RIS' || format === 'RIE-c' ? s8(i.i2) : s16(i.i2);
}

/** Address of the storage second operand, whatever the format. */
export function storage2(b: Emitter, i: Instruction): I64 {
  return i.row.format === 'RIL-b' ? i64.const(b.relative(i)) : b.address2(i);
}
/** Relative operands must be aligned on their size: specification exception otherwise. SA22-7832 "LOAD RELATIVE LONG". */
export function alignedRelative(b: Emitter, i: Instruction, size: number): boolean {
  if (i.row.format !== 'RIL-b' || b.relative(i) % BigInt(size) === 0n) return true;
  b.raise(6);
  return false;
}

/** The second register of an operation: R3 where three registers are named, R2 else. */
const register2 = (i: Instruction) => (i.row.format.startsWith('RRF-a') ? i.r3 : i.r2);
/** The first source register: R2 of three-register forms, R3 of register-and-immediate forms, R1 else. */
export function register1(i: Instruction): number {
  if (i.row.format.startsWith('RRF-a')) return i.r2;
  return i.row.format === 'RIE-d' ? i.r3 : i.r1;
}

/** Second operand as 32 bits. */
export function source32(b: Emitter, i: Instruction, source: Source): I32 {
  switch (source) {
    case 'r':
      return b.r32(register2(i));
    case 'rh':
      return i32.extend16S(b.r32(i.r2));
    case 'ruh':
      return i32.and(b.r32(i.r2), i32.const(0xffff));
    case 'rb':
      return i32.extend8S(b.r32(i.r2));
    case 'rub':
      return i32.and(b.r32(i.r2), i32.const(0xff));
    case 'm':
      return b.load32(storage2(b, i));
    case 'mh':
      return b.load16S(storage2(b, i));
    case 'muh':
      return b.load16U(storage2(b, i));
    case 'mb':
      return b.load8S(storage2(b, i));
    case 'mub':
      return b.load8U(storage2(b, i));
    case 'u':
      return i32.const(i.i2 | 0);
    default:
      return i32.const(immediate(i));
  }
}

/** Second operand as 64 bits. */
export function source64(b: Emitter, i: Instruction, source: Source): I64 {
  switch (source) {
    case 'r':
      return b.r64(register2(i));
    case 'rs':
      return i64.extend32S(b.r64(i.r2));
    case 'ru':
      return i64.and(b.r64(i.r2), i64.const(0xffff_ffffn));
    case 'm':
      return b.load64(storage2(b, i));
    case 'ms':
      return i64.fromS(b.load32(storage2(b, i)));
    case 'mu':
      return i64.fromU(b.load32(storage2(b, i)));
    case 'u':
      return i64.const(i.i2);
    case 'rub':
    case 'ruh':
    case 'mub':
    case 'muh':
      return i64.fromU(source32(b, i, source));
    default:
      return i64.fromS(source32(b, i, source));
  }
}

/** Size of a relative storage operand. */
export const sourceSize = (source: Source, width: 32 | 64): number =>
  source === 'm' ? width / 8 : source === 'mh' || source === 'muh' ? 2 : source === 'mb' || source === 'mub' ? 1 : 4;

/** Makes the rows of one family. */
export function family(
  rows: readonly Short[],
  emit: (b: Emitter, i: Instruction, source: Source) => void,
  more: Partial<Row> = {},
): Row[] {
  return rows.map(([mnemonic, opcode, format, source, facility]) => ({
    mnemonic,
    opcode,
    format,
    facility,
    class: 'general',
    spec: GENERAL,
    unsigned: source === 'u',
    emit: (b, i) => emit(b, i, source),
    ...more,
  }));
}

/** A row of the general class. */
export function general(
  mnemonic: string,
  opcode: string,
  format: FormatName,
  emit: (b: Emitter, i: Instruction) => void,
  more: Partial<Row> = {},
): Row {
  return { mnemonic, opcode, format, class: 'general', spec: GENERAL, emit, ...more };
}

/** An even-numbered register is required. @returns false (and raises) when it is odd. */
export function evenPair(b: Emitter, register: number): boolean {
  if ((register & 1) === 0) return true;
  b.raise(6);
  return false;
}
