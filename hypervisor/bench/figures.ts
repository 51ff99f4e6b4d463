/** Measured figures: what is kept of a series, and how floors relate to subjects. */

/** What one operation needs of the machine, on average. */
export interface PerOperation {
  /** Exits from the guest to the VMM. */
  readonly exits: number;
  /** System calls of the VMM. */
  readonly systemCalls: number;
  /** Rings of a doorbell: news that one thread has for another. */
  readonly handOffs: number;
  /** Calls that copy between user memory and the kernel (copy_from_user, copy_to_user, vfio_dma_rw), and their bytes. */
  readonly copies?: number;
  readonly copiedBytes?: number;
  /** Pages pinned. */
  readonly pins?: number;
}

/** The p50 of one round, and of the floor taken next to it in the same round. */
export interface Round {
  readonly p50: number;
  readonly floor?: number;
}

/** One measured quantity. Times in nanoseconds unless `unit` says otherwise. */
export interface Figure {
  readonly scenario: string;
  readonly name: string;
  /** The side it belongs to, where several are shown next to each other, one row for each name. */
  readonly column?: string;
  readonly unit:
    | 'ns'
    | 'ms'
    | 'MiB'
    | 'MIPS'
    | 'bytes/op'
    | 'I/O/s'
    | 'calls/s'
    | 'MB/s'
    | 'ioctls'
    | 'bytes'
    | 'lines';
  readonly p50: number;
  readonly p90?: number;
  /** Of a rate the slow end: what all but one in a hundred samples exceed. */
  readonly p99?: number;
  readonly p999?: number;
  readonly max?: number;
  /** What each round gave, in their order: how far they are apart is the noise of the machine. */
  readonly rounds?: readonly Round[];
  /** The whole distribution of all rounds, in ns: HdrHistogram's V2 encoding, compressed, base64. */
  readonly histogram?: string;
  /** Samples, and operations in them. */
  readonly samples: number;
  readonly operations: number;
  /** Floor of the same run it is compared with. */
  readonly floor?: string;
  /** p50 as a multiple of the floor's p50. */
  readonly ratio?: number;
  /** True: a part of what the floor does, so that less than the floor is no surprise. */
  readonly part?: boolean;
  /** The case measured, where a scenario goes through several. */
  readonly parameters?: Readonly<Record<string, string | number>>;
  readonly perOperation?: PerOperation;
  /** What was aimed at, in words, and whether it was reached. */
  readonly target?: string;
  readonly reached?: boolean;
}

/** Value below which `share` of the sorted numbers lie (nearest rank). */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

/** p50 and p99 of a series. */
export function quantiles(values: ArrayLike<number>): { p50: number; p99: number } {
  const sorted = Float64Array.from(values).sort();
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
}

/** Median of the medians of several rounds: one noisy round does not decide. */
export function overRounds(rounds: readonly ArrayLike<number>[]): { p50: number; p99: number } {
  const each = rounds.map(quantiles);
  return { p50: quantiles(each.map((q) => q.p50)).p50, p99: quantiles(each.map((q) => q.p99)).p50 };
}

/** Least-squares slope of y over x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const n = points.length;
  const mx = points.reduce((sum, [x]) => sum + x, 0) / n;
  const my = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const over = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  const under = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  return under === 0 ? 0 : over / under;
}

/** A time in the unit a reader can hold: `85 ns`, `9.31 us`. */
export function showNs(ns: number): string {
  if (ns < 1000) return `${ns.toFixed(ns < 100 ? 1 : 0)} ns`;
  return ns < 1e6 ? `${(ns / 1000).toFixed(2)} us` : `${(ns / 1e6).toFixed(2)} ms`;
}

/**
 * A multiple of the floor. Nothing is faster than the hand-offs it is made of: below 1 the floor was disturbed.
 * @param part of what the floor does: there it may well be less
 */
export function showRatio(ratio: number, part = false): string {
  return `${ratio.toFixed(2)}x${ratio < 1 && !part ? ' (noisy floor)' : ''}`;
}
