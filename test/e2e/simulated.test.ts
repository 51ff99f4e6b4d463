/** Boots under the simulated scheduler: every seed passes, equal seeds are equal, the console is that of real threads. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import { afterAll, expect, test } from 'vitest';
import { ThreadedMachine } from '../../hypervisor/launch.ts';
import { simulate, traceText } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { type SeedResult, seedWords } from '../support/seed_run.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;
/** Simulated boots run four at a time, each on a drive of its own: they write the same record. */
const drives = [0, 1, 2, 3].map((i) => {
  copyFileSync(join(folder, 'test.ckd'), join(folder, `drive${i}.ckd`));
  return drive.replace('test.ckd', `drive${i}.ckd`);
});

/** Seeds of the race search that runs with every test; `npm run fuzz -- boot` takes as many as you like. */
const SEEDS = 60;

test('the same seed gives the same console and the same trace, byte for byte; another seed another trace', async () => {
  const words = ['--sim', '--cpus', '2', '--trace', '*', '--append', 'bench=0'];
  const boot = async (seed: number) => await simulate(await toyConfig(drive, [...words, '--seed', `${seed}`]));
  const [first, again, other] = [await boot(7), await boot(7), await boot(8)];
  expect(first.trace.length).toBeGreaterThan(1000);
  expect(traceText(again.trace)).toBe(traceText(first.trace));
  expect(again.console).toBe(first.console);
  expect(traceText(other.trace)).not.toBe(traceText(first.trace));
  expect(other.console).toBe(first.console);
});

test('real threads print the same console as the simulation', async () => {
  const simulated = await simulate(await toyConfig(drive, ['--sim', '--append', 'bench=1']));
  const { status, stdout, stderr } = await runCli(folder, ['boot', '--drive', drive]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout.slice(0, simulated.console.length)).toBe(simulated.console);
});

test(`${SEEDS} seeds boot the toy guest on one and two CPUs, in every tier, with and without memory pressure`, async () => {
  const pool = new Piscina({
    filename: new URL('../../kernel/lib/pool_worker.js', import.meta.url).href,
    maxThreads: 2,
    execArgv: [],
    atomics: 'disabled',
  });
  const module = new URL('../support/seed_run.ts', import.meta.url).href;
  const boot = async (seed: number): Promise<SeedResult> =>
    (await pool.run({
      module,
      call: 'runSeed',
      argument: await toyConfig(drives[seed % 4], seedWords(seed)),
    })) as SeedResult;
  try {
    const results: SeedResult[] = [];
    for (let seed = 1; seed <= SEEDS; seed += 4)
      results.push(...(await Promise.all([0, 1, 2, 3].map((i) => boot(seed + i)))));
    for (const { seed, status, console } of results) {
      expect(console, `seed ${seed}`).toMatch(/toy: all \d+ checks passed\n$/);
      expect(status, `seed ${seed}`).toBe(0);
    }
    const moved = results.filter((r) => r.seed % 4 === 3).map((r) => (r.kernel as { migrations: number }).migrations);
    expect(Math.min(...moved)).toBeGreaterThan(10);
  } finally {
    await pool.destroy();
  }
}, 280_000);

test('a thread that dies ends the run with its name and the reason, within two seconds', async () => {
  const machine = new ThreadedMachine(
    { ...(await toyConfig(drive, ['--append', 'bench=200 ssch=100000'])), quiet: true },
    'error',
    [
      {
        name: 'doomed',
        module: new URL('../support/failing_actor.ts', import.meta.url).href,
        config: {},
        hardware: false,
      },
    ],
  );
  await expect(machine.run()).rejects.toThrow(/thread doomed died: thread doomed, task doomed: the test wanted it so/);
}, 15_000);
