/** From measured series to figures: floors, subjects, and what is left out as warm-up. */
import type { MarkSeries } from '../config.ts';
import { type Figure, overRounds, type PerOperation } from './figures.ts';

/** Times a floor; its figure has no ratio. */
export function floorFigure(scenario: string, name: string, rounds: readonly ArrayLike<number>[]): Figure {
  const samples = rounds.reduce((sum, r) => sum + r.length, 0);
  return { scenario, name: `floor: ${name}`, unit: 'ns', ...overRounds(rounds), samples, operations: samples };
}

/** The second half of a series: the first one warms up, until the optimising compiler has seen the code of every thread. */
export function warm<T>(series: readonly T[]): readonly T[] {
  return series.slice(series.length >> 1);
}

/** Ratio of a p50 to a floor's, and whether it keeps to `limit` times that. */
export function againstFloor(p50: number, floor: Figure | undefined, limit?: number): Partial<Figure> {
  if (floor === undefined) return {};
  const ratio = p50 / floor.p50;
  if (limit === undefined) return { floor: floor.name, ratio };
  return { floor: floor.name, ratio, target: `p50 at most ${limit}x the floor`, reached: ratio <= limit };
}

/** The figure of what a guest reported, one series per round. */
export function subject(
  scenario: string,
  name: string,
  series: readonly MarkSeries[],
  floor?: Figure,
  limit?: number,
): Figure {
  const q = overRounds(series.map(({ batches }) => warm(batches)));
  return {
    scenario,
    name,
    unit: 'ns',
    ...q,
    samples: series.reduce((sum, s) => sum + s.batches.length, 0),
    operations: series.reduce((sum, s) => sum + s.calls, 0),
    ...againstFloor(q.p50, floor, limit),
  };
}

/** Work between the first and the last report of a series, per operation; the reports' own exits are not counted. */
export function workPerOperation({ calls, batches, work }: MarkSeries): PerOperation | undefined {
  if (work === undefined || batches.length < 2) return undefined;
  const { first, last } = work;
  const reports = batches.length - 1;
  const operations = (calls / batches.length) * reports;
  // A report is an exit and its answer: one hand-off each way.
  return {
    exits: (last.exits - first.exits - reports) / operations,
    systemCalls: (last.systemCalls - first.systemCalls) / operations,
    handOffs: (last.handOffs - first.handOffs - 2 * reports) / operations,
  };
}
