/** A guest with address translation on does I/O: operands in virtual storage, and the exceptions they lead to. */
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runCli, workFolder } from '../support/cli.ts';
import { toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = toyDrive(folder);
const kernel = join(import.meta.dirname, '..', '..', 'guest', 'images', 'dat.elf');
const boot = (words: readonly string[], options = '') =>
  runCli(folder, ['boot', '--drive', `${drive}${options}`, '--kernel', kernel, '--timeout', '60', ...words]);

test.each([
  [[]],
  [['--sim', '--seed', '1']],
  // Operands, tables and keys are in frames that move.
  [['--sim', '--seed', '2', '--memory-pressure']],
  [['--sim', '--seed', '3', '--memory-pressure']],
])('STSCH, MSCH, SSCH and TSCH reach virtual operands, and fail as the architecture says %j', async (words) => {
  expect(await boot(words)).toMatchObject({ status: 0, stderr: '' });
});

test('the guest tells a wrong result: check 2 wants device 0190', async () => {
  const { status, stderr } = await boot(['--sim'], ',devno=191');
  expect(stderr).toMatch(/address 0x1002,/);
  expect(status).toBe(1);
});
