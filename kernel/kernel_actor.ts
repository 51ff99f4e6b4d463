/**
 * The kernel's tasks and whose they are. A task runs for a process (a system call, a hypercall of its virtual machine) or
 * for none (a kernel thread: interrupt handlers, work queues), and `current` says so while it runs. Tasks change at yields
 * only, so that is exact.
 */
import type { Actor, Resumable } from './lib/task.ts';
import type { Process } from './process.ts';

/** Who runs now; of the kernel this is all that a task needs to set. */
export interface CurrentProcess {
  current: Process | undefined;
}

/** A task that runs for a process. Written out, for it is in the way of every system call. */
class ProcessTask implements Resumable {
  readonly #kernel: CurrentProcess;
  readonly #process: Process | undefined;
  readonly #task: Resumable;
  constructor(kernel: CurrentProcess, process: Process | undefined, task: Resumable) {
    this.#kernel = kernel;
    this.#process = process;
    this.#task = task;
  }
  next(): ReturnType<Resumable['next']> {
    const kernel = this.#kernel;
    const before = kernel.current;
    kernel.current = this.#process;
    try {
      return this.#task.next();
    } finally {
      kernel.current = before;
    }
  }
}

/** The kernel's actor, as its drivers use it: what they spawn are kernel threads, which have no memory and no files. */
export class KernelActor implements Actor {
  readonly name: string;
  readonly simulated: boolean;
  readonly now: () => number;
  readonly #actor: Actor;
  readonly #kernel: CurrentProcess;

  constructor(actor: Actor, kernel: CurrentProcess) {
    this.name = actor.name;
    this.simulated = actor.simulated;
    this.now = () => actor.now();
    this.#actor = actor;
    this.#kernel = kernel;
  }
  /** kthread_run. */
  spawn(name: string, task: Resumable): void {
    this.spawnFor(undefined, name, task);
  }
  /** A task of a process. */
  spawnFor(process: Process | undefined, name: string, task: Resumable): void {
    this.#actor.spawn(name, new ProcessTask(this.#kernel, process, task));
  }
  choose(below: number): number {
    return this.#actor.choose(below);
  }
  consume(ns: number): void {
    this.#actor.consume(ns);
  }
}
