/** The monitor, --at and the console of a host with several virtual machines: each machine is reached by its number. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { type SimulatedRun, simulate, traceText } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { READER } from '../support/reader.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
toyDrive(folder);
const drive = `file=${join(folder, 'test.ckd')},service-us=1000,cache=unsafe,readonly=on`;
const file = (name: string) => join(folder, name);
writeFileSync(file('reader.elf'), guestElf(READER));
/** Waits for ever, open for I/O interruptions: LARL R1,*+16; LPSWE 0(R1). */
writeFileSync(file('waits.elf'), guestElf('c01000000008 b2b21000 0700 0700 0700 0202000180000000 0000000000000000'));
/** Never waits: J *+0. */
writeFileSync(file('spins.elf'), guestElf('a7f40000'));
const CONSOLE = fileURLToPath(new URL('../../guest/images/console.elf', import.meta.url));

/** Two readers, each of a drive of its own, with commands at times. */
async function readers(at: readonly string[], seed = 1): Promise<SimulatedRun> {
  const words = ['--sim', '--kernel', file('reader.elf'), '--memory', '2M', '--seed', `${seed}`];
  words.push('--trace', 's390_ioinst', '--drive', `${drive},devno=191,vm=1`, '--vm', 'memory=3M');
  return await simulate(await toyConfig(drive, [...words, ...at.flatMap((command) => ['--at', command])]));
}
const SSCH = 0xb233;
/** How many channel programs a machine's guest started between two times. */
function starts({ trace }: SimulatedRun, vm: number, from: number, to: number): number {
  const own = (actor: string) => actor.startsWith('vm1.') === (vm === 1);
  return trace.filter(
    (r) => r.event === 's390_ioinst' && r.args[0] === SSCH && own(r.actor) && r.time >= from && r.time < to,
  ).length;
}
/** The console lines that begin with one of the names. */
const said = ({ console }: SimulatedRun, vm: number) =>
  console
    .split('\n')
    .filter((line) => line.startsWith(`vm${vm}: `))
    .map((line) => line.slice(5));

const COMMANDS = [
  '5500us:vm1: stop',
  '7ms:vm1: info status',
  '7ms:info status',
  '8ms:info vms',
  '20ms:vm1: cont',
  '30ms:vm1: device_del dasd0',
  '31ms:vm1: info subchannels',
  '31ms:vm0: info subchannels',
  '40ms:vm1: quit',
  '41ms:info vms',
  '50ms:quit',
];

test('simulated: one machine is stopped, goes on, loses its device and ends, and the other one reads all the time', async () => {
  for (const seed of [1, 2, 3]) {
    const run = await readers(COMMANDS, seed);
    expect(run.results.map(({ status }) => status)).toEqual([0, 0]);
    expect(said(run, 1).join('\n')).toMatch(
      /^\(minivisor 5500us\) stop\n\(minivisor 7ms\) info status\nVM status: paused\n {2}cpu 0: stopped/,
    );
    expect(said(run, 1)).toContain('no subchannels');
    expect(said(run, 0).join('\n')).toMatch(/info status\nVM status: running\n(.*\n)*.* 0\.0\.0000 +dasd0/);
    const listed = said(run, 0).filter((line) => /^ +vm\d/.test(line));
    expect(listed.map((line) => line.trim().split(/ {2,}/).slice(0, 4))).toEqual([
      ['vm0', 'running', '2 MiB', '1'],
      ['vm1', 'paused', '3 MiB', '1'],
      ['vm0', 'running', '2 MiB', '1'],
      ['vm1', 'ended', '3 MiB', '1'],
    ]);
    // A read takes a millisecond, more or less.
    for (const from of [8e6, 20e6, 32e6, 40e6]) expect(starts(run, 0, from, from + 8e6)).toBeGreaterThan(3);
    expect(starts(run, 1, 6e6, 20e6)).toBe(0);
    expect(starts(run, 1, 20e6, 30e6)).toBeGreaterThan(3);
    expect(starts(run, 1, 31e6, 50e6)).toBe(0);
    expect(run.results[1].endedNs).toBeLessThan(41e6);
  }
});

test('the same seed gives the same run with commands for both', async () => {
  const [first, again] = [await readers(COMMANDS, 4), await readers(COMMANDS, 4)];
  expect(again.console).toBe(first.console);
  expect(traceText(again.trace)).toBe(traceText(first.trace));
});

const WAITS = ['boot', '--drive', 'type=echo', '--kernel', 'waits.elf', '--memory', '2M'];

