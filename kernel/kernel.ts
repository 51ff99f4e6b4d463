/** The host kernel's common state: what its subsystems share. One object in the kernel's thread. */
import { Vfs } from './fs/vfs.ts';
import type { Errno } from './include/uapi/errno.ts';
import { type CurrentProcess, KernelActor } from './kernel_actor.ts';
import { Doorbell } from './lib/doorbell.ts';
import type { HostMemory } from './lib/host_memory.ts';
import { actorAreas, processMap, type SharedMap } from './lib/shared_map.ts';
import type { Actor, Task } from './lib/task.ts';
import { Tracer } from './lib/trace.ts';
import type { Mm } from './mm/mm.ts';
import { PageAllocator } from './mm/page.ts';
import { Taint } from './panic.ts';
import { type Capability, Process } from './process.ts';
import { syscallEntry } from './syscall/entry.ts';
import type { FileTable } from './syscall/file.ts';

/** What the kernel is started with. */
export interface KernelOptions {
  /** RLIMIT_MEMLOCK of each VMM process, in pages. */
  readonly lockLimit: number;
  /** Seed of the frame allocator. */
  readonly seed: number;
  /** Where printk goes; called with one line. */
  readonly log: (line: string) => void;
}

export class Kernel implements CurrentProcess {
  readonly actor: KernelActor;
  readonly memory: HostMemory;
  /** The whole host's; what belongs to a process is in `process.map`. */
  readonly map: SharedMap;
  /** The page frames of the host. */
  readonly pages: PageAllocator;
  readonly vfs = new Vfs();
  readonly taint: Taint;
  readonly tracer: Tracer;
  /** The user processes, by number. */
  readonly processes: readonly Process[];
  /**
   * Whom the task that runs now works for (`current`); undefined in a kernel thread. Whatever outlives a call, or is done
   * by another task, keeps the memory or the process it is for from its beginning on and does not ask here.
   */
  current: Process | undefined;
  readonly log: (line: string) => void;
  /** The last refused system call, for messages: errno alone does not say which value was wrong. */
  lastError: Errno | undefined;

  constructor(actor: Actor, memory: HostMemory, map: SharedMap, { lockLimit, seed, log }: KernelOptions) {
    this.actor = new KernelActor(actor, this);
    this.memory = memory;
    this.map = map;
    this.pages = new PageAllocator(memory, map, seed);
    this.processes = map.processes.map(
      (_, number) => new Process(memory, { number, map: processMap(map, number), lockLimit, pages: this.pages }),
    );
    // Until tasks run there is nobody else; tests that make calls without one are process 0.
    this.current = this.processes[0];
    this.tracer = new Tracer(memory, map.traceEnable, actorAreas(map, 'kernel').trace, () => actor.now());
    this.log = log;
    this.taint = new Taint(this.vfs);
    for (const process of this.processes) this.spawn(process, 'syscall-entry', syscallEntry(this, process));
  }

  /** A task that runs for a process: it is `current` whenever the task runs. */
  spawn(process: Process, name: string, task: Task): void {
    this.actor.spawnFor(process, name, task);
  }

  /** `current`, where there must be one. @throws Error in a kernel thread: a bug of the kernel */
  get process(): Process {
    if (this.current === undefined) throw new Error('a kernel thread has no process');
    return this.current;
  }
  /** The caller's memory. @throws Error in a kernel thread */
  get mm(): Mm {
    return this.process.mm;
  }
  /** The caller's descriptors. @throws Error in a kernel thread */
  get files(): FileTable {
    return this.process.files;
  }
  /** What the caller may do. @throws Error in a kernel thread */
  get capabilities(): Set<Capability> {
    return this.process.capabilities;
  }
  /** capable(): the caller has this right. */
  capable(capability: Capability): boolean {
    return this.capabilities.has(capability);
  }

  /** Doorbell of any actor by name. */
  doorbell(name: string): Doorbell {
    return new Doorbell(this.memory, actorAreas(this.map, name).doorbell);
  }
}
