/** Console input: what is typed reaches the guest through SCLP, in either event, from standard input and by --at. */
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { simulate } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { toyConfig } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const GUEST = fileURLToPath(new URL('../../guest/images/console.elf', import.meta.url));
const DRIVE = 'type=echo';
const words = (event: string) => ['--kernel', GUEST, '--append', `input=${event}`];

test.each(['ascii', 'operator'])(
  'lines of standard input are typed in order, for a guest that wants %s',
  async (event) => {
    const lines = ['HELLO', 'A SECOND LINE', '', ...Array.from({ length: 40 }, (_, i) => `LINE ${i}`), 'QUIT'];
    const { status, stdout, stderr } = await runCli(
      folder,
      ['boot', '--drive', DRIVE, ...words(event), '--console', 'stdio'],
      `${lines.join('\n')}\n`,
    );
    expect([status, stderr]).toEqual([0, '']);
    // The guest's EBCDIC has letters and digits only.
    const shown = (line: string) => (event === 'ascii' ? line : line.replaceAll(' ', '.'));
    const echoed = stdout.split('\n').filter((line) => line.startsWith('got '));
    expect(echoed.map((line) => line.replaceAll(' ', '.'))).toEqual(
      lines.map((line) => `got ${line.length}: ${shown(line)}`.replaceAll(' ', '.')),
    );
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('console: bye');
  },
);

test('input by --at is the same in every run of a seed, and none is lost whenever it comes', async () => {
  for (let seed = 1; seed <= 12; seed++) {
    // Some of it before the guest listens, some while it prints.
    const at = [0, 0.2, 0.3, 0.301, 0.302, 0.31, 0.5].flatMap((ms, i) => ['--at', `${ms}ms:console_input n${i}`]);
    const config = await toyConfig(DRIVE, [
      ...['--sim', '--seed', `${seed}`, ...words('ascii')],
      ...at,
      '--at',
      '2ms:console_input quit',
    ]);
    const { console, result } = await simulate(config, { limitNs: 1e9 });
    expect([result.status, seed]).toEqual([0, seed]);
    expect([...console.matchAll(/^got \d+: (.*)$/gm)].map(([, text]) => text)).toEqual([
      ...Array.from({ length: 7 }, (_, i) => `n${i}`),
      'quit',
    ]);
    if (seed === 1) expect((await simulate(config, { limitNs: 1e9 })).console).toBe(console);
  }
});

test('a guest that does not read is told of in one sentence, and loses nothing', async () => {
  const line = 'x'.repeat(250);
  const many = Array.from({ length: 18 }, (_, i) => ['--at', `${1 + i}us:console_input ${line}`]).flat();
  const config = await toyConfig(DRIVE, ['--sim', ...words('ascii'), ...many, '--at', '50ms:console_input quit']);
  const { console, result } = await simulate(config, { limitNs: 1e9 });
  expect(result.status).toBe(0);
  const refused = console.match(/^Error: the guest has not read what was typed before: .*$/gm)?.length ?? 0;
  expect(refused).toBeGreaterThan(0);
  expect(console.match(/^got 250: x{250}$/gm)).toHaveLength(18 - refused);
});

test.each([
  [
    ['--console', 'stdio', '--monitor', 'stdio'],
    /^--console stdio: the monitor has standard input; give --monitor unix:PATH$/,
  ],
  [['--console', 'stdio', '--sim'], /^--console: a simulated run is to be replayed; type with --at/],
])('%j is refused', async (options, message) => {
  await expect(toyConfig(DRIVE, [...words('ascii'), ...options])).rejects.toThrow(message);
});
