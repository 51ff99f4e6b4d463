/** Four runs of the durability check; `npm run durability` does as many as one likes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runCli, workFolder } from '../support/cli.ts';
import { freshVolume, killRun } from './kill_run.ts';
import { differences, reportedWrites } from './model.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const fresh = freshVolume(folder);

describe('after SIGKILL in the middle of writes every track parses and every reported write is on the disk', () => {
  test.each([101, 102, 103, 104])('seed %i', async (seed) => {
    const { writes, problems } = await killRun(folder, fresh, seed);
    expect(problems).toEqual([]);
    expect(writes).toBeGreaterThan(0);
  });
});

test('the same load to its end: all writes are there, no journal and no lock stay', async () => {
  const { stdout, status } = await runCli(folder, [
    'boot',
    '--drive',
    `file=${fresh}`,
    '--append',
    'writeload=60 seed=5',
  ]);
  expect(status).toBe(0);
  const writes = reportedWrites(stdout);
  expect(writes.map(({ number }) => number)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  expect(new Set(writes.map(({ kind }) => kind))).toEqual(new Set(['update', 'format']));
  expect(differences(fresh, writes)).toEqual([]);
  // The comparison is not content with anything: without the last two writes it must see them as wrong.
  expect(differences(fresh, writes.slice(0, -2))).not.toEqual([]);
  expect(['.journal', '.lock'].filter((end) => existsSync(join(folder, `fresh.ckd${end}`)))).toEqual([]);
});
