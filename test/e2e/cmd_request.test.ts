/**
 * The vfio-ccw proposal of 2016 beside what was merged: the same guest, the same answers, different costs; and what a
 * blocking ioctl cannot do.
 */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import { type SimulatedRun, simulate } from '../../hypervisor/simulate.ts';
import type { KernelStatistics } from '../../kernel/start.ts';
import { runCli, startCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;
const RFC = ['--ccw-api', 'cmd-request'];

async function boot(words: readonly string[]): Promise<SimulatedRun> {
  return await simulate(await toyConfig(drive, ['--sim', '--append', 'bench=0', '--memory', '16M', ...words]));
}
const kernel = (run: SimulatedRun) => run.actors.kernel as KernelStatistics;
/** The lines about I/O and everything else, without those that say which interface it is and what it cannot do. */
const answers = ({ console }: SimulatedRun) =>
  console
    .split('\n')
    .filter((line) => !/^toy:|halt|clear|HSCH|CSCH|slow read/i.test(line))
    .join('\n');

test('the toy guest gets the same answers from both interfaces, and nothing stays pinned', async () => {
  const [merged, rfc] = [await boot([]), await boot(RFC)];
  expect(answers(rfc)).toBe(answers(merged));
  expect(rfc.console).toMatch(/toy: all \d+ checks passed\n$/);
  expect([rfc.result.status, kernel(rfc).lockedVm]).toEqual([0, kernel(merged).lockedVm]);
});

test('the guest finds that HSCH always comes too late, and skips what it cannot check', async () => {
  const { console } = await boot(RFC);
  expect(console).toContain('PASS slow read starts, and has ended when SSCH has\nPASS HSCH finds status pending\n');
  expect(console).toContain('SKIP halt and clear: SSCH holds the CPU until its program has ended');
  expect(console).not.toContain('PASS CSCH is accepted');
});

test('every seed passes, on one and two CPUs, with and without memory pressure', async () => {
  for (let seed = 1; seed <= 24; seed++) {
    const words = [...RFC, '--seed', `${seed}`, '--cpus', `${1 + (seed % 2)}`];
    const run = await boot(seed % 4 === 3 ? [...words, '--memory-pressure'] : words);
    expect(run.console, `seed ${seed}`).toMatch(/toy: all \d+ checks passed\n$/);
    expect([run.result.status, run.log.filter((line) => line.includes('BUG'))], `seed ${seed}`).toEqual([0, []]);
  }
}, 120_000);

test('threads print what the simulation prints, then the steps of the proposal and what it cannot do', async () => {
  const simulated = await simulate(await toyConfig(drive, ['--sim', ...RFC]));
  const { status, stdout, stderr } = await runCli(folder, ['boot', '--drive', drive, ...RFC]);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout.slice(0, simulated.console.length)).toBe(simulated.console);
  const steps = [...stdout.matchAll(/^ {2}([QK]\d) +(?:VMM|kernel) /gm)].map((match) => match[1]);
  expect(steps).toEqual(['Q1', 'Q2', 'Q3', 'K1', 'K2', 'K3', 'K4', 'K5', 'K6', 'Q4']);
  expect(stdout).toMatch(/CPU stood still in SSCH +\S+ \S+ in \d+ I\/Os/);
  expect(stdout).toMatch(/HSCH and CSCH that reached the host +none/);
});

test('the host says that it is tainted; with the merged interface it is not', async () => {
  const tainted = (run: SimulatedRun) => run.log.filter((line) => line.includes('taint'));
  expect(tainted(await boot(RFC))).toEqual([
    'kernel: vfio_ccw_rfc 0.0.0000: Adding kernel taint for vfio-noiommu group on device',
  ]);
  expect(tainted(await boot([]))).toEqual([]);
});

/**
 * A guest that starts a READ IPL on every subchannel, then waits for as many I/O interruptions:
 *
 *   larl 13,data; larl 2,handler; stg 2,0x1f8; lg 3,0(13); stg 3,0x1f0; lctlg 6,6,40(13); lghi 7,0; llilh 1,1
 *   start:   stsch schib; brc 1,wait; oi schib+5,0x80; mvi schib+4,0x18; msch schib; ssch orb; aghi 7,1; aghi 1,1; j start
 *   wait:    lpswe enabled
 *   handler: l 1,0xb8; tsch irb; brctg 7,again; lpswe disabled
 *   again:   lpswe 0x170
 *   data:    PSW masks, CR6, ORB (format 1, prefetch, all paths), CCW (READ IPL, SLI, 24 bytes to X'20000')
 */
