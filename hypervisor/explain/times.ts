/** Medians of what was measured. */
import { percentile } from '../bench/figures.ts';
import { type Plot, type Tale, tookOf } from './plot.ts';
import type { Took } from './story.ts';

/** Median times of moments, by their ids, and of all of them together. */
export type Times = ReadonlyMap<string, Took>;
/** The id of all of them together: from the first to the last. */
export const WHOLE = 'whole';

/** The median of times, ns; undefined when there are none. */
export function median(values: readonly number[]): Took | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  return { ns: percentile(sorted, 0.5), samples: values.length };
}

/** Median times of a plot's moments in many tales. */
export function momentTimes<N>(plot: Plot<N>, tales: readonly Tale[]): Times {
  const times = tales.map((tale) => tookOf(plot, tale));
  const wholes = times.map((one) => one.reduce<number>((sum, ns) => sum + (ns ?? 0), 0));
  const medians = [
    ...plot.moments.map(({ id }, i): readonly [string, Took | undefined] => [
      id,
      median(times.map((one) => one[i]).filter((ns) => ns !== undefined)),
    ]),
    [WHOLE, median(wholes)] as const,
  ];
  return new Map(medians.flatMap(([id, took]) => (took === undefined ? [] : [[id, took] as const])));
}
