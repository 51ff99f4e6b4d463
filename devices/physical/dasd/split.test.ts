/** Images split over several files, as Hercules makes them above 2 GiB; here the files are small. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CkdImage, offsetOf } from './ckd_image.ts';
import { firstSplitName, splitName } from './image_name.ts';
import { dataOf, parseTrack } from './track.ts';
import { createVolume, patternRecord, SPLIT_CYLINDERS } from './volume.ts';
import { checkVolume } from './volume_check.ts';
import { listVolume } from './volume_reader.ts';

const folder = mkdtempSync(join(tmpdir(), 'minivisor-split-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const make = (name: string, cylinders: number, split: number) =>
  createVolume(path(name), { volser: 'SPLIT1', cylinders, layout: 'cdl', pattern: true, split });

test('file names', () => {
  expect(firstSplitName('/a.b/vol.ckd')).toBe('/a.b/vol_1.ckd');
  expect(firstSplitName('vol_1.ckd')).toBe('vol_1.ckd');
  expect(firstSplitName('vol')).toBe('vol_1');
  expect(firstSplitName('my.vol.ckd')).toBe('my_1.vol.ckd');
  expect(splitName('vol_1.ckd', 9)).toBe('vol_9.ckd');
  expect(splitName('vol_1.ckd', 10)).toBe('vol_A.ckd');
  expect(splitName('vol_1.ckd', 27)).toBe('vol_R.ckd');
  expect(splitName('vol_1.ckd', 28)).toBeUndefined();
  expect(splitName('vol.ckd', 2)).toBeUndefined();
});

test('files stay below 2 GiB with the cylinders that dasdinit puts there', () => {
  expect(SPLIT_CYLINDERS).toBe(2519);
});

test('headers say number and highest cylinder; all is read and written as one image', () => {
  expect(make('vol.ckd', 5, 2)).toEqual(['vol_1.ckd', 'vol_2.ckd', 'vol_3.ckd'].map(path));
  const headers = readdirSync(folder)
    .filter((name) => name.startsWith('vol_'))
    .sort()
    .map((name) => readFileSync(path(name)));
  expect(headers.map((h) => [h[17], h.readUInt16LE(18)])).toEqual([
    [1, 1],
    [2, 3],
    [3, 0],
  ]);
  // Under the name without a number, too.
  for (const name of ['vol_1.ckd', 'vol.ckd']) {
    expect(listVolume(path(name))).toMatchObject({ cylinders: 5, label: { volser: 'SPLIT1' } });
    expect(checkVolume(path(name))).toMatchObject({ tracks: 75, problems: [] });
  }
  const image = new CkdImage(path('vol_1.ckd'));
  const at = [
    [1, 14],
    [2, 0],
    [4, 14],
  ];
  for (const [cylinder, head] of at) {
    const track = parseTrack(image.track(cylinder, head), cylinder, head);
    expect(dataOf(track, track.records[7])).toEqual(patternRecord(cylinder, head, 7));
    dataOf(track, track.records[7]).fill(0x77);
    image.changed(cylinder, head);
  }
  image.flush(true);
  expect(existsSync(path('vol_1.ckd.journal'))).toBe(true);
  image.close();
  expect(readFileSync(path('vol_2.ckd'))[offsetOf(0) + 5 + 16 + 6 * 4104 + 8]).toBe(0x77);
  expect(checkVolume(path('vol.ckd')).problems).toEqual([]);
});

test('a missing, swapped or short file, and the wrong one to begin with, are told in one sentence', () => {
  make('bad.ckd', 6, 2);
  const open = (name: string) => () => new CkdImage(path(name), true);
  const second = readFileSync(path('bad_2.ckd'));
  rmSync(path('bad_2.ckd'));
  expect(open('bad_1.ckd')).toThrow(/bad_1\.ckd: is one of several files, but .*bad_2\.ckd is missing; put it beside/);
  writeFileSync(path('bad_2.ckd'), readFileSync(path('bad_3.ckd')));
  expect(open('bad_1.ckd')).toThrow(/bad_2\.ckd: says it is file 3, but follows as file 2/);
  writeFileSync(path('bad_2.ckd'), second);
  expect(open('bad_2.ckd')).toThrow(/is file 2 of an image split over several; name the first one/);
  truncateSync(path('bad_2.ckd'), offsetOf(14));
  expect(open('bad_1.ckd')).toThrow(/bad_2\.ckd: is truncated: .*instead of 2; restore it/);
});

test('a volume that needs more than 27 files is not begun', () => {
  expect(() => make('many.ckd', 55, 2)).toThrow(/need more than 27 files; leave out --split/);
  expect(readdirSync(folder).filter((name) => name.startsWith('many'))).toEqual([]);
});
