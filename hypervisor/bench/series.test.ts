import { expect, test } from 'vitest';
import type { MarkSeries } from '../config.ts';
import { decodeHistogram, nsAtPercentile } from './histogram.ts';
import { floorFigure, measured, roundRatios, subject, warm, workPerOperation } from './series.ts';

const series = (...batches: number[]): MarkSeries => ({ calls: batches.length * 10, batches });

test('a floor is the median of its rounds, and counts every sample', () => {
  expect(
    floorFigure('s', 'chain', [
      [1, 1],
      [5, 5],
      [9, 900],
    ]),
  ).toMatchObject({
    scenario: 's',
    name: 'floor: chain',
    unit: 'ns',
    p50: 5,
    p99: 5,
    max: 900,
    rounds: [{ p50: 1 }, { p50: 5 }, { p50: 9 }],
    samples: 6,
    operations: 6,
  });
});

test('the first half of a series is warm-up: neither a sample nor its operations count', () => {
  expect(warm([9, 9, 1, 2, 3])).toEqual([1, 2, 3]);
  const figure = subject('s', 'x', [series(900, 900, 50, 60)], floorFigure('s', 'chain', [[10, 20, 30]]));
  expect(figure).toMatchObject({ p50: 50, max: 60, samples: 2, operations: 20, ratio: 2.5, floor: 'floor: chain' });
});

test('the ratio is the median of each round’s own, so that a machine that slows down does not decide', () => {
  const floor = floorFigure('s', 'chain', [[10], [15], [20]]);
  // Three floors in every round; the p50 of all is 45, and that of the floors 15, but so it would be by luck alone.
  const steady = measured({ scenario: 's', name: 'x', rounds: [[30], [45], [60]], floor });
  expect(steady.ratio).toBe(3);
  expect(steady.rounds).toEqual([
    { p50: 30, floor: 10 },
    { p50: 45, floor: 15 },
    { p50: 60, floor: 20 },
  ]);
  // Slow rounds of the subject beside fast ones of the floor: a ratio of medians would say 4.
  expect(measured({ scenario: 's', name: 'x', rounds: [[60], [45], [160]], floor }).ratio).toBe(6);
});

test('rounds whose floor was disturbed have no say, and where they are most of them no target is judged', () => {
  const of = (...floors: number[]) => {
    const floor = floorFigure(
      's',
      'chain',
      floors.map((ns) => [ns]),
    );
    return measured({ scenario: 's', name: 'x', rounds: floors.map(() => [36]), floor, limit: 2 });
  };
  // A floor of 950 us would make the path look a hundred times faster than it is.
  expect(of(12, 950_000, 12)).toMatchObject({ ratio: 3, leftOut: 1, reached: false });
  expect(of(12, 13, 12).leftOut).toBeUndefined();
  const hopeless = of(18, 950_000, 60_000);
  expect(hopeless).toMatchObject({ ratio: 2, leftOut: 2, target: 'p50 at most 2x the floor' });
  expect(hopeless.reached).toBeUndefined();
});

test('a rate is compared with the rate of its floor: how many times that is faster', () => {
  const floor = floorFigure('s', 'chain', [[1000], [2000]]);
  const rate = measured({
    scenario: 's',
    name: 'x',
    unit: 'I/O/s',
    rounds: [[500_000], [125_000]],
    floor,
    floorAs: (ns) => 1e9 / ns,
  });
  expect(rate.rounds).toEqual([
    { p50: 500_000, floor: 1_000_000 },
    { p50: 125_000, floor: 500_000 },
  ]);
  expect(roundRatios(rate.rounds ?? [], rate.unit)).toEqual([2, 4]);
  expect(rate.ratio).toBe(3);
  expect(rate.histogram).toBeUndefined();
});

test('the distribution of times is of all rounds', () => {
  const { histogram = '' } = measured({
    scenario: 's',
    name: 'x',
    rounds: [
      [20.4, 20.4],
      [40.8, 1e6],
    ],
  });
  const all = decodeHistogram(histogram);
  expect(all.totalCount).toBe(4);
  expect(nsAtPercentile(all, 50)).toBeCloseTo(20.4, 1);
  expect(nsAtPercentile(all, 75)).toBeCloseTo(40.8, 1);
});

test('a limit is a target that is reached or missed', () => {
  const floor = floorFigure('s', 'chain', [[20]]);
  const of = (ns: number, limit?: number) => measured({ scenario: 's', name: 'x', rounds: [[ns]], floor, limit });
  expect(of(40, 2)).toMatchObject({ ratio: 2, reached: true });
  expect(of(41, 2)).toMatchObject({ target: 'p50 at most 2x the floor', reached: false });
  expect(of(41).target).toBeUndefined();
  expect(measured({ scenario: 's', name: 'x', rounds: [[41]] }).ratio).toBeUndefined();
});

test('a round without a sample is left out, and its floor with it; without any there is no figure', () => {
  const floor = floorFigure('s', 'chain', [[10], [20]]);
  expect(measured({ scenario: 's', name: 'x', rounds: [[], [60]], floor }).rounds).toEqual([{ p50: 60, floor: 20 }]);
  expect(() => measured({ scenario: 's', name: ' x', rounds: [[], []] })).toThrow('s: x: nothing was measured');
});

test('work per operation is what lies between the first and the last report, without the reports themselves', () => {
  const series: MarkSeries = {
    calls: 40,
    batches: [1, 1, 1, 1, 1],
    work: {
      first: { exits: 100, systemCalls: 50, handOffs: 30, copies: 7, copiedBytes: 700, pins: 1 },
      // four batches of eight: 3 exits, 2 system calls, 5 hand-offs, 4 copies and 1 pin each, and four reports
      last: {
        exits: 100 + 96 + 4,
        systemCalls: 50 + 64,
        handOffs: 30 + 160 + 8,
        copies: 7 + 128,
        copiedBytes: 700 + 3200,
        pins: 1 + 32,
      },
      operations: 32,
      reports: 4,
    },
  };
  expect(workPerOperation(series)).toEqual({
    exits: 3,
    systemCalls: 2,
    handOffs: 5,
    copies: 4,
    copiedBytes: 100,
    pins: 1,
  });
  expect(workPerOperation({ calls: 8, batches: [1, 1] })).toBeUndefined();
});
