/**
 * A descriptor ring as the engine works on it: descriptors are fetched up to 32 at a time, changed in a copy, written
 * back together, and only then the head moves on.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { DESCRIPTOR_SIZE } from './e1000_regs.ts';
import type { NicDma } from './nic_dma.ts';

/** Descriptors fetched at a time: a bit mask has one bit for each. */
const BATCH = 32;
const PAGE_MASK = 4095;

/** BAR offsets of a ring's registers from its first one: the same for both rings (manual, table 13-2). */
const RING = { BAL: 0x00, BAH: 0x04, LEN: 0x08, HEAD: 0x10, TAIL: 0x18 } as const;

export class DescriptorRing {
  readonly #memory: HostMemory;
  readonly #registers: number;
  readonly #dma: NicDma;
  /** The copy: four words a descriptor. */
  readonly words = new Int32Array(BATCH * 4);
  /** Descriptors in the copy, and the next of them to be used. */
  count = 0;
  next = 0;
  #written = 0;
  /** Which of the copy are to be written back. */
  #mask = 0;
  #first = 0;

  /** @param registers HPA of the ring's first register. */
  constructor(memory: HostMemory, registers: number, dma: NicDma) {
    this.#memory = memory;
    this.#registers = registers;
    this.#dma = dma;
  }

  /** Descriptors in the ring. */
  get size(): number {
    return (this.#memory.load(this.#registers + RING.LEN) >>> 0) / DESCRIPTOR_SIZE;
  }

  /**
   * Descriptors that software has given and the head has not passed. None when head or tail is beyond the ring: the
   * manual leaves open what the chip does then (3.4); this one waits for something sensible.
   */
  get available(): number {
    const { size } = this;
    const head = this.#memory.load(this.#registers + RING.HEAD);
    const tail = this.#memory.load(this.#registers + RING.TAIL);
    if (head >= size || tail >= size) return 0;
    return tail >= head ? tail - head : tail - head + size;
  }

  /** Forgets the copy: the ring is another one now. */
  forget(): void {
    this.count = 0;
    this.next = 0;
    this.#written = 0;
    this.#mask = 0;
  }

  /** Fetches what fits: to the end of the ring, to the end of a page. False when refused; no descriptor is no refusal. */
  fetch(): boolean {
    this.forget();
    const { available } = this;
    if (available === 0) return true;
    this.#first = this.#memory.load(this.#registers + RING.HEAD);
    const low = this.#low(this.#first);
    const count = Math.min(
      available,
      BATCH,
      this.size - this.#first,
      (PAGE_MASK + 1 - (low & PAGE_MASK)) / DESCRIPTOR_SIZE,
    );
    if (!this.#dma.fetchDescriptors(this.#high(this.#first), low, this.words, count)) return false;
    this.count = count;
    return true;
  }

  /** The next descriptor is used; `report`: to be written back. */
  use(report: boolean): void {
    if (report) this.#mask |= 1 << this.next;
    this.next++;
  }

  /** Writes back what is used. False when refused. */
  writeBack(): boolean {
    const { next } = this;
    if (next === this.#written) return true;
    const from = this.#written;
    this.#written = next;
    if ((this.#mask >>> from) << from === 0) return true;
    const at = this.#first + from;
    return this.#dma.writeBack(this.#high(at), this.#low(at), this.words, from, next, this.#mask);
  }

  /** Where the head belongs once everything used is written back. */
  get head(): number {
    const head = this.#first + this.next;
    return head >= this.size ? 0 : head;
  }

  #low(index: number): number {
    const low = (this.#memory.load(this.#registers + RING.BAL) >>> 0) + index * DESCRIPTOR_SIZE;
    return low >>> 0;
  }

  #high(index: number): number {
    const low = (this.#memory.load(this.#registers + RING.BAL) >>> 0) + index * DESCRIPTOR_SIZE;
    const high = this.#memory.load(this.#registers + RING.BAH);
    return low >= 0x1_0000_0000 ? (high + 1) | 0 : high;
  }
}
