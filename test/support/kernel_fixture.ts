/**
 * A kernel for tests: simulated scheduler, memory of its own, and a user process that makes system calls without a
 * VMM, through the kernel's own system-call table.
 */

import { EventFd } from '../../kernel/fs/eventfd.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import type { Ioctl } from '../../kernel/include/uapi/ioctl.ts';
import { NR } from '../../kernel/include/uapi/syscall.ts';
import { Kernel } from '../../kernel/kernel.ts';
import { createMemory, HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { actorAreas, type SharedMap, sharedMap } from '../../kernel/lib/shared_map.ts';
import { type SimulatedActor, Simulation } from '../../kernel/lib/simulated.ts';
import type { Fields, View } from '../../kernel/lib/struct.ts';
import { sleep, type Task } from '../../kernel/lib/task.ts';
import { enableTrace, type TraceRecord } from '../../kernel/lib/trace.ts';
import { readTrace } from '../../kernel/lib/trace_reader.ts';
import type { Vma } from '../../kernel/mm/mm.ts';
import type { Process } from '../../kernel/process.ts';
import { BUG } from '../../kernel/syscall/ioctl.ts';
import { SYSCALLS } from '../../kernel/syscall/syscalls.ts';

/** Steps after which a test's run counts as endless. */
const MAX_STEPS = 1_000_000;
/** Virtual time {@link KernelFixture.settle} gives. */
const SETTLE_NS = 1e6;
const USER_HEAP = 1 << 20;

export interface FixtureOptions {
  readonly seed?: number;
  /** Bytes of guest memory the map has room for. */
  readonly guestMemory?: number;
  readonly lockLimit?: number;
  readonly hardware?: readonly string[];
  /** User processes beside the first. */
  readonly others?: number;
}

export class KernelFixture {
  readonly simulation: Simulation;
  readonly actor: SimulatedActor;
  readonly memory: HostMemory;
  readonly map: SharedMap;
  readonly kernel: Kernel;
  readonly user: User;
  /** One for each process. */
  readonly users: readonly User[];
  /** What the kernel logged. */
  readonly log: string[] = [];

  constructor(options: FixtureOptions = {}) {
    const { seed = 1, guestMemory = 1 << 20, lockLimit = 1 << 16, hardware = [] } = options;
    const others = Array.from({ length: options.others ?? 0 }, () => ({ guestMemory, vcpus: 1 }));
    this.map = sharedMap({ guestMemory, vcpus: 1, hardware, others });
    this.memory = new HostMemory(createMemory(this.map.size));
    this.simulation = new Simulation(seed);
    this.actor = this.simulation.actor('kernel');
    this.kernel = new Kernel(this.actor, this.memory, this.map, {
      lockLimit,
      seed,
      log: (line) => {
        this.log.push(line);
        failOnBug(line);
      },
    });
    this.users = this.kernel.processes.map((process) => new User(this.kernel, process));
    [this.user] = this.users;
    enableTrace(this.memory, this.map.traceEnable, '*');
  }

  /** Runs a task of the kernel to its end and returns what it returned. @throws what it threw */
  run<T>(task: Task<T>): T {
    const [result] = this.runAll([task]);
    return result;
  }

  /** {@link run} of a task of another process. */
  runFor<T>(user: User, task: Task<T>): T {
    const [outcome] = this.settleAll([task], user);
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }
  /** {@link outcome} of a task of another process. */
  outcomeFor<T>(user: User, task: Task<T>): T | string {
    return this.#told(this.settleAll([task], user)[0]);
  }

  /** Runs tasks side by side until all have ended. @throws what the first failing one threw */
  runAll<T>(tasks: readonly Task<T>[]): T[] {
    const settled = this.settleAll(tasks);
    return settled.map((outcome) => {
      if ('error' in outcome) throw outcome.error;
      return outcome.value;
    });
  }

  /** Runs tasks side by side until all have ended; says for each how. */
  settleAll<T>(tasks: readonly Task<T>[], user = this.user): ({ value: T } | { error: unknown })[] {
    const outcomes: ({ value: T } | { error: unknown } | undefined)[] = tasks.map(() => undefined);
    for (const [i, task] of tasks.entries()) {
      this.kernel.spawn(
        user.process,
        `test ${i}`,
        (function* () {
          try {
            outcomes[i] = { value: yield* task };
          } catch (error) {
            outcomes[i] = { error };
          }
        })(),
      );
    }
    this.simulation.run(() => outcomes.every((outcome) => outcome !== undefined), this.simulation.steps + MAX_STEPS);
    return outcomes as ({ value: T } | { error: unknown })[];
  }

  /** Starts a task and leaves it running; the returned object tells how it ended. */
  start<T>(task: Task<T>): { value?: T; error?: unknown; done: boolean } {
    const outcome: { value?: T; error?: unknown; done: boolean } = { done: false };
    this.actor.spawn(
      'test',
      (function* () {
        try {
          outcome.value = yield* task;
        } catch (error) {
          outcome.error = error;
        }
        outcome.done = true;
      })(),
    );
    return outcome;
  }

  /** Lets everything work for `ns` nanoseconds of virtual time. */
  settle(ns = SETTLE_NS): void {
    const timer = this.start(sleep(this.actor, ns));
    this.simulation.run(() => timer.done, this.simulation.steps + MAX_STEPS);
  }

  /** Name of the error a task ends with, or what it returns. */
  outcome<T>(task: Task<T>): T | string {
    return this.#told(this.settleAll([task])[0]);
  }
  #told<T>(outcome: { value: T } | { error: unknown }): T | string {
    if (!('error' in outcome)) return outcome.value;
    if (!(outcome.error instanceof Errno)) throw outcome.error;
    return outcome.error.code;
  }

  /** The kernel's trace so far. */
  trace(): TraceRecord[] {
    return readTrace(this.memory, [{ actor: 'kernel', hpa: actorAreas(this.map, 'kernel').trace }]);
  }
}