const START_ALL = `
  c0d000000034 c02000000027 e32001f80024 e330d0000004 e33001f00024 eb66d028002f a7790000 a51e0001
  b234d048 a7140010 9680d04d 9218d04c b232d048 b233d030 a77b0001 a71b0001 a7f4fff0
  b2b2d008
  581000b8 b235d080 a7770004 b2b2d018
  b2b20170
  0000000180000000 02020001800000000000000000000000 00020001800000000000000000000000 00000000ff000000
  1234567800c0ff00000100a800000000 0220001800020000`;

/** Virtual nanoseconds from the first SSCH to the last status, of four devices that each take `ns` for a program. */
async function fourDevices(api: readonly string[], us: number): Promise<number> {
  const elf = join(folder, 'start_all.elf');
  writeFileSync(elf, guestElf(START_ALL));
  const drives = [0, 1, 2, 3].flatMap((i) => {
    const file = join(folder, `four${i}.ckd`);
    copyFileSync(join(folder, 'test.ckd'), file);
    return ['--drive', `file=${file},cache=unsafe,service-us=${us}`];
  });
  const words = [...drives, '--kernel', elf, '--sim', '--memory', '16M', ...api];
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, words);
  const run = await simulate(await bootConfig(values, rest));
  expect([run.result.status, run.result.reason]).toEqual([0, '']);
  const [first, last] = api === RFC ? ['ccw_rfc_Q1', 'ccw_rfc_Q4'] : ['vfio_ccw_Q3', 'vfio_ccw_Q7'];
  const times = (event: string) => run.trace.filter((record) => record.event === event).map(({ time }) => time);
  expect([times(first).length, times(last).length]).toEqual([4, 4]);
  return Math.max(...times(last)) - Math.min(...times(first));
}

test('four slow devices started by one CPU take four times as long as one, or as long as one', async () => {
  const us = 20_000;
  const [blocking, asynchronous] = [await fourDevices(RFC, us), await fourDevices([], us)];
  expect(blocking / (us * 1000)).toBeGreaterThan(3.99);
  expect(blocking / (us * 1000)).toBeLessThan(4.2);
  expect(asynchronous / (us * 1000)).toBeGreaterThan(0.99);
  expect(asynchronous / (us * 1000)).toBeLessThan(1.2);
});

test('a device that is unplugged while a CPU waits for it: the wait ends, and nothing stays behind', async () => {
  const words = ['--sim', '--append', 'bench=0', '--memory', '16M', ...RFC, '--at', '20ms:device_del dasd0'];
  const run = await simulate(await toyConfig(drive, words));
  expect(run.console).toContain('slow read starts, and has ended when SSCH has: expected cc 0 of SSCH, got 3');
  expect(run.log.filter((line) => line.includes('reset or closed during the request')).length).toBe(1);
  expect(kernel(run).lockedVm).toBe(kernel(await boot(RFC)).lockedVm);
  expect(run.trace.filter(({ event }) => event === 'ccw_rfc_K3').length).toBeGreaterThan(0);
});

const hanging = ['boot', '--drive', `${drive.replace('slow-ms=50', 'slow-ms=60000')}`, ...RFC];

test('--timeout ends a run whose only CPU is held by a device', async () => {
  const { status, stderr, stdout } = await runCli(folder, [...hanging, '--sim', '--timeout', '2']);
  expect([status, stderr]).toEqual([1, expect.stringMatching(/no end within 2 s/)]);
  expect(stdout).toContain('PASS sense says command reject');
  expect(stdout).not.toContain('HSCH');
}, 20_000);

test('a signal ends it too', async () => {
  const { child, ended } = startCli(folder, hanging);
  await new Promise<void>((resolve) => {
    let seen = '';
    child.stdout?.on('data', (data) => {
      seen += data;
      if (seen.includes('PASS sense says command reject')) resolve();
    });
  });
  child.kill('SIGINT');
  const { status, stderr } = await ended;
  expect([status, stderr]).toEqual([1, expect.stringMatching(/interrupted/)]);
}, 20_000);

test.each([
  ['stop', ['1s:stop', '10s:info status', '20s:quit'], 'VM status: paused'],
  ['system_reset', ['1s:system_reset', '2500ms:info status', '20s:quit'], 'VM status: running'],
])('%s resets a device that holds a CPU for ever', async (_, commands, expected) => {
  const at = commands.flatMap((command) => ['--at', command]);
  const slow = drive.replace('slow-ms=50', 'slow-ms=60000');
  const words = ['--sim', '--append', 'bench=0', '--memory', '16M', ...RFC, ...at];
  const run = await simulate(await toyConfig(slow, words));
  expect(run.result).toMatchObject({ status: 0, reason: '' });
  expect(run.console).toContain(expected);
  expect(run.log.join('\n')).toContain('a reset ends the request that keeps a CPU from stopping');
});
