/**
 * The VMM's heap: power-of-two blocks in one mapping that never moves, so that system-call arguments have addresses
 * in the process and the VMM can reach the bytes without a translation.
 */
import type { HostMemory } from '../kernel/lib/host_memory.ts';

/** Smallest block, bytes. */
const LEAST = 32;

export class Heap {
  readonly #memory: HostMemory;
  readonly #va: number;
  readonly #hpa: number;
  readonly #size: number;
  readonly #free = new Map<number, number[]>();
  /** Size of every block there ever was, negative while it is free: entries that come and go make a table grow anew. */
  readonly #sizes = new Map<number, number>();
  #next = 0;

  constructor(memory: HostMemory, va: number, hpa: number, size: number) {
    this.#memory = memory;
    this.#va = va;
    this.#hpa = hpa;
    this.#size = size;
  }

  /** Address of a block of at least `bytes`. @throws Error when the heap is exhausted: a leak in the VMM */
  alloc(bytes: number): number {
    let size = LEAST;
    while (size < bytes) size *= 2;
    const va = this.#free.get(size)?.pop() ?? this.#carve(size);
    this.#sizes.set(va, size);
    return va;
  }
  #carve(size: number): number {
    if (this.#next + size > this.#size) throw new Error('the VMM heap is exhausted');
    const va = this.#va + this.#next;
    this.#next += size;
    return va;
  }
  free(va: number): void {
    const size = this.#sizes.get(va);
    if (size === undefined || size < 0) throw new Error(`0x${va.toString(16)} is no heap block`);
    this.#sizes.set(va, -size);
    const list = this.#free.get(size);
    if (list === undefined) this.#free.set(size, [va]);
    else list.push(va);
  }
  /** Stores bytes at `va`. */
  write(va: number, bytes: Uint8Array): void {
    this.#memory.copyTo(this.hpa(va), bytes, 0, bytes.length);
  }
  /** The bytes at `va`, in place. */
  bytes(va: number, length: number): Uint8Array {
    return this.#memory.bytes(this.hpa(va), length);
  }
  /** Where `va` is in the host's memory: the heap never moves. */
  hpa(va: number): number {
    return this.#hpa + (va - this.#va);
  }
}
