/**
 * HSCH and CSCH of a program on a slow device, on each generation of vfio-ccw: with the command region the device is free when
 * the guest hears of it; where the VMM only pretends, the guest hears sooner and the device works on.
 */
import { afterAll, expect, test } from 'vitest';
import type { CcwApi } from '../../hypervisor/config.ts';
import { type SimulatedRun, simulate } from '../../hypervisor/simulate.ts';
import type { KernelStatistics } from '../../kernel/start.ts';
import { workFolder } from '../support/cli.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const SERVICE_NS = 2_000_000;
const plain = `${toyDrive(folder)},cache=unsafe`;
const drive = `${plain},service-us=${SERVICE_NS / 1000}`;
/** Series of guest/programs/toy/halt_bench.c. */
const FUNCTIONS = [
  { seen: 9, free: 10 },
  { seen: 11, free: 12 },
];
const HALTS = 8;

async function halt(api: CcwApi, ...words: string[]): Promise<SimulatedRun> {
  const common = ['--sim', '--memory', '16M', '--append', `halt=${HALTS}`, '--ccw-api', api];
  const run = await simulate({
    ...(await toyConfig(drive, [...common, ...words])),
    trace: ['vfio_ccw_*', 'ccw_rfc_*'],
  });
  expect(run.console).toMatch(/toy: all \d+ checks passed\n$/);
  return run;
}

test('with the command region a device is free as soon as the guest knows it', async () => {
  const { result } = await halt('region', '--cpus', '2');
  for (const { seen, free } of FUNCTIONS) {
    expect(result.marks[seen].batches.length).toBe(HALTS);
    for (const [i, ns] of result.marks[seen].batches.entries()) {
      expect(ns).toBeLessThan(SERVICE_NS / 20);
      expect(result.marks[free].batches[i]).toBeLessThan(ns + SERVICE_NS / 20);
    }
  }
});

test.each(['io-region', 'cmd-request'] as const)(
  '%s: the guest hears of a halt at once, and the device goes on to the end of its program',
  async (api) => {
    const { result, actors, trace } = await halt(api, '--cpus', '2');
    for (const { seen, free } of FUNCTIONS)
      for (const [i, ns] of result.marks[seen].batches.entries()) {
        expect(ns).toBeLessThan(SERVICE_NS / 20);
        expect(result.marks[free].batches[i]).toBeGreaterThan(0.9 * SERVICE_NS);
      }
    // No program was cut short, and nothing stays pinned for those that were said to be halted.
    const [first, last] = api === 'io-region' ? ['vfio_ccw_K3', 'vfio_ccw_K5'] : ['ccw_rfc_K3', 'ccw_rfc_K5'];
    const count = (event: string) => trace.filter((record) => record.event === event).length;
    expect(count(last)).toBe(count(first));
    const regular = await halt('region', '--cpus', '2');
    const locked = (run: { actors: Readonly<Record<string, unknown>> }) =>
      (run.actors.kernel as KernelStatistics).lockedVm;
    expect(locked({ actors })).toBe(locked(regular));
  },
);

test('with one CPU there is nobody to start the program: the guest says so and measures nothing', async () => {
  const { result, console } = await halt('region');
  expect(console).toContain('SKIP bench of halt and clear: not there');
  expect(result.marks[FUNCTIONS[0].seen]).toBeUndefined();
});

test('without the command region the toy guest passes, but for the halts that it cannot check', async () => {
  const words = ['--sim', '--memory', '16M', '--append', 'bench=0', '--ccw-api', 'io-region'];
  const { console, result } = await simulate(await toyConfig(plain, words));
  expect(console).toContain('SKIP halt and clear: they do not reach the device (ccwapi=io-region)');
  expect([console.match(/toy: all \d+ checks passed/)?.length, result.status]).toEqual([1, 0]);
});

test('every schedule passes: what comes late, or twice, or without status, confuses nobody', async () => {
  for (let seed = 1; seed <= 4; seed++)
    for (const api of ['io-region', 'cmd-request', 'region'] as const)
      await halt(api, '--cpus', '2', '--seed', `${seed}`);
}, 60_000);
