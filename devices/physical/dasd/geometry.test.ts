import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fitsTrack, GEOMETRY_3390, modelOf, recordCells, recordsPerTrack } from './geometry.ts';
import { emptyTrack, formatTrack, parseTrack, TrackFormatError } from './track.ts';

test.each([
  [512, 49],
  [1024, 33],
  [2048, 21],
  [4096, 12],
  [GEOMETRY_3390.maxRecord, 1],
])('%i bytes: %i records per track', (length, records) => {
  expect(recordsPerTrack(length)).toBe(records);
});

test('the longest record fills the track to the last cell', () => {
  expect(fitsTrack([{ keyLength: 0, dataLength: GEOMETRY_3390.maxRecord }])).toBe(true);
  expect(fitsTrack([{ keyLength: 0, dataLength: GEOMETRY_3390.maxRecord + 1 }])).toBe(false);
  expect(recordCells(4096)).toBe(143);
});

test.each([
  [50, 0x02],
  [1113, 0x02],
  [1114, 0x06],
  [3339, 0x0a],
  [10017, 0x0c],
])('%i cylinders: model %i', (cylinders, model) => {
  expect(modelOf(cylinders).model).toBe(model);
});

test('any records that fit come back as they were formatted', () => {
  const content = fc.record({ key: fc.uint8Array({ maxLength: 255 }), data: fc.uint8Array({ maxLength: 3000 }) });
  fc.assert(
    fc.property(fc.array(content, { maxLength: 8 }), (contents) => {
      const records = contents.map((one, i) => ({ record: i + 1, ...one }));
      const image = emptyTrack();
      formatTrack(image, 300, 7, records);
      const track = parseTrack(image, 300, 7);
      expect(track.records.map(({ record, keyLength, dataLength }) => [record, keyLength, dataLength])).toEqual([
        [0, 0, 8],
        ...records.map(({ record, key, data }) => [record, key.length, data.length]),
      ]);
      for (const [i, { key, data }] of records.entries()) {
        const { at } = track.records[i + 1];
        expect(image.slice(at + 8, at + 8 + key.length)).toEqual(key);
        expect(image.slice(at + 8 + key.length, at + 8 + key.length + data.length)).toEqual(data);
      }
    }),
    { numRuns: 30 },
  );
});

test('random bytes are a track or a TrackFormatError, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 5, maxLength: 400 }), (bytes) => {
      const image = new Uint8Array(512);
      image.set(bytes);
      image.set([0, 0, 0, 0, 0]);
      try {
        for (const { at, keyLength, dataLength } of parseTrack(image, 0, 0).records)
          expect(at + 8 + keyLength + dataLength).toBeLessThanOrEqual(504);
      } catch (error) {
        expect(error).toBeInstanceOf(TrackFormatError);
      }
    }),
  );
});
