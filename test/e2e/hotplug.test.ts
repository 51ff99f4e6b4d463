/** Devices that come and go while a guest uses them: what it sees, that nothing is left over, and that seeds replay it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { MachineConfig } from '../../hypervisor/config.ts';
import { type SimulatedRun, simulate, traceText } from '../../hypervisor/simulate.ts';
import type { KernelStatistics } from '../../kernel/start.ts';
import { workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { READER } from '../support/reader.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
toyDrive(folder);
/** Every access takes a millisecond, so that there is nearly always something running. */
const drive = `file=${join(folder, 'test.ckd')},service-us=1000,cache=unsafe,readonly=on`;

/**
 * With interruptions masked: SSCH, STSCH until status is pending, CSCH, the same again; then TPI must find one
 * interruption and not a second, and TSCH status. Ends in a disabled wait at 0, or at X'bad'.
 */
const CLEARER = [
  'c0c000000030eb66c020002fc01100010000b234c0449680c049b232c044b233c028c0e500000018b2300000c0e50000',
  '0013b236c03ca7b4000cb236c03ca7740008b235c078a7740004b2b2c000b2b2c010b234c0449101c063a784fffc07fe',
  '0002000180000000000000000000000000020001800000000000000000000bad00000000ff0000000000cafe00c0ff00',
  '0001009403200001',
].join('');

writeFileSync(join(folder, 'reader.elf'), guestElf(READER));
writeFileSync(join(folder, 'clearer.elf'), guestElf(CLEARER));

/** A simulated run of a guest with commands at times. Without the DMA port nothing but I/O locks guest memory. */
async function run(guest: string, at: readonly string[], seed = 1, cpus = 1): Promise<SimulatedRun> {
  const words = ['--sim', '--kernel', join(folder, guest), '--seed', `${seed}`, '--cpus', `${cpus}`, '--memory', '2M'];
  words.push('--trace', 's390_ioinst', '--trace', 'css_*', ...at.flatMap((command) => ['--at', command]));
  const config: MachineConfig = { ...(await toyConfig(drive, words)), dmaPort: false };
  return await simulate(config);
}

const [STCRW, STSCH, SSCH, TSCH] = [0xb239, 0xb234, 0xb233, 0xb235];
/** Instructions of the guest after `from` ns: opcode and condition code. */
function instructions({ trace }: SimulatedRun, opcode: number, from = 0, to = Number.POSITIVE_INFINITY): number[] {
  return trace
    .filter((r) => r.event === 's390_ioinst' && r.args[0] === opcode && r.time >= from && r.time < to)
    .map((r) => r.args[2]);
}
/** Channel reports that the guest got: RSC, ERC, RSID. */
function reports({ trace }: SimulatedRun): number[][] {
  return trace.filter((r) => r.event === 'css_crw').map((r) => r.args.slice(0, 3));
}
const lockedVm = (r: SimulatedRun) => (r.actors.kernel as KernelStatistics).lockedVm;
/** What is locked without any device: the VMM's heap. */
const idle = await run('reader.elf', ['0ms:device_del dasd0', '3ms:quit']);
const UUID = '6d696e69-7669-4736-8f72-000000000000';
const SUBCHANNEL = [3, 4, 0];

test('unplugged under I/O: a report, STSCH condition code 3, no interruption; plugged again: a report, and I/O goes on', async () => {
  const r = await run('reader.elf', ['5500us:device_del dasd0', '8ms:device_add vfio-ccw,drive=0', '12500us:quit']);
  expect(r.result).toMatchObject({ status: 0 });
  expect(reports(r)).toEqual([SUBCHANNEL, SUBCHANNEL]);
  // Something was running: it was started and has no end.
  expect(instructions(r, SSCH, 0, 5.5e6).length).toBe(instructions(r, TSCH, 0, 5.5e6).length + 1);
  expect(new Set(instructions(r, STSCH, 5.5e6, 8e6))).toEqual(new Set([3]));
  expect(instructions(r, TSCH, 5.5e6, 8e6)).toEqual([]);
  expect(instructions(r, STCRW, 5.5e6, 8e6)).toEqual([0, 1]);
  expect(instructions(r, SSCH, 8e6).length).toBeGreaterThan(2);
  expect(new Set(instructions(r, TSCH, 8e6))).toEqual(new Set([0]));
});

test('the host takes the device back while it is open: the request reaches the VMM, and the guest sees an unplug', async () => {
  const remove = `sysfs_write /sys/devices/css0/0.0.0000/${UUID}/remove 1`;
  const r = await run('reader.elf', [
    `5500us:${remove}`,
    '8ms:info subchannels',
    '9ms:device_add vfio-ccw,drive=0',
    '10ms:info subchannels',
    '12500us:quit',
  ]);
  expect(r.console).toContain('(minivisor 8ms) info subchannels\nno subchannels\n');
  expect(reports(r)).toEqual([SUBCHANNEL, SUBCHANNEL]);
  expect(instructions(r, STSCH, 5.5e6, 9e6)).toContain(3);
  expect(r.console).toMatch(/0\.0\.0190 +0\.0\.0000 +dasd0/);
  // The mediated device was gone: a new one was made.
  expect(instructions(r, SSCH, 9e6).length).toBeGreaterThan(1);
});

