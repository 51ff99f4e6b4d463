/** Simulated boots of the toy guest, one seed after the other: the race search of the tests, for longer. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSeed, seedWords } from '../support/seed_run.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

/** @param first the first seed. @throws Error naming the seed that failed */
export async function fuzzBoot(runs: number, first: number, progress?: (done: number) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'minivisor-fuzz-'));
  try {
    const drive = `${toyDrive(folder)},cache=unsafe`;
    for (let done = 0; done < runs; done++) {
      const seed = (first + done) >>> 0;
      const { status, console } = await runSeed(await toyConfig(drive, seedWords(seed)));
      if (status !== 0 || !/toy: all \d+ checks passed\n$/.test(console)) throw new Error(`seed ${seed}: ${console}`);
      progress?.(done + 1);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
