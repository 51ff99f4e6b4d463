/**
 * A bounded queue of 32-bit numbers in shared memory, for any number of threads on both ends. Numbers come out signed.
 * Layout: word 0 lock, 1 head (next to take), 2 tail (next free), 3 reserved, then `capacity` slots.
 */
import type { HostMemory } from './host_memory.ts';

const HEADER = 16;

/** Bytes a ring of `capacity` slots takes. */
export function ringSize(capacity: number): number {
  return HEADER + capacity * 4;
}

export class Ring {
  readonly #memory: HostMemory;
  readonly #hpa: number;
  readonly #capacity: number;

  /** @param capacity a power of two */
  constructor(memory: HostMemory, hpa: number, capacity: number) {
    this.#memory = memory;
    this.#hpa = hpa;
    this.#capacity = capacity;
  }

  /** Appends; false when the ring is full. The caller rings the consumer's doorbell afterwards. */
  push(value: number): boolean {
    const memory = this.#memory;
    memory.lock(this.#hpa);
    const tail = memory.load(this.#hpa + 8);
    // The counters wrap at 2^32: their difference does too.
    const full = ((tail - memory.load(this.#hpa + 4)) | 0) >= this.#capacity;
    if (!full) {
      memory.store(this.#slot(tail), value);
      memory.store(this.#hpa + 8, tail + 1);
    }
    memory.unlock(this.#hpa);
    return !full;
  }

  /** Takes the oldest number, or undefined when there is none. */
  pop(): number | undefined {
    if (this.empty()) return undefined;
    const memory = this.#memory;
    memory.lock(this.#hpa);
    const head = memory.load(this.#hpa + 4);
    const value = head === memory.load(this.#hpa + 8) ? undefined : memory.load(this.#slot(head));
    if (value !== undefined) memory.store(this.#hpa + 4, head + 1);
    memory.unlock(this.#hpa);
    return value;
  }

  empty(): boolean {
    return this.#memory.load(this.#hpa + 4) === this.#memory.load(this.#hpa + 8);
  }

  // Capacities divide 2^32, so that the wrapping counters index the slots without a jump.
  #slot(counter: number): number {
    return this.#hpa + HEADER + ((counter >>> 0) % this.#capacity) * 4;
  }
}
