/**
 * Floating interrupts of a virtual machine (KVM's struct kvm_s390_float_interrupt): the kernel adds, any vCPU that is
 * enabled takes. Layout of the area: word 0 lock, 1 pending summary, 2 service parameter, 3 count of I/O entries,
 * then entries of four words. The summary is written under the lock and read without: a vCPU that misses a bit set
 * meanwhile is told by the request bit that the kernel sets afterwards.
 */
import type { HostMemory } from './host_memory.ts';
import type { TakenIo } from './taken_io.ts';

/** Bits of the summary above the eight ISC bits (`0x80 >> isc`). */
export const PENDING = { ISC_MASK: 0xff, SERVICE: 0x100, MACHINE_CHECK: 0x200 } as const;

/** An I/O interruption as lowcore shows it (SA22-7832 chapter 6, "I/O Interruption"). */
export interface IoInterruption {
  /** Subsystem-identification word, X'B8'. */
  readonly subsystemId: number;
  /** Interruption parameter, X'BC'. */
  readonly intparm: number;
  /** Interruption-identification word, X'C0'. */
  readonly word: number;
}

const HEADER = 16;
const ENTRY = 16;
/** One per subchannel can be pending; so many subchannels at most. */
const CAPACITY = 512;

export class FloatingInterrupts {
  readonly #memory: HostMemory;
  readonly #base: number;
  readonly #taken: TakenIo | undefined;

  /** @param taken where a vCPU notes the I/O interruptions it takes */
  constructor(memory: HostMemory, base: number, taken?: TakenIo) {
    this.#memory = memory;
    this.#base = base;
    this.#taken = taken;
  }

  /** What is pending: ISC bits and PENDING bits. */
  summary(): number {
    return this.#memory.load(this.#base + 4);
  }

  /** Adds an I/O interruption; false when the queue is full. */
  addIo(isc: number, io: IoInterruption): boolean {
    return this.#locked(() => {
      const count = this.#memory.load(this.#base + 12);
      if (count === CAPACITY) return false;
      this.#write(count, isc, io);
      this.#memory.store(this.#base + 12, count + 1);
      this.#memory.or(this.#base + 4, 0x80 >> isc);
      return true;
    });
  }

  /**
   * Takes the oldest I/O interruption of the highest-priority (lowest) ISC in `iscMask` (`0x80 >> isc`), or the one
   * of `subsystemId` when given.
   */
  takeIo(iscMask: number, subsystemId?: number): IoInterruption | undefined {
    if ((this.summary() & iscMask) === 0) return undefined;
    return this.#locked(() => {
      const count = this.#memory.load(this.#base + 12);
      let best = -1;
      for (let i = 0; i < count; i++) {
        const isc = this.#word(i, 0);
        if ((iscMask & (0x80 >> isc)) === 0) continue;
        if (subsystemId !== undefined && this.#word(i, 1) >>> 0 !== subsystemId >>> 0) continue;
        if (best < 0 || isc < this.#word(best, 0)) best = i;
      }
      if (best < 0) return undefined;
      const io = {
        subsystemId: this.#word(best, 1) >>> 0,
        intparm: this.#word(best, 2) >>> 0,
        word: this.#word(best, 3) >>> 0,
      };
      this.#taken?.record(io.subsystemId);
      this.#remove(best, count);
      return io;
    });
  }

  /** Every pending I/O interruption, oldest first, with its subclass. */
  listIo(): (IoInterruption & { readonly isc: number })[] {
    return this.#locked(() =>
      Array.from({ length: this.#memory.load(this.#base + 12) }, (_, i) => ({
        isc: this.#word(i, 0),
        subsystemId: this.#word(i, 1) >>> 0,
        intparm: this.#word(i, 2) >>> 0,
        word: this.#word(i, 3) >>> 0,
      })),
    );
  }
  /** The parameter of a pending service signal, which stays pending. */
  service(): number | undefined {
    return this.#locked(() =>
      (this.summary() & PENDING.SERVICE) === 0 ? undefined : this.#memory.load(this.#base + 8) >>> 0,
    );
  }
  /** Nothing is pending any more. */
  clear(): void {
    this.#locked(() => {
      this.#memory.store(this.#base + 4, 0);
      this.#memory.store(this.#base + 8, 0);
      this.#memory.store(this.#base + 12, 0);
    });
  }

  /** Adds a service signal (SCLP); signals before delivery are ored together. */
  addService(parameter: number): void {
    this.#locked(() => {
      this.#memory.or(this.#base + 8, parameter);
      this.#memory.or(this.#base + 4, PENDING.SERVICE);
    });
  }
  /** Takes the service signal's parameter. */
  takeService(): number | undefined {
    if ((this.summary() & PENDING.SERVICE) === 0) return undefined;
    return this.#locked(() => {
      if ((this.summary() & PENDING.SERVICE) === 0) return undefined;
      this.#memory.and(this.#base + 4, ~PENDING.SERVICE);
      return this.#memory.exchange(this.#base + 8, 0) >>> 0;
    });
  }

  /** Makes a channel-report machine check pending. */
  addMachineCheck(): void {
    this.#memory.or(this.#base + 4, PENDING.MACHINE_CHECK);
  }
  /** Takes it; false when there was none. */
  takeMachineCheck(): boolean {
    return (this.#memory.and(this.#base + 4, ~PENDING.MACHINE_CHECK) & PENDING.MACHINE_CHECK) !== 0;
  }

  #locked<T>(body: () => T): T {
    this.#memory.lock(this.#base);
    try {
      return body();
    } finally {
      this.#memory.unlock(this.#base);
    }
  }
  #word(entry: number, word: number): number {
    return this.#memory.load(this.#base + HEADER + entry * ENTRY + word * 4);
  }
  #write(entry: number, isc: number, io: IoInterruption): void {
    const at = this.#base + HEADER + entry * ENTRY;
    this.#memory.store(at, isc);
    this.#memory.store(at + 4, io.subsystemId);
    this.#memory.store(at + 8, io.intparm);
    this.#memory.store(at + 12, io.word);
  }
  #remove(entry: number, count: number): void {
    const isc = this.#word(entry, 0);
    const at = this.#base + HEADER + entry * ENTRY;
    this.#memory.u8.copyWithin(at, at + ENTRY, this.#base + HEADER + count * ENTRY);
    this.#memory.store(this.#base + 12, count - 1);
    for (let i = 0; i < count - 1; i++) if (this.#word(i, 0) === isc) return;
    this.#memory.and(this.#base + 4, ~(0x80 >> isc));
  }
}
