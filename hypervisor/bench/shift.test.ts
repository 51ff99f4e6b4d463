import { expect, test } from 'vitest';
import { Random } from '../../kernel/lib/random.ts';
import { shift } from './shift.ts';

/** Values with a long tail to the slow side, as times have. */
function series(random: () => number, count: number, scale: number): number[] {
  return Array.from({ length: count }, () => Math.log(scale * (1 + 0.1 * -Math.log(1 - random()))));
}

const TRIALS = 2000;

/** Trials in which a shift is sure, and in which the bounds hold the true one. */
function trials(count: number, scale: number): { sure: number; covered: number } {
  const generator = new Random(count * 7919 + Math.round(scale * 1000));
  const random = () => generator.below(2 ** 30) / 2 ** 30;
  let sure = 0;
  let covered = 0;
  for (let i = 0; i < TRIALS; i++) {
    const { bounds } = shift(series(random, count, 1), series(random, count, scale), 0.95);
    if (bounds === undefined) continue;
    const { low, high } = bounds;
    if (low > 0 || high < 0) sure++;
    if (low <= Math.log(scale) && Math.log(scale) <= high) covered++;
  }
  return { sure: sure / TRIALS, covered: covered / TRIALS };
}

/** Three standard deviations of a share of 5 % in so many trials. */
const SCATTER = 3 * Math.sqrt((0.05 * 0.95) / TRIALS);

test.each([4, 5, 8, 15])('%d rounds of the same: at most one alarm in twenty', (count) => {
  expect(trials(count, 1).sure).toBeLessThanOrEqual(0.05 + SCATTER);
});

test.each([
  [5, 1.5],
  [10, 1.2],
])('%d rounds find a shift to %dx nearly always, and the bounds hold it as often as they say', (count, scale) => {
  const { sure, covered } = trials(count, scale);
  expect(sure).toBeGreaterThan(0.9);
  expect(covered).toBeGreaterThanOrEqual(0.95 - SCATTER);
});

test('the estimate is the median of all differences; bounds leave out as many at both ends', () => {
  const a = [1, 2, 3, 4];
  const { estimate, bounds, p } = shift(a, [11, 12, 13, 14], 0.95);
  expect(estimate).toBe(10);
  expect(bounds).toEqual({ low: 7, high: 13, confidence: expect.closeTo(1 - 2 / 70, 12) });
  expect(p).toBeCloseTo(2 / 70, 12);
});

test('three values each are sure of nothing at 95 %, however far apart', () => {
  expect(shift([1, 2, 3], [101, 102, 103], 0.95)).toEqual({ estimate: 100, p: expect.closeTo(0.1, 12) });
});

test('the same values again are no shift at all', () => {
  const same = [5, 5, 5, 5, 5];
  const { estimate, bounds, p } = shift(same, same, 0.95);
  expect([estimate, bounds?.low, bounds?.high, p]).toEqual([0, 0, 0, 1]);
});
