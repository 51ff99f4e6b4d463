/** The default boot as a process of its own: start to first guest instruction, and peak memory. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { UserError } from '../user_error.ts';
import type { Figure } from './figures.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured } from './series.ts';

const COMMAND = fileURLToPath(new URL('../minivisor.js', import.meta.url));

/** What `boot --stats FILE` writes, as far as it is needed. */
interface Stats {
  readonly firstInstructionMs: number;
  readonly wallMs: number;
  readonly peakRssMiB: number;
}

/** Not synchronous: the user may end the bench meanwhile. */
const runFile = promisify(execFile);

async function boot(folder: string): Promise<Stats> {
  const file = join(folder, 'stats.json');
  try {
    await runFile(process.execPath, [COMMAND, 'boot', '--stats', file], { cwd: folder });
  } catch (error) {
    const { code, signal, stderr } = error as { code?: unknown; signal?: unknown; stderr?: string };
    throw new UserError(`minivisor boot ended with status ${code ?? signal}: ${stderr}`);
  }
  return JSON.parse(readFileSync(file, 'utf8')) as Stats;
}

/** What is aimed at. */
const MOST_START_MS = 1000;
const MOST_WALL_MS = 10_000;
const MOST_RSS_MIB = 512;

/** The scenario: a boot is one sample, so there are more rounds than were asked for. */
export async function start(context: BenchContext): Promise<Figure[]> {
  const boots: Stats[] = [];
  const body = async () => {
    context.progress('boot');
    boots.push(await boot(context.folder));
  };
  await eachRound(context, body, 2 * context.rounds + 1);
  const figure = (name: string, unit: Figure['unit'], key: keyof Stats) =>
    measured({ scenario: 'start', name, unit, rounds: boots.map((stats) => [stats[key]]) });
  const first = figure('process start to first guest instruction', 'ms', 'firstInstructionMs');
  const whole = figure('whole boot of the toy guest', 'ms', 'wallMs');
  const memory = figure('peak resident size, 128 MiB guest', 'MiB', 'peakRssMiB');
  return [
    { ...first, target: `under ${MOST_START_MS / 1000} s`, reached: first.p50 < MOST_START_MS },
    { ...whole, target: `under ${MOST_WALL_MS / 1000} s`, reached: whole.p50 < MOST_WALL_MS },
    { ...memory, target: `at most ${MOST_RSS_MIB} MiB`, reached: memory.p50 <= MOST_RSS_MIB },
  ];
}
