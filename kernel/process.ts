/**
 * A user process: what task_struct names of it, that is its memory (mm), its files and its rights. Each process of this
 * kernel is a VMM and has one virtual machine at most.
 */
import { SYSCALL_RING, SYSCALL_RING_CAPACITY } from './include/uapi/syscall.ts';
import { Doorbell } from './lib/doorbell.ts';
import type { HostMemory } from './lib/host_memory.ts';
import { Ring } from './lib/ring.ts';
import { actorAreas, type SharedMap } from './lib/shared_map.ts';
import { Mm } from './mm/mm.ts';
import type { PageAllocator } from './mm/page.ts';
import { FileTable } from './syscall/file.ts';

/** What a process may be allowed beyond its user's rights (include/uapi/linux/capability.h), as far as it is asked here. */
export type Capability = 'CAP_SYS_RAWIO' | 'CAP_IPC_LOCK';

export interface ProcessOptions {
  /** Its number among the processes of the host. */
  readonly number: number;
  /** The shared map as its threads see it. */
  readonly map: SharedMap;
  /** RLIMIT_MEMLOCK, in pages. */
  readonly lockLimit: number;
  /** The host's page frames. */
  readonly pages: PageAllocator;
}

export class Process {
  readonly number: number;
  readonly map: SharedMap;
  readonly mm: Mm;
  readonly files = new FileTable();
  /** What root gave the VMM. */
  readonly capabilities = new Set<Capability>(['CAP_SYS_RAWIO']);
  /** Rung when a system call of its VMM's thread is done. */
  readonly vmmDoorbell: Doorbell;
  /** System calls that its VMM has posted: numbers of slots. */
  readonly posted: Ring;
  /** System calls under way. */
  calls = 0;
  /** Its threads have ended: calls of theirs that sleep for somebody else's doing end with EINTR. */
  exiting = false;
  /** All is closed and unmapped: it is no more. */
  dead = false;

  constructor(memory: HostMemory, { number, map, lockLimit, pages }: ProcessOptions) {
    this.number = number;
    this.map = map;
    this.mm = new Mm(memory, map, lockLimit, pages, number);
    this.posted = new Ring(memory, map.syscalls + SYSCALL_RING, SYSCALL_RING_CAPACITY);
    this.vmmDoorbell = new Doorbell(memory, actorAreas(map, 'vmm').doorbell);
  }

  /** Its name in the log (comm). */
  get comm(): string {
    return `vm${this.number}`;
  }
}
