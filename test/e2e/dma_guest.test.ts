/**
 * The dma guest: one binary behind PAMUs and behind the 4K-page IOMMU of type1. It copies, leaves what it was given, and
 * checks what it can see of it; here it is checked what the host knows.
 */
import { afterAll, expect, test } from 'vitest';
import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import { type SimulatedRun, simulate } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';

const { folder, remove } = workFolder();
afterAll(remove);

const MEMORY = 0x200_0000;
const FAR = 0xf_0000_0000;
const PAGE = 0x1000;
/** What the guest does outside of its windows, in its order (guest/programs/dma/violations.c); each code is the PAMU's. */
const VIOLATIONS = [
  { kind: 'read', address: FAR, code: 'WAV' },
  { kind: 'write', address: FAR, code: 'WAV' },
  // Bank 0's window is behind RAM; a doorbell page is all that is mapped in it, and it may only be written.
  { kind: 'write', address: MEMORY + PAGE, code: 'WAV' },
  { kind: 'read', address: MEMORY, code: 'APV' },
  { kind: 'read', address: MEMORY, code: 'APV' },
  { kind: 'read', address: FAR, code: 'WAV' },
  { kind: 'read', address: FAR, code: 'WAV' },
] as const;
const CHECKS = 42;
const passed = (checks: number) => new RegExp(`dma: all ${checks} checks passed\\n$`);
const hex = (value: number) => `0x${value.toString(16)}`;

async function boot(words: readonly string[]): Promise<SimulatedRun> {
  const all = ['--sim', '--guest', 'dma', '--drive', 'type=echo', '--memory', '32M', ...words];
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, all);
  return await simulate(await bootConfig(values, rest));
}

test.each([1, 2])('pamu: blocked, logged with LIODN and address, isolated, recovered (seed %i)', async (seed) => {
  const run = await boot(['--seed', `${seed}`]);
  expect(run.console).toMatch(passed(CHECKS));
  expect(run.result.status).toBe(0);
  const lines = run.log.filter((line) => line.includes('access violation'));
  const first = lines.filter((line) => !line.includes('the LIODN is off'));
  expect(first.map((line) => line.replace(/ \(AVS1.*/, ''))).toEqual(
    VIOLATIONS.map(
      ({ kind, address, code }) =>
        `kernel: fsl-pamu: access violation: PAMU 0, LIODN 0x40, ${kind} at ${hex(address)}, ${code}`,
    ),
  );
  // After each a copy that would be in order, while the LIODN is off: reported once, then no more until recovery.
  expect(lines.length).toBe(2 * first.length);
  expect(run.log.filter((line) => line.includes('0x41'))).toEqual([]);
});

test.each([1, 2])('type1: the same accesses are refused one by one, and nobody is isolated (seed %i)', async (seed) => {
  const run = await boot(['--iommu', 'type1', '--seed', `${seed}`]);
  expect(run.console).toMatch(passed(CHECKS));
  expect(run.result.status).toBe(0);
  expect(run.log.filter((line) => line.includes('iommu4k'))).toEqual(
    VIOLATIONS.map(
      ({ kind, address }) => `kernel: iommu4k: ${kind} at ${hex(address)} by LIODN 0x40 refused: NOT_MAPPED`,
    ),
  );
});

test('a pair that shares a LIODN beside one that does not: only the latter is a neighbour', async () => {
  const device = (host: string) => ['--device', `vfio-platform,host=${host}`];
  const run = await boot(['dma2', 'dma3', 'dma1'].flatMap(device));
  expect(run.console).toContain('neighbour=2');
  expect(run.console).toMatch(passed(CHECKS + 6));
  const alone = await boot(['dma2', 'dma3'].flatMap(device));
  expect(alone.console).not.toContain('neighbour=');
  expect(alone.console).toMatch(passed(CHECKS - VIOLATIONS.length));
});

test('frames that move all the time', async () => {
  for (const iommu of ['pamu', 'type1']) {
    const run = await boot(['--iommu', iommu, '--memory-pressure']);
    expect([iommu, run.result.status, run.result.reason]).toEqual([iommu, 0, '']);
  }
});

test('the same seed gives the same run', async () => {
  const [one, two] = [await boot(['--seed', '5']), await boot(['--seed', '5'])];
  expect([two.steps, two.now, two.console]).toEqual([one.steps, one.now, one.console]);
});

test('a machine reset lets a device go on that was isolated', async () => {
  // In the middle of the violations, with the device isolated at some of these moments: it must pass from the first check on.
  for (const ms of [36, 38, 40, 42, 44, 46]) {
    const run = await boot(['--at', `${ms}ms:system_reset`]);
    expect([ms, run.result.status]).toEqual([ms, 0]);
    expect(run.console.match(/dma: command line/g)).toHaveLength(2);
    expect(run.console).toMatch(passed(CHECKS));
  }
});

test('on threads too', async () => {
  for (const iommu of ['pamu', 'type1']) {
    const words = ['boot', '--guest', 'dma', '--memory', '32M', '--iommu', iommu];
    const { status, stdout, stderr } = await runCli(folder, words);
    expect([iommu, status, stderr]).toEqual([iommu, 0, '']);
    expect(stdout).toContain(`dma: all ${CHECKS} checks passed\n`);
  }
}, 60_000);