/** @throws Error when the kernel says that it has a bug: the test fails, whatever it looks at */
function failOnBug(line: string): void {
  if (line.startsWith(BUG)) throw new Error(line);
}

/** System calls of a process, with arguments in its memory. Buffers are used in turn and never freed. */
export class User {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly #heap: Vma;
  #next = 0;

  constructor(kernel: Kernel, process = kernel.processes[0]) {
    this.kernel = kernel;
    this.process = process;
    this.#heap = process.mm.mmapAnonymous('test heap', USER_HEAP, false);
  }

  /** Address of `bytes` in the process. */
  buffer(bytes: Uint8Array): number {
    const size = Math.ceil((bytes.length + 1) / 16) * 16;
    if (this.#next + size > USER_HEAP) this.#next = 0;
    const va = this.#heap.start + this.#next;
    this.#next += size;
    this.bytes(va, bytes.length).set(bytes);
    return va;
  }
  /** Bytes at an address of the process, in place; they must lie in one page or in the heap. */
  bytes(va: number, length: number): Uint8Array {
    const page = this.process.mm.space.lookup(va, false);
    return this.kernel.memory.bytes(page + (va % PAGE_SIZE), length);
  }
  *call(nr: number, ...args: number[]): Task<number> {
    return yield* SYSCALLS[nr].handler(this.kernel, [...args, 0, 0, 0, 0, 0, 0].slice(0, 6));
  }
  *open(path: string, flags = 2): Task<number> {
    return yield* this.call(NR.open, this.#text(path), flags);
  }
  *close(fd: number): Task<number> {
    return yield* this.call(NR.close, fd);
  }
  /** ioctl with a value, or an address. */
  *ioctl(fd: number, ioctl: Ioctl, arg = 0): Task<number> {
    return yield* this.call(NR.ioctl, fd, ioctl.number, arg);
  }
  /** ioctl with a structure and bytes behind it; `view` and `tail` hold what the kernel left there. */
  *ioctlStruct<F extends Fields>(
    fd: number,
    ioctl: Ioctl<F>,
    view: View<F>,
    tail: Uint8Array = new Uint8Array(0),
  ): Task<number> {
    if (ioctl.struct === undefined) throw new Error(`${ioctl.name} takes no structure`);
    const bytes = ioctl.struct.bytes(view);
    const both = new Uint8Array(bytes.length + tail.length);
    both.set(bytes);
    both.set(tail, bytes.length);
    const va = this.buffer(both);
    const result = yield* this.call(NR.ioctl, fd, ioctl.number, va);
    bytes.set(this.bytes(va, bytes.length));
    tail.set(this.bytes(va + bytes.length, tail.length));
    return result;
  }
  /** ioctl whose argument points to `bytes`. */
  *ioctlBytes(fd: number, ioctl: Ioctl, bytes: Uint8Array): Task<number> {
    return yield* this.call(NR.ioctl, fd, ioctl.number, this.buffer(bytes));
  }
  *pread(fd: number, count: number, offset = 0): Task<Uint8Array> {
    const va = this.buffer(new Uint8Array(count));
    const length = yield* this.call(NR.pread64, fd, va, count, offset);
    return this.bytes(va, length).slice();
  }
  *pwrite(fd: number, bytes: Uint8Array, offset = 0): Task<number> {
    return yield* this.call(NR.pwrite64, fd, this.buffer(bytes), bytes.length, offset);
  }
  *eventfd(): Task<number> {
    return yield* this.call(NR.eventfd2, 0, 0);
  }
  /** How often an eventfd of the process was signalled. */
  signals(fd: number): number {
    return EventFd.of(this.process.files.file(fd)).signals;
  }
  *readFile(path: string): Task<string> {
    const fd = yield* this.open(path, 0);
    try {
      return new TextDecoder().decode(yield* this.pread(fd, 4096)).trimEnd();
    } finally {
      yield* this.close(fd);
    }
  }
  *writeFile(path: string, text: string): Task<number> {
    const fd = yield* this.open(path, 1);
    try {
      return yield* this.pwrite(fd, new TextEncoder().encode(text));
    } finally {
      yield* this.close(fd);
    }
  }
  *readlink(path: string): Task<string> {
    const va = this.buffer(new Uint8Array(4096));
    const length = yield* this.call(NR.readlink, this.#text(path), va, 4096);
    return new TextDecoder().decode(this.bytes(va, length).slice());
  }
  #text(text: string): number {
    return this.buffer(new TextEncoder().encode(`${text}\0`));
  }
}
