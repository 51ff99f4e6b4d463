/**
 * Tasks: straight-line code that can sleep. A task is a generator; it yields a {@link Wait} wherever a real kernel
 * could sleep or be preempted, and the scheduler of its actor resumes it when the wait is ready. The same task runs
 * under the threaded and the simulated scheduler; it never touches Atomics, timers, threads or the clock itself.
 */

/** Something a task waits for. Cheap to test: schedulers call `ready` often. */
export interface Wait {
  /** For people: shown when nothing can run ("deadlock") and in traces. */
  readonly what: string;
  /** Called without the wait as its `this`. */
  readonly ready: () => boolean;
  /** Scheduler time in nanoseconds at which the task goes on even if not ready. */
  readonly deadline?: number;
  /** How the thread waits when this wait is the only news expected: a row of `wait_strategy.ts`. */
  readonly strategy?: WaitClass;
  /** Spinning stops, and sleep begins, once this no longer holds. */
  readonly spinWhile?: () => boolean;
  /**
   * A spin of its own, in place of one on the doorbell alone, for the task that ran last: looks at what the task waits
   * for as well, which then need not ring, and may serve it. @param seen sequence of the doorbell at the last look at all
   * tasks @param loads how long, in loads of a doorbell @returns a value of {@link WATCH}
   */
  readonly watch?: (seen: number, loads: number) => number;
}

/** What ended a {@link Wait.watch}: its time; what the task waits for; the doorbell, or everybody else's turn. */
export const WATCH = { NOTHING: 0, OWN: 1, OTHER: 2 } as const;

/** Rows of the wait-strategy table. */
export type WaitClass = 'vcpu_reply' | 'vcpu_hcall' | 'vcpu_idle' | 'vmm_guest' | 'kernel_hcall' | 'sleep';

/** A task: a generator that yields waits and returns `T`. */
export type Task<T = void> = Generator<Wait, T, void>;

/** What a scheduler needs of a task: that it goes on to its next wait, or its end. */
export interface Resumable {
  next(): IteratorResult<Wait, unknown>;
}

/** What the code of one actor (VMM, kernel, a vCPU, an I/O processor) may ask of whoever schedules it. */
export interface Actor {
  readonly name: string;
  /** True under the simulated scheduler. */
  readonly simulated: boolean;
  /** Nanoseconds since the machine was switched on: host clock when threaded, virtual time when simulated. */
  now(): number;
  /** Starts a task of this actor. An exception it throws ends the run, naming the actor and the task. */
  spawn(name: string, task: Resumable): void;
  /** Seeded choice in `[0, below)`: the schedule's own randomness when simulated, 0 when threaded. */
  choose(below: number): number;
  /** Virtual time consumed by work that takes time without yielding (guest instructions). No-op when threaded. */
  consume(ns: number): void;
}

/** Waits until `ready()` holds. Whoever makes it hold rings this actor's doorbell afterwards. */
export function* until(what: string, ready: () => boolean, strategy?: WaitClass, spinWhile?: () => boolean): Task {
  if (!ready()) yield { what, ready, strategy, spinWhile };
}

/** Waits until `ready()` holds or scheduler time `deadline` (ns) has come; returns whether it holds. */
export function* untilDeadline(
  what: string,
  ready: () => boolean,
  deadline: number,
  strategy?: WaitClass,
): Task<boolean> {
  if (!ready()) yield { what, ready, deadline, strategy };
  return ready();
}

const never = () => false;

/** Sleeps for `ns` nanoseconds of scheduler time. */
export function* sleep(actor: Actor, ns: number): Task {
  yield { what: 'sleep', ready: never, deadline: actor.now() + ns };
}

const PREEMPT: Wait = { what: 'preempt', ready: () => true };

/** A point where another task may run first: `cond_resched()`. */
export function* preempt(): Task {
  yield PREEMPT;
}

/** A lock that a task may hold while it sleeps; only for tasks of one actor. */
export class Mutex {
  readonly name: string;
  #held = false;
  constructor(name: string) {
    this.name = name;
  }
  /** Sleeps until the lock is free, then takes it. */
  *lock(): Task {
    while (this.#held) yield { what: `mutex ${this.name}`, ready: () => !this.#held };
    this.#held = true;
  }
  /** Whether somebody has it now. */
  get held(): boolean {
    return this.#held;
  }
  /** Takes the lock if it is free. */
  tryLock(): boolean {
    if (this.#held) return false;
    this.#held = true;
    return true;
  }
  unlock(): void {
    this.#held = false;
  }
}

/** Counts wake-ups for tasks of one actor: Linux's wait_queue_head with an explicit sequence. */
export class WaitQueue {
  readonly name: string;
  #wakeups = 0;
  constructor(name: string) {
    this.name = name;
  }
  /** Wakes every task that waits now. */
  wake(): void {
    this.#wakeups++;
  }
  /** Sleeps until the next wake-up or, when given, until `deadline`; returns false on time-out. */
  *wait(deadline?: number): Task<boolean> {
    const seen = this.#wakeups;
    yield { what: `wait queue ${this.name}`, ready: () => this.#wakeups !== seen, deadline };
    return this.#wakeups !== seen;
  }
}
