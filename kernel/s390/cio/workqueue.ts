/** A single-threaded workqueue (kernel/workqueue.c): what an interruption handler leaves for later, one after the other. */
import { type Actor, type Task, until } from '../../lib/task.ts';

/** A piece of work; queued at most once at a time, and again while it runs. */
export interface Work {
  readonly name: string;
  run(): Task;
}

export class Workqueue {
  readonly #queue: Work[] = [];
  #running: Work | undefined;
  /** Works finished so far. */
  #finished = 0;

  constructor(actor: Actor, name: string) {
    actor.spawn(`workqueue ${name}`, this.#worker(name));
  }

  *#worker(name: string): Task {
    for (;;) {
      yield* until(`workqueue ${name}`, () => this.#queue.length > 0);
      const work = this.#queue.shift() as Work;
      this.#running = work;
      yield* work.run();
      this.#running = undefined;
      this.#finished++;
    }
  }

  /** queue_work: false when it is queued already. */
  queue(work: Work): boolean {
    if (this.#queue.includes(work)) return false;
    this.#queue.push(work);
    return true;
  }

  /** cancel_work_sync: afterwards `work` is neither queued nor running. Not to be called by a work. */
  *cancel(work: Work): Task {
    this.#drop(work);
    const finished = this.#finished;
    yield* until(`${work.name} to end`, () => this.#running !== work || this.#finished !== finished);
    this.#drop(work);
  }
  #drop(work: Work): void {
    const index = this.#queue.indexOf(work);
    if (index >= 0) this.#queue.splice(index, 1);
  }
}
