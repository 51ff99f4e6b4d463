/**
 * A kernel on a machine without devices, for measuring pieces of it: one actor on the calling thread, and nothing else
 * runs. User memory is mapped by whoever measures.
 */
import { Kernel } from './kernel.ts';
import { clockOrigin } from './lib/clock.ts';
import { createMemory, HostMemory } from './lib/host_memory.ts';
import { actorAreas, type SharedMap, sharedMap } from './lib/shared_map.ts';
import type { Task } from './lib/task.ts';
import { ThreadedActor } from './lib/threaded.ts';

export interface BenchKernelOptions {
  /** Bytes of memory that may be mapped; a multiple of the page size. */
  readonly memory: number;
  /** RLIMIT_MEMLOCK of the process, in pages. */
  readonly lockLimit: number;
}

export class BenchKernel {
  readonly kernel: Kernel;
  readonly memory: HostMemory;
  readonly map: SharedMap;
  readonly #actor: ThreadedActor;

  constructor({ memory: guestMemory, lockLimit }: BenchKernelOptions) {
    this.map = sharedMap({ guestMemory, vcpus: 0, hardware: [] });
    this.memory = new HostMemory(createMemory(this.map.size));
    const { doorbell } = actorAreas(this.map, 'kernel');
    this.#actor = new ThreadedActor('kernel', this.memory, doorbell, this.map.control.stop, clockOrigin());
    this.kernel = new Kernel(this.#actor, this.memory, this.map, { lockLimit, seed: 1, log: () => {} });
  }

  /** The clock, ns. */
  get now(): () => number {
    return this.#actor.now;
  }

  /** Runs `task` to its end; once, for the actor stops then. */
  run<T>(task: () => Task<T>): T {
    let result: T | undefined;
    const stop = () => this.memory.store(this.map.control.stop, 1);
    this.#actor.spawn(
      'bench',
      (function* () {
        result = yield* task();
        stop();
      })(),
    );
    this.#actor.run();
    return result as T;
  }
}
