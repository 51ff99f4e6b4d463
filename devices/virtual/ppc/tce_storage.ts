/** Where the entries of a guest-view TCE table are: in the VMM's heap, or in KVM's table mapped into the VMM. */

import { TCE_SIZE } from '../../../kernel/include/arch/ppc/tce.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';

export interface TceStorage {
  get(index: number): bigint;
  set(index: number, tce: bigint): void;
}

/** A table of the VMM's own: KVM has none, so every hypercall on it ends in the VMM. */
export function heapStorage(entries: number): TceStorage {
  const table = new BigUint64Array(entries);
  return {
    get: (index) => table[index],
    set: (index, tce) => {
      table[index] = tce;
    },
  };
}

/**
 * KVM's table: 64-bit entries in host order. KVM reads and writes them at the same time, so every access is one atomic
 * operation. Its pages are the kernel's own and never move.
 * @param hpas host-physical address of each page of the mapping
 */
export function mappedStorage(memory: HostMemory, hpas: readonly number[]): TceStorage {
  const perPage = PAGE_SIZE / TCE_SIZE;
  const at = (index: number) => hpas[Math.floor(index / perPage)] + (index % perPage) * TCE_SIZE;
  return {
    get: (index) => memory.load64(at(index)),
    set: (index, tce) => memory.store64(at(index), tce),
  };
}
