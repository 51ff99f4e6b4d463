/** The documents that a page is made of: one, or one before and one after a change. */
import type { BenchDocument } from '../bench/document.ts';
import type { Figure } from '../bench/figures.ts';

export interface Edition {
  /** What the page calls it: the file's name. */
  readonly label: string;
  readonly document: BenchDocument;
}

/** One, or two in the order before, after. */
export type Editions = readonly [Edition] | readonly [Edition, Edition];

/** The one that the page speaks of. */
export function current(editions: Editions): Edition {
  return editions[editions.length - 1];
}

/** True of the first of two. */
export function isBefore(editions: Editions, edition: Edition): boolean {
  return edition !== current(editions);
}

/** Figures of a scenario, in the order of the document. */
export function ofScenario({ document }: Edition, scenario: string): Figure[] {
  return document.figures.filter((figure) => figure.scenario === scenario);
}

/** Lowest and highest p50 of the rounds; undefined where there were fewer than two. */
export function spread({ rounds = [] }: Figure): { low: number; high: number } | undefined {
  const medians = rounds.map(({ p50 }) => p50);
  return medians.length < 2 ? undefined : { low: Math.min(...medians), high: Math.max(...medians) };
}
