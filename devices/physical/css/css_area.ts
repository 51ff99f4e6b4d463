/**
 * Where the channel subsystem keeps what its I/O processors and the kernel share.
 *
 * | part | written by | under |
 * |---|---|---|
 * | header.installed | the thread that powers on | before any other thread runs |
 * | header.pending | kernel and I/O processors | set and cleared with the subchannel's lock held; tested without |
 * | header.crwOverflow | reporter sets, kernel clears | atomic exchange |
 * | header.addressLimit | kernel (SET ADDRESS LIMIT); I/O processors read at the start of a program | atomic access |
 * | header.chpReset | kernel claims it with the path to be reset (RCHP), the last I/O processor to finish frees it | compare and exchange; store |
 * | header.chpResetWanted, Outstanding | kernel sets a bit for each I/O processor concerned, which clears it when it takes the reset up, and when it is done | atomic and |
 * | CRW ring | reporters push, kernel pops | the ring's own lock |
 * | work rings | kernel pushes (also an I/O processor its own), the I/O processor pops | the ring's own lock |
 * | subchannels | see `subchannel.ts` | the subchannel's lock |
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { Ring } from '../../../kernel/lib/ring.ts';
import { bytes, struct, u32 } from '../../../kernel/lib/struct.ts';

/** Bytes of the area that `cssBase` names. */
export const CSS_AREA_SIZE = 0x20000;
/** Subchannels of the one subchannel set (set 0) this machine provides. */
export const MAX_SUBCHANNELS = 64;
/** I/O processors a machine may have. */
export const MAX_IOPS = 8;
/** Bytes of a subchannel's shared block. */
export const SUBCHANNEL_SIZE = 256;
/** Channel reports that wait for STCRW before one is lost. */
const CRW_CAPACITY = 64;

/** Eight interruption subclasses (SA22-7832 chapter 16, "I/O-Interruption Subclass Code"). */
const ISC_COUNT = 8;
/** Bytes of one subclass's bitmap: a bit for every subchannel. */
const PENDING_SIZE = MAX_SUBCHANNELS / 8;

/** First bytes of the area; native order, for all of it is read and written atomically. */
const CSS_HEADER = struct(
  'css_header',
  'le',
  {
    installed: u32,
    crwOverflow: u32,
    pending: bytes(ISC_COUNT * PENDING_SIZE),
    addressLimit: u32,
    chpReset: u32,
    chpResetWanted: u32,
    chpResetOutstanding: u32,
  },
  { size: 88, offsets: { pending: 8, addressLimit: 72 } },
);
/** In `chpReset`: the low byte is the CHPID of a reset in progress. */
const CHP_RESET_CLAIMED = 0x100;

/** Offsets in the area; the rings take 16 + 4 * 64 bytes each. */
const CRW_RING = 0x200;
const WORK_RINGS = 0x1000;
const WORK_RING_STRIDE = 0x200;
const SUBCHANNELS = 0x4000;

/** The header and the rings. */
export class CssArea {
  readonly memory: HostMemory;
  readonly base: number;
  /** Channel reports, as 32-bit CRW words. */
  readonly crws: Ring;
  readonly #work: readonly Ring[];

