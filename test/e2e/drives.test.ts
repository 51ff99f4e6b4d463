/** Devices as `--drive` makes them: several I/O processors, the echo control unit, faults, volumes of every kind. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createVolume } from '../../devices/physical/dasd/volume.ts';
import { hardwareNames } from '../../hypervisor/actors.ts';
import { simulate, traceText } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;

/** Four devices on two I/O processors, one of which is not number 0. */
const FOUR = [
  `${drive},iop=2`,
  ...['b', 'c'].map((name, i) => {
    const file = join(folder, `${name}.ckd`);
    createVolume(file, { volser: `TEST0${i}`, cylinders: 2, layout: 'cdl' });
    return `file=${file},iop=${5 - 3 * i}`;
  }),
  'type=echo,iop=5',
];
const four = FOUR.flatMap((keys) => ['--drive', keys]);

test('only I/O processors that serve a device get a thread', async () => {
  expect(hardwareNames(await toyConfig(FOUR[0], four.slice(2)))).toEqual(['iop2', 'iop5', 'dma0']);
});

test('four devices on two I/O processors boot on real threads', async () => {
  const { status, stdout, stderr } = await runCli(folder, ['boot', ...four, '--append', 'bench=0']);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout.match(/^control unit \w+/gm)).toEqual([...Array(3).fill('control unit 3990'), 'control unit fffe']);
});

test('and simulated, where each processor serves its own', async () => {
  const words = ['--sim', '--append', 'bench=0', '--trace', 'iop_start'];
  const run = await simulate(await toyConfig(FOUR[0], [...four.slice(2), ...words]));
  expect(run.console).toMatch(/toy: all \d+ checks passed\n$/);
  const served = new Set(run.trace.filter((r) => r.event === 'iop_start').map((r) => `${r.actor} ${r.args[0]}`));
  expect([...served].sort()).toEqual(['iop2 0', 'iop2 2', 'iop5 1', 'iop5 3']);
});

test.each([
  ['slow@0.5/us=500', /all \d+ checks passed/, 0],
  ['busy@0.5/us=300', /all \d+ checks passed/, 0],
  ['equipment-check/after=3/times=1', /^FAIL .*0e/m, 1],
  ['short-transfer/after=1/times=1', /^FAIL track of 12 records .*subchannel 40, residual 2048/m, 1],
  ['path-lost/after=3', /^FAIL /m, 1],
  ['lost-interrupt/after=2/times=1', /^FAIL /m, 1],
])('fault=%s: the guest sees it, the run ends, and the seed replays it', async (fault, expected, status) => {
  const words = ['--sim', '--append', 'bench=0', '--trace', '*'];
  const boot = async (seed: number) =>
    await simulate(await toyConfig(`${drive},fault=${fault}`, [...words, '--seed', `${seed}`]), { limitNs: 1e12 });
  const run = await boot(3);
  expect(run.console).toMatch(expected);
  expect([run.cut, run.result.status]).toEqual([false, status]);
  expect(run.trace.some((record) => record.event === 'ccw_fault')).toBe(true);
  expect(traceText((await boot(3)).trace)).toBe(traceText(run.trace));
});

test.each([
  ['cdl', 'no pattern', '', /SKIP track data is the creator's pattern: zeros/],
  ['cdl', 'read-only', ',readonly', /SKIP record is written: the drive is read-only/],
  ['ldl', 'Linux disk layout', '', /SKIP volume label begins VOL1: LNX1/],
] as const)('a volume that the toy guest cannot check is no failure: %s, %s', async (layout, _, keys, skipped) => {
  const file = join(folder, 'plain.ckd');
  createVolume(file, { volser: 'PLAIN1', cylinders: 10, layout });
  try {
    const words = ['--sim', '--append', 'bench=0'];
    const run = await simulate(await toyConfig(`file=${file},slow-cylinder=9,slow-ms=50${keys}`, words));
    expect(run.console).toMatch(skipped);
    expect(run.console).toMatch(/toy: all \d+ checks passed\n$/);
    expect(run.console).toMatch(/PASS read after the clear/);
  } finally {
    rmSync(file);
  }
});

test('a slow cylinder that the image does not have is refused', async () => {
  const { status, stderr } = await runCli(folder, ['boot', '--drive', `file=b.ckd,slow-cylinder=2`]);
  expect(stderr).toMatch(/^minivisor: --drive slow-cylinder=2: .*b\.ckd has cylinders 0 to 1; give one of them\n$/);
  expect(status).toBe(1);
});
