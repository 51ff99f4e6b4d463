/** Where the output goes: a reader that leaves, one that is slow, a device that is full; and signals while it waits. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { delay } from '../../kernel/lib/host_timer.ts';
import { startCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';
import { toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = toyDrive(folder);
const LOCK = join(folder, 'test.ckd.lock');
const COMMAND = new URL('../../hypervisor/minivisor.js', import.meta.url).pathname;

/** Prints 193 letters and a newline to the ASCII console for ever: MVC of the SCCB to X'12000', SERVC R1,R2, again. */
const CHATTERBOX = [
  // LGFI R1,X'760005' (write event data); LGFI R2,X'12000'; LARL R5,sccb; MVC 0(256,R2),0(R5); SERVC R1,R2; BRC
  'c01100760005 c02100012000 c0500000000a d2ff20005000 b2200012 a7f4fff8',
  '00d0 00 000000 0000 00c8 1a 00 0000',
  '41'.repeat(193),
  '0a',
  '00'.repeat(100),
].join('');
writeFileSync(join(folder, 'chatterbox.elf'), guestElf(CHATTERBOX));
const chatterbox = ['boot', '--drive', drive, '--kernel', 'chatterbox.elf'];

/** Resolves when something is printed for the first time. */
const firstOutput = (child: ReturnType<typeof startCli>['child']) =>
  new Promise((resolve) => {
    child.stdout?.once('data', resolve);
  });

test.each([[[]], [['--sim']]])('a reader that leaves (| head) is no error, and the run goes on %j', async (words) => {
  const { child, ended } = startCli(folder, ['boot', '--drive', drive, '--append', 'bench=0', ...words]);
  await firstOutput(child);
  child.stdout?.destroy();
  const { status, stderr } = await ended;
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('a guest that prints for ever to a reader that reads nothing is ended by Ctrl-C, once or as npm sends it twice', async () => {
  const { child, ended } = startCli(folder, chatterbox);
  await firstOutput(child);
  child.stdout?.pause();
  await delay(1000);
  child.kill('SIGINT');
  await delay(20);
  child.kill('SIGINT');
  await delay(2500);
  child.stdout?.resume();
  const { status, stdout, stderr } = await ended;
  expect(stderr).toMatch(/^minivisor: the guest was stopped: interrupted\n/);
  expect(status).toBe(1);
  expect(stdout.startsWith(`${'A'.repeat(193)}\n`)).toBe(true);
  expect(existsSync(LOCK)).toBe(false);
});

test('a second Ctrl-C later ends the process at once, and leaves no lock behind', async () => {
  const { child, ended } = startCli(folder, chatterbox);
  await firstOutput(child);
  child.stdout?.pause();
  await delay(500);
  child.kill('SIGINT');
  await delay(500);
  child.kill('SIGINT');
  child.stdout?.resume();
  const { status } = await ended;
  // The first one may have been enough by then.
  expect([1, 130]).toContain(status);
  expect(existsSync(LOCK)).toBe(false);
});

test.each([100, 300, 500, 700, 900])(
  'Ctrl-C after %i ms, while the machine is being started, leaves no lock behind',
  async (ms) => {
    const { child, ended } = startCli(folder, ['boot', '--drive', drive, '--append', 'bench=0']);
    await delay(ms);
    child.kill('SIGINT');
    const { status, signal, stderr } = await ended;
    // Before the command listens, the signal ends the process as it ends any other.
    expect([0, 1, null, 130]).toContain(status);
    expect(stderr).not.toMatch(/ at .*\.[jt]s:\d/);
    if (status === null) expect(signal).toBe('SIGINT');
    else expect(existsSync(LOCK)).toBe(false);
  },
);

test('a console that cannot be written is told in one line', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [COMMAND, ...chatterbox], { cwd: folder, stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  let stderr = '';
  child.stderr?.on('data', (data) => {
    stderr += data;
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  expect(stderr).toBe("minivisor: standard output: ENOSPC; the guest's console could not be written\n");
  expect(status).toBe(1);
  expect(existsSync(LOCK)).toBe(false);
});

test('standard output that cannot be written is told once, however much there is to be written', async () => {
  const full = openSync('/dev/full', 'w');
  const words = ['dasd', 'ls', 'test.ckd', 'test.ckd'];
  const child = spawn(process.execPath, [COMMAND, ...words], { cwd: folder, stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  let stderr = '';
  child.stderr?.on('data', (data) => {
    stderr += data;
  });
  const status = await new Promise((resolve) => child.on('close', resolve));
  expect([status, stderr]).toEqual([1, 'minivisor: standard output: ENOSPC\n']);
});
