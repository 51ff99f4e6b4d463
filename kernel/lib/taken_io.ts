/**
 * Which I/O interruptions a vCPU has taken off the queue of its virtual machine, delivered or for a TSCH or TPI, told
 * to the VMM in the run page: it spares the VMM a system call that withdraws what is not pending any more. Layout:
 * word 0 counts them, then the subsystem-identification words of the newest. Only the vCPU writes.
 */
import type { HostMemory } from './host_memory.ts';

/** Newest ones kept. */
const SLOTS = 16;

/** Bytes of the record. */
export const TAKEN_IO_SIZE = 4 + 4 * SLOTS;

export class TakenIo {
  readonly #memory: HostMemory;
  readonly #base: number;
  constructor(memory: HostMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
  }

  /** How many so far; wraps at 2^32. */
  count(): number {
    return this.#memory.load(this.#base);
  }

  /** Notes one. Called while it is on the queue yet: who finds it gone finds it here. */
  record(subsystemId: number): void {
    const count = this.count();
    this.#memory.store(this.#slot(count), subsystemId);
    this.#memory.store(this.#base, count + 1);
  }

  /** One of `subsystemId` was taken after `count` of them; false also when it is too long ago to say. */
  since(count: number, subsystemId: number): boolean {
    const now = this.count();
    const back = Math.min((now - count) | 0, SLOTS - 1);
    for (let at = now - back; at !== now; at++) {
      if (this.#memory.load(this.#slot(at)) >>> 0 !== subsystemId >>> 0) continue;
      // The slot is this one's until as many more have been counted.
      return ((this.count() - at) | 0) < SLOTS;
    }
    return false;
  }

  #slot(index: number): number {
    return this.#base + 4 + 4 * ((index >>> 0) % SLOTS);
  }
}
