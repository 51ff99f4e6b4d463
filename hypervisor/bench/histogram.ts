/**
 * Distributions as HdrHistograms: what `Figure.histogram` holds and `--hlog` writes.
 *
 * They count **picoseconds**. A histogram counts whole numbers, and an operation that takes 20 ns, timed as the mean of a
 * batch, would be known to no more than 5 % in nanoseconds; three digits of it need tens of picoseconds. HdrHistogram's
 * tools take the factor as their `-outputValueUnitRatio`: 1000 gives nanoseconds. Everything outside this module speaks
 * nanoseconds.
 */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** Units of a histogram in a nanosecond. */
export const UNITS_PER_NS = 1000;
/** Decimal digits that are kept of each value. */
export const SIGNIFICANT_DIGITS = 3;
/** The longest time that is told from longer ones: an hour, ns. */
const MOST_NS = 3600e9;

/** Counts times. @param rounds nanoseconds, below 1 ps counted as 1 ps, above an hour as an hour */
export function histogramOf(rounds: readonly ArrayLike<number>[]): Histogram {
  const histogram = build({ numberOfSignificantValueDigits: SIGNIFICANT_DIGITS });
  for (const round of rounds)
    for (let i = 0; i < round.length; i++)
      histogram.recordValue(Math.max(1, Math.round(Math.min(round[i], MOST_NS) * UNITS_PER_NS)));
  return histogram;
}

/** The text of a histogram: HdrHistogram's V2 encoding, compressed, base64. */
export function encodeHistogram(histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram);
}

/** Back from {@link encodeHistogram}'s text. Its values are in picoseconds. @throws Error when it is none */
export function decodeHistogram(text: string): Histogram {
  return decodeFromCompressedBase64(text);
}

/** What a decoded histogram gives below which `percent` of the values lie, in ns. @param percent 0..100 */
export function nsAtPercentile(histogram: Histogram, percent: number): number {
  return histogram.getValueAtPercentile(percent) / UNITS_PER_NS;
}
