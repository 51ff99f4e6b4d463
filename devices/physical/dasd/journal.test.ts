/** A process may end at any write: what was written before device end is there, and no track is half of two. */
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { CkdImage, ImageError, offsetOf } from './ckd_image.ts';
import { dataOf, formatTrack, parseTrack } from './track.ts';
import { createVolume, patternRecord } from './volume.ts';
import { checkVolume } from './volume_check.ts';

const folder = mkdtempSync(join(tmpdir(), 'minivisor-journal-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'a.ckd');
const journal = `${file}.journal`;
beforeEach(() => {
  rmSync(journal, { force: true });
  createVolume(file, { volser: 'JRNL01', cylinders: 2, layout: 'cdl', pattern: true, force: true });
});

/** Changes record 3 of a track. */
function update(image: CkdImage, head: number, byte: number): void {
  const track = parseTrack(image.track(1, head), 1, head);
  dataOf(track, track.records[3]).fill(byte);
  image.changed(1, head);
}

/** Formats a track anew, with three short records. */
function reformat(image: CkdImage, head: number, byte: number): void {
  const data = new Uint8Array(1000).fill(byte);
  formatTrack(
    image.track(1, head),
    1,
    head,
    [1, 2, 3].map((record) => ({ record, data })),
  );
  image.changed(1, head);
}

const record3 = (head: number) => {
  const image = new CkdImage(file, true);
  const track = parseTrack(image.track(1, head), 1, head);
  const data = dataOf(track, track.records[3]).slice();
  image.close();
  return data;
};

/** The image as it was, and what a machine that was killed after its last write to the journal leaves beside it. */
function killedBeforeInPlace(change: (image: CkdImage) => void): { before: Buffer; after: Buffer; left: Buffer } {
  const before = readFileSync(file);
  const image = new CkdImage(file);
  change(image);
  image.flush(true);
  const left = readFileSync(journal);
  const after = readFileSync(file);
  image.close();
  return { before, after, left };
}

test('a machine that ends in order leaves no journal, and one that never writes makes none', () => {
  const image = new CkdImage(file);
  image.track(1, 0);
  image.flush(true);
  expect(existsSync(journal)).toBe(false);
  update(image, 0, 0xaa);
  image.flush(true);
  expect(existsSync(journal)).toBe(true);
  image.close();
  expect(existsSync(journal)).toBe(false);
  expect(record3(0)).toEqual(new Uint8Array(4096).fill(0xaa));
});

test('only the bytes that change are written', () => {
  const { before, after } = killedBeforeInPlace((image) => update(image, 4, 0x55));
  const at = offsetOf(19) + 5 + 16 + 2 * 4104 + 8;
  expect(before.subarray(0, at).equals(after.subarray(0, at))).toBe(true);
  expect(before.subarray(at + 4096).equals(after.subarray(at + 4096))).toBe(true);
  expect(before.equals(after)).toBe(false);
});

test('a reader sees the writes of a killed machine, changes nothing; the next writer completes them', () => {
  const { before, after, left } = killedBeforeInPlace((image) => {
    update(image, 1, 0x11);
    reformat(image, 2, 0x22);
  });
  writeFileSync(file, before);
  writeFileSync(journal, left);
  expect(record3(1)).toEqual(new Uint8Array(4096).fill(0x11));
  expect(record3(2)).toEqual(new Uint8Array(1000).fill(0x22));
  expect(checkVolume(file)).toMatchObject({ pending: 2, problems: [] });
  expect(readFileSync(file).equals(before)).toBe(true);
  new CkdImage(file).close();
  expect(readFileSync(file).equals(after)).toBe(true);
  expect(existsSync(journal)).toBe(false);
});

test('killed at any byte of any write: every track parses, each change is whole or not there', () => {
  const { before, after, left } = killedBeforeInPlace((image) => {
    reformat(image, 2, 0x22);
    update(image, 3, 0x33);
  });
  const first = offsetOf(17);
  const last = offsetOf(19);
  const end = left.findLastIndex((byte) => byte !== 0) + 1;
  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 0, max: 1 << 20 }), (inJournal, cut) => {
      const image = Buffer.from(before);
      const torn = Buffer.from(left);
      // The journal is complete before the first byte in place.
      if (inJournal) torn.fill(0, cut % end);
      else after.copy(image, first, first, first + (cut % (last - first)));
      writeFileSync(file, image);
      writeFileSync(journal, torn);
      expect(checkVolume(file).problems).toEqual([]);
      const [two, three] = [record3(2), record3(3)].map((data) => data[0]);
      if (!inJournal) expect([two, three]).toEqual([0x22, 0x33]);
      else {
        expect([0x22, patternRecord(1, 2, 3)[0]]).toContain(two);
        expect([0x33, patternRecord(1, 3, 3)[0]]).toContain(three);
      }
      new CkdImage(file).close();
      expect(checkVolume(file)).toMatchObject({ pending: 0, problems: [] });
    }),
    { numRuns: 40 },
  );
});

test('a full journal begins again, and old entries in it do not come back', () => {
  const image = new CkdImage(file);
  for (let i = 0; i < 300; i++) {
    update(image, i % 3, i & 0xff);
    image.flush(true);
  }
  expect(statSync(journal).size).toBe(1 << 20);
  const left = readFileSync(journal);
  const content = readFileSync(file);
  image.close();
  writeFileSync(journal, left);
  new CkdImage(file).close();
  expect(readFileSync(file).equals(content)).toBe(true);
});

test('more tracks than are kept in memory, in one program', () => {
  const image = new CkdImage(file);
  for (let head = 0; head < 15; head++) update(image, head, head);
  image.flush(true);
  const copy = join(folder, 'copy.ckd');
  copyFileSync(file, copy);
  image.close();
  for (let head = 0; head < 15; head++) expect(record3(head)[0]).toBe(head);
  expect(readFileSync(copy).equals(readFileSync(file))).toBe(true);
});

test('a journal that does not belong to the image is refused, not written into it', () => {
  const { left } = killedBeforeInPlace((image) => update(image, 1, 0x11));
  createVolume(file, { volser: 'OTHER1', cylinders: 3, layout: 'cdl', force: true });
  writeFileSync(journal, left);
  const content = readFileSync(file);
  for (const readonly of [true, false])
    expect(() => new CkdImage(file, readonly)).toThrow(/\.journal is not the journal of this image; remove it/);
  expect(readFileSync(file).equals(content)).toBe(true);
});

test('creating a volume anew removes the journal of the one before', () => {
  const { left } = killedBeforeInPlace((image) => update(image, 1, 0x11));
  writeFileSync(journal, left);
  createVolume(file, { volser: 'NEW001', cylinders: 2, layout: 'cdl', force: true });
  expect(existsSync(journal)).toBe(false);
});

test('bytes that are no journal at all are refused; an empty or unfinished one is nothing', () => {
  writeFileSync(journal, 'something else that is long enough to be a journal header');
  expect(() => new CkdImage(file)).toThrow(ImageError);
  for (const unfinished of [Buffer.alloc(0), Buffer.alloc(1000)]) {
    writeFileSync(journal, unfinished);
    utimesSync(journal, 1, 1);
    new CkdImage(file).close();
    expect(existsSync(journal)).toBe(false);
  }
});
