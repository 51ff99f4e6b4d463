import { expect, test } from 'vitest';
import { measureCopy, measurePinning, measureTranslations, type Shape } from './vfio_ccw_cp_bench.ts';

const programs = 6;

test.each<[Shape, number]>([
  ['NOP', 0],
  ['direct', 1],
  ['IDAL of 1', 1],
  ['IDAL of 2', 2],
])('a program of %s CCWs pins %i pages for each of them, and is timed after the warm-up', (shape, pins) => {
  const cases = [1, 16, 255].map((ccws) => ({ shape, ccws, programs }));
  const times = measureTranslations({ cases });
  expect(times.map((t) => t.pins)).toEqual([pins, 16 * pins, 255 * pins]);
  for (const { init, prefetch, free, total } of times) {
    expect([init.length, prefetch.length, free.length, total.length]).toEqual(Array(4).fill(programs / 2));
    for (const [i, whole] of total.entries()) expect(whole).toBeCloseTo(init[i] + prefetch[i] + free[i], 3);
  }
});

test('programs that do not fit the guest memory of the bench are refused', () => {
  for (const ccws of [0, 256])
    expect(() => measureTranslations({ cases: [{ shape: 'NOP', ccws, programs }] })).toThrow(RangeError);
});

test('pinning and the floor give one time for each batch that is no warm-up', () => {
  expect(measurePinning({ batches: 4, pages: 8 }).length).toBe(2);
  expect(measureCopy({ ccws: 255, words: 2, programs: 10 }).length).toBe(5);
});
