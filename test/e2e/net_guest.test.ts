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

test('registers by KVM or by exits: the guest sees the same, and only exits differ', async () => {
  /** What a run in one tier of TCEs checked, and its exits of hypercalls. */
  const run = async (mmio: string, tce: string) => {
    const { console, result } = await boot(['--mmio', mmio, '--tce', tce]);
    expect(result.status, `${mmio} ${tce}`).toBe(0);
    return { checks: console.match(/^(PASS|FAIL|SKIP) .*$/gm), exits: result.exits.papr_hcall };
  };
  for (const tce of ['real', 'virtual', 'user']) {
    const [kernel, exit] = [await run('kernel', tce), await run('exit', tce)];
    expect(kernel.checks).toEqual(exit.checks);
    expect(kernel.checks?.length).toBeGreaterThan(5);
    // Some ten registers are stored each time the NIC is opened, and one for each burst of frames.
    expect(exit.exits - kernel.exits, tce).toBeGreaterThan(40);
  }
});

test('a pair of NICs on one cable: frames arrive in both directions, in every tier and in both big windows', async () => {
  const pair = ['--nic', 'wire=pair:1', '--nic', 'wire=pair:0'];
  for (const seed of [1, 2, 3]) {
    const { console, result } = await boot([...pair, '--seed', `${seed}`]);
    expect(console, `seed ${seed}`).toMatch(
      /PASS big window: 40 frames of 9014 bytes from NIC 1 to NIC 0 are as they were/,
    );
    expect(console, `seed ${seed}`).toMatch(/net: all 22 checks passed\n$/);
    expect(result.status).toBe(0);
  }
  const { console } = await boot([...pair, '--memory-pressure', '--tce', 'virtual'], 20);
  expect(console).toMatch(/net: all \d+ checks passed\n$/);
});

test('NICs 0 and 2 of three may be the pair; their dumps have the frames of both directions', async () => {
  const dumps = [join(folder, 'a.pcap'), join(folder, 'b.pcap')];
  const nics = [`wire=pair:2,pcap=${dumps[0]}`, 'wire=none', `wire=pair:0,pcap=${dumps[1]}`];
  const words = ['boot', '--drive', drive, '--guest', 'net', '--append', 'frames=32 exitframes=0'];
  const { status, stdout, stderr } = await runCli(folder, [...words, ...nics.flatMap((nic) => ['--nic', nic])]);
  expect([stderr, status]).toEqual(['', 0]);
  expect(stdout).toMatch(/net: all 18 checks passed/);
  // Records: a header of 16 bytes each, after one of 24 for the file.
  const frames = (file: string) => {
    const bytes = readFileSync(file);
    let count = 0;
    for (let at = 24; at < bytes.length; at += 16 + bytes.readUInt32LE(at + 8)) count++;
    return count;
  };
  // Three ways of mapping, two sizes, two directions.
  expect(dumps.map(frames)).toEqual([3 * 2 * 2 * 32, 3 * 2 * 2 * 32]);
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

test.each([
  [
    ['--nic', 'wire=loopback,plug=off'],
    /: nobody answers at 11080000000: NIC 0 is not plugged in; boot with --nic, without plug=off$/,
  ],
  [
    ['--nic', 'wire=pair:1', '--nic', 'wire=pair:0,plug=off'],
    /: nobody answers at 12080000000: NIC 1 is not plugged in; /,
  ],
  [['--append', 'nic=0'], /: no nic= on the command line: boot with --nic and --guest net, which tell where it is$/],
  [['--append', 'nic=0x12345000000'], /: no register at 12345000000, return code -\d+: is nic= right\?$/],
])('without a NIC one line says so, and what to do (%j)', async (words, text) => {
  const { console, result } = await boot(words);
  const fails = console.match(/^(FAIL|PASS|SKIP) .*$/gm) ?? [];
  expect(fails).toHaveLength(1);
  expect(fails[0]).toMatch(/^FAIL there is a NIC: /);
  expect(fails[0]).toMatch(text);
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
