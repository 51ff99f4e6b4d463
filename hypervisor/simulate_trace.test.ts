/** What an observer of a simulated machine is told. */
import { expect, test } from 'vitest';
import type { TraceRecord } from '../kernel/lib/trace.ts';
import { BOOT_OPTIONS, bootConfig } from './cli/boot_options.ts';
import { parseOptions } from './cli/options.ts';
import { simulate } from './simulate.ts';

async function config() {
  const words = ['--sim', '--drive', 'type=echo', '--tce', 'virtual', '--append', 'bench=0'];
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, [
    ...words,
    '--trace',
    'kvm_hcall_*',
    '--trace',
    'tce_kill',
  ]);
  return { ...(await bootConfig(values, rest)), quiet: true };
}

test('every record is told once, when the memory it is about is as it was then', async () => {
  const told: TraceRecord[] = [];
  let entered = 0;
  let sorted = true;
  const run = await simulate(await config(), {
    onTrace: (record, { memory, map }) => {
      sorted = sorted && record.time >= (told.at(-1)?.time ?? 0);
      told.push(record);
      // The token that the CPU put into general register 1, the second doubleword of its state block.
      if (record.event === 'kvm_hcall_enter' && memory.dv.getUint32(map.vcpus[0].state + 8, true) === record.args[1])
        entered++;
    },
  });
  expect(run.result.status).toBe(0);
  expect(sorted).toBe(true);
  const key = ({ time, actor, event, args }: TraceRecord) => `${time} ${actor} ${event} ${args}`;
  expect(told.map(key).sort()).toEqual(run.trace.map(key).sort());
  expect(entered).toBeGreaterThan(10);
  expect(entered).toBe(told.filter(({ event }) => event === 'kvm_hcall_enter').length);
});

test('a hypercall has one exit for each enter, and says which tier finished it', async () => {
  const { trace } = await simulate(await config());
  const calls = trace.filter(({ event }) => event.startsWith('kvm_hcall_'));
  for (const [i, { event, args }] of calls.entries()) {
    expect(event).toBe(i % 2 === 0 ? 'kvm_hcall_enter' : 'kvm_hcall_exit');
    if (i % 2 === 1) expect(args[1]).toBe(calls[i - 1].args[1]);
  }
  // The machine was started without real mode.
  expect([...new Set(calls.filter((_, i) => i % 2 === 1).map(({ args }) => args[3]))].sort()).toEqual([1, 2]);
});

test('without an observer the run is the same, step by step', async () => {
  const [alone, observed] = [await simulate(await config()), await simulate(await config(), { onTrace: () => {} })];
  expect([observed.steps, observed.now]).toEqual([alone.steps, alone.now]);
});
