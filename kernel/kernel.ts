/** The host kernel's common state: what its subsystems share. One object in the kernel's thread. */
import { Vfs } from './fs/vfs.ts';
import type { Errno } from './include/uapi/errno.ts';
import { Doorbell } from './lib/doorbell.ts';
import type { HostMemory } from './lib/host_memory.ts';
import { actorAreas, type SharedMap } from './lib/shared_map.ts';
import type { Actor } from './lib/task.ts';
import { Tracer } from './lib/trace.ts';
import { Mm } from './mm/mm.ts';
import { Taint } from './panic.ts';
import { syscallEntry } from './syscall/entry.ts';
import { FileTable } from './syscall/file.ts';

/** What the kernel is started with. */
export interface KernelOptions {
  /** RLIMIT_MEMLOCK of the VMM process, in pages. */
  readonly lockLimit: number;
  /** Seed of the frame allocator. */
  readonly seed: number;
  /** Where printk goes; called with one line. */
  readonly log: (line: string) => void;
}

/** What a process may be allowed beyond its user's rights (include/uapi/linux/capability.h), as far as it is asked here. */
export type Capability = 'CAP_SYS_RAWIO' | 'CAP_IPC_LOCK';

export class Kernel {
  readonly actor: Actor;
  readonly memory: HostMemory;
  readonly map: SharedMap;
  readonly mm: Mm;
  readonly vfs = new Vfs();
  readonly files = new FileTable();
  readonly taint: Taint;
  /** Capabilities of the one user process: what root gave the VMM. */
  readonly capabilities = new Set<Capability>(['CAP_SYS_RAWIO']);
  readonly tracer: Tracer;
  readonly vmmDoorbell: Doorbell;
  readonly log: (line: string) => void;
  /** The last refused system call, for messages: errno alone does not say which value was wrong. */
  lastError: Errno | undefined;

  constructor(actor: Actor, memory: HostMemory, map: SharedMap, options: KernelOptions) {
    this.actor = actor;
    this.memory = memory;
    this.map = map;
    this.mm = new Mm(memory, map, options.lockLimit, options.seed);
    this.tracer = new Tracer(memory, map.traceEnable, actorAreas(map, 'kernel').trace, () => actor.now());
    this.vmmDoorbell = new Doorbell(memory, actorAreas(map, 'vmm').doorbell);
    this.log = options.log;
    this.taint = new Taint(this.vfs);
    actor.spawn('syscall-entry', syscallEntry(this));
  }

  /** capable(): the process has this right. */
  capable(capability: Capability): boolean {
    return this.capabilities.has(capability);
  }

  /** Doorbell of any actor by name. */
  doorbell(name: string): Doorbell {
    return new Doorbell(this.memory, actorAreas(this.map, name).doorbell);
  }
}
