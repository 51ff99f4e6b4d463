/**
 * The VMM's heap: power-of-two blocks in one mapping that never moves, so that system-call arguments have addresses
 * in the process and the VMM can reach the bytes without a translation.
 */
import type { HostMemory } from '../kernel/lib/host_memory.ts';

/** log2 of the smallest block's size. */
const LEAST_SHIFT = 5;

export class Heap {
  readonly #memory: HostMemory;
  readonly #va: number;
  readonly #hpa: number;
  readonly #size: number;
  /** Free blocks, by the log2 of their size. */
  readonly #free: readonly number[][];
  /** log2 of the size of the block that begins at each multiple of the smallest one; 0 where none is in use. */
  readonly #shifts: Uint8Array;
  #next = 0;

  constructor(memory: HostMemory, va: number, hpa: number, size: number) {
    this.#memory = memory;
    this.#va = va;
    this.#hpa = hpa;
    this.#size = size;
    this.#free = Array.from({ length: 33 }, () => []);
    this.#shifts = new Uint8Array(size >>> LEAST_SHIFT);
  }

  /** Address of a block of at least `bytes`. @throws Error when the heap is exhausted: a leak in the VMM */
  alloc(bytes: number): number {
    if (bytes > this.#size) throw new Error('the VMM heap is exhausted');
    const shift = bytes <= 1 << LEAST_SHIFT ? LEAST_SHIFT : 32 - Math.clz32(bytes - 1);
    const va = this.#free[shift].pop() ?? this.#carve(2 ** shift);
    this.#shifts[(va - this.#va) >>> LEAST_SHIFT] = shift;
    return va;
  }
  #carve(size: number): number {
    if (this.#next + size > this.#size) throw new Error('the VMM heap is exhausted');
    const va = this.#va + this.#next;
    this.#next += size;
    return va;
  }
  free(va: number): void {
    const at = (va - this.#va) / (1 << LEAST_SHIFT);
    const shift = this.#shifts[at] ?? 0;
    if (shift === 0) throw new Error(`0x${va.toString(16)} is no heap block`);
    this.#shifts[at] = 0;
    this.#free[shift].push(va);
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
