/**
 * What the kernel worker has done for its process, counted: copies between user memory and the kernel (copy_from_user,
 * copy_to_user and what is made of them, such as vfio_dma_rw), their bytes, and pages pinned. The counters are plain words
 * in shared memory with one writer; whoever reads them sees what was done before the last answer the kernel gave.
 */
import type { HostMemory } from './host_memory.ts';

/** Bytes of the counters: one cache line, so that counting disturbs nobody. */
export const KERNEL_WORK_SIZE = 64;

/** Words of 32 bits; each goes back to 0 after its last value. */
const WORD = { COPIES: 0, COPIED_BYTES: 1, PINS: 2 } as const;

/** Counts. The kernel worker alone has one; real mode, on the vCPUs' threads, neither copies nor pins. */
export class KernelWork {
  readonly #words: Int32Array;
  readonly #first: number;

  constructor(memory: HostMemory, hpa: number) {
    this.#words = memory.i32;
    this.#first = hpa >>> 2;
  }
  /** One copy of `bytes` bytes, either way. */
  copied(bytes: number): void {
    this.#words[this.#first + WORD.COPIES]++;
    this.#words[this.#first + WORD.COPIED_BYTES] += bytes;
  }
  /** One page was pinned. */
  pinned(): void {
    this.#words[this.#first + WORD.PINS]++;
  }
}

/** What was counted since the machine was switched on. */
export interface KernelWorkDone {
  readonly copies: number;
  readonly copiedBytes: number;
  readonly pins: number;
}

/** Reads the counters beyond 32 bits, if it is asked at least once in every 2^32 of each. */
export function kernelWorkReader(memory: HostMemory, hpa: number): () => KernelWorkDone {
  const counters = [WORD.COPIES, WORD.COPIED_BYTES, WORD.PINS].map((word) => {
    let total = 0;
    return () => {
      total += (memory.i32[(hpa >>> 2) + word] - total) >>> 0;
      return total;
    };
  });
  return () => {
    const [copies, copiedBytes, pins] = counters.map((counter) => counter());
    return { copies, copiedBytes, pins };
  };
}
