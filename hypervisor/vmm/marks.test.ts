import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Marks } from './marks.ts';

test('a batch is kept as nanoseconds a call: 4096 TOD units are a microsecond', () => {
  const marks = new Marks();
  expect(marks.add(3, 10, 4096)).toBe(true);
  expect(marks.add(3, 1, 4096 * 7)).toBe(true);
  expect(marks.result()).toEqual({ 3: { calls: 11, batches: [100, 7000] } });
});

test.each([
  [-1, 1, 1],
  [32, 1, 1],
  [2 ** 64, 1, 1],
  [Number.NaN, 1, 1],
  [0, 0, 2 ** 32],
  [0, -1, 1],
  [0, 2 ** 32, 1],
  [0, 2 ** 64, 1],
])('series %d, %d calls make no sense and leave no trace', (series, calls, units) => {
  const marks = new Marks();
  expect(marks.add(series, calls, units)).toBe(false);
  expect(marks.result()).toEqual({});
});

test('whatever a guest reports, the figures are finite and never below zero', () => {
  const word = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map(Number);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.oneof(word, fc.nat(20)), fc.oneof(word, fc.nat(5)), word)), (reports) => {
      const marks = new Marks();
      for (const [series, calls, units] of reports) marks.add(series, calls, units);
      for (const { calls, batches } of Object.values(marks.result())) {
        expect(Number.isFinite(calls)).toBe(true);
        expect(batches.length).toBeGreaterThan(0);
        expect(calls).toBeGreaterThan(0);
        expect(batches.every((ns) => Number.isFinite(ns) && ns >= 0)).toBe(true);
      }
    }),
    { numRuns: 50 },
  );
});

test('a series is bounded: the newest batches replace the oldest, and every call is counted', () => {
  const marks = new Marks();
  for (let i = 0; i < 65536 + 10; i++) marks.add(0, 1, 4096 * i);
  const { calls, batches } = marks.result()[0];
  expect([calls, batches.length]).toEqual([65546, 65536]);
  expect(Math.min(...batches.slice(0, 20))).toBe(10_000);
  expect([batches[9], batches[10]]).toEqual([65_545_000, 10_000]);
});

test('with the first and the last batch goes what the machine had done until then', () => {
  const work = (n: number) => ({
    exits: n,
    systemCalls: 2 * n,
    handOffs: 3 * n,
    copies: 4 * n,
    copiedBytes: 5 * n,
    pins: 6 * n,
  });
  let reports = 0;
  const marks = new Marks(() => work(++reports));
  for (let i = 0; i < 4; i++) marks.add(7, 1, 4096);
  expect(marks.result()[7].work).toEqual({ first: work(1), last: work(4), operations: 3, reports: 3 });
});

test('a guest that reports its batches afterwards says while it measures what is counted', () => {
  let done = 0;
  const marks = new Marks(() => ({ exits: done, systemCalls: 0, handOffs: 0, copies: 0, copiedBytes: 0, pins: 0 }));
  done = 100;
  expect(marks.add(2, 0, 500)).toBe(true);
  done = 400;
  expect(marks.add(2, 0, 600)).toBe(true);
  expect(marks.result()).toEqual({});
  done = 1000;
  for (let i = 0; i < 3; i++) marks.add(2, 10, 4096);
  const { work } = marks.result()[2];
  expect([work?.first.exits, work?.last.exits, work?.operations, work?.reports]).toEqual([100, 400, 100, 1]);
});

test('where no operations lie between the reports nothing is counted', () => {
  const marks = new Marks(() => ({ exits: 1, systemCalls: 0, handOffs: 0, copies: 0, copiedBytes: 0, pins: 0 }));
  marks.add(0, 5, 4096);
  marks.add(1, 0, 9);
  marks.add(1, 0, 3);
  marks.add(1, 5, 4096);
  expect(Object.values(marks.result()).map(({ work }) => work)).toEqual([undefined, undefined]);
});
