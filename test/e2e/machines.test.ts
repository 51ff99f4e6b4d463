/** Several virtual machines on one host: they run at once, end by themselves, and nothing of one is the other's. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { BootStats } from '../../hypervisor/cli/boot_stats.ts';
import { simulate, traceText } from '../../hypervisor/simulate.ts';
import { Frames } from '../../kernel/lib/frames.ts';
import { PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import type { KernelStatistics } from '../../kernel/start.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;
const SMALL = ['--sim', '--memory', '16M', '--append', 'bench=0'];

const boot = async (words: readonly string[]) => await simulate(await toyConfig(drive, [...SMALL, ...words]));
type Run = Awaited<ReturnType<typeof boot>>;

/** Page frames that the host keeps for itself at most: its channel programs' pool, and a SoC's tables. */
const HOST_FRAMES = { css: 16, soc: 64 } as const;

/** What the host had given its processes, at the end of a run: nothing. */
function expectNothingHeld({ actors, memory, map }: Run, hostFrames: number = HOST_FRAMES.css): void {
  const { lockedVm, allocatedFrames } = actors.kernel as KernelStatistics;
  expect(lockedVm).toBe(0);
  expect(allocatedFrames).toBeLessThanOrEqual(hostFrames);
  const frames = new Frames(memory, map);
  let held = 0;
  for (let hpa = frames.first; hpa < frames.end; hpa += PAGE_SIZE) held += frames.pins(hpa) + frames.refs(hpa);
  expect(held).toBe(0);
  for (const { kvm } of map.processes) expect(memory.load(kvm)).toBe(0);
}

/** The console lines of one machine, without its name. */
const linesOf = (console: string, vm: number) =>
  console
    .split('\n')
    .filter((line) => line.startsWith(`vm${vm}: `))
    .map((line) => line.slice(5));

test('two toy guests, by ten seeds and with memory on the move: each prints what it prints alone, and all is given back', async () => {
  const alone = await boot([]);
  for (let seed = 1; seed <= 10; seed++) {
    const pressure = seed % 3 === 0 ? ['--memory-pressure'] : [];
    const cpus = seed % 2 === 0 ? 2 : 1;
    const run = await boot(['--seed', `${seed}`, ...pressure, '--vm', `smp=${cpus}`]);
    expect(
      run.results.map(({ status }) => status),
      `seed ${seed}`,
    ).toEqual([0, 0]);
    expect(`${linesOf(run.console, 0).join('\n')}\n`, `seed ${seed}`).toBe(alone.console);
    expect(run.console.split('\n').every((line) => line === '' || /^vm[01]: /.test(line))).toBe(true);
    expect(linesOf(run.console, 1).at(-1), `seed ${seed}`).toMatch(/^toy: all \d+ checks passed$/);
    expectNothingHeld(run);
  }
});

test('the same seed gives the same run of two machines; another seed another one', async () => {
  const traced = async (seed: number) => await boot(['--seed', `${seed}`, '--trace', '*', '--vm', 'smp=1']);
  const [first, again, other] = [await traced(5), await traced(5), await traced(6)];
  expect(traceText(again.trace)).toBe(traceText(first.trace));
  expect([again.console, again.now]).toEqual([first.console, first.now]);
  expect(traceText(other.trace)).not.toBe(traceText(first.trace));
});

test('the machine without a drive ends early, and the other one goes on to its end', async () => {
  const run = await boot(['--vm', 'smp=1']);
  expect(run.results[1].endedNs).toBeLessThan(run.results[0].endedNs);
  expect(run.result.endedNs).toBe(run.results[0].endedNs);
});

test('three machines of different sizes, hypercalls in different tiers', async () => {
  const run = await boot(['--vm', 'memory=32M,tce=virtual', '--vm', 'memory=8M,tce=user,smp=2']);
  expect(run.results.map(({ status }) => status)).toEqual([0, 0, 0]);
  const posted = (vm: number) => run.results[vm].exits.papr_hcall;
  expect(posted(2)).toBeGreaterThan(posted(1));
  expectNothingHeld(run);
});

