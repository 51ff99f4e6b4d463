/** What the CPU core sees of the host: absolute storage through the memory slots and the VMM's page table. */

import { AddressSpace, BUSY, FAULT } from '../../kernel/lib/address_space.ts';
import { PG } from '../../kernel/lib/frames.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { Memslots } from '../../kernel/lib/memslots.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';

/** Answers of {@link GuestPages.translate} that are no address. */
export const ADDRESSING = -1;
export const RETRY = -2;

export class GuestPages {
  readonly #slots: Memslots;
  readonly #space: AddressSpace;
  constructor(memory: HostMemory, map: SharedMap) {
    this.#slots = new Memslots(memory, map.memslots);
    this.#space = new AddressSpace(memory, map);
  }
  /**
   * HPA of the frame that backs the absolute page now. It may be cached until the next TLB flush: the mover of frames
   * asks for one and waits for it before it takes the frame away.
   */
  translate(absolutePage: number, write: boolean): number {
    const hva = this.#slots.hva(absolutePage);
    if (hva < 0) return ADDRESSING;
    const hpa = this.#space.lookup(hva, write);
    return hpa === BUSY ? RETRY : hpa === FAULT ? ADDRESSING : hpa;
  }
  /** True while the frame under the absolute page is being moved. */
  moving(absolutePage: number): boolean {
    return this.translate(absolutePage, false) === RETRY;
  }
  /** Announces that a vCPU holds code translated from the frame. */
  markCode(hpa: number): void {
    if ((this.#space.frames.flags(hpa) & PG.CODE) === 0) this.#space.frames.setFlags(hpa, PG.CODE);
  }
}
