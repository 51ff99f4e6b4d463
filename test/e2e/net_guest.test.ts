/** The net guest: frames through an 82540EM and back, mapped packet by packet in every tier and in one big window. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BOOT_OPTIONS, bootConfig } from '../../hypervisor/cli/boot_options.ts';
import { parseOptions } from '../../hypervisor/cli/options.ts';
import { simulate } from '../../hypervisor/simulate.ts';
import { runCli, workFolder } from '../support/cli.ts';
import { toyDrive } from '../support/toy.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const drive = toyDrive(folder);

/** Boots the net guest under the simulated scheduler. */
async function boot(words: readonly string[], frames = 40) {
  const all = [
    '--sim',
    '--drive',
    drive,
    '--guest',
    'net',
    '--append',
    `frames=${frames}`,
    '--memory',
    '32M',
    ...words,
  ];
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, all);
  return await simulate(await bootConfig(values, rest));
}
const PASSED = /net: all 11 checks passed\n$/;

test('every byte comes back, in every tier and through the big window, whatever the LIOBN is bound to', async () => {
  for (const bind of ['group', 'group-liobn', 'container']) {
    const { console, result } = await boot(['--tce-bind', bind]);
    expect(console, bind).toMatch(PASSED);
    expect(result.status, bind).toBe(0);
  }
});

test('with frames of memory on the move: pages are pinned packet by packet, and nothing is lost', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const { console, actors } = await boot(['--memory-pressure', '--seed', `${seed}`]);
    // A container that pins page by page has no big window.
    expect(console, `seed ${seed}`).toMatch(/SKIP big window(.|\n)*net: all 6 checks passed\n$/);
    expect((actors.kernel as { migrations: number }).migrations).toBeGreaterThan(10);
  }
});

test('the same seed gives the same run', async () => {
  const [one, two] = [await boot(['--seed', '5']), await boot(['--seed', '5'])];
  expect([two.steps, two.now, two.console]).toEqual([one.steps, one.now, one.console]);
});

test('a NIC whose cable is not plugged in says so, and nothing hangs', async () => {
  const { console, result } = await boot(['--nic', 'wire=loopback,link=down']);
  expect(console).toMatch(/FAIL exit to the VMM: 40 frames(.|\n)*no link/);
  expect(result.status).not.toBe(0);
});

test('on threads: frames are in the dump, which tcpdump reads where it is installed', async () => {
  const pcap = join(folder, 'net.pcap');
  const words = [
    'boot',
    '--drive',
    drive,
    '--guest',
    'net',
    '--append',
    'frames=32',
    '--nic',
    `wire=loopback,pcap=${pcap}`,
  ];
  const { status, stdout, stderr } = await runCli(folder, words);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/net: all 11 checks passed/);
  expect(status).toBe(0);
  // Libpcap's magic number for nanoseconds, and 8 streams of 32 frames, each sent and come back.
  expect(readFileSync(pcap).readUInt32LE(0)).toBe(0xa1b23c4d);
  const read = spawnSync('tcpdump', ['-nn', '-r', pcap], { encoding: 'utf8' });
  if (read.error !== undefined) return;
  expect(read.stdout.trim().split('\n')).toHaveLength(8 * 32 * 2);
});
