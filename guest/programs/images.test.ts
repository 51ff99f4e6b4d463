import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** The compiler the committed image was made with; another one may choose other instructions. */
const COMPILER_VERSION = '12.2.0';

const found = spawnSync('s390x-linux-gnu-gcc', ['-dumpfullversion'], { encoding: 'utf8' });
const version = found.status === 0 ? found.stdout.trim() : undefined;
const reason =
  version === COMPILER_VERSION
    ? ''
    : ` (skipped: needs s390x-linux-gnu-gcc ${COMPILER_VERSION}, found ${version ?? 'none'})`;

const IMAGES = join(import.meta.dirname, '..', 'images');
const NAMES = readdirSync(IMAGES).filter((name) => name.endsWith('.elf'));
const read = (name: string) => readFileSync(join(IMAGES, name));

/** ELF64 program headers of type PT_LOAD: file offset, physical address, file size, memory size. */
function loadSegments(elf: Buffer) {
  const table = Number(elf.readBigUInt64BE(0x20));
  const size = elf.readUInt16BE(0x36);
  return Array.from({ length: elf.readUInt16BE(0x38) }, (_, n) => table + n * size)
    .filter((at) => elf.readUInt32BE(at) === 1)
    .map((at) => ({
      offset: Number(elf.readBigUInt64BE(at + 8)),
      address: Number(elf.readBigUInt64BE(at + 24)),
      fileSize: Number(elf.readBigUInt64BE(at + 32)),
      memorySize: Number(elf.readBigUInt64BE(at + 40)),
    }));
}

describe.each(NAMES)('the committed %s', (name) => {
  const committed = read(name);
  test('is a big-endian s390x executable that starts inside itself', () => {
    expect(committed.subarray(0, 6).toString('hex')).toBe('7f454c460202');
    expect(committed.readUInt16BE(0x10)).toBe(2);
    expect(committed.readUInt16BE(0x12)).toBe(22);
    const entry = Number(committed.readBigUInt64BE(0x18));
    const inside = loadSegments(committed).some((s) => entry >= s.address && entry < s.address + s.fileSize);
    expect(inside).toBe(true);
  });

  test.runIf(name === 'toy.elf')('leaves the parameter area 0x10400-0x10fff zero, for the command line', () => {
    const segment = loadSegments(committed).find((s) => s.address <= 0x10400 && s.address + s.fileSize >= 0x11000)!;
    const start = segment.offset + 0x10400 - segment.address;
    expect(committed.subarray(start, start + 0xc00).equals(Buffer.alloc(0xc00))).toBe(true);
  });

  test('fits into two megabytes of storage', () => {
    for (const { address, memorySize } of loadSegments(committed)) {
      expect(address).toBeGreaterThanOrEqual(0x10000);
      expect(address + memorySize).toBeLessThanOrEqual(0x200000);
    }
  });
});

describe.skipIf(reason !== '')(`a rebuild${reason}`, () => {
  let out: string;
  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), 'toy-'));
  });
  afterAll(() => rmSync(out, { recursive: true, force: true }));

  test('gives the committed bytes', { timeout: 120_000 }, () => {
    const build = spawnSync(process.execPath, [join(import.meta.dirname, 'build.js'), '--out', out], {
      encoding: 'utf8',
    });
    expect(build.stderr).toBe('');
    expect(build.status).toBe(0);
    for (const name of NAMES) expect(readFileSync(join(out, name)).equals(read(name)), name).toBe(true);
  });

  test('without the compiler says which package to install', () => {
    const build = spawnSync(process.execPath, [join(import.meta.dirname, 'build.js'), '--out', out], {
      encoding: 'utf8',
      env: { ...process.env, PATH: out },
    });
    expect(build.status).toBe(1);
    expect(build.stderr.trim()).toBe('s390x-linux-gnu-gcc not found: install the Debian package gcc-s390x-linux-gnu');
  });
});
