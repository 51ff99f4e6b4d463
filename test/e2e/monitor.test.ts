/** The monitor as a user has it: a process on real threads, lines on standard input or on a socket. */
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { delay } from '../../kernel/lib/host_timer.ts';
import { runCli, startCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { toyConfig, toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = `${toyDrive(folder)},cache=unsafe`;
/** Waits for ever, open for I/O interruptions: LARL R1,*+16; LPSWE 0(R1). */
writeFileSync(
  join(folder, 'waits.elf'),
  guestElf('c01000000008 b2b21000 0700 0700 0700 0202000180000000 0000000000000000'),
);
const WORDS = ['boot', '--drive', drive, '--kernel', 'waits.elf', '--timeout', '30'];

test('commands on standard input are answered in order, and quit ends the run well', async () => {
  const lines = [
    'info status',
    'device_del dasd0',
    'fly',
    'info subchannels',
    'device_add vfio-ccw,drive=0',
    'info subchannels',
    'quit',
  ];
  const { status, stdout, stderr } = await runCli(folder, [...WORDS, '--monitor', 'stdio'], `${lines.join('\n')}\n`);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const expected = /VM status: running.*Error: unknown command 'fly'.*no subchannels.*0\.0\.0190 +0\.0\.0000 +dasd0/s;
  expect(stdout).toMatch(expected);
});

test('system_reset under real threads, stop and cont: the toy guest begins anew and passes', async () => {
  const words = ['boot', '--drive', drive, '--cpus', '2', '--append', 'bench=0', '--timeout', '30'];
  const at = ['--at', '100ms:stop', '--at', '120ms:cont', '--at', '150ms:system_reset'];
  const { status, stdout, stderr } = await runCli(folder, [...words, ...at]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(/system_reset\n(.*\n)*toy: cpu id(.*\n)*toy: all \d+ checks passed/);
});

/** Sends lines to the monitor's socket; what it says until it hangs up. */
async function ask(path: string, lines: readonly string[]): Promise<string> {
  for (let tries = 0; !existsSync(path) && tries < 500; tries++) await delay(20);
  return await new Promise((resolve, reject) => {
    let said = '';
    const socket = createConnection(path, () => socket.end(`${lines.join('\n')}\n`));
    socket.on('data', (data) => {
      said += data;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(said));
  });
}

test('the monitor on a socket serves one client after the other, and the socket goes with the machine', async () => {
  const path = join(folder, 'monitor.sock');
  const { ended } = startCli(folder, [...WORDS, '--monitor', `unix:${path}`]);
  const first = await ask(path, ['info vfio', 'trace-event css_* on', 'info trace-events']);
  expect(first).toMatch(/^minivisor monitor - type 'help'.*\n\(minivisor\) dasd0:\n(.*\n)*.*css_crw/);
  expect(first).toMatch(/locked memory, pinned pages included: +\d+ kB/);
  const [one, two] = await Promise.all([
    ask(path, ['info chp']),
    ask(path, ['sysfs_read /sys/devices/css0/chp0.80/type']),
  ]);
  expect(one).toMatch(/0\.80 +1b +online +1 +0\.0\.0000/);
  expect(two).toContain('1b\n');
  const taken = await runCli(folder, ['boot', '--drive', `${drive},readonly=on`, '--monitor', `unix:${path}`]);
  expect(taken.stderr).toMatch(/minivisor: .*(another process listens there|in use)/);
  // Its client never hangs up.
  const idle = createConnection({ path, allowHalfOpen: true });
  await once(idle, 'data');
  await ask(path, ['quit']);
  const { status, stderr } = await ended;
  idle.destroy();
  expect([status, stderr, existsSync(path)]).toEqual([0, '', false]);
});

test('a place where no socket can be made is refused in one line', async () => {
  const { status, stdout, stderr } = await runCli(folder, [...WORDS, '--monitor', 'unix:nowhere/x']);
  expect(stderr).toMatch(
    /^minivisor: --monitor unix:nowhere\/x: there is no folder .*nowhere; make it first, or give another path\n$/,
  );
  expect([status, stdout]).toEqual([1, '']);
});

test.each([
  [['--monitor', 'tcp:1234'], /^--monitor tcp:1234: not understood; give stdio or unix:PATH$/],
  [['--monitor', 'unix:'], /^--monitor unix:: not understood/],
  [['--sim', '--monitor', 'stdio'], /^--monitor: a simulated run is to be replayed; give its commands with --at$/],
  [['--at', 'soon:quit'], /^--at soon:quit: not understood; give TIME:COMMAND/],
  [['--at', '1ms:fly'], /^--at 1ms:fly: unknown command 'fly'; help lists the commands$/],
  [['--at', '1ms:device_add'], /^--at 1ms:device_add: device_add: DEVICE is missing/],
])('%j is refused before anything is started', async (words, message) => {
  await expect(toyConfig(drive, words)).rejects.toThrow(message);
});
