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

/** The p50 of one round, and of the floor taken next to it in the same round, in the same unit: of a rate, the floor's rate. */
export interface Round {
  readonly p50: number;
  readonly floor?: number;
}

/** What is measured, and in what; `ns` and `ms` are times, `/s` and MIPS rates, the others room or counts. */
export const UNITS = [
  'ns',
  'ms',
  'MiB',
  'MIPS',
  'bytes/op',
  'I/O/s',
  'calls/s',
  'MB/s',
  'ioctls',
  'bytes',
  'lines',
] as const;

/** One measured quantity. Times in nanoseconds unless `unit` says otherwise. */
export interface Figure {
  readonly scenario: string;
  readonly name: string;
  /** The side it belongs to, where several are shown next to each other, one row for each name. */
  readonly column?: string;
  readonly unit: (typeof UNITS)[number];
  /**
   * Median over the rounds of each round's median; `p90` to `p999` likewise. Of a rate they are the slow end: what all but
   * one in ten, a hundred, a thousand samples exceed.
   */
  readonly p50: number;
  readonly p90?: number;
  readonly p99?: number;
  readonly p999?: number;
  /** The largest sample of all rounds; of a rate the slowest. */
  readonly max?: number;
  /** What each round gave, in their order: how far they are apart is the noise of the machine. */
  readonly rounds?: readonly Round[];
  /**
   * The whole distribution of all rounds' warmed-up samples, of times only: HdrHistogram's V2 encoding, compressed, base64.
   * It counts picoseconds; `histogram.ts` reads it (`decodeHistogram`, `nsAtPercentile`).
   */
  readonly histogram?: string;
  /** Samples after warm-up, and operations in them: a sample of a short operation is the mean of a batch. */
  readonly samples: number;
  readonly operations: number;
  /** Floor of the same run it is compared with. */
  readonly floor?: string;
  /**
   * p50 as a multiple of the floor's; of a rate, how many times the floor's is faster. Median over the rounds, each against
   * the floor of the same round, so that a machine whose speed drifts does not decide.
   */
  readonly ratio?: number;
  /** Rounds that the ratio leaves out, for their floor was disturbed: see {@link steadyRounds}. */
  readonly leftOut?: number;
  /** True: a part of what the floor does, so that less than the floor is no surprise. */
  readonly part?: boolean;
  /** The case measured, where a scenario goes through several. */
  readonly parameters?: Readonly<Record<string, string | number>>;
  readonly perOperation?: PerOperation;
  /** What was aimed at, in words, and whether it was reached: not said where most rounds were disturbed. */
  readonly target?: string;
  readonly reached?: boolean;
}

/** Value below which `share` of the sorted numbers lie (nearest rank). */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

/** True where more is better: work done in a time, not time or room taken. */
export function moreIsBetter(unit: Figure['unit']): boolean {
  return unit === 'MIPS' || unit.endsWith('/s');
}

/** What is kept of the samples of one round, or of several. */
export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Quantiles of a series. @param slowEnd of rates: counted from the fastest down, so that `p99` and `max` are slow ones */
export function quantiles(values: ArrayLike<number>, slowEnd = false): Quantiles {
  const sorted = Float64Array.from(values).sort();
  if (slowEnd) sorted.reverse();
  return {
    p50: percentile(sorted, 0.5),
    p90: percentile(sorted, 0.9),
    p99: percentile(sorted, 0.99),
    p999: percentile(sorted, 0.999),
    max: sorted[sorted.length - 1],
  };
}

/** Median of some numbers: of an even count the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Medians of the quantiles of several rounds, so that one noisy round does not decide; the largest of all. Rounds of one
 * sample each have none of their own: theirs are those of all together.
 */
export function overRounds(rounds: readonly ArrayLike<number>[], slowEnd = false): Quantiles {
  if (rounds.every(({ length }) => length === 1)) {
    const values = rounds.map((round) => round[0]);
    return { ...quantiles(values, slowEnd), p50: median(values) };
  }
  const each = rounds.map((round) => quantiles(round, slowEnd));
  const middle = (key: keyof Quantiles) => median(each.map((q) => q[key]));
  const most = each.map(({ max }) => max);
  return {
    p50: middle('p50'),
    p90: middle('p90'),
    p99: middle('p99'),
    p999: middle('p999'),
    max: slowEnd ? Math.min(...most) : Math.max(...most),
  };
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

/** A figure's multiple of its floor, and how many rounds that leaves out; empty where it has none. */
export function showRatio({ ratio, leftOut = 0, rounds = [] }: Figure): string {
  if (ratio === undefined) return '';
  return `${ratio.toFixed(2)}x${leftOut === 0 ? '' : ` (without ${leftOut} of ${rounds.length} rounds)`}`;
}

/** A figure's name, for where it stands alone: of a part, whose name says no more than what it is, with its case. */
export function fullName({ name, parameters = {} }: Figure): string {
  const words = Object.values(parameters).filter((value) => typeof value === 'string');
  return `${name.trim()}${name.startsWith(' ') && words.length > 0 ? ` (${words.join(', ')})` : ''}`;
}

/** What became of a figure's target. */
export function showReached({ reached }: Figure): string {
  return reached === undefined ? 'not judged, most floors were disturbed' : reached ? 'reached' : 'missed';
}

/** A floor this many times slower than that of the best round was disturbed: other programs, or threads that share a CPU. */
const DISTURBED = 2;

/** The rounds that have a floor which was not disturbed. */
export function steadyRounds(rounds: readonly Round[], unit: Figure['unit']): Required<Round>[] {
  const beside = rounds.filter((round): round is Required<Round> => round.floor !== undefined);
  const rates = moreIsBetter(unit);
  const floors = beside.map(({ floor }) => floor);
  const best = rates ? Math.max(...floors) : Math.min(...floors);
  return beside.filter(({ floor }) => (rates ? floor * DISTURBED >= best : floor <= best * DISTURBED));
}
