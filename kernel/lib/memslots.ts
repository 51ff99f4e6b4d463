/**
 * Memory slots: which guest-physical range is which range of the VMM's address space (KVM_SET_USER_MEMORY_REGION).
 * The kernel writes them before vCPUs run; every thread reads. Entry: guest address, size, user address (doubles),
 * flags and use in the fourth.
 */
import type { HostMemory } from './host_memory.ts';

export interface Memslot {
  readonly gpa: number;
  readonly size: number;
  readonly hva: number;
}

/** An entry: where its doubles lie, in bytes, and its size. */
export const MEMSLOT = { offset: { gpa: 0, size: 8, hva: 16 }, size: 32 } as const;
const ENTRY = MEMSLOT.size;
/** Slots (KVM_USER_MEM_SLOTS is larger; two machines' worth of RAM and tables fit). */
export const MEMSLOTS = 32;

export class Memslots {
  readonly #memory: HostMemory;
  readonly #base: number;
  constructor(memory: HostMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
  }
  /** The slot with that number; size 0 when unused. */
  get(slot: number): Memslot {
    const at = this.#base + slot * ENTRY;
    const { dv } = this.#memory;
    return { gpa: dv.getFloat64(at, true), size: dv.getFloat64(at + 8, true), hva: dv.getFloat64(at + 16, true) };
  }
  /** Writes a slot; size 0 removes it. */
  set(slot: number, value: Memslot): void {
    const at = this.#base + slot * ENTRY;
    const { dv } = this.#memory;
    dv.setFloat64(at + 8, 0, true);
    dv.setFloat64(at, value.gpa, true);
    dv.setFloat64(at + 16, value.hva, true);
    dv.setFloat64(at + 8, value.size, true);
  }
  /** User address of guest-physical `gpa`, or -1 when it is in no slot. */
  hva(gpa: number): number {
    const { dv } = this.#memory;
    for (let at = this.#base; at < this.#base + MEMSLOTS * ENTRY; at += ENTRY) {
      const size = dv.getFloat64(at + 8, true);
      if (size === 0) continue;
      const offset = gpa - dv.getFloat64(at, true);
      if (offset >= 0 && offset < size) return dv.getFloat64(at + 16, true) + offset;
    }
    return -1;
  }
  /** Guest-physical address of user address `hva`, or -1. */
  gpa(hva: number): number {
    for (let slot = 0; slot < MEMSLOTS; slot++) {
      const { gpa, size, hva: start } = this.get(slot);
      if (size !== 0 && hva >= start && hva < start + size) return gpa + (hva - start);
    }
    return -1;
  }
}
