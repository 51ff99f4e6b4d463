/** Every vector of vectors.json through minivisor's CPU, one test a mnemonic. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ROWS } from '../../guest/cpu/table.ts';
import { outOfScope, SKIPPED, TESTED_ELSEWHERE } from './coverage.ts';
import { PRINCIPLES } from './principles.ts';
import { Conformance } from './run.ts';
import type { Form, VectorFile } from './vectors.ts';

const file = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8')) as VectorFile;
const conformance = new Conformance();

/** One report a failing case: the text, the input, and what differs. */
function failures(mnemonic: string, forms: Form[]): string[] {
  const list: string[] = [];
  for (const form of forms) {
    if (SKIPPED.some((s) => s.mnemonic === mnemonic && form.asm.startsWith(s.asm))) continue;
    conformance.load(form);
    for (const [input, output] of form.cases) {
      const differences = conformance.run(form, input, output);
      if (differences.length)
        list.push(`${form.asm} (${form.code}) ${JSON.stringify(input)}: ${differences.join('; ')}`);
    }
  }
  return list;
}

const known = new Map(ROWS.map((row) => [row.mnemonic, row]));

for (const [mnemonic, forms] of Object.entries(file.vectors)) {
  test.skipIf(!known.has(mnemonic))(`${mnemonic} does what QEMU does`, () => {
    expect(failures(mnemonic, forms).slice(0, 5)).toEqual([]);
  });
}

for (const [mnemonic, forms] of Object.entries(PRINCIPLES)) {
  test.skipIf(!known.has(mnemonic))(`${mnemonic} does what the Principles of Operation say and QEMU does not`, () => {
    expect(failures(mnemonic, forms)).toEqual([]);
  });
}

const hasVectors = (mnemonic: string) => file.vectors[mnemonic] !== undefined || PRINCIPLES[mnemonic] !== undefined;

test('every row of the instruction table has vectors or is named as tested elsewhere', () => {
  const uncovered = ROWS.filter(
    (row) => !hasVectors(row.mnemonic) && !TESTED_ELSEWHERE[row.mnemonic] && !outOfScope(row),
  );
  expect(uncovered.map((row) => row.mnemonic)).toEqual([]);
});

test('nothing is named as tested elsewhere or skipped without need', () => {
  expect(Object.keys(TESTED_ELSEWHERE).filter((m) => hasVectors(m) || !known.has(m))).toEqual([]);
  expect(SKIPPED.filter((s) => !file.vectors[s.mnemonic]?.some((f) => f.asm.startsWith(s.asm)))).toEqual([]);
});
