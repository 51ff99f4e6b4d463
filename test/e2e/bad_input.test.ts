/** Every mistake a user can make is one line that names it, exit status 1, no stack trace, nothing changed on disk. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli, workFolder } from '../support/cli.ts';
import { guestElf } from '../support/guest_elf.ts';

const TOY = fileURLToPath(new URL('../../guest/images/toy.elf', import.meta.url));
const { folder, remove } = workFolder();
afterAll(remove);

/** The toy guest's file with some bytes changed. */
function patched(name: string, change: (bytes: Buffer) => unknown): void {
  const bytes = readFileSync(TOY);
  const changed = change(bytes);
  writeFileSync(join(folder, name), changed instanceof Buffer ? changed : bytes);
}

beforeAll(() => {
  writeFileSync(join(folder, 'text.elf'), 'hello, this is no program');
  writeFileSync(join(folder, 'empty.elf'), '');
  mkdirSync(join(folder, 'folder'));
  patched('class32.elf', (b) => b.writeUInt8(1, 4));
  patched('little.elf', (b) => b.writeUInt8(1, 5));
  patched('x86.elf', (b) => b.writeUInt16BE(62, 18));
  patched('object.elf', (b) => b.writeUInt16BE(1, 16));
  patched('cut.elf', (b) => b.subarray(0, 100));
  patched('entry.elf', (b) => b.writeBigUInt64BE(0xdead0000n, 24));
  writeFileSync(join(folder, 'over.elf'), guestElf('07'.repeat(0x500)));
  writeFileSync(join(folder, 'broken.ckd'), Buffer.alloc(60000, 'x'));
  const truncated = Buffer.alloc(512 + 1000);
  truncated.write('CKD_P370', 0, 'latin1');
  truncated.writeUInt32LE(15, 8);
  truncated.writeUInt32LE(56832, 12);
  truncated[16] = 0x90;
  writeFileSync(join(folder, 'truncated.ckd'), truncated);
});

