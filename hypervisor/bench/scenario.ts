/** What a scenario is, and what it is given. */
import type { Figure } from './figures.ts';

/** What a scenario gets. */
export interface BenchContext {
  /** Repetitions of subject and floor. */
  readonly rounds: number;
  /** Folder for images; removed afterwards. */
  readonly folder: string;
  /** A round begins: {@link eachRound} tells it. @param of rounds in all */
  round(number: number, of: number): void;
  /** Shows what is being done in it. */
  progress(what: string): void;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** Runs only when it is named: it takes a minute or more. */
  readonly long?: boolean;
  /** What a round takes on two CPUs, seconds: only to tell how long a run of several scenarios may still take. */
  readonly seconds: number;
  run(context: BenchContext): Promise<Figure[]>;
}

/**
 * Goes through the rounds of a scenario. Each takes every floor and every subject once, one right after the other, so that a
 * machine that is slow for a while is slow for both.
 * @param of rounds, where a scenario needs others than were asked for
 */
export async function eachRound(
  context: BenchContext,
  body: (round: number) => Promise<void>,
  of = context.rounds,
): Promise<void> {
  for (let round = 1; round <= of; round++) {
    context.round(round, of);
    await body(round);
  }
}
