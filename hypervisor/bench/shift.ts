/** How far one series lies from another, and between which bounds that is sure. */
import { median } from './figures.ts';
import { atMost, criticalValue } from './mann_whitney.ts';

export interface Shift {
  /**
   * Hodges-Lehmann estimate of b minus a: the median of all differences (J. L. Hodges, E. L. Lehmann, "Estimates of Location
   * Based on Rank Tests", Annals of Mathematical Statistics 34 (1963)).
   */
  readonly estimate: number;
  /** Bounds, both inclusive; undefined where there are too few values to be sure of any. */
  readonly bounds?: { readonly low: number; readonly high: number; readonly confidence: number };
  /** Probability of a shift at least as clear where there is none, both directions counted. Of ties the worse half counts. */
  readonly p: number;
}

/**
 * Compares two series by ranks.
 * @param confidence wanted at least: what few values can reach lies in steps, so that `bounds.confidence` is mostly more
 */
export function shift(a: readonly number[], b: readonly number[], confidence: number): Shift {
  const differences = b.flatMap((y) => a.map((x) => y - x)).sort((x, y) => x - y);
  const [m, n] = [a.length, b.length];
  const notAbove = differences.filter((d) => d <= 0).length;
  const notBelow = differences.filter((d) => d >= 0).length;
  const p = Math.min(1, 2 * atMost(m, n, Math.min(notAbove, notBelow)));
  const estimate = median(differences);
  const critical = criticalValue(m, n, (1 - confidence) / 2);
  if (critical < 0) return { estimate, p };
  // A bound that leaves out the `critical` outermost differences fails only when U is that small.
  const low = differences[critical];
  const high = differences[differences.length - 1 - critical];
  return { estimate, bounds: { low, high, confidence: 1 - 2 * atMost(m, n, critical) }, p };
}