test('simulated: a machine that waits for ever is named, whether the other one ends or goes on', async () => {
  const ends = await runCli(folder, [...WAITS, '--sim', '--vm', 'memory=2M', '--at', '1ms:quit']);
  expect([ends.status, ends.stderr]).toEqual([
    1,
    expect.stringMatching(
      /^minivisor: the guest of vm1 waits for an interruption that cannot come.*'TIME:vm1: COMMAND'/,
    ),
  ]);
  const spins = ['--sim', '--timeout', '300ms', '--vm', 'kernel=spins.elf'];
  const { status, stderr } = await runCli(folder, [...WAITS, ...spins]);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^minivisor: vm0 has waited since \d\.\d{3} ms for an interruption that did not come/m);
  expect(stderr).not.toContain('vm1 has waited');
});

test('commands that came after their machine had ended are told of, each with its machine', async () => {
  const at = ['1ms:vm1: quit', '2ms:vm1: stop', '2ms:info vms', '3ms:quit', '4ms:stop'];
  const words = [...WAITS, '--sim', '--vm', 'memory=2M', ...at.flatMap((command) => ['--at', command])];
  const { status, stderr } = await runCli(folder, words);
  expect(stderr).toMatch(
    /^minivisor: --at: vm0 ended at 3\.\d+ ms, before 4ms:stop\nminivisor: --at: vm1 ended at 1\.\d+ ms, before 2ms:stop\n$/,
  );
  expect(status).toBe(0);
});

test('on threads: lines of standard input go to the machine that they name, or that was chosen', async () => {
  const lines = [
    'info vms',
    'stop',
    'vm1: info status',
    'vm 1',
    'device_del dasd0',
    'info subchannels',
    'vm0: info status',
    'vm2: stop',
    'quit',
    'info status',
    'vm 0',
    'info vms',
    'cont',
    'quit',
  ];
  const drives = ['--drive', 'type=echo,devno=191,vm=1', '--vm', 'smp=2', '--timeout', '30'];
  const { status, stdout, stderr } = await runCli(
    folder,
    [...WAITS, ...drives, '--monitor', 'stdio'],
    `${lines.join('\n')}\n`,
  );
  expect([status, stderr]).toEqual([0, '']);
  const cpu = (vm: number, state: string) => String.raw`vm${vm}: {3}cpu \d: ${state}.*\n`;
  const table = (...rows: string[]) =>
    String.raw` +Machine .*\n.*\n${rows.map((row) => String.raw` +${row}.*\n`).join('')}`;
  expect(stdout).toMatch(
    new RegExp(
      [
        // Either may not be set up yet.
        table(String.raw`vm0 \* `, 'vm1 '),
        String.raw`vm1: VM status: running\n${cpu(1, '(operating|stopped)')}${cpu(1, 'stopped')}`,
        String.raw`vm1: no subchannels\n`,
        String.raw`vm0: VM status: paused\n${cpu(0, 'stopped')}`,
        String.raw`Error: vm2: there are machines 0 to 1\n`,
        String.raw`vm1: the machine has ended\n`,
        String.raw`vm1: Error: the machine has ended; info vms lists all, vm N chooses another one\n`,
        table(String.raw`vm0 \* +paused`, 'vm1 +ended'),
      ].join(''),
    ),
  );
});

test('on threads: standard input is typed at the console of the machine that is named', async () => {
  const consoles = ['--kernel', CONSOLE, '--append', 'input=ascii', '--vm', 'smp=1', '--console', 'stdio,vm=1'];
  const { status, stdout, stderr } = await runCli(
    folder,
    ['boot', '--drive', 'type=echo', ...consoles, '--at', '200ms:console_input quit', '--timeout', '30'],
    'one\ntwo\nquit\n',
  );
  expect([status, stderr]).toEqual([0, '']);
  const got = stdout.split('\n').filter((line) => line.includes('got '));
  expect(got.filter((line) => line.startsWith('vm1: '))).toEqual([
    'vm1: got 3: one',
    'vm1: got 3: two',
    'vm1: got 4: quit',
  ]);
  expect(got.filter((line) => line.startsWith('vm0: '))).toEqual(['vm0: got 4: quit']);
});

test.each([
  [['--at', '1ms:vm1: quit'], /^--at 1ms:vm1: quit: vm1: there is machine 0 only$/],
  [['--at', '1ms:vm2: quit', '--vm', 'smp=1'], /^--at 1ms:vm2: quit: vm2: there are machines 0 to 1$/],
  [['--console', 'stdio,vm=1'], /^--console vm=1: there is machine 0 only; give --vm once for each further one$/],
])('%j is refused before anything is started', async (words, sentence) => {
  await expect(toyConfig('type=echo', words)).rejects.toThrow(sentence);
});