  /** @param base HPA of the area, {@link CSS_AREA_SIZE} bytes, zero at power-on. */
  constructor(memory: HostMemory, base: number) {
    this.memory = memory;
    this.base = base;
    this.crws = new Ring(memory, base + CRW_RING, CRW_CAPACITY);
    this.#work = Array.from(
      { length: MAX_IOPS },
      (_, iop) => new Ring(memory, base + WORK_RINGS + iop * WORK_RING_STRIDE, MAX_SUBCHANNELS),
    );
  }

  /** Subchannel numbers run from 0 to this number less one; beyond it nothing is provided. */
  get installed(): number {
    return this.memory.load(this.base + CSS_HEADER.offset.installed);
  }
  set installed(count: number) {
    this.memory.store(this.base + CSS_HEADER.offset.installed, count);
  }

  /** Numbers of the subchannels an I/O processor has to look at. At most one entry a subchannel: never full. */
  work(iop: number): Ring {
    return this.#work[iop];
  }

  /** HPA of a subchannel's block. */
  subchannel(number: number): number {
    return this.base + SUBCHANNELS + number * SUBCHANNEL_SIZE;
  }

  /** Makes an I/O-interruption condition pending. */
  setPending(isc: number, number: number): void {
    this.memory.or(this.#pendingWord(isc, number), 1 << (number & 31));
  }

  /** Takes an I/O-interruption condition away; false when there was none. */
  clearPending(isc: number, number: number): boolean {
    const bit = 1 << (number & 31);
    return (this.memory.and(this.#pendingWord(isc, number), ~bit) & bit) !== 0;
  }

  /**
   * The lowest-numbered subchannel with a condition pending in a subclass, or -1. The Principles of Operation leave
   * the order among subchannels of one subclass to the machine.
   *
   * Asked before every sleep, so the words are loaded without the cost of atomic operations: whoever waits has loaded its
   * doorbell's sequence before, which orders them (`wait_strategy.ts`), and {@link clearPending} says whose the condition is.
   */
  firstPending(isc: number): number {
    const { i32 } = this.memory;
    for (let number = 0; number < MAX_SUBCHANNELS; number += 32) {
      const word = i32[this.#pendingWord(isc, number) >>> 2];
      if (word !== 0) return number + 31 - Math.clz32(word & -word);
    }
    return -1;
  }

  /** Queues a channel report (CRW, 32 bits); when the queue is full the report is lost and that is remembered. */
  report(crw: number): void {
    if (!this.crws.push(crw | 0)) this.memory.store(this.base + CSS_HEADER.offset.crwOverflow, 1);
  }

  /** Whether a report was lost since the last call. */
  takeOverflow(): boolean {
    return this.memory.exchange(this.base + CSS_HEADER.offset.crwOverflow, 0) !== 0;
  }

  /** The address that data addresses are compared with (SA22-7832 chapter 14, "SET ADDRESS LIMIT"); 0 at power-on. */
  get addressLimit(): number {
    return this.memory.load(this.base + CSS_HEADER.offset.addressLimit) >>> 0;
  }
  set addressLimit(limit: number) {
    this.memory.store(this.base + CSS_HEADER.offset.addressLimit, limit | 0);
  }

  /** Asks I/O processors (a mask, bit 0 the first) to reset a channel path; false while another is being reset. */
  requestChpReset(chpid: number, iops: number): boolean {
    const claimed = CHP_RESET_CLAIMED | chpid;
    if (this.memory.cas(this.base + CSS_HEADER.offset.chpReset, 0, claimed) !== 0) return false;
    this.memory.store(this.base + CSS_HEADER.offset.chpResetOutstanding, iops);
    this.memory.store(this.base + CSS_HEADER.offset.chpResetWanted, iops);
    return true;
  }
  /** Whether an I/O processor has a reset to take up; cheap. */
  chpResetWanted(iop: number): boolean {
    return (this.memory.load(this.base + CSS_HEADER.offset.chpResetWanted) & (1 << iop)) !== 0;
  }
  /** The I/O processor takes the reset up: the CHPID. */
  takeChpReset(iop: number): number {
    this.memory.and(this.base + CSS_HEADER.offset.chpResetWanted, ~(1 << iop));
    return this.memory.load(this.base + CSS_HEADER.offset.chpReset) & 0xff;
  }
  /** The I/O processor has done its part; true for the last one, which reports and then calls {@link endChpReset}. */
  chpResetDone(iop: number): boolean {
    const bit = 1 << iop;
    return this.memory.and(this.base + CSS_HEADER.offset.chpResetOutstanding, ~bit) === bit;
  }
  /** Another path may be reset. */
  endChpReset(): void {
    this.memory.store(this.base + CSS_HEADER.offset.chpReset, 0);
  }

  #pendingWord(isc: number, number: number): number {
    return this.base + CSS_HEADER.offset.pending + isc * PENDING_SIZE + (number >>> 5) * 4;
  }
}
