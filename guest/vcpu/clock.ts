/** The guest's TOD clock and its two timers, on the scheduler's time. */
import type { Actor } from '../../kernel/lib/task.ts';
import { high32, join64, low32 } from '../../kernel/lib/words64.ts';
import type { CpuState } from '../cpu/state.ts';

/** TOD units per microsecond (SA22-7832 chapter 4, "Time-of-Day Clock": bit 51 is one microsecond). */
const UNITS_PER_US = 4096;

/** TOD clock of a machine whose clock read `base` when it was switched on. */
export class TodClock {
  readonly #actor: Actor;
  readonly #base: bigint;
  readonly #baseHigh: number;
  readonly #baseLow: number;
  constructor(actor: Actor, base: bigint) {
    this.#actor = actor;
    this.#base = base;
    this.#baseHigh = high32(base);
    this.#baseLow = low32(base);
  }
  /** The clock now. */
  tod(): bigint {
    // In words: a bigint is made of the sum alone.
    const low = this.#baseLow + Math.floor((this.#actor.now() * UNITS_PER_US) / 1000);
    return join64(this.#baseHigh + Math.floor(low / 2 ** 32), low);
  }
  /** Scheduler time (ns) at which the clock reads `tod`. */
  deadline(tod: bigint): number {
    return (Number(tod - this.#base) * 1000) / UNITS_PER_US;
  }
}

/** Clock comparator and CPU timer of one CPU. */
export class Timers {
  readonly #state: CpuState;
  readonly #clock: TodClock;
  constructor(state: CpuState, clock: TodClock) {
    this.#state = state;
    this.#clock = clock;
  }
  /** The guest's TOD clock. A clock set back has an offset near 2^64: the sum wraps. */
  #tod(): bigint {
    return BigInt.asUintN(64, this.#clock.tod() + this.#state.todOffset);
  }
  /** The comparator condition is pending while the TOD clock is past it. */
  comparatorPending(): boolean {
    return this.#tod() > this.#state.clockComparator;
  }
  /** The CPU-timer condition is pending while the timer is negative. */
  cpuTimerPending(): boolean {
    return this.#cpuTimer() < 0n;
  }
  #cpuTimer(): bigint {
    return BigInt.asIntN(64, this.#state.cpuTimerEnd - this.#tod());
  }
  /** Scheduler time of the next comparator or timer condition among the enabled ones; Infinity when none is. */
  nextDeadline(comparator: boolean, cpuTimer: boolean): number {
    let deadline = Number.POSITIVE_INFINITY;
    if (comparator && this.#state.clockComparator < FAR) deadline = this.#in(this.#state.clockComparator - this.#tod());
    if (cpuTimer) deadline = Math.min(deadline, this.#in(this.#cpuTimer()));
    return deadline;
  }
  /** Scheduler time in `units` from now, and one unit more: "past" the comparator, "below" zero. */
  #in(units: bigint): number {
    return this.#clock.deadline(this.#clock.tod() + units + 1n) + 1;
  }
}

/** A comparator this high is Linux's "never" and would only overflow the conversion. */
const FAR = 0xffff_0000_0000_0000n;
