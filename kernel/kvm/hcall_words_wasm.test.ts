import { Piscina } from 'piscina';
import { afterAll, expect, test } from 'vitest';
import type { Called, Caller, Server } from '../../test/support/hcall_parties.ts';
import { KVM_RUN } from '../include/uapi/kvm_run.ts';
import { createMemory, HostMemory } from '../lib/host_memory.ts';
import { after } from '../lib/host_timer.ts';
import { sharedMap } from '../lib/shared_map.ts';
import { CPUS } from '../lib/spin_budget.ts';
import { stopMachine } from '../lib/stop.ts';

const POOL = new URL('../lib/pool_worker.js', import.meta.url).href;
const PARTIES = new URL('../../test/support/hcall_parties.ts', import.meta.url).href;
const pool = new Piscina({ filename: POOL, minThreads: 4, maxThreads: 4, execArgv: [], atomics: 'disabled' });
afterAll(() => pool.destroy());

/** After so long a call that nobody answers counts as lost, ms: all are ended then, and have made fewer calls. */
const PATIENCE_MS = 20_000;
/** With one CPU nobody answers while another looks: what comes of a call is then not for a test to say. */
const ONE_CPU = CPUS === 1;

type Shape = Pick<Caller, 'turns' | 'pause' | 'news' | 'sleepEvery' | 'calls'> &
  Pick<Server, 'busy'> & { readonly cpus?: number };

/** Calls of CPUs on threads of their own to a kernel on another. */
async function calls({ cpus = 1, busy, ...shape }: Shape) {
  const map = sharedMap({ guestMemory: 1 << 20, vcpus: cpus, hardware: [] });
  const memory = createMemory(map.size);
  const host = new HostMemory(memory);
  const party = { memory, map };
  const server: Server = { ...party, seed: 1, busy };
  const callers = map.vcpus.map((_, cpu): Caller => ({ ...party, ...shape, cpu, seed: cpu + 2 }));
  const enough = after(PATIENCE_MS, () => stopMachine(host, map));
  const [, ...called] = await Promise.all([
    pool.run({ module: PARTIES, call: 'server', argument: server }),
    ...callers.map((argument) => pool.run({ module: PARTIES, call: 'caller', argument }) as Promise<Called>),
  ]);
  enough();
  for (const [cpu, { run }] of map.vcpus.entries()) {
    const { hcall_state, hcall_watched } = KVM_RUN.at(host.dv, run);
    expect([hcall_state, hcall_watched], `words of CPU ${cpu} at the end`).toEqual([0, 0]);
    expect([called[cpu].done, called[cpu].wrong], `calls of CPU ${cpu}, and wrong ones`).toEqual([shape.calls, 0]);
  }
  return called;
}

test('a CPU that looks for long sees nearly every answer', async () => {
  const [{ seen, done }] = await calls({ turns: [20_000], pause: 0, news: 8, sleepEvery: 0, busy: 0, calls: 10_000 });
  if (!ONE_CPU) expect(seen).toBeGreaterThan(done);
});

test('a CPU that never looks sleeps until it is rung: no call is lost', async () => {
  const [{ waited, done }] = await calls({ turns: [0], pause: 100, news: 8, sleepEvery: 0, busy: 0, calls: 1000 });
  expect(waited).toBeGreaterThan(done);
});

test('calls that come just when the kernel stops looking are not slept through', async () => {
  // Pauses as long as the kernel looks: calls come at every moment of it, and nothing else wakes the kernel.
  await calls({ turns: [0], pause: 20_000, news: 0, sleepEvery: 0, busy: 0, calls: 5000 });
});

test('random patience, pauses, other news and other work of the kernel: every call is answered, seen or waited for', async () => {
  const [{ seen, waited, done }] = await calls({
    turns: [0, 1, 2, 15, 16, 17, 40, 200],
    pause: 2000,
    news: 8,
    sleepEvery: 100,
    busy: 20_000,
    calls: 5000,
  });
  expect(seen + waited).toBe(2 * done);
  if (!ONE_CPU) expect(Math.min(seen, waited)).toBeGreaterThan(50);
});

test('a CPU that decides itself how long it looks, while the kernel is often asleep', async () => {
  await calls({ pause: 200, news: 8, sleepEvery: 10, busy: 5000, calls: 1000 });
});

test('three CPUs, of which the kernel watches one at a time', async () => {
  const called = await calls({
    cpus: 3,
    turns: [0, 3, 30, 300],
    pause: 500,
    news: 8,
    sleepEvery: 50,
    busy: 5000,
    calls: 1000,
  });
  for (const { waited } of called) expect(waited).toBeGreaterThan(50);
});
