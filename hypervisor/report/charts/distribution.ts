/** The distribution of a figure by percentile, from its histogram; from its quantiles where it has none. */
import type { Figure } from '../../bench/figures.ts';
import { decodeHistogram, nsAtPercentile } from '../../bench/histogram.ts';

/** Points for each nine: enough for a smooth line. */
const PER_DECADE = 16;
/** The page goes up to 99.999 %. */
const LAST = 1e5;
/** Where the axis has its ticks: 0, 50, 90, 99, 99.9, 99.99 and 99.999 %, as 1 / (1 - share). */
export const PERCENTILE_TICKS = [1, 2, 10, 100, 1_000, 10_000, LAST] as const;

/** Points of the line: 1 / (1 - share), and the ns that this share of the samples needs at most. */
export function distribution(figure: Figure): (readonly [x: number, ns: number])[] {
  const whole = figure.histogram === undefined ? undefined : fromHistogram(figure.histogram);
  // A logarithmic axis has no place for 0.
  return (whole ?? fromQuantiles(figure)).filter(([, ns]) => ns > 0);
}

function fromHistogram(encoded: string): [number, number][] | undefined {
  let histogram: ReturnType<typeof decodeHistogram>;
  try {
    histogram = decodeHistogram(encoded);
  } catch {
    // The quantiles beside it say less, but something.
    return undefined;
  }
  const count = histogram.totalCount;
  if (count < 2) return undefined;
  // Beyond 1 - 1/count there is only the largest sample.
  const last = Math.min(LAST, count);
  const points: [number, number][] = [];
  for (let k = 0; 10 ** (k / PER_DECADE) < last; k++) points.push(at(10 ** (k / PER_DECADE)));
  points.push(at(last), ...PERCENTILE_TICKS.filter((x) => x < last).map(at));
  return points.sort(([a], [b]) => a - b).filter(([x], i, all) => i === 0 || x > all[i - 1][0]);

  function at(x: number): [number, number] {
    return [x, nsAtPercentile(histogram, 100 * (1 - 1 / x))];
  }
}

function fromQuantiles({ p50, p90, p99, p999, operations }: Figure): [number, number][] {
  const known: [number, number | undefined][] = [
    [2, p50],
    [10, p90],
    [100, operations >= 100 ? p99 : undefined],
    [1_000, operations >= 1_000 ? p999 : undefined],
  ];
  return known.filter((point): point is [number, number] => point[1] !== undefined);
}
