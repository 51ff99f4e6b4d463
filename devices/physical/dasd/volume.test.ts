import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CkdImage, ImageError, offsetOf } from './ckd_image.ts';
import { dataOf, parseTrack } from './track.ts';
import { checkVolume, createVolume, dumpTrack, listVolume, patternRecord } from './volume.ts';

const folder = mkdtempSync(join(tmpdir(), 'minivisor-volume-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

describe('createVolume', () => {
  test('CDL: size, label records, VTOC records and plain blocks', () => {
    const file = path('cdl.ckd');
    createVolume(file, { volser: 'MINI01', cylinders: 2, layout: 'cdl', pattern: true });
    expect(statSync(file).size).toBe(512 + 30 * 56832);
    expect(listVolume(file)).toEqual({ cylinders: 2, layout: 'cdl', volser: 'MINI01', datasets: [] });
    expect(checkVolume(file)).toEqual({ tracks: 30, records: 30 * 13, problems: [] });
    const image = new CkdImage(file, true);
    const lengths = (head: number) =>
      parseTrack(image.track(0, head), 0, head).records.map((r) => [r.keyLength, r.dataLength]);
    expect(lengths(0).slice(0, 5)).toEqual([
      [0, 8],
      [4, 24],
      [4, 144],
      [4, 80],
      [0, 4096],
    ]);
    expect(new Set(lengths(1).slice(1).map(String))).toEqual(new Set(['44,96']));
    expect(lengths(2).slice(1)).toEqual(Array(12).fill([0, 4096]));
    const track = parseTrack(image.track(1, 4), 1, 4);
    expect(dataOf(track, track.records[7])).toEqual(patternRecord(1, 4, 7));
    image.close();
    expect(dumpTrack(file, 0, 0)).toContain('VOL1MINI01');
  });

  test('the pattern is the one the guest computes', () => {
    const data = Buffer.from(patternRecord(2, 3, 4));
    const word = (o: number) => (BigInt((2 * 15 + 3) * 13 + 4) * 0x9e3779b1n + BigInt(o) * 0x85ebca6bn) & 0xffffffffn;
    for (const o of [0, 4, 100, 4092]) expect(BigInt(data.readUInt32BE(o))).toBe(word(o));
  });

  test('LDL: LNX1 label in record 3 of blocks without keys', () => {
    const file = path('ldl.ckd');
    createVolume(file, { volser: 'LIN001', cylinders: 1, layout: 'ldl' });
    expect(listVolume(file)).toMatchObject({ layout: 'ldl', volser: 'LIN001' });
  });

  test('an existing file stays unless forced, and no unfinished file is left', () => {
    const file = path('keep.ckd');
    writeFileSync(file, 'mine');
    expect(() => createVolume(file, { volser: 'A', cylinders: 1, layout: 'cdl' })).toThrow(/exists and is left alone/);
    expect(readFileSync(file, 'utf8')).toBe('mine');
    createVolume(file, { volser: 'A', cylinders: 1, layout: 'cdl', force: true });
    expect(listVolume(file).volser).toBe('A');
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test.each([
    ['', 1],
    ['toolong', 1],
    ['abc', 1],
    ['A', 0],
    ['A', 65521],
    ['A', 1.5],
  ])('refuses serial %j with %d cylinders', (volser, cylinders) => {
    expect(() => createVolume(path('never'), { volser, cylinders, layout: 'cdl' })).toThrow(ImageError);
    expect(existsSync(path('never'))).toBe(false);
  });
});

describe('damage', () => {
  const header = (change: (bytes: Buffer) => void) => {
    const file = path('broken.ckd');
    createVolume(file, { volser: 'BROKEN', cylinders: 1, layout: 'cdl', force: true });
    const bytes = readFileSync(file);
    change(bytes);
    writeFileSync(file, bytes);
    return file;
  };
  const rows: readonly (readonly [string, () => string, RegExp])[] = [
    ['missing', () => path('missing'), /no such image; create it/],
    ['directory', () => folder, /not a regular file; name a CKD image/],
    ['not CKD', () => header((b) => b.write('GARBAGE!', 0)), /not a CKD image: begins with "GARBAGE!"/],
    ['binary', () => header((b) => b.fill(1, 0, 8)), /begins with X'0101010101010101'/],
    ['compressed', () => header((b) => b.write('CKD_C370', 0)), /compressed CKD image; convert it/],
    ['3380', () => header((b) => b.writeUInt8(0x80, 16)), /type 3380, but only 3390/],
    ['split', () => header((b) => b.writeUInt8(1, 17)), /split over several; join/],
    ['heads', () => header((b) => b.writeUInt32LE(16, 8)), /16 heads/],
    [
      'truncated',
      () => {
        const file = header(() => {});
        truncateSync(file, 512 + 3 * 56832);
        return file;
      },
      /truncated: 171008 bytes.*0\.20 cylinders/,
    ],
    [
      'empty',
      () => {
        writeFileSync(path('empty'), '');
        return path('empty');
      },
      /not a CKD image/,
    ],
  ];
  test.each(rows)('%s: one sentence that names the file', (_, make, message) => {
    const file = make();
    expect(() => new CkdImage(file, true)).toThrow(message);
    expect(() => new CkdImage(file, true)).toThrow(new RegExp(`^${file.replaceAll('.', '\\.')}: [^\n]*$`));
  });

  test('checkVolume names every damaged track and goes on', () => {
    const file = header((b) => {
      b.fill(0, offsetOf(3) + 5, offsetOf(4));
      b.writeUInt16BE(9, offsetOf(7) + 1);
    });
    const { problems } = checkVolume(file);
    expect(problems).toEqual([
      'cylinder 0 head 3: record 0 runs past the track',
      'cylinder 0 head 7: the home address says cylinder 9 head 7',
    ]);
  });
});

const hercules = spawnSync('dasdls').error === undefined && spawnSync('dasdinit').error === undefined;

describe.skipIf(!hercules)('together with Hercules (Debian package hercules)', () => {
  test('dasdls reads label and VTOC of our volume', () => {
    const file = path('ours.ckd');
    createVolume(file, { volser: 'OURS01', cylinders: 3, layout: 'cdl', pattern: true });
    const { stdout, status } = spawnSync('dasdls', [file], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, expect.stringContaining('VOLSER=OURS01')]);
  });

  test('dasdcat opens our volume and searches its VTOC', () => {
    const file = path('cat.ckd');
    createVolume(file, { volser: 'CAT001', cylinders: 2, layout: 'cdl' });
    const { stdout, stderr } = spawnSync('dasdcat', ['-i', file, 'NO.SUCH.PDS/?'], { encoding: 'utf8' });
    expect(stdout + stderr).toMatch(/NO\.SUCH\.PDS.*not found/i);
  });

  test('a volume formatted by dasdinit -linux has the same header and tracks as ours, but for the owner', () => {
    const theirs = path('theirs.ckd');
    execFileSync('dasdinit', ['-linux', theirs, '3390', 'SAME01', '3'], { stdio: 'pipe' });
    const ours = path('same.ckd');
    createVolume(ours, { volser: 'SAME01', cylinders: 3, layout: 'cdl' });
    expect(listVolume(theirs)).toEqual(listVolume(ours));
    expect(checkVolume(theirs)).toEqual(checkVolume(ours));
    const [a, b] = [readFileSync(theirs), readFileSync(ours)];
    expect(a.subarray(0, 512)).toEqual(b.subarray(0, 512));
    for (let track = 0; track < 45; track++) {
      const size = offsetOf(track + 1) - offsetOf(track);
      const [x, y] = [a, b].map((file) => Buffer.from(file.subarray(offsetOf(track), offsetOf(track) + size)));
      const owner = 5 + 16 + 8 + 28 + 8 + 148 + 8 + 4 + 37;
      if (track === 0) for (const image of [x, y]) image.fill(0x40, owner, owner + 14);
      expect([track, Buffer.compare(x, y)]).toEqual([track, 0]);
    }
  });

  test('a plain volume of dasdinit is read too', () => {
    const file = path('plain.ckd');
    execFileSync('dasdinit', [file, '3390', 'PLAIN1', '2'], { stdio: 'pipe' });
    expect(listVolume(file)).toMatchObject({ cylinders: 2, layout: 'cdl', volser: 'PLAIN1' });
    expect(checkVolume(file).problems).toEqual([]);
  });

  test('a compressed volume is refused with the program that converts it', () => {
    const file = path('packed.ckd');
    execFileSync('dasdinit', ['-z', file, '3390', 'PACKED', '2'], { stdio: 'pipe' });
    expect(() => listVolume(file)).toThrow(/compressed CKD image; convert it/);
  });
});
