/** The instruction table: every row, found by opcode. */
import { decodeFields, FORMATS, instructionLength } from './formats.ts';
import { PGM, ProgramInterruption } from './interruption.ts';
import { MISSING } from './missing.ts';
import type { Instruction, Row } from './row.ts';
import { ARITHMETIC } from './rows/arithmetic.ts';
import { BITS } from './rows/bits.ts';
import { BRANCHES } from './rows/branch.ts';
import { CHANNEL } from './rows/channel.ts';
import { COMPARES } from './rows/compare.ts';
import { CONTROL } from './rows/control.ts';
import { CONVERSIONS } from './rows/convert.ts';
import { EXECUTES } from './rows/execute.ts';
import { FLOATING_POINT } from './rows/floating_point.ts';
import { INTERLOCKED } from './rows/interlocked.ts';
import { LOADS } from './rows/load.ts';
import { LONG_OPERANDS } from './rows/long_operands.ts';
import { MOVES_WITH_KEY } from './rows/move_key.ts';
import { MULTIPLY_DIVIDE } from './rows/multiply.ts';
import { SHIFTS } from './rows/shift.ts';
import { STORAGE_TO_STORAGE } from './rows/storage.ts';
import { STORAGE_KEYS } from './rows/storage_key.ts';
import { STORES } from './rows/store.ts';
import { TIMING } from './rows/timing.ts';

/** Every implemented instruction. */
export const ROWS: readonly Row[] = [
  ...LOADS,
  ...STORES,
  ...ARITHMETIC,
  ...COMPARES,
  ...BITS,
  ...SHIFTS,
  ...MULTIPLY_DIVIDE,
  ...BRANCHES,
  ...INTERLOCKED,
  ...STORAGE_TO_STORAGE,
  ...LONG_OPERANDS,
  ...CONVERSIONS,
  ...EXECUTES,
  ...FLOATING_POINT,
  ...CONTROL,
  ...STORAGE_KEYS,
  ...MOVES_WITH_KEY,
  ...TIMING,
  ...CHANNEL,
];

/** Bytes 0 whose opcode goes on in byte 1, in the low nibble of byte 1, in byte 5. SA22-7832 appendix B. */
const SECOND_BYTE = new Set([0x01, 0xb2, 0xb3, 0xb9, 0xe5]);
const LOW_NIBBLE = new Set([0xa5, 0xa7, 0xc0, 0xc2, 0xc4, 0xc6, 0xc8, 0xcc]);
const LAST_BYTE = new Set([0xe3, 0xe6, 0xe7, 0xeb, 0xec, 0xed]);

/** The opcode of an instruction text as one number: byte 0 and the rest of the opcode. */
export function opcodeOf(text: Uint8Array): number {
  const first = text[0];
  if (SECOND_BYTE.has(first)) return (first << 8) | text[1];
  if (LOW_NIBBLE.has(first)) return (first << 8) | (text[1] & 15);
  return LAST_BYTE.has(first) ? (first << 8) | text[5] : first << 8;
}
/** The same from the digits of a row. */
export function opcodeNumber(digits: string): number {
  return (Number.parseInt(digits.slice(0, 2), 16) << 8) | Number.parseInt(digits.slice(2) || '0', 16);
}

const byOpcode = new Map<number, Row>();
for (const row of ROWS) {
  const key = opcodeNumber(row.opcode);
  if (byOpcode.has(key)) throw new Error(`${row.mnemonic}: opcode ${row.opcode} is ${byOpcode.get(key)?.mnemonic}`);
  byOpcode.set(key, row);
}
const missingByOpcode = new Map(
  MISSING.trim()
    .split(/\s+/)
    .filter(Boolean)
    .map((entry) => {
      const [mnemonic, opcode] = entry.split(':');
      return [opcodeNumber(opcode), mnemonic] as const;
    }),
);

/** Stands for opcodes without a row: operation exception, naming the instruction to the owner. */
const missingRow = (mnemonic: string): Row => ({
  mnemonic,
  opcode: '00',
  format: 'E',
  class: 'general',
  spec: 'SA22-7832 chapter 6 "Operation Exception"',
  flow: 'end',
  exec: (cpu, i) => {
    cpu.bus.onMissing(mnemonic, i.text, i.address);
    throw new ProgramInterruption(PGM.OPERATION);
  },
});

/** The row of an instruction text, if there is one. */
export const findRow = (text: Uint8Array): Row | undefined => byOpcode.get(opcodeOf(text));
/** True for inline storage-to-storage instructions whose second byte is an operand length. */
export function hasLengthByte(text: Uint8Array): boolean {
  const row = findRow(text);
  return row?.format === 'SS-a' && row.emit !== undefined;
}
/** Name of an instruction, with or without a row; `?` when the opcode is not assigned. */
export const mnemonicOf = (text: Uint8Array): string =>
  findRow(text)?.mnemonic ?? missingByOpcode.get(opcodeOf(text)) ?? '?';

/** Decodes one instruction. @param text exactly its bytes. @param next address of the sequential next instruction. */
export function decode(text: Uint8Array, address: bigint, next: bigint): Instruction {
  const row = findRow(text) ?? missingRow(mnemonicOf(text));
  const length = instructionLength(text[0]);
  return { ...decodeFields(FORMATS[row.format], text), row, text, length, address, next };
}
