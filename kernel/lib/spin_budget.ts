/**
 * How long spinning is worth while: a thread whose partner shares its CPU, because other programs keep the others busy,
 * spins in vain, for the partner cannot run before it sleeps. After a vain spin the next ones are shorter, down to a
 * sixty-fourth; every eighth is tried in full, and when that one finds its news all are again.
 */

import { availableParallelism } from 'node:os';

/** CPUs this process may use: with one, spinning is always vain. */
export const CPUS = availableParallelism();

/** Halvings of the budget at most. */
const MOST_HALVINGS = 6;
/** Every so many spins one is tried in full. */
const FULL_EVERY = 8;

export class SpinBudget {
  #halvings = 0;
  #turn = 0;
  #full = false;

  /** Loads to spin now, of `spins` at most. */
  grant(spins: number): number {
    this.#full = ++this.#turn % FULL_EVERY === 0;
    return this.#full ? spins : spins >> this.#halvings;
  }

  /** Tells whether the spin granted last found its news. */
  report(found: boolean): void {
    if (found) this.#halvings = this.#full ? 0 : Math.max(0, this.#halvings - 1);
    else if (this.#halvings < MOST_HALVINGS) this.#halvings++;
  }
}
