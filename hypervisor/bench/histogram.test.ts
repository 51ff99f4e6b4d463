import fc from 'fast-check';
import { expect, test } from 'vitest';
import { percentile } from './figures.ts';
import { decodeHistogram, encodeHistogram, histogramOf, nsAtPercentile } from './histogram.ts';

test('any quantile of any times, from a tenth of a nanosecond to an hour, is known to a thousandth', () => {
  const time = fc.double({ min: -1, max: Math.log10(3600e9), noNaN: true }).map((digits) => 10 ** digits);
  fc.assert(
    fc.property(fc.array(fc.array(time, { maxLength: 50 }), { minLength: 1, maxLength: 4 }), (rounds) => {
      const all = Float64Array.from(rounds.flat()).sort();
      const histogram = decodeHistogram(encodeHistogram(histogramOf(rounds)));
      expect(histogram.totalCount).toBe(all.length);
      if (all.length === 0) return;
      for (const percent of [10, 50, 90, 99, 100]) {
        const exactly = percentile(all, percent / 100);
        expect(Math.abs(nsAtPercentile(histogram, percent) / exactly - 1)).toBeLessThan(0.006);
        if (exactly >= 1) expect(Math.abs(nsAtPercentile(histogram, percent) / exactly - 1)).toBeLessThan(0.0015);
      }
    }),
    { numRuns: 100 },
  );
});

test('a time of nothing counts as a picosecond, and one of a day as an hour', () => {
  const histogram = histogramOf([[0, 86_400e9]]);
  expect(nsAtPercentile(histogram, 50)).toBe(0.001);
  expect(nsAtPercentile(histogram, 100) / 3600e9).toBeCloseTo(1, 2);
});
