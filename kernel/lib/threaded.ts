/**
 * The threaded scheduler: one actor on one thread. It runs whatever tasks are ready and parks on the actor's doorbell
 * when none is, waiting as `wait_strategy.ts` says.
 */
import { availableParallelism } from 'node:os';
import { hostClock } from './clock.ts';
import { Doorbell } from './doorbell.ts';
import type { HostMemory } from './host_memory.ts';
import type { Actor, Task, Wait } from './task.ts';
import { WAIT_STRATEGY } from './wait_strategy.ts';

/** An exception that ended a task: what a user is told about the thread that died. */
export class TaskFailure extends Error {
  constructor(actor: string, task: string, cause: unknown) {
    super(`thread ${actor}, task ${task}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'TaskFailure';
  }
}

interface Entry {
  readonly name: string;
  readonly task: Task;
  wait: Wait | undefined;
}

const FOUR_CPUS = 4;

export class ThreadedActor implements Actor {
  readonly name: string;
  readonly simulated = false;
  readonly now: () => number;
  readonly #memory: HostMemory;
  readonly #doorbell: Doorbell;
  readonly #stopWord: number;
  readonly #manyCpus = availableParallelism() >= FOUR_CPUS;
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

  spawn(name: string, task: Task): void {
    this.#tasks.push({ name, task, wait: undefined });
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
      if (!this.#pass()) this.#park(seen);
    }
  }

  /** Resumes every ready task once; false when there was none. */
  #pass(): boolean {
    let progress = false;
    for (let i = 0; i < this.#tasks.length; i++) {
      const entry = this.#tasks[i];
      const wait = entry.wait;
      if (wait !== undefined && !wait.ready() && (wait.deadline === undefined || this.now() < wait.deadline)) continue;
      progress = true;
      this.#last = entry;
      if (!this.#resume(entry)) this.#tasks.splice(i--, 1);
    }
    return progress;
  }

  #resume(entry: Entry): boolean {
    try {
      const result = entry.task.next();
      if (result.done) return false;
      entry.wait = result.value;
      return true;
    } catch (cause) {
      throw new TaskFailure(this.name, entry.name, cause);
    }
  }

  #park(seen: number): void {
    let spins = 0;
    let spinWhile: (() => boolean) | undefined;
    let mustSleep = false;
    let deadline = Number.POSITIVE_INFINITY;
    for (const entry of this.#tasks) {
      const wait = entry.wait as Wait;
      if (wait.deadline !== undefined && wait.deadline < deadline) deadline = wait.deadline;
      if (wait.strategy === undefined) continue;
      const strategy = WAIT_STRATEGY[wait.strategy];
      if (!strategy.always && entry !== this.#last) continue;
      const wanted = this.#manyCpus ? strategy.spins4 : strategy.spins2;
      if (wanted === 0) mustSleep = true;
      if (wanted > spins) {
        spins = wanted;
        spinWhile = wait.spinWhile;
      }
    }
    const timeoutMs = deadline === Number.POSITIVE_INFINITY ? deadline : Math.max(0, (deadline - this.now()) / 1e6);
    this.#doorbell.park(seen, mustSleep ? 0 : spins, timeoutMs, spinWhile);
  }
}
