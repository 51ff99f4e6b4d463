/** `minivisor explain` as a user runs it: the list, a story with times, wrong words, a file, and Ctrl-C. */
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { delay } from '../../kernel/lib/host_timer.ts';
import { runCli, workFolder } from '../support/cli.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const COMMAND = fileURLToPath(new URL('../../hypervisor/minivisor.js', import.meta.url));

test('without a subject the list; --help and help explain all', async () => {
  const { status, stdout, stderr } = await runCli(folder, ['explain']);
  expect([status, stderr]).toEqual([0, '']);
  for (const subject of ['ccw-read', 'halt', 'clear', 'h-put-tce', 'pamu-violation', 'also: ssch'])
    expect(stdout).toContain(subject);
  const [help, word] = [await runCli(folder, ['explain', '--help']), await runCli(folder, ['explain', 'help'])];
  expect(help.stdout).toContain('--ccw-api API');
  expect(word.stdout).toBe(help.stdout);
});

test.each([
  [['magic'], 'explain magic: unknown subject; give one of ccw-read, halt, clear, h-put-tce, pamu-violation'],
  [['ssch', 'tce'], 'explain ssch tce: one at a time; give one of ccw-read, halt, clear, h-put-tce, pamu-violation'],
  [['--no-times'], 'explain: what? give one of ccw-read, halt, clear, h-put-tce, pamu-violation'],
  [['ssch', '--ccw-api', 'magic'], '--ccw-api magic: unknown value; give one of region, io-region, cmd-request'],
  [
    ['ssch', '--ccw-api', 'io-region'],
    '--ccw-api io-region: ccw-read has no story of it; give region or cmd-request, or minivisor explain halt --ccw-api io-region',
  ],
  [
    ['hsch', '--ccw-api', 'cmd-request'],
    '--ccw-api cmd-request: halt has no story of it; give io-region or region, or minivisor explain ccw-read --ccw-api cmd-request',
  ],
  [['pamu', '--tce', 'real'], '--tce: is for h-put-tce; leave it out, or give minivisor explain h-put-tce'],
  [
    ['tce', '--json', 'no/such/place'],
    '--json no/such/place: no such directory; give a place where a file can be written',
  ],
])('%j is refused in one sentence', async (words, sentence) => {
  const { status, stdout, stderr } = await runCli(folder, ['explain', ...words]);
  expect([status, stdout, stderr]).toEqual([1, '', `minivisor: ${sentence}\n`]);
});

test('a story with times, as text and as a file; no colours and no image is left', async () => {
  const { status, stdout, stderr } = await runCli(folder, ['explain', 'ssch', '--json', 'story.json']);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).not.toContain('\x1b');
  expect(stdout).toMatch(/^1\. The guest executes SSCH, and leaves$/m);
  expect(stdout).toMatch(/^ {4}VMM, took [\d.]+ [nu]s \(median of \d+ on threads\)$/m);
  expect(stdout).toMatch(/cmd = 0x86 +command code: READ DATA/);
  expect(stdout).toMatch(/scsw\.dstat = 0xc/);
  expect(stdout).toMatch(/^From the first step to the last it took /m);
  const { schema, stories } = JSON.parse(readFileSync(join(folder, 'story.json'), 'utf8'));
  expect(schema).toBe('minivisor-explain-1');
  expect(stories[0].steps.at(-1)).toMatchObject({ id: 'irb', who: 'VMM' });
  expect(stories[0].steps[1].took.samples).toBeGreaterThan(10);
  expect(readdirSync(folder)).toEqual(['story.json']);
}, 60_000);

test('Ctrl-C leaves nothing behind', async () => {
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  const child = spawn(process.execPath, [COMMAND, 'explain', 'ssch'], {
    cwd: folder,
    stdio: 'ignore',
    env: { ...process.env, TMPDIR: temporary },
  });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const ours = () => readdirSync(temporary).filter((name) => name.startsWith('minivisor-explain-'));
  while (ours().length === 0 && child.exitCode === null) await delay(5);
  expect(child.exitCode).toBe(null);
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  expect(ours()).toEqual([]);
}, 30_000);
