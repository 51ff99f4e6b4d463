/** Every row: what the disassembler prints, the GNU assembler turns back into the same bytes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { disassemble } from './disassemble.ts';
import { FORMATS, instructionLength } from './formats.ts';
import type { Row } from './row.ts';
import { findRow, ROWS } from './table.ts';

const assembler = spawnSync('s390x-linux-gnu-as', ['--version']).status === 0;
const ADDRESS = 0x10000n;

/** A text of the row with distinct, even register numbers and small operands. */
function sample(row: Row): Uint8Array {
  const first = Number.parseInt(row.opcode.slice(0, 2), 16);
  const text = new Uint8Array(instructionLength(first));
  const put = (bit: number, width: number, value: number) => {
    for (let n = 0; n < width; n++) {
      const at = bit + width - 1 - n;
      if (Math.floor(value / 2 ** n) % 2) text[at >> 3] |= 0x80 >> (at & 7);
    }
  };
  text[0] = first;
  const rest = Number.parseInt(row.opcode.slice(2) || '0', 16);
  if (row.opcode.length === 3) text[1] |= rest;
  else if (row.opcode.length === 4)
    text[first === 0x01 || first === 0xb2 || first === 0xb3 || first === 0xb9 || first === 0xe5 ? 1 : 5] = rest;
  const shown = FORMATS[row.format].operands.join(' ');
  for (const { name, bit, width } of FORMATS[row.format].fields) {
    // Fields that are not written in assembler are zero in the encoding.
    if (!shown.includes(name)) continue;
    if (width === 20) {
      put(bit, 12, 0x678);
      put(32, 8, 0xff);
    } else if (name[0] === 'm') put(bit, width, 8);
    else if (name === 'ri2' || name === 'ri4') put(bit, width, 8);
    else if (name[0] === 'r') put(bit, width, name === 'r1' ? 4 : name === 'r2' ? 8 : 2);
    else if (name[0] === 'b') put(bit, width, name === 'b1' ? 7 : 9);
    else if (name === 'x2') put(bit, width, 5);
    else if (name[0] === 'd') put(bit, width, 0x123);
    else if (name === 'i3' || name === 'i4' || name === 'i5') put(bit, width, 17);
    else put(bit, width, 3);
  }
  return text;
}

test('the opcode of a row leads back to the row', () => {
  for (const row of ROWS) expect(findRow(sample(row))).toBe(row);
});

/** Rows the assembler of binutils 2.40 has no name for. */
const NO_ASSEMBLER_NAME = new Set(['SERVC', 'CHSC']);

test.skipIf(!assembler)('the GNU assembler agrees with every row', () => {
  const directory = mkdtempSync(join(tmpdir(), 'disassemble-'));
  try {
    const rows = ROWS.filter((row) => !NO_ASSEMBLER_NAME.has(row.mnemonic));
    const lines = rows.map((row) => {
      const text = disassemble(sample(row), ADDRESS);
      return text.replace(/0x[0-9a-f]+$/, (target) => `.+${Number(BigInt(target) - ADDRESS)}`);
    });
    writeFileSync(join(directory, 'a.s'), `${lines.join('\n')}\n`);
    const as = spawnSync('s390x-linux-gnu-as', ['-march=arch14', '-o', join(directory, 'a.o'), join(directory, 'a.s')]);
    const complaints = as.stderr
      .toString()
      .split('\n')
      .filter((line) => /Error/.test(line));
    expect(complaints.map((line) => `${line} <- ${lines[Number(/:(\d+):/.exec(line)?.[1]) - 1]}`)).toEqual([]);
    execFileSync('s390x-linux-gnu-objcopy', [
      '-O',
      'binary',
      '-j',
      '.text',
      join(directory, 'a.o'),
      join(directory, 'a.bin'),
    ]);
    const bytes = readFileSync(join(directory, 'a.bin'));
    let at = 0;
    const got: string[] = [];
    const expected: string[] = [];
    rows.forEach((row, n) => {
      const text = sample(row);
      expected.push(`${Buffer.from(text).toString('hex')} ${lines[n]}`);
      got.push(`${bytes.subarray(at, at + text.length).toString('hex')} ${lines[n]}`);
      at += text.length;
    });
    expect(got).toEqual(expected);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('missing and unknown instructions are shown as what they are', () => {
  expect(disassemble(Uint8Array.of(0xb2, 0x14, 0, 0), 0n)).toBe('sie # b2140000');
  expect(disassemble(Uint8Array.of(0, 0), 0n)).toBe('.byte 0,0');
  expect(disassemble(Uint8Array.of(0xe3, 1), 0n)).toBe('.byte 227,1');
});
