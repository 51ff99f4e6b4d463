/**
 * From measured series to figures, the one place for it: what is left out as warm-up, which quantiles are kept, and how a
 * subject is compared with the floor taken next to it, round by round.
 */
import type { MarkSeries } from '../config.ts';
import { UserError } from '../user_error.ts';
import {
  type Figure,
  median,
  moreIsBetter,
  overRounds,
  type PerOperation,
  quantiles,
  type Round,
  steadyRounds,
} from './figures.ts';
import { encodeHistogram, histogramOf } from './histogram.ts';

/** What {@link measured} makes a figure of. */
export interface Measurement
  extends Pick<Figure, 'scenario' | 'name' | 'column' | 'part' | 'parameters' | 'perOperation'> {
  /** `ns` when omitted. */
  readonly unit?: Figure['unit'];
  /** Samples of each round without their warm-up, in the unit. */
  readonly rounds: readonly ArrayLike<number>[];
  /** Operations in the samples; as many as samples when omitted. */
  readonly operations?: number;
  /** The floor taken in the same rounds. */
  readonly floor?: Figure;
  /** What the floor's p50 would be in the unit of the subject, where it is another one. */
  readonly floorAs?: (ns: number) => number;
  /** A target: at most so many times the floor. */
  readonly limit?: number;
}

/** The figure of some rounds. @throws UserError when no round has a sample */
export function measured({ rounds, operations, floor, floorAs, limit, unit = 'ns', ...rest }: Measurement): Figure {
  const samples = rounds.reduce((sum, round) => sum + round.length, 0);
  if (samples === 0) throw new UserError(`${rest.scenario}: ${rest.name.trim()}: nothing was measured; run it again`);
  const slowEnd = moreIsBetter(unit);
  const each = rounds.flatMap((round, i): Round[] => {
    if (round.length === 0) return [];
    const beside = floor?.rounds?.[i]?.p50 ?? floor?.p50;
    const { p50 } = quantiles(round, slowEnd);
    return [beside === undefined ? { p50 } : { p50, floor: floorAs?.(beside) ?? beside }];
  });
  const filled = rounds.filter(({ length }) => length > 0);
  return {
    ...rest,
    unit,
    ...overRounds(filled, slowEnd),
    rounds: each,
    ...(unit === 'ns' ? { histogram: encodeHistogram(histogramOf(filled)) } : {}),
    samples,
    operations: operations ?? samples,
    ...(floor === undefined ? {} : againstFloor(each, unit, floor.name, limit)),
  };
}

/** What each round was as a multiple of the floor next to it, where that was not disturbed. */
export function roundRatios(rounds: readonly Round[], unit: Figure['unit']): number[] {
  return steadyRounds(rounds, unit).map(({ p50, floor }) => (moreIsBetter(unit) ? floor / p50 : p50 / floor));
}

/** The median of the rounds' ratios, and whether it keeps to `limit`. */
function againstFloor(
  rounds: readonly Round[],
  unit: Figure['unit'],
  floor: string,
  limit: number | undefined,
): Partial<Figure> {
  const ratios = roundRatios(rounds, unit);
  const leftOut = rounds.length - ratios.length;
  const against = { floor, ratio: median(ratios), ...(leftOut === 0 ? {} : { leftOut }) };
  if (limit === undefined) return against;
  const target = `p50 at most ${limit}x the floor`;
  return 2 * leftOut > rounds.length ? { ...against, target } : { ...against, target, reached: against.ratio <= limit };
}

/** Times a floor; its figure has no ratio. */
export function floorFigure(scenario: string, name: string, rounds: readonly ArrayLike<number>[]): Figure {
  // Subjects find the floor of their own round by its number.
  const empty = rounds.findIndex(({ length }) => length === 0);
  if (empty >= 0)
    throw new UserError(`${scenario}: floor ${name}: nothing was measured in round ${empty + 1}; run it again`);
  return measured({ scenario, name: `${FLOOR_PREFIX}${name}`, rounds });
}

/** With it the name of every floor begins. */
export const FLOOR_PREFIX = 'floor: ';

/** The second half of a series: the first one warms up, until the optimising compiler has seen the code of every thread. */
export function warm<T>(series: readonly T[]): readonly T[] {
  return series.slice(series.length >> 1);
}

/** Operations in the warmed-up batches of some series. */
export function warmCalls(series: readonly MarkSeries[]): number {
  return series.reduce((sum, { calls, batches }) => {
    return batches.length === 0 ? sum : sum + Math.round((calls / batches.length) * warm(batches).length);
  }, 0);
}

/** The figure of what a guest reported, one series per round. */
export function subject(
  scenario: string,
  name: string,
  series: readonly MarkSeries[],
  floor?: Figure,
  limit?: number,
  more: Partial<Measurement> = {},
): Figure {
  return measured({
    scenario,
    name,
    rounds: series.map(({ batches }) => warm(batches)),
    operations: warmCalls(series),
    floor,
    limit,
    ...more,
  });
}

/** Work between the first and the last report of a series, per operation; the reports' own exits are not counted. */
export function workPerOperation({ work }: MarkSeries): PerOperation | undefined {
  if (work === undefined) return undefined;
  const { first, last, operations, reports } = work;
  // A report is an exit and its answer: one hand-off each way.
  return {
    exits: (last.exits - first.exits - reports) / operations,
    systemCalls: (last.systemCalls - first.systemCalls) / operations,
    handOffs: (last.handOffs - first.handOffs - 2 * reports) / operations,
    copies: (last.copies - first.copies) / operations,
    copiedBytes: (last.copiedBytes - first.copiedBytes) / operations,
    pins: (last.pins - first.pins) / operations,
  };
}
