/** Disassembly in GNU assembler operand syntax, from the rows. */
import { type FieldName, FORMATS, instructionLength } from './formats.ts';
import type { Instruction } from './row.ts';
import { decode, findRow, mnemonicOf } from './table.ts';

const SIGNED_WIDTH: Partial<Record<FieldName, true>> = { i2: true };

function operand(i: Instruction, syntax: string): string {
  const storage = /^(d\d)\(((\w+),)?(b\d)\)$/.exec(syntax);
  if (!storage) return plain(i, syntax as FieldName);
  const [, displacement, , index, base] = storage;
  const d = i[displacement as FieldName];
  const b = i[base as FieldName];
  if (index === undefined) return b === 0 ? `${d}` : `${d}(%r${b})`;
  if (index[0] === 'l')
    return b === 0 ? `${d}(${i[index as FieldName] + 1})` : `${d}(${i[index as FieldName] + 1},%r${b})`;
  const x = i[index as FieldName];
  if (x === 0) return b === 0 ? `${d}` : `${d}(%r${b})`;
  return `${d}(%r${x},%r${b})`;
}

function plain(i: Instruction, name: FieldName): string {
  const value = i[name];
  if (name === 'ri2' || name === 'ri4') return `0x${(i.address + 2n * BigInt(value)).toString(16)}`;
  if (name[0] === 'r') {
    const { mnemonic, class: kind } = i.row;
    if (/^L?STCT|^LCT|^STCT/.test(mnemonic)) return `%c${value}`;
    if (/^(LAM|STAM)/.test(mnemonic)) return `%a${value}`;
    const access =
      mnemonic === 'CPYA' || (mnemonic === 'EAR' && name === 'r2') || (mnemonic === 'SAR' && name === 'r1');
    if (access) return `%a${value}`;
    const general =
      /^(S|E)FPC$/.test(mnemonic) || (mnemonic === 'LDGR' && name === 'r2') || (mnemonic === 'LGDR' && name === 'r1');
    return kind === 'fp-support' && !general ? `%f${value}` : `%r${value}`;
  }
  if (!SIGNED_WIDTH[name] || i.row.unsigned) return `${value}`;
  const width = FORMATS[i.row.format].fields.find((field) => field.name === name)?.width ?? 16;
  if (width === 8 && (i.row.format === 'SI' || i.row.format === 'SIY') && !/^AL?G?SI$/.test(i.row.mnemonic))
    return `${value}`;
  return `${width === 32 ? value | 0 : (value << (32 - width)) >> (32 - width)}`;
}

/** One instruction as text, e.g. `lg %r1,8(%r2,%r3)`; unknown bytes as `.byte`s or the name of the missing instruction. */
export function disassemble(bytes: Uint8Array, address: bigint): string {
  const length = instructionLength(bytes[0]);
  if (bytes.length < length) return `.byte ${[...bytes].join(',')}`;
  const text = bytes.subarray(0, length);
  if (!findRow(text)) {
    const name = mnemonicOf(text);
    return name === '?'
      ? `.byte ${[...text].join(',')}`
      : `${name.toLowerCase()} # ${Buffer.from(text).toString('hex')}`;
  }
  const i = decode(text, address, address + BigInt(length));
  const operands = FORMATS[i.row.format].operands.map((syntax) => operand(i, syntax)).join(',');
  return operands ? `${i.row.mnemonic.toLowerCase()} ${operands}` : i.row.mnemonic.toLowerCase();
}
