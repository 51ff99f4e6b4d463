import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CkdImage, ImageError, offsetOf } from './ckd_image.ts';
import { dataOf, formatTrack, parseTrack } from './track.ts';
import { dumpTrack } from './track_dump.ts';
import { createVolume, patternRecord } from './volume.ts';
import { checkVolume } from './volume_check.ts';
import { listVolume } from './volume_reader.ts';

const folder = mkdtempSync(join(tmpdir(), 'minivisor-volume-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

describe('createVolume', () => {
  test('CDL: size, label records, VTOC records and plain blocks', () => {
    const file = path('cdl.ckd');
    createVolume(file, { volser: 'MINI01', cylinders: 2, layout: 'cdl', pattern: true });
    expect(statSync(file).size).toBe(512 + 30 * 56832);
    expect(listVolume(file)).toMatchObject({
      cylinders: 2,
      label: { layout: 'cdl', volser: 'MINI01', owner: 'MINIVISOR' },
      vtoc: {
        extent: { first: 1, last: 1 },
        freeDscbs: 10,
        datasets: [],
        free: [{ first: 2, last: 29 }],
        problems: [],
      },
    });
    expect(checkVolume(file)).toEqual({ tracks: 30, records: 30 * 13, neverWritten: 0, pending: 0, problems: [] });
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
    expect(listVolume(file).label).toEqual({ layout: 'ldl', volser: 'LIN001', blockSize: 4096, blocks: 180 });
    expect(checkVolume(file).problems).toEqual([]);
  });

  test('an existing file stays unless forced, and no unfinished file is left', () => {
    const file = path('keep.ckd');
    writeFileSync(file, 'mine');
    expect(() => createVolume(file, { volser: 'A', cylinders: 1, layout: 'cdl' })).toThrow(/exists and is left alone/);
    expect(readFileSync(file, 'utf8')).toBe('mine');
    createVolume(file, { volser: 'A', cylinders: 1, layout: 'cdl', force: true });
    expect(listVolume(file).label?.volser).toBe('A');
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('what is no plain file is never replaced, forced or not', () => {
    const device = path('device.ckd');
    // A link, so that nothing of the computer is lost where it is replaced after all.
    symlinkSync('/dev/null', device);
    const there = path('there');
    mkdirSync(there);
    for (const force of [true, false]) {
      const options = { volser: 'A', cylinders: 1, layout: 'cdl', force } as const;
      expect(() => createVolume(device, options)).toThrow(`${device}: is no plain file; choose another name`);
      expect(() => createVolume(there, options)).toThrow(`${there}: is a directory; choose another name`);
    }
    expect(lstatSync(device).isSymbolicLink()).toBe(true);
    rmSync(device);
    rmSync(there, { recursive: true });
  });

  test('a missing folder is named, not the unfinished file', () => {
    const file = path('nowhere/a.ckd');
    const folder = path('nowhere');
    expect(() => createVolume(file, { volser: 'A', cylinders: 1, layout: 'cdl' })).toThrow(
      `${file}: there is no folder ${folder}; make it first, or choose another place`,
    );
  });

  test('raw: no label, R0 alone on every track, most of the file a hole', () => {
    const file = path('raw.ckd');
    createVolume(file, { volser: '', cylinders: 40, layout: 'raw' });
    expect(listVolume(file)).toEqual({ cylinders: 40, label: undefined });
    expect(checkVolume(file)).toMatchObject({ tracks: 600, records: 600, neverWritten: 0, problems: [] });
    expect(statSync(file).blocks * 512).toBeLessThan(statSync(file).size / 4);
  });

  test('large volumes: cylinders above 65535 have 28-bit addresses', () => {
    const file = path('large.ckd');
    createVolume(file, { volser: '', cylinders: 1, layout: 'raw' });
    truncateSync(file, offsetOf(65600 * 15));
    const image = new CkdImage(file);
    expect(image.cylinders).toBe(65600);
    formatTrack(image.track(65599, 14), 65599, 14, [{ record: 1, data: patternRecord(1, 2, 3) }]);
    image.changed(65599, 14);
    image.flush(true);
    image.close();
    const again = new CkdImage(file, true);
    const { records } = parseTrack(again.track(65599, 14), 65599, 14);
    expect(records[1]).toMatchObject({ cylinder: 65599 - 65536, head: 0x1e, record: 1, dataLength: 4096 });
    again.close();
  });

  test.each([
    ['', 1],
    ['toolong', 1],
    ['abc', 1],
    ['A', 0],
    ['A', 262669],
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
    ['compressed', () => header((b) => b.write('CKD_C370', 0)), /compressed CKD image; expand it with "cckd2ckd -lfs"/],
    ['shadow', () => header((b) => b.write('CKD_S370', 0)), /shadow file.*; make one image of it and its base/],
    ['64-bit', () => header((b) => b.write('CKD_P064', 0)), /64-bit CKD image; copy it with "dasdcopy -lfs/],
    ['3380', () => header((b) => b.writeUInt8(0x80, 16)), /type 3380, but only 3390/],
    ['split', () => header((b) => b.writeUInt8(2, 17)), /split over several; name the first/],
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

  test('checkVolume names records out of order, of another track, and more than fit', () => {
    const count = (b: Buffer, track: number, record: number) =>
      b.subarray(offsetOf(track) + 5 + 16 + (record - 1) * 4104);
    const file = header((b) => {
      count(b, 2, 5).writeUInt8(3, 4);
      count(b, 4, 7).writeUInt16BE(12, 0);
      b.writeUInt8(1, offsetOf(6) + 5 + 5);
    });
    expect(checkVolume(file).problems).toEqual([
      'cylinder 0 head 2: record 3 follows record 4',
      'cylinder 0 head 4: the count of record 7 says cylinder 12 head 4',
      expect.stringMatching(/^cylinder 0 head 6: /),
    ]);
  });

  test('a track that was never written reads as R0 alone, and can be written', () => {
    const file = header((b) => b.fill(0, offsetOf(3), offsetOf(5)));
    expect(checkVolume(file)).toMatchObject({ neverWritten: 2, problems: [] });
    const image = new CkdImage(file);
    formatTrack(image.track(0, 3), 0, 3, [{ record: 1, data: new Uint8Array(10) }]);
    image.changed(0, 3);
    image.flush(true);
    image.close();
    expect(checkVolume(file)).toMatchObject({ neverWritten: 1, problems: [] });
  });

  test('dumpTrack says in one sentence which cylinders and heads there are', () => {
    const file = header(() => {});
    expect(() => dumpTrack(file, 1, 0)).toThrow(`${file}: has no cylinder 1; give 0 to 0`);
    expect(() => dumpTrack(file, 0, 15)).toThrow(`${file}: has no head 15; give 0 to 14`);
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
