import { expect, test } from 'vitest';
import { measured } from '../../bench/series.ts';
import { distribution } from './distribution.ts';

const UNIFORM = Array.from({ length: 20_000 }, (_, i) => i + 1);
const figure = measured({ scenario: 'tce', name: 'x', rounds: [UNIFORM] });

/** ns at a place of the percentile axis. */
const at = (points: readonly (readonly [number, number])[], x: number) => points.find(([one]) => one === x)?.[1] ?? 0;

test('the line says of each share what it needs at most, to three digits', () => {
  const points = distribution(figure);
  for (const [x, ns] of [
    [2, 10_000],
    [10, 18_000],
    [100, 19_800],
    [1_000, 19_980],
  ] as const)
    expect(Math.abs(at(points, x) / ns - 1)).toBeLessThan(0.002);
});

test('it goes up in both directions, and no further than there are samples', () => {
  const points = distribution(figure);
  for (let i = 1; i < points.length; i++) {
    expect(points[i][0]).toBeGreaterThan(points[i - 1][0]);
    expect(points[i][1]).toBeGreaterThanOrEqual(points[i - 1][1]);
  }
  expect(points[points.length - 1][0]).toBe(20_000);
});

test('without a histogram, or with a damaged one, the quantiles are the line', () => {
  const quantiles = { ...figure, p50: 10, p90: 20, p99: 30, p999: 40 };
  const line = [
    [2, 10],
    [10, 20],
    [100, 30],
    [1_000, 40],
  ];
  expect(distribution({ ...quantiles, histogram: undefined })).toEqual(line);
  expect(distribution({ ...quantiles, histogram: 'HISTFAAAdamaged' })).toEqual(line);
  expect(distribution({ ...quantiles, histogram: undefined, operations: 50 })).toEqual(line.slice(0, 2));
});
