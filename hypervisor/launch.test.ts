import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { stopwatch } from '../kernel/lib/clock.ts';
import { after } from '../kernel/lib/host_timer.ts';
import { toyConfig, toyDrive } from '../test/support/toy.ts';
import type { ActorRow } from './actors.ts';
import { ThreadDied, ThreadedMachine } from './launch.ts';

const folder = mkdtempSync(join(tmpdir(), 'launch-'));
afterAll(() => rmSync(folder, { recursive: true }));
const drive = toyDrive(folder);

/** A machine that would run for long, with one actor more: the module is its source text. */
async function machineWith(source: string, others: readonly ActorRow[] = []): Promise<ThreadedMachine> {
  const config = { ...(await toyConfig(drive, ['--append', 'bench=200 ssch=100000'])), quiet: true };
  const module = `data:text/javascript,${encodeURIComponent(source)}`;
  return new ThreadedMachine(config, 'silent', [{ name: 'extra', module, config: {}, hardware: false }, ...others]);
}

test('an actor whose module cannot be loaded ends the run, and is named', async () => {
  const machine = await machineWith('throw new Error("no such luck")');
  await expect(machine.run()).rejects.toThrow(/^thread extra died: no such luck$/);
});

test('an actor whose module never finishes loading does not keep a run from being stopped', async () => {
  const machine = await machineWith('await new Promise(() => {})');
  after(700, () => machine.stop());
  const elapsed = stopwatch();
  await expect(machine.run()).rejects.toThrow(ThreadDied);
  expect(elapsed()).toBeLessThan(6000);
});

test('of several threads that fail, the first is told: the others fail because they are ended by force', async () => {
  // Comes before the doomed one in the table, and never returns by itself.
  const machine = await machineWith('export function start() { return { finish() { for (;;); } } }', [
    {
      name: 'doomed',
      module: new URL('../test/support/failing_actor.ts', import.meta.url).href,
      config: {},
      hardware: false,
    },
  ]);
  await expect(machine.run()).rejects.toThrow(/^thread doomed died: .*the test wanted it so$/);
}, 15_000);

test('a machine that is stopped before it runs ends at once', async () => {
  const machine = await machineWith('export function start() {}');
  machine.stop();
  const elapsed = stopwatch();
  // Threads that take longer than a second to load are ended by force.
  const [end] = await Promise.allSettled([machine.run()]);
  if (end.status === 'fulfilled') expect(end.value.result.status).toBe(1);
  else expect(end.reason).toBeInstanceOf(ThreadDied);
  expect(elapsed()).toBeLessThan(6000);
});
