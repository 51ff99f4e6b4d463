/**
 * The simulated scheduler: every actor on one thread, virtual time, and a seeded choice of who goes next. The same
 * seed gives the same run, so a race is a number that replays it.
 */
import { Random } from './random.ts';
import type { Actor, Resumable, Wait } from './task.ts';
import { TaskFailure } from './threaded.ts';

/** No task can run and no timer is set: names every wait. */
export class Deadlock extends Error {
  /** Names of the actors that wait, each once. */
  readonly actors: readonly string[];
  constructor(waits: readonly { readonly actor: string; readonly what: string }[]) {
    super(`nothing can run; waiting: ${waits.map(({ actor, what }) => `${actor}/${what}`).join('; ')}`);
    this.name = 'Deadlock';
    this.actors = [...new Set(waits.map(({ actor }) => actor))];
  }
}

interface Entry {
  readonly actor: SimulatedActor;
  readonly name: string;
  readonly task: Resumable;
  wait: Wait | undefined;
}

/** Least and most virtual nanoseconds that one step of a task takes: around what a step takes on a real thread. */
const STEP_NS = { least: 50, spread: 400 } as const;

export class Simulation {
  readonly #random: Random;
  readonly #entries: Entry[] = [];
  #now = 0;
  #steps = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** Virtual nanoseconds since the start. */
  get now(): number {
    return this.#now;
  }
  /** Task steps made so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Adds an actor. */
  actor(name: string): SimulatedActor {
    return new SimulatedActor(name, this);
  }

  /** @internal */
  add(actor: SimulatedActor, name: string, task: Resumable): void {
    this.#entries.push({ actor, name, task, wait: undefined });
  }
  /** @internal */
  choose(below: number): number {
    return this.#random.below(below);
  }
  /** @internal */
  consume(ns: number): void {
    this.#now += ns;
  }

  /** An actor's thread leaves its loop: its tasks go no further. */
  end(name: string): void {
    for (let i = this.#entries.length - 1; i >= 0; i--)
      if (this.#entries[i].actor.name === name) this.#entries.splice(i, 1);
  }

  /**
   * Virtual time of the last step of these actors, when all their tasks wait for somebody else's doing: none can run, and
   * no timer of theirs is set. Undefined when one can go on by itself, or there is none.
   */
  waitingSince(actors: ReadonlySet<string>): number | undefined {
    const entries = this.#entries.filter(({ actor }) => actors.has(actor.name));
    const waits = entries.every(
      ({ wait }) => wait !== undefined && !wait.ready() && !Number.isFinite(wait.deadline ?? Number.POSITIVE_INFINITY),
    );
    return waits && entries.length > 0 ? Math.max(...entries.map(({ actor }) => actor.stepped)) : undefined;
  }

  /** Runs until `stopped()` holds or no task is left. @throws Deadlock, TaskFailure; Error past `maxSteps` */
  run(stopped: () => boolean, maxSteps = Number.POSITIVE_INFINITY): void {
    if (!this.advance(stopped, maxSteps)) throw new Error(`the simulated run did not end within ${maxSteps} steps`);
  }

  /**
   * Makes at most `steps` task steps; returns true when `stopped()` holds or no task is left.
   * @param limit virtual time, ns, at which `stopped()` will hold: no step begins then or later, and time does not jump past it.
   * @throws Deadlock, TaskFailure
   */
  advance(stopped: () => boolean, steps: number, limit = Number.POSITIVE_INFINITY): boolean {
    const ready: number[] = [];
    for (let step = 0; step < steps; step++) {
      if (this.#entries.length === 0 || stopped()) return true;
      ready.length = 0;
      let deadline = Number.POSITIVE_INFINITY;
      for (let i = 0; i < this.#entries.length; i++) {
        const wait = this.#entries[i].wait;
        if (wait === undefined || wait.ready() || (wait.deadline ?? Number.POSITIVE_INFINITY) <= this.#now)
          ready.push(i);
        else if (wait.deadline !== undefined && wait.deadline < deadline) deadline = wait.deadline;
      }
      if (ready.length > 0) this.#step(ready[ready.length === 1 ? 0 : this.#random.below(ready.length)]);
      else if (deadline !== Number.POSITIVE_INFINITY) this.#now = Math.min(deadline, limit);
      else throw new Deadlock(this.#entries.map((e) => ({ actor: e.actor.name, what: `${e.name}: ${e.wait?.what}` })));
    }
    return false;
  }

  #step(index: number): void {
    const entry = this.#entries[index];
    this.#steps++;
    this.#now += STEP_NS.least + this.#random.below(STEP_NS.spread);
    entry.actor.stepped = this.#now;
    try {
      const result = entry.task.next();
      if (result.done) this.#entries.splice(index, 1);
      else entry.wait = result.value;
    } catch (cause) {
      throw new TaskFailure(entry.actor.name, entry.name, cause);
    }
  }
}

export class SimulatedActor implements Actor {
  readonly name: string;
  readonly simulated = true;
  /** Virtual time of its last step. @internal */
  stepped = 0;
  readonly #simulation: Simulation;
  constructor(name: string, simulation: Simulation) {
    this.name = name;
    this.#simulation = simulation;
  }
  now(): number {
    return this.#simulation.now;
  }
  spawn(name: string, task: Resumable): void {
    this.#simulation.add(this, name, task);
  }
  choose(below: number): number {
    return this.#simulation.choose(below);
  }
  consume(ns: number): void {
    this.#simulation.consume(ns);
  }
}
