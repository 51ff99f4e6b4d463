import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkVolume } from '../../../devices/physical/dasd/volume_check.ts';
import { makeVolume } from './make_volume.ts';

const folder = mkdtempSync(join(tmpdir(), 'make-'));
afterAll(() => rmSync(folder, { recursive: true }));
const SMALL = { volser: 'A', cylinders: 1, layout: 'cdl' } as const;

test('what a creation that was killed left is replaced, its lock included', () => {
  const file = join(folder, 'killed.ckd');
  // More than the volume has: what is left over must go.
  writeFileSync(`${file}.tmp`, Buffer.alloc(1_000_000, 'x'));
  // Process numbers end at 2^22 (Linux PID_MAX_LIMIT): this one cannot exist.
  writeFileSync(`${file}.lock`, '4194305\n');
  expect(makeVolume(file, SMALL)).toEqual([file]);
  expect(checkVolume(file).problems).toEqual([]);
  expect(readdirSync(folder)).toEqual(['killed.ckd']);
});

test('a creation that goes on is left alone', () => {
  const file = join(folder, 'busy.ckd');
  writeFileSync(`${file}.tmp`, 'theirs');
  writeFileSync(`${file}.lock`, `${process.ppid}\n`);
  expect(() => makeVolume(file, SMALL)).toThrow(`${file}: in use by process ${process.ppid}; end it, or`);
  expect([existsSync(file), existsSync(`${file}.tmp`)]).toEqual([false, true]);
});

test('without a folder it says so', () => {
  expect(() => makeVolume(join(folder, 'nowhere/a.ckd'), SMALL)).toThrow(/there is no folder .*nowhere; make it first/);
});
