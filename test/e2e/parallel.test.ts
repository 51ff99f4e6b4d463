/** Several devices at once, in virtual time: what the design of the interface allows to overlap. */
import { afterAll, expect, test } from 'vitest';
import type { CcwApi, MarkSeries } from '../../hypervisor/config.ts';
import { type SimulatedRun, simulate } from '../../hypervisor/simulate.ts';
import { workFolder } from '../support/cli.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const [file] = toyDrive(folder).split(',');
const READS = 32;
/** Series of guest/programs/toy/dasd_parallel.c. */
const BATCHES = 5;
const LATENCY = 6;

async function run(api: CcwApi, devices: number, us: number): Promise<SimulatedRun> {
  const drive = `${file},readonly=on,service-us=${us}`;
  const others = Array.from({ length: devices - 1 }, () => ['--drive', drive]).flat();
  const words = ['--sim', '--ccw-api', api, '--memory', '16M', '--append', `bench=0 parallel=${READS}`];
  return await simulate(await toyConfig(drive, [...others, ...words]));
}
/** Nanoseconds in all batches of a series. */
const time = ({ batches, calls }: MarkSeries) =>
  (batches.reduce((sum, ns) => sum + ns, 0) * calls) / Math.max(1, batches.length);

test.each(['region', 'cmd-request'] as const)('%s: every read of every device is reported', async (api) => {
  const { console, result } = await run(api, 3, 0);
  expect(console).toMatch(/^PASS parallel: 32 reads from each of 3 devices$/m);
  expect(result.status).toBe(0);
  expect(result.marks[BATCHES].calls).toBe(3 * READS);
  expect(result.marks[LATENCY].batches.length).toBe(3 * READS);
});

test('the I/O region lets devices work at the same time, the blocking ioctl one after the other', async () => {
  const us = 1000;
  const whole = async (api: CcwApi) => time((await run(api, 4, us)).result.marks[BATCHES]);
  const inTurn = 4 * READS * us * 1000;
  expect(await whole('cmd-request')).toBeGreaterThan(inTurn);
  expect(await whole('region')).toBeLessThan(inTurn / 2);
});

test('the work of a series is counted between its first and its last report', async () => {
  const { work } = (await run('cmd-request', 1, 0)).result.marks[BATCHES];
  const [first, last] = [work!.first, work!.last];
  // 16 reads and a report. The device was started again before the first report, and not before the last.
  expect(last.exits - first.exits).toBe(15 + 16 + 1);
  expect(last.systemCalls - first.systemCalls).toBeGreaterThanOrEqual(15);
  // Each exit and each system call is two, each start on the I/O processor one.
  expect(last.handOffs - first.handOffs).toBeGreaterThanOrEqual(2 * (15 + 16 + 15) + 15);
});
