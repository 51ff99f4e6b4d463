/**
 * How long a bench may still take: what its rounds took so far, and for scenarios not begun what their rounds are known
 * to take, corrected by how fast this machine has turned out to be.
 */

/** A scenario to be run, as far as time is concerned. */
export interface PlannedScenario {
  readonly name: string;
  /** What a round is expected to take, seconds. */
  readonly seconds: number;
}

/** What a scenario has come to. */
interface Progress {
  /** Rounds in all, and those that have ended; unknown until the first one begins. */
  of: number;
  done: number;
  /** When the scenario began, and its present round, ms. */
  begunAt: number;
  roundAt: number;
  endedAt: number | undefined;
}

export class Remaining {
  readonly #plan: readonly PlannedScenario[];
  readonly #rounds: number;
  readonly #elapsed: () => number;
  readonly #begun: Progress[] = [];

  /** @param rounds asked for @param elapsed milliseconds since the bench began */
  constructor(plan: readonly PlannedScenario[], rounds: number, elapsed: () => number) {
    this.#plan = plan;
    this.#rounds = rounds;
    this.#elapsed = elapsed;
  }

  /** The next scenario begins. */
  scenario(): void {
    const now = this.#elapsed();
    const last = this.#begun.at(-1);
    if (last !== undefined) last.endedAt = now;
    this.#begun.push({ of: this.#rounds, done: 0, begunAt: now, roundAt: now, endedAt: undefined });
  }

  /** Its round `number` of `of` begins. */
  round(number: number, of: number): void {
    const present = this.#begun.at(-1);
    if (present === undefined) return;
    present.of = of;
    present.done = number - 1;
    present.roundAt = this.#elapsed();
  }

  /**
   * Milliseconds left, about: until a round has ended, what is planned; undefined before anything has begun, and when the
   * first round takes longer than planned, so that nothing is known of those to come.
   */
  left(): number | undefined {
    const present = this.#begun.at(-1);
    if (present === undefined) return undefined;
    const known = this.#speed();
    const speed = known ?? 1;
    const index = this.#begun.length - 1;
    const { done, of, begunAt, roundAt } = present;
    const perRound = done > 0 ? (roundAt - begunAt) / done : speed * this.#plan[index].seconds * 1000;
    const here = Math.max(0, perRound * (of - done) - (this.#elapsed() - roundAt));
    if (known === undefined && here === 0) return undefined;
    const later = this.#plan.slice(index + 1).reduce((sum, { seconds }) => sum + seconds * 1000 * this.#rounds, 0);
    return here + speed * later;
  }

  /** What the rounds that have ended took, as a multiple of what was expected. */
  #speed(): number | undefined {
    let took = 0;
    let expected = 0;
    for (const [i, { done, of, begunAt, roundAt, endedAt }] of this.#begun.entries()) {
      const rounds = endedAt === undefined ? done : of;
      took += (endedAt ?? roundAt) - begunAt;
      expected += rounds * this.#plan[i].seconds * 1000;
    }
    return expected === 0 ? undefined : took / expected;
  }
}

/** `about 40 s left`, `about 3 min left`: no more exact than it is known. */
export function showLeft(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 5) return 'a few seconds left';
  if (seconds < 90) return `about ${Math.round(seconds / 5) * 5} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}
