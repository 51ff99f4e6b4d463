import { expect, test } from 'vitest';
import {
  type Figure,
  median,
  moreIsBetter,
  overRounds,
  percentile,
  quantiles,
  showNs,
  showRatio,
  slope,
  steadyRounds,
} from './figures.ts';

test('percentiles are nearest rank', () => {
  const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
  expect(percentile(sorted, 0.5)).toBe(50);
  expect(percentile(sorted, 0.99)).toBe(99);
  expect(percentile([7], 0.99)).toBe(7);
  expect(quantiles([3, 1, 2])).toEqual({ p50: 2, p90: 3, p99: 3, p999: 3, max: 3 });
  const thousands = Array.from({ length: 10_000 }, (_, i) => i + 1);
  expect(quantiles(thousands)).toEqual({ p50: 5000, p90: 9000, p99: 9900, p999: 9990, max: 10_000 });
});

test('of rates the quantiles are those of the slow end', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);
  expect(quantiles(hundred, true)).toEqual({ p50: 51, p90: 11, p99: 2, p999: 1, max: 1 });
  expect(overRounds([hundred, hundred.map((x) => x * 10)], true).max).toBe(1);
});

test('a median of an even count is the mean of the two in the middle', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([9, 1, 5, 3])).toBe(4);
});

test('more is better of rates, less of times, room and counts', () => {
  expect((['MIPS', 'I/O/s', 'calls/s', 'MB/s'] as const).every(moreIsBetter)).toBe(true);
  expect((['ns', 'ms', 'MiB', 'bytes/op', 'ioctls', 'bytes', 'lines'] as const).some(moreIsBetter)).toBe(false);
});

test('rounds of one sample each have the quantiles of all', () => {
  expect(overRounds([[4], [1], [2], [9]])).toEqual({ p50: 3, p90: 9, p99: 9, p999: 9, max: 9 });
});

test('one noisy round does not decide', () => {
  expect(
    overRounds([
      [1, 1, 2],
      [900, 900, 901],
      [1, 2, 3],
    ]).p50,
  ).toBe(2);
});

test('slope of a line and of a constant', () => {
  expect(
    slope([
      [0, 1],
      [1, 3],
      [2, 5],
    ]),
  ).toBeCloseTo(2);
  expect(
    slope([
      [0, 4],
      [10, 4],
    ]),
  ).toBe(0);
});

test.each([
  [85.4, '85.4 ns'],
  [151, '151 ns'],
  [9310, '9.31 us'],
  [2_500_000, '2.50 ms'],
])('%d ns is shown as %s', (ns, text) => {
  expect(showNs(ns)).toBe(text);
});

const figure = (more: Partial<Figure>): Figure => ({
  scenario: 's',
  name: 'x',
  unit: 'ns',
  p50: 1,
  samples: 1,
  operations: 1,
  ...more,
});

test.each([
  [{ ratio: 1 }, '1.00x'],
  [{ ratio: 2.567 }, '2.57x'],
  [{ ratio: 0.93 }, '0.93x'],
  [{ ratio: 1.2, leftOut: 1, rounds: [{ p50: 1 }, { p50: 2 }] }, '1.20x (without 1 of 2 rounds)'],
  [{}, ''],
])('%j as a multiple of the floor is shown as %s', (more, text) => {
  expect(showRatio(figure(more))).toBe(text);
});

test('rounds whose floor took more than twice the best one are left out; of rates those with less than half', () => {
  const rounds = [{ p50: 12, floor: 10 }, { p50: 13, floor: 21 }, { p50: 30, floor: 20 }, { p50: 5 }];
  expect(steadyRounds(rounds, 'ns')).toEqual([rounds[0], rounds[2]]);
  expect(steadyRounds(rounds, 'MB/s')).toEqual([rounds[1], rounds[2]]);
  expect(steadyRounds([{ p50: 1 }], 'ns')).toEqual([]);
});
