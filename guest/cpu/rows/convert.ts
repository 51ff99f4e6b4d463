/** Decimal conversions, PACK and UNPACK. */
import { low32 } from '../../../kernel/lib/words64.ts';
import type { Cpu } from '../cpu.ts';
import type { FormatName } from '../formats.ts';
import { PGM, ProgramInterruption } from '../interruption.ts';
import type { Instruction, Row } from '../row.ts';
import { GENERAL } from './operands.ts';

const row = (
  mnemonic: string,
  opcode: string,
  format: FormatName,
  exec: NonNullable<Row['exec']>,
  more: Partial<Row> = {},
): Row => ({ mnemonic, opcode, format, class: 'general', spec: GENERAL, exec, ...more });

/** Signed value of packed decimal bytes. @throws ProgramInterruption data exception */
function packedValue(bytes: Uint8Array): bigint {
  const digits = Buffer.from(bytes).toString('hex');
  const sign = digits[digits.length - 1];
  const magnitude = digits.slice(0, -1);
  if (/[a-f]/.test(magnitude) || /[0-9]/.test(sign)) throw new ProgramInterruption(PGM.DATA);
  return sign === 'b' || sign === 'd' ? -BigInt(magnitude) : BigInt(magnitude);
}
/** Packed decimal of a value in `size` bytes. */
function packed(value: bigint, size: number): Uint8Array {
  const digits = (value < 0n ? -value : value)
    .toString()
    .padStart(size * 2 - 1, '0')
    .slice(-(size * 2 - 1));
  return Buffer.from(`${digits}${value < 0n ? 'd' : 'c'}`, 'hex');
}

function toBinary32(cpu: Cpu, i: Instruction): void {
  const value = packedValue(cpu.storage.read(cpu.operand2, 8));
  cpu.setGprLow(i.r1, low32(value));
  // The low bits are loaded even when the value does not fit.
  if (value !== BigInt.asIntN(32, value)) throw new ProgramInterruption(PGM.FIXED_DIVIDE);
}
function toBinary64(cpu: Cpu, i: Instruction): void {
  const value = packedValue(cpu.storage.read(cpu.operand2, 16));
  if (value !== BigInt.asIntN(64, value)) throw new ProgramInterruption(PGM.FIXED_DIVIDE);
  cpu.setGpr(i.r1, value);
}
const toDecimal = (size: 8 | 16) => (cpu: Cpu, i: Instruction) => {
  const value = size === 8 ? BigInt(cpu.gprLow(i.r1) | 0) : BigInt.asIntN(64, cpu.gpr(i.r1));
  cpu.storage.write(cpu.operand2, packed(value, size));
};

/** Byte-wise operand processing right to left, as overlapping operands are defined to behave. */
function rightToLeft(cpu: Cpu, i: Instruction, step: (get: () => number, put: (byte: number) => void) => void): void {
  const { storage, operand1, operand2 } = cpu;
  // Check every byte of both operands before the first store.
  storage.pieces(operand1, i.l1 + 1, true);
  storage.pieces(operand2, i.l2 + 1, false);
  let from = i.l2;
  let to = i.l1;
  const get = () => (from < 0 ? 0 : storage.readNumber(storage.wrap(operand2 + BigInt(from--)), 1));
  const put = (byte: number) => {
    if (to >= 0) storage.writeNumber(storage.wrap(operand1 + BigInt(to--)), 1, byte);
  };
  while (to >= 0) step(get, put);
}
function pack(cpu: Cpu, i: Instruction): void {
  let first = true;
  rightToLeft(cpu, i, (get, put) => {
    if (first) {
      first = false;
      const byte = get();
      return put(((byte & 15) << 4) | (byte >> 4));
    }
    const low = get() & 15;
    put(low | ((get() & 15) << 4));
  });
}
function unpack(cpu: Cpu, i: Instruction): void {
  let first = true;
  rightToLeft(cpu, i, (get, put) => {
    const byte = get();
    if (first) {
      first = false;
      return put(((byte & 15) << 4) | (byte >> 4));
    }
    put(0xf0 | (byte & 15));
    put(0xf0 | (byte >> 4));
  });
}
function moveWithOffset(cpu: Cpu, i: Instruction): void {
  const { storage, operand1 } = cpu;
  let carry = storage.readNumber(storage.wrap(operand1 + BigInt(i.l1)), 1) & 15;
  rightToLeft(cpu, i, (get, put) => {
    const byte = get();
    put(carry | ((byte & 15) << 4));
    carry = byte >> 4;
  });
}

/** Conversion rows. */
export const CONVERSIONS: readonly Row[] = [
  row('CVB', '4F', 'RX-a', toBinary32),
  row('CVBY', 'E306', 'RXY-a', toBinary32, { facility: 18 }),
  row('CVBG', 'E30E', 'RXY-a', toBinary64),
  row('CVD', '4E', 'RX-a', toDecimal(8)),
  row('CVDY', 'E326', 'RXY-a', toDecimal(8), { facility: 18 }),
  row('CVDG', 'E32E', 'RXY-a', toDecimal(16)),
  row('PACK', 'F2', 'SS-b', pack),
  row('UNPK', 'F3', 'SS-b', unpack),
  row('MVO', 'F1', 'SS-b', moveWithOffset),
];
