/**
 * The threaded scheduler: one actor on one thread. It runs whatever tasks are ready and parks on the actor's doorbell
 * when none is, waiting as `wait_strategy.ts` says.
 */
import { hostClock } from './clock.ts';
import { Doorbell } from './doorbell.ts';
import type { HostMemory } from './host_memory.ts';
import { OutputError } from './output_error.ts';
import { CPUS, SpinBudget } from './spin_budget.ts';
import { type Actor, type Resumable, WATCH, type Wait } from './task.ts';
import { spinsOn, WAIT_STRATEGY } from './wait_strategy.ts';

/** An exception that ended a task: what a user is told about the thread that died. */
export class TaskFailure extends Error {
  constructor(actor: string, task: string, cause: unknown) {
    super(`thread ${actor}, task ${task}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'TaskFailure';
  }
}

/**
 * A task and what it waits for. The wait's parts stand here once more: they are asked for at every look at all tasks,
 * and waits, made in many places, have many shapes.
 */
interface Entry {
  readonly name: string;
  readonly task: Resumable;
  wait: Wait | undefined;
  ready: () => boolean;
  /** Infinity without one. */
  deadline: number;
  /** Loads of the doorbell before sleeping; -1 when the wait has no say. */
  spins: number;
  /** That counts though another task ran last. */
  always: boolean;
}
/** A task that has not begun is ready. */
const begins = () => true;

/** Turns of one task before all are looked at again. */
const REPEATS = 64;
/**
 * Loads of the doorbell between two of them: some 5 us. A turn may have made another task of this thread go on, which
 * rings no doorbell (a lock it released), so the rest of the spinning is done after a look at all.
 */
const REPEAT_SPINS = 1000;

export class ThreadedActor implements Actor {
  readonly name: string;
  readonly simulated = false;
  readonly now: () => number;
  readonly #memory: HostMemory;
  readonly #doorbell: Doorbell;
  readonly #stopWord: number;
  readonly #budget = new SpinBudget();
  readonly #tasks: Entry[] = [];
  #last: Entry | undefined;

  /**
   * @param doorbell HPA of this actor's doorbell.
   * @param stopWord HPA of the word that becomes non-zero when the machine is to stop.
   * @param origin see {@link hostClock}.
   */
  constructor(name: string, memory: HostMemory, doorbell: number, stopWord: number, origin: bigint) {
    this.name = name;
    this.#memory = memory;
    this.#doorbell = new Doorbell(memory, doorbell);
    this.#stopWord = stopWord;
    this.now = hostClock(origin);
  }

  spawn(name: string, task: Resumable): void {
    const wait = undefined;
    this.#tasks.push({ name, task, wait, ready: begins, deadline: Number.POSITIVE_INFINITY, spins: -1, always: false });
  }

  choose(): number {
    return 0;
  }

  consume(): void {}

  /** Runs the actor until the stop word is set or no task is left. @throws TaskFailure when a task throws. */
  run(): void {
    while (this.#tasks.length > 0) {
      // The sequence first, then everything that may be news, the stop word too: see the ordering argument.
      const seen = this.#doorbell.sequence();
      if (this.#memory.load(this.#stopWord) !== 0) return;
      if (this.#pass(seen)) continue;
      this.#park(seen);
      this.#repeat(seen);
    }
  }

  /**
   * The short way for one task that is rung again and again (hypercalls, exits): as long as each further ring is
   * explained by that task having become ready, the other tasks need no look. A ring that came for another reason
   * makes the sequence differ from what is explained, now or when the task's own ring arrives; then all are looked at.
   * @param seen sequence before the last look at all tasks.
   */
  #repeat(seen: number): void {
    const entry = this.#last;
    if (entry?.wait?.watch !== undefined) {
      this.#repeatWatch(entry, seen);
      return;
    }
    for (let explained = seen, turns = 0; turns < REPEATS && entry !== undefined; turns++) {
      explained = (explained + 1) | 0;
      if (this.#doorbell.sequence() !== explained || !entry.ready()) return;
      if (!this.#resume(entry)) {
        this.#remove(entry);
        return;
      }
      if (entry.spins < 0) return;
      this.#doorbell.spin(explained, Math.min(REPEAT_SPINS, entry.spins), entry.wait?.spinWhile);
    }
  }

  /** The same for a task that watches: its news rings nobody. On a single CPU nobody could bring any. */
  #repeatWatch(entry: Entry, seen: number): void {
    for (let turns = 0; turns < REPEATS; turns++) {
      const { wait } = entry;
      if (wait?.watch === undefined) return;
      const loads = Math.min(REPEAT_SPINS, entry.spins);
      if (loads <= 0 || this.#watch(entry, wait.watch, seen, loads) !== WATCH.OWN) return;
      if (!this.#resume(entry)) {
        this.#remove(entry);
        return;
      }
    }
  }

  /** Watching is the task's own work: what it throws ends the task. */
  #watch(entry: Entry, watch: NonNullable<Wait['watch']>, seen: number, loads: number): number {
    try {
      return watch(seen, loads);
    } catch (cause) {
      throw this.#failure(entry, cause);
    }
  }
  #failure({ name }: Entry, cause: unknown): Error {
    return cause instanceof OutputError ? cause : new TaskFailure(this.name, name, cause);
  }

  #remove(entry: Entry): void {
    this.#tasks.splice(this.#tasks.indexOf(entry), 1);
    this.#last = undefined;
  }

  /**
   * Resumes every ready task once; false when there was none. One that watches goes on for a while: its partner is back
   * before all the others have been asked, and would never be met watching. @param seen as for {@link #repeat}
   */
  #pass(seen: number): boolean {
    let progress = false;
    for (let i = 0; i < this.#tasks.length; i++) {
      const entry = this.#tasks[i];
      if (!entry.ready() && (entry.deadline === Number.POSITIVE_INFINITY || this.now() < entry.deadline)) continue;
      progress = true;
      this.#last = entry;
      if (!this.#resume(entry)) this.#remove(entry);
      else if (entry.wait?.watch !== undefined) this.#repeatWatch(entry, seen);
      if (this.#tasks[i] !== entry) i--;
    }
    return progress;
  }

  #resume(entry: Entry): boolean {
    try {
      const result = entry.task.next();
      if (result.done) return false;
      waitsFor(entry, result.value);
      return true;
    } catch (cause) {
      throw this.#failure(entry, cause);
    }
  }

  #park(seen: number): void {
    let spins = 0;
    let spinWhile: (() => boolean) | undefined;
    let watcher: Entry | undefined;
    let mustSleep = false;
    let deadline = Number.POSITIVE_INFINITY;
    for (const entry of this.#tasks) {
      if (entry.deadline < deadline) deadline = entry.deadline;
      const wanted = entry.spins;
      if (wanted < 0 || (!entry.always && entry !== this.#last)) continue;
      if (wanted === 0) mustSleep = true;
      if (wanted > spins) {
        spins = wanted;
        spinWhile = entry.wait?.spinWhile;
        watcher = entry.wait?.watch === undefined ? undefined : entry;
      }
    }
    const timeoutMs = deadline === Number.POSITIVE_INFINITY ? deadline : Math.max(0, (deadline - this.now()) / 1e6);
    if (mustSleep || spins === 0) {
      this.#doorbell.sleep(seen, timeoutMs);
      return;
    }
    const granted = this.#budget.grant(spins);
    const found =
      watcher === undefined ? this.#doorbell.spin(seen, granted, spinWhile) : this.#watchLast(watcher, seen, granted);
    // A spin that was cut short because the CPU is wanted elsewhere says nothing about its worth.
    if (found || spinWhile === undefined || spinWhile()) this.#budget.report(found);
    if (!found) this.#doorbell.sleep(seen, timeoutMs);
  }

  /** Watches before a sleep, and looks once more: news that came while it was watched for has rung nobody. */
  #watchLast(entry: Entry, seen: number, loads: number): boolean {
    const wait = entry.wait as Wait;
    return this.#watch(entry, wait.watch as NonNullable<Wait['watch']>, seen, loads) !== WATCH.NOTHING || wait.ready();
  }
}

function waitsFor(entry: Entry, wait: Wait): void {
  const { strategy } = wait;
  entry.wait = wait;
  entry.ready = wait.ready;
  entry.deadline = wait.deadline ?? Number.POSITIVE_INFINITY;
  entry.spins = strategy === undefined ? -1 : spinsOn(CPUS, strategy);
  entry.always = strategy !== undefined && WAIT_STRATEGY[strategy].always;
}