test("a NIC that two machines want is one's: the other cannot be set up, and the first runs to its end", async () => {
  for (const seed of [1, 2, 3]) {
    const run = await boot(['--seed', `${seed}`, '--nic', 'vm=0:1', '--vm', 'smp=1']);
    const loser = run.results.findIndex(({ status }) => status !== 0);
    expect(run.results.map(({ status }) => status).sort()).toEqual([0, 1]);
    expect(run.result.status).toBe(1);
    expect(run.result.reason).toMatch(
      new RegExp(
        `^vm${loser}: the machine could not be set up: vfio-pci 0000:01:02\\.0: /dev/vfio/\\d+ is in use \\(EBUSY\\): another virtual machine of this host has the device; give it to one of them$`,
      ),
    );
    expect(linesOf(run.console, loser)).toEqual([]);
    expect(linesOf(run.console, 1 - loser).at(-1)).toMatch(/checks passed$/);
    expectNothingHeld(run);
  }
});

test('a device of the other machine cannot be plugged: EBUSY, and both go on', async () => {
  // PEs 0 and 1 have the DMA ports; 1 is the second machine's.
  const add = '1ms:device_add vfio-pci,host=0000:01:01.0,bus=pci.0';
  const run = await boot(['--at', add, '--vm', 'smp=1,append=wait=1']);
  expect(run.console).toMatch(/vm0: .*vfio-pci 0000:01:01\.0: .*\(EBUSY\): another virtual machine/);
  expect(run.result.status).toBe(0);
  expectNothingHeld(run);
});

test('memory that the limit does not allow: the larger machine is refused, the smaller one runs', async () => {
  const run = await boot(['--memlock', '24M', '--vm', 'memory=64M']);
  expect(run.results.map(({ status }) => status)).toEqual([0, 1]);
  expect(run.result.reason).toMatch(/^vm1: .*the VMM may lock 24 MiB for a guest of 64 MiB/);
  expectNothingHeld(run);
});

test('channels of one SoC in two machines: violations of one do not stop the other', async () => {
  const dma = (host: string, vm: number) => ['--device', `vfio-platform,host=${host},vm=${vm}`];
  const run = await simulate(
    await toyConfig(drive, ['--sim', '--guest', 'dma', ...dma('dma0', 0), ...dma('dma1', 1), '--vm', 'smp=1']),
  );
  expect(run.results.map(({ status }) => status)).toEqual([0, 0]);
  for (const vm of [0, 1]) expect(linesOf(run.console, vm).at(-1)).toBe('dma: all 29 checks passed');
  expectNothingHeld(run, HOST_FRAMES.soc);
});

test('on threads: two machines with a drive each, and their reports under their names', async () => {
  const other = join(folder, 'other.ckd');
  await runCli(folder, ['dasd', 'create', other, '--cylinders', '10']);
  const { status, stdout, stderr } = await runCli(folder, [
    'boot',
    '--drive',
    drive,
    '--drive',
    `file=${other},vm=1`,
    '--append',
    'bench=0',
    '--exits',
    '--stats',
    'stats.json',
    '--vm',
    'memory=64M,smp=2,append=bench=0',
  ]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  for (const vm of [0, 1]) {
    expect(linesOf(stdout, vm).filter((line) => /checks passed$/.test(line))).toHaveLength(1);
    expect(stdout).toMatch(new RegExp(`\nvm${vm}:\n\nExits of all CPUs`));
  }
  const stats = JSON.parse(readFileSync(join(folder, 'stats.json'), 'utf8')) as BootStats;
  const { vm0, vm1 } = stats.machines ?? {};
  // A table has what its machine's VMM served: every TSCH is answered.
  const tables = stdout.split('\nExits of all CPUs').slice(1);
  expect(tables.map((text) => Number(/ TSCH +(\d+) /.exec(text)?.[1]))).toEqual([vm0.exits.tsch, vm1.exits.tsch]);
  expect(stats.exits.tsch).toBe(vm0.exits.tsch + vm1.exits.tsch);
  expect(stats.systemCalls).toBe(vm0.systemCalls + vm1.systemCalls);
  for (const { firstInstructionMs } of [vm0, vm1])
    expect(firstInstructionMs).toBeGreaterThanOrEqual(stats.firstInstructionMs as number);
});
