/**
 * Where the SoC keeps what its register side (kernel's thread) and its DMA engines (hardware thread) share.
 *
 * | words | written by | how |
 * |---|---|---|
 * | header.installed, firstFrame, msiModel | the thread that powers on, once | plain, before other threads start |
 * | header.lock | engines: around each transaction, look-up and data movement together; kernel: around accesses to PAMU registers and around abort | spin lock |
 * | header.pending | whoever raises an interrupt; the kernel takes | atomic or, and; the kernel waits for them, woken by its doorbell |
 * | header.integrity*, ignored | engines, holding the lock | read by the kernel holding it |
 * | PAMU registers | kernel; violation capture by engines | holding the lock |
 * | MSIRs | engines and kernel set bits, the kernel takes them | atomic or, exchange |
 * | MPIC timers | kernel, and devices that were let | atomic words |
 * | DMA channels | see `elo/channel.ts` | |
 * | guts | kernel | atomic words, read by engines holding the lock |
 *
 * The lock is the order of the interconnect: who has taken and released it after a change knows that no transaction
 * goes on that began before the change.
 *
 * Registers lie at their offsets in copies of the CCSR pages, native byte order.
 */
import { CCSR, CCSR_SIZE, MPIC_SOURCES } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { PAMU_STRIDE, PAMUS } from '../../../kernel/include/arch/ppc/pamu.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { bytes, struct, u32 } from '../../../kernel/lib/struct.ts';

/** Bytes of the area that `SharedMap.soc` names. */
export const SOC_AREA_SIZE = 0x20000;
/** Words of the pending sources, a bit each. */
const PENDING_WORDS = MPIC_SOURCES / 32;

/** First bytes of the area. */
const SOC_HEADER = struct(
  'soc_header',
  'le',
  {
    installed: u32,
    /** DMA below this HPA is refused: the machine's own areas lie there. */
    firstFrame: u32,
    /** Row of MSI_MODELS. */
    msiModel: u32,
    lock: u32,
    integrityCount: u32,
    integrityOffset: u32,
    integrityLiodn: u32,
    ignored: u32,
    pending: bytes(4 * PENDING_WORDS),
  },
  { size: 68, offsets: { lock: 12, pending: 32 } },
);
export type SocHeaderField = Exclude<keyof typeof SOC_HEADER.offset, 'pending'>;

const PAGE = 0x1000;
/** CCSR pages that have a copy, in the order of the copies. */
const PAGES = [
  ...Array.from({ length: PAMUS }, (_, pamu) => CCSR.PAMU + pamu * PAMU_STRIDE),
  CCSR.MPIC_MESSAGE,
  CCSR.DMA,
  CCSR.GUTS,
];
/** Offset of a CCSR page's copy in the area, by page number; 0 for none. */
const COPY = new Int32Array(CCSR_SIZE / PAGE);
for (const [i, page] of PAGES.entries()) COPY[page / PAGE] = (i + 1) * PAGE;

export class SocArea {
  readonly memory: HostMemory;
  readonly base: number;

  /** @param base HPA of the area, {@link SOC_AREA_SIZE} bytes, page-aligned. */
  constructor(memory: HostMemory, base: number) {
    this.memory = memory;
    this.base = base;
  }

  get(field: SocHeaderField): number {
    return this.memory.load(this.base + SOC_HEADER.offset[field]) >>> 0;
  }
  set(field: SocHeaderField, value: number): void {
    this.memory.store(this.base + SOC_HEADER.offset[field], value);
  }

  lock(): void {
    this.memory.lock(this.base + SOC_HEADER.offset.lock);
  }
  unlock(): void {
    this.memory.unlock(this.base + SOC_HEADER.offset.lock);
  }
  /** Runs `section` with the lock held. */
  locked<T>(section: () => T): T {
    this.lock();
    try {
      return section();
    } finally {
      this.unlock();
    }
  }

  /** HPA of a register's word. @param offset from CCSR, 4-aligned. @throws RangeError for a page without registers. */
  at(offset: number): number {
    const copy = COPY[Math.floor(offset / PAGE)];
    // Behind CCSR there is no page at all.
    if (!copy) throw new RangeError(`CCSR offset ${offset.toString(16)} has no registers`);
    return this.base + copy + (offset % PAGE);
  }
  /** A register's word, unsigned. */
  load(offset: number): number {
    return this.memory.load(this.at(offset)) >>> 0;
  }
  store(offset: number, value: number): void {
    this.memory.store(this.at(offset), value);
  }

  /** Makes an MPIC source pending. The caller rings the kernel's doorbell. */
  setPending(source: number): void {
    this.memory.or(this.#pendingWord(source >>> 5), 1 << (source & 31));
  }
  /** The lowest pending source, taken; undefined when none is. */
  takePending(): number | undefined {
    for (let word = 0; word < PENDING_WORDS; word++) {
      const bits = this.memory.load(this.#pendingWord(word));
      if (bits === 0) continue;
      const bit = 31 - Math.clz32(bits & -bits);
      this.memory.and(this.#pendingWord(word), ~(1 << bit));
      return word * 32 + bit;
    }
    return undefined;
  }
  anyPending(): boolean {
    for (let word = 0; word < PENDING_WORDS; word++) if (this.memory.load(this.#pendingWord(word)) !== 0) return true;
    return false;
  }

  #pendingWord(word: number): number {
    return this.base + SOC_HEADER.offset.pending + 4 * word;
  }
}

/** Whether an offset is a word of CCSR. */
export function isCcsrWord(offset: number): boolean {
  return Number.isInteger(offset) && offset >= 0 && offset < CCSR_SIZE && offset % 4 === 0;
}
