/** One run: a guest that writes, SIGKILL at a seeded moment, and a look at the image. */
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CkdImage } from '../../devices/physical/dasd/ckd_image.ts';
import { createVolume } from '../../devices/physical/dasd/volume.ts';
import { checkVolume } from '../../devices/physical/dasd/volume_check.ts';
import { delay } from '../../kernel/lib/host_timer.ts';
import { Random } from '../../kernel/lib/random.ts';
import { startCli } from '../support/cli.ts';
import { CYLINDERS, differences, FIRST_CYLINDER, reportedWrites } from './model.ts';

/** What came of a run. */
export interface KillResult {
  readonly seed: number;
  /** Writes whose device end the guest reported. */
  readonly writes: number;
  /** Bytes the journal had to bring into the image: what a kill in the middle of a write left out. */
  readonly completed: number;
  /** One sentence for everything that is wrong. */
  readonly problems: readonly string[];
}

/** Writes that are reported before the kill, at most: early kills meet the journal while it is made. */
const WRITES = 120;
/** Milliseconds from that report to the kill, at most: about a write's time. */
const LATER_MS = 3;

/** The volume every run begins with. */
export function freshVolume(folder: string): string {
  const file = join(folder, 'fresh.ckd');
  createVolume(file, { volser: 'KILL01', cylinders: FIRST_CYLINDER + CYLINDERS, layout: 'cdl', pattern: true });
  return file;
}

/** @param words more options of `boot`. */
export async function killRun(
  folder: string,
  fresh: string,
  seed: number,
  words: readonly string[] = [],
): Promise<KillResult> {
  const file = join(folder, `run${seed}.ckd`);
  copyFileSync(fresh, file);
  const random = new Random(seed);
  const last = 1 + random.below(WRITES);
  const later = random.below(LATER_MS + 1);
  const append = `writeload=1000000 seed=${seed}`;
  const drive = `file=${file},cache=writethrough`;
  const { child, ended } = startCli(folder, [
    'boot',
    '--drive',
    drive,
    '--append',
    append,
    '--timeout',
    '50',
    ...words,
  ]);
  let lines = '';
  const reached = new Promise<void>((resolve) => {
    child.stdout?.on('data', (data) => {
      lines += data;
      if (lines.includes(`\nwrite ${last} `)) resolve();
    });
  });
  await Promise.race([reached, ended]);
  if (later > 0) await delay(later);
  child.kill('SIGKILL');
  const { stdout, stderr, signal } = await ended;
  if (signal !== 'SIGKILL')
    return { seed, writes: 0, completed: 0, problems: [`ended before it was killed: ${stdout}${stderr}`] };

  const writes = reportedWrites(stdout);
  // As a person would look at it first, without changing anything; then as the next boot opens it.
  const problems = [...checkVolume(file).problems, ...differences(file, writes)];
  const before = readFileSync(file);
  new CkdImage(file).close();
  const after = readFileSync(file);
  problems.push(...checkVolume(file).problems, ...differences(file, writes));
  if (problems.length === 0) for (const end of ['', '.lock', '.journal']) rmSync(`${file}${end}`, { force: true });
  return { seed, writes: writes.length, completed: differingBytes(before, after), problems };
}

function differingBytes(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}
