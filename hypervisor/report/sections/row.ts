/** A section of the page, as a row of its table. */
import type { Figure } from '../../bench/figures.ts';
import type { Drawn } from '../charts/drawn.ts';
import { type Edition, type Editions, ofScenario } from '../editions.ts';

export interface SectionRow {
  /** Its place in the page's address: `#h-put-tce`. */
  readonly id: string;
  /** Its title in the table of arguments (bench/arguments_table.ts), which says what its sides are. */
  readonly argument: string;
  /** When it was argued about. */
  readonly year: number;
  readonly question: string;
  /** What was measured, and how, in a sentence or two. */
  readonly measured: string;
  /** The scenarios that fill it. */
  readonly scenarios: readonly string[];
  /** One sentence from the figures; undefined where they are not there. */
  answer(edition: Edition): string | undefined;
  /** The charts that can be drawn. */
  charts(editions: Editions): readonly (Drawn | undefined)[];
}

/** The figure of a scenario with this name. */
export function named(edition: Edition, scenario: string, name: string): Figure | undefined {
  return ofScenario(edition, scenario).find((figure) => figure.name === name);
}
