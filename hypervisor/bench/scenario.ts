/** What a scenario is, and what it is given. */
import type { Figure } from './figures.ts';

/** What a scenario gets. */
export interface BenchContext {
  /** Repetitions of subject and floor. */
  readonly rounds: number;
  /** Folder for images; removed afterwards. */
  readonly folder: string;
  /** Shows what is being done, for how long already and how far. */
  progress(what: string): void;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** Runs only when it is named: it takes a minute or more. */
  readonly long?: boolean;
  run(context: BenchContext): Promise<Figure[]>;
}