const ROWS: [string[], RegExp][] = [
  [['boot', '--kernel', 'missing.elf'], /--kernel missing\.elf: no such file; give/],
  [['boot', '--kernel', 'folder'], /--kernel folder: is a directory; give/],
  [['boot', '--kernel', 'text.elf'], /--kernel text\.elf: not an ELF file; give/],
  [['boot', '--kernel', 'empty.elf'], /--kernel empty\.elf: not an ELF file; give/],
  [['boot', '--kernel', 'class32.elf'], /--kernel class32\.elf: ELF class 32-bit; link a 64-bit/],
  [['boot', '--kernel', 'little.elf'], /--kernel little\.elf: little-endian ELF; s390x is big-endian/],
  [['boot', '--kernel', 'x86.elf'], /--kernel x86\.elf: ELF for x86-64; build with/],
  [['boot', '--kernel', 'object.elf'], /--kernel object\.elf: ELF type 1; link a static executable/],
  [['boot', '--kernel', 'cut.elf'], /--kernel cut\.elf: .*truncated/],
  [['boot', '--kernel', 'entry.elf'], /--kernel entry\.elf: entry point 0xdead0000 in no segment; link/],
  [
    ['boot', '--kernel', TOY, '--memory', '1M', '--append', 'x'.repeat(1000)],
    /--append: 1000 characters; the guest has room for 895/,
  ],
  [['boot', '--memory', 'lots'], /--memory lots: not a size; give/],
  [['boot', '--memory', '0'], /--memory 0: out of range; give 1M to 2048M/],
  [['boot', '--memory', '64G'], /--memory 64G: out of range/],
  [['boot', '--memory', '1048577'], /--memory 1048577: give a whole number of megabytes/],
  [['boot', '--cpus', '0'], /--cpus 0: out of range; give 1 to 8/],
  [['boot', '--tce', 'fast'], /--tce fast: unknown value; give one of real, virtual, user/],
  [['boot', '--kernle', 'x'], /--kernle: unknown option; did you mean --kernel\?/],
  [['boot', '--timeout'], /--timeout needs a value/],
  [['boot', '--timeout', 'soon'], /--timeout soon: not a time; give seconds, or a number with us, ms, s or m/],
  [['boot', '--timeout', '0ms'], /--timeout 0ms: out of range; give 1us to 2000000s/],
  [['bench', 'mips', '--timeout', '5'], /--timeout: unknown option; see minivisor bench --help/],
  [['boot', 'toy.elf'], /toy\.elf: unexpected word; options begin with --/],
  [['boot', '--trace', 'nothing_*'], /--trace nothing_\*: matches no event/],
  [['boot', '--drive', 'devno=190'], /--drive: file=\.\.\. is missing/],
  [['boot', '--drive', 'file=missing.ckd'], /--drive file=missing\.ckd: no such file; make an image/],
  [['boot', '--drive', 'file=broken.ckd,colour=red'], /--drive: unknown key 'colour'; known keys: file/],
  [['boot', '--drive', 'file=a,b.ckd'], /--drive: unknown key 'b\.ckd'.*; a comma inside a value is doubled \(,,\)/],
  [
    ['boot', '--drive', 'file=broken.ckd', '--drive', 'file=./broken.ckd'],
    /two drives on one image; give each its own/,
  ],
  [['boot', '--drive', 'type=echo,fault=fire'], /--drive fault=fire: no fault is called 'fire'; give one of/],
  [['boot', '--seed', '-1'], /--seed -1: out of range; give 0 to 4294967295/],
  [['boot', '-m', '1'], /--memory 1: out of range; give 1M to 2048M, with its K, M or G: a bare number counts bytes/],
  [['boot', '--kernel', 'over.elf'], /--kernel over\.elf: segment 0 .*at 0x10480, where the command line goes; leave/],
  [['boot', '--drive', 'file=broken.ckd,devno=xyz'], /--drive devno=xyz: not understood/],
  [['boot', '--drive', 'file=broken.ckd'], /broken\.ckd: .*not a CKD image/],
  [['boot', '--drive', 'file=truncated.ckd'], /truncated\.ckd: /],
  [['boot', '--sim', '--drive', 'file=broken.ckd'], /broken\.ckd: .*not a CKD image/],
  [
    ['boot', '--stats', 'nowhere/stats.json'],
    /--stats nowhere\/stats\.json: no such directory; give a place where a file/,
  ],
  [
    ['boot', '--stats', 'broken.ckd', '--drive', 'file=broken.ckd'],
    /--stats broken\.ckd: is an image of --drive too; give/,
  ],
  [['boot', '--nic', 'pcap=a', '--nic', 'pcap=a'], /--nic pcap=.*\/a: is what --nic writes too; give another file/],
  [['boot', '--nic', 'pcap=a', '--trace-out', 'a'], /--nic pcap=.*\/a: is what --trace-out writes too; give another/],
  [
    ['boot', '--drive', 'type=echo', '--memlock', '1'],
    /ENOMEM: .*may lock 0 MiB for a guest of 128 MiB: give more --mem/,
  ],
  [['boot', '--stats', 'folder'], /--stats folder: is a directory; give a place where a file/],
  [['boot', '--stats', 'new/'], /--stats new\/: is a directory; give a place where a file/],
  [['boot', '--stats', ''], /--stats : is a directory; give a place where a file/],
  [['boot', '--sim', '--stats', 'stats.json'], /--stats: tells nothing about a simulated run/],
  [
    ['bench', 'mips', '--json', 'nowhere/out.json'],
    /--json nowhere\/out\.json: no such directory; give a place where a file/,
  ],
  [['bench', 'nothing'], /bench nothing: unknown scenario; give some of/],
  [['dasd', 'create', 'broken.ckd'], /broken\.ckd: exists/],
  [['dasd', 'create'], /dasd create: FILE is missing/],
  [['dasd', 'create', 'nowhere/new.ckd'], /nowhere\/new\.ckd: there is no folder .*nowhere; make it first, or choose/],
  [['dasd', 'create', '/proc/new.ckd'], /\/proc\/new\.ckd\.lock: E[A-Z]+; choose a place where files can be made\n/],
  [['dasd', 'create', 'folder', '--force'], /folder: is a directory; choose another name/],
  [
    ['dasd', 'create', 'new.ckd', '--model', '3390-3', '--cylinders', '5'],
    /--model 3390-3 has 3339 cylinders; leave out/,
  ],
  [['dasd', 'create', 'new.ckd', '--volser', 'much too long'], /volume serial|volser/],
  [['dasd', 'ls', 'broken.ckd'], /broken\.ckd: not a CKD image/],
  [['dasd', 'dump', 'broken.ckd', 'a', 'b'], /dasd dump: CYLINDER 'a' is no number/],
  [['dasd', 'dump', 'broken.ckd', '0'], /dasd dump: HEAD is missing; usage: minivisor dasd dump FILE CYLINDER HEAD/],
  [['dasd', 'dump', 'broken.ckd', '0', '0', '0'], /dasd dump: unexpected word '0'; usage/],
  [
    ['dasd', 'recover', 'missing.ckd'],
    /missing\.ckd: no such image; create it first, for example with "minivisor dasd/,
  ],
  [['dasd', 'shrink'], /dasd shrink: unknown verb; give one of create, ls, check, dump, cat, recover/],
  [['boot', '--kernel', 'toy.elf', '--guest', 'net'], /--kernel toy.elf --guest net: two guests; give one of them/],
  [['help', 'fly'], /fly: unknown command; give one of boot/],
  [['fly'], /fly: unknown command; give one of boot, explain, bench, report, dasd, ioctls/],
];

test.each(ROWS)('minivisor %j', async (words, message) => {
  const before = readdirSync(folder).sort();
  const { status, stdout, stderr } = await runCli(folder, words);
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(stderr).toMatch(/^minivisor: /);
  expect(stdout).toBe('');
  expect(status).toBe(1);
  expect(readdirSync(folder).sort()).toEqual(before);
});

test.each([
  [['--help'], /usage: minivisor COMMAND/],
  [['boot', '--help'], /--memory-pressure/],
  [['boot', '--help'], /--drive help explains/],
  [['bench', '-h'], /growth/],
  [['dasd', '--help'], /create FILE/],
  [['boot', '-drive', 'help'], /slow-cylinder= .*\n.*slow-ms= [\s\S]*lost-interrupt/],
  [['boot', '--help'], /--drive help\./],
  [['boot', '--nic', 'help'], /pcap= .*tcpdump/],
  [['boot', '--device', 'help'], /vfio-platform,host=dma3/],
  [['boot', '--at', 'help'], /device_del ID -- unplugs/],
  [['boot', '--monitor', 'help'], /device_del ID -- unplugs/],
  [['boot', '--ccw-api', 'help'], /\n {2}io-region\n/],
  [['boot', '--trace', 'help'], /vfio_ccw_Q1 schid=/],
  [['--version'], /^minivisor \d/],
  [['help'], /usage: minivisor COMMAND/],
  [['help', 'boot'], /--memory-pressure/],
  [['--help', 'dasd'], /create FILE/],
  [['dasd', 'help'], /create FILE/],
])('minivisor %j explains and ends well', async (words, text) => {
  const { status, stdout, stderr } = await runCli(folder, words);
  expect(stdout).toMatch(text);
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('no command at all is a mistake: what there is goes to standard error', async () => {
  const { status, stdout, stderr } = await runCli(folder, []);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/usage: minivisor COMMAND[\s\S]*boot {5}/);
});
