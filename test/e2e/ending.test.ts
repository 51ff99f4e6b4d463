/** However a guest behaves, the run ends, every thread is joined, and the user is told why. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { delay } from '../../kernel/lib/host_timer.ts';
import { runCli, startCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = toyDrive(folder);

function guest(name: string, code: string): string[] {
  writeFileSync(join(folder, name), guestElf(code));
  return ['boot', '--drive', drive, '--kernel', name];
}

/** LARL R1,psw; LPSWE 0(R1); psw: the doublewords that follow at offset 16. */
const loadPsw = (psw: string) => `c0100000 0008 b2b21000 000000000000 ${psw}`;

for (const scheduler of [[], ['--sim']])
  test.each([
    ['a disabled wait at address 0 is success', loadPsw('00020001800000000000000000000000'), 0, /^$/],
    [
      'a disabled wait elsewhere is failure',
      loadPsw('00020001800000000000000000000bad'),
      1,
      /cpu 0 waits disabled at address 0xbad, PSW 0002000180000000 0000000000000bad/,
    ],
    // LHI R1,9? the order goes in the second operand: SIGP R0,R2,5 (stop) on CPU 0 itself.
    ['SIGP STOP of the last CPU is success', 'a7280000 ae020005 07f0 0000', 0, /^$/],
    [
      'garbage that leads nowhere is told with the PSW and the last instructions',
      '0000 0000',
      1,
      /loop of program interruptions, PSW [0-9a-f]{16} [0-9a-f]{16}[\s\S]*last instructions/,
    ],
    [
      'a missing instruction is an operation exception, and named',
      'b9ac0000 0000',
      1,
      /^vcpu0: no such instruction here: \S+ \(b9ac0000\)[\s\S]*\nminivisor: .*loop of program interruptions/,
    ],
  ])(`${scheduler[0] ?? '--threads'}: %s`, async (_, code, expected, message) => {
    const { status, stderr } = await runCli(folder, [...guest('guest.elf', code), ...scheduler]);
    expect(stderr).toMatch(message);
    expect(status).toBe(expected);
    expect(existsSync(join(folder, 'test.ckd.lock'))).toBe(false);
  });

test('--timeout ends a guest that loops', async () => {
  const { status, stderr } = await runCli(folder, [...guest('loop.elf', 'a7f40000'), '--timeout', '1']);
  expect(stderr).toMatch(/minivisor: the guest was stopped: no end within 1 s \(--timeout\)/);
  expect(status).toBe(1);
});

test('with --sim the seconds are virtual: two runs that are cut have the same trace to the last event', async () => {
  const words = [...guest('loop.elf', 'a7f40000'), '--sim', '--timeout', '100ms', '--trace', '*'];
  const [first, again] = [await runCli(folder, words), await runCli(folder, words)];
  expect(first.stderr).toMatch(/minivisor: the guest was stopped: no end within 0\.1 s of virtual time \(--timeout\)/);
  expect(first.stdout).toMatch(/, 100\.\d+ ms of virtual time/);
  expect(first.status).toBe(1);
  expect(again).toEqual(first);
});

test('--timeout takes parts of seconds, and units', async () => {
  const run = (...words: string[]) => runCli(folder, [...guest('loop.elf', 'a7f40000'), ...words]);
  const simulated = await run('--sim', '--timeout', '2.5ms');
  expect(simulated.stderr).toMatch(/no end within 0\.0025 s of virtual time \(--timeout\)/);
  expect(simulated.stdout).toMatch(/, 2\.5\d+ ms of virtual time/);
  const threaded = await run('--timeout', '0.25');
  expect(threaded.stderr).toMatch(/minivisor: the guest was stopped: no end within 0\.25 s \(--timeout\)/);
  expect(threaded.status).toBe(1);
});

test('Ctrl-C ends a guest that loops, and the image is free again', async () => {
  const { child, ended } = startCli(folder, guest('loop.elf', 'a7f40000'));
  await delay(2500);
  expect(existsSync(join(folder, 'test.ckd.lock'))).toBe(true);
  const asked = delay(3000).then(() => 'still running');
  child.kill('SIGINT');
  const first = await Promise.race([ended, asked]);
  expect(first).toMatchObject({ status: 1, stderr: expect.stringMatching(/stopped: interrupted/) });
  expect(existsSync(join(folder, 'test.ckd.lock'))).toBe(false);
});

test('a guest in an enabled wait that nothing ends is stopped by --timeout', async () => {
  const { status, stderr } = await runCli(folder, [
    ...guest('idle.elf', loadPsw('03020001800000000000000000000000')),
    '--timeout',
    '1',
  ]);
  expect(stderr).toMatch(/no end within 1 s/);
  expect(status).toBe(1);
});

test('an image in use is refused', async () => {
  const { child, ended } = startCli(folder, guest('loop.elf', 'a7f40000'));
  await delay(2500);
  const { status, stderr } = await runCli(folder, ['boot', '--drive', drive]);
  child.kill('SIGINT');
  await ended;
  expect(stderr).toMatch(/test\.ckd: in use by process \d+; end it, or give another image/);
  expect(status).toBe(1);
});

test.each([[[]], [['--sim']]])('too little locked memory is told with the limit and the remedy %j', async (words) => {
  const { status, stderr } = await runCli(folder, ['boot', '--drive', drive, '--memlock', '16M', ...words]);
  expect(stderr).toMatch(
    /the machine could not be set up: VFIO_IOMMU_SPAPR_REGISTER_MEMORY: ENOMEM.*may lock 16 MiB for a guest of 128 MiB: give more --memlock/,
  );
  expect(status).toBe(1);
});

test('--tce user shows the one path that ran, and the guest skips the others', async () => {
  const { stdout } = await runCli(folder, ['boot', '--drive', drive, '--tce', 'user']);
  expect(stdout.match(/^SKIP bench tier.*/gm)).toHaveLength(2);
  expect(stdout).toMatch(/H_PUT_TCE, one path \(/);
  expect(stdout).not.toMatch(/kernel, (real|virtual) mode/);
});

test.each([
  [['--tce', 'virtual']],
  [['--tce', 'user', '--cpus', '2']],
  [['--memory-pressure', '--cpus', '2', '--append', 'bench=0']],
])('the toy guest passes on real threads with %j', async (words) => {
  const { status, stdout, stderr } = await runCli(folder, ['boot', '--drive', drive, ...words]);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/toy: all \d+ checks passed/);
  expect(status).toBe(0);
});

test('a simulated guest that waits for what cannot come is told so in one sentence', async () => {
  const words = guest('idle.elf', loadPsw('03020001800000000000000000000000'));
  const { status, stdout, stderr } = await runCli(folder, [...words, '--sim']);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^minivisor: the guest waits for an interruption that cannot come, .*\n$/);
});