test('whenever a device goes, nothing of it stays pinned and nothing hangs; the same seed replays it', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const at = [`${4000 + seed * 37}us:device_del dasd0`, '9ms:quit'];
    const r = await run('reader.elf', at, seed, 1 + (seed % 2));
    expect([seed, r.result.status, lockedVm(r), reports(r)]).toEqual([seed, 0, lockedVm(idle), [SUBCHANNEL]]);
    expect(
      r.log.filter((line) => line.includes('BUG')),
      `seed ${seed}`,
    ).toEqual([]);
    if (seed % 10 === 0)
      expect(traceText((await run('reader.elf', at, seed, 1 + (seed % 2))).trace)).toBe(traceText(r.trace));
  }
});

test('unplugged by host and monitor at the same time, in many orders: one report', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const remove = `sysfs_write /sys/devices/css0/0.0.0000/${UUID}/remove 1`;
    const r = await run('reader.elf', [`5ms:${remove}`, `${5000 + seed}us:device_del dasd0`, '9ms:quit'], seed);
    expect([seed, r.result.status, reports(r), lockedVm(r)]).toEqual([seed, 0, [SUBCHANNEL], lockedVm(idle)]);
  }
});

test('a channel path is configured off and on: reports of the path, and I/O goes on', async () => {
  const configure = (value: number) => `sysfs_write /sys/devices/css0/chp0.80/configure ${value}`;
  const r = await run('reader.elf', [`5ms:${configure(0)}`, '7ms:info chp', `8ms:${configure(1)}`, '12ms:quit']);
  expect(reports(r)).toEqual([
    [4, 6, 0x80],
    [4, 2, 0x80],
  ]);
  expect(instructions(r, STCRW)).toEqual([0, 1, 0, 1]);
  expect(r.console).toMatch(/0\.80 +1b +online +0 +0\.0\.0000/);
  expect(instructions(r, TSCH, 9e6).length).toBeGreaterThan(1);
});

test('a path varied off and on shows in STSCH of the host, without a report', async () => {
  const vary = (state: string) => `sysfs_write /sys/devices/css0/chp0.80/status ${state}`;
  const r = await run('reader.elf', [`5ms:${vary('offline')}`, '6ms:info chp', `7ms:${vary('online')}`, '10ms:quit']);
  expect(r.result.status).toBe(0);
  expect(reports(r)).toEqual([]);
  expect(r.console).toMatch(/0\.80 +1b +offline/);
});

test('CSCH of a subchannel with pending status leaves one interruption, that of the clear function', async () => {
  for (let seed = 1; seed <= 10; seed++)
    expect([seed, (await run('clearer.elf', [], seed)).result]).toMatchObject([seed, { status: 0, reason: '' }]);
});

test('machine reset under I/O: the guest begins anew, with nothing pending of before', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const r = await run('reader.elf', ['5500us:system_reset', '9500us:quit'], seed, 2);
    // The first TSCH after the reset has status: no interruption of before was left.
    expect([seed, r.result.reason, instructions(r, TSCH, 5.5e6)[0]]).toEqual([seed, '', 0]);
    expect(instructions(r, SSCH, 5.5e6).length, `seed ${seed}`).toBeGreaterThan(2);
    expect(reports(r)).toEqual([]);
  }
});

test('a machine that is stopped takes no step; it goes on where it was', async () => {
  const r = await run('reader.elf', ['5500us:stop', '7ms:info status', '20ms:cont', '25ms:quit'], 1, 2);
  expect(r.console).toMatch(/VM status: paused\n {2}cpu 0: stopped/);
  expect(r.trace.filter((x) => x.event === 's390_ioinst' && x.time > 5.6e6 && x.time < 20e6)).toEqual([]);
  expect(new Set(instructions(r, TSCH, 20e6))).toEqual(new Set([0]));
  expect(instructions(r, TSCH, 20e6).length).toBeGreaterThan(2);
});

test('a machine that is stopped before its CPU has begun does not begin until it goes on', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const r = await run('reader.elf', ['0ms:stop', '2ms:info status', '3ms:cont', '8ms:quit'], seed);
    expect(r.console, `seed ${seed}`).toMatch(/VM status: paused\n {2}cpu 0: stopped/);
    expect(instructions(r, SSCH, 1e6, 3e6), `seed ${seed}`).toEqual([]);
    expect(instructions(r, SSCH, 3e6).length, `seed ${seed}`).toBeGreaterThan(1);
  }
});

test('a machine that is stopped for ever ends the run, and says why', async () => {
  const { result } = await run('reader.elf', ['2ms:stop']);
  expect(result).toMatchObject({ status: 1, reason: expect.stringContaining('no --at command is left') });
});

test('refusals of plugging: taken names, numbers, subchannels and drives', async () => {
  const r = await run('reader.elf', [
    '5ms:device_add vfio-ccw,drive=0,id=again',
    '5ms:device_add vfio-ccw,drive=1',
    `5ms:device_add vfio-ccw,sysfsdev=/sys/devices/css0/0.0.0000/${UUID},id=x`,
    '5ms:device_add vfio-ccw,sysfsdev=/sys/nothing',
    '6ms:device_del dasd0',
    '7ms:device_del dasd0',
    '8ms:quit',
  ]);
  const errors = r.console.split('\n').filter((line) => line.startsWith('Error: '));
  expect(errors.map((line) => line.slice(7))).toEqual([
    'vfio-ccw 0.0.0000: this subchannel of the host is in the machine already',
    'vfio-ccw: drive=1: the machine has 1, counted from 0',
    'vfio-ccw 0.0.0000: this subchannel of the host is in the machine already',
    'vfio-ccw: sysfsdev=/sys/nothing does not exist: create the mediated device first',
    "no device 'dasd0'; info qtree lists them",
  ]);
});
