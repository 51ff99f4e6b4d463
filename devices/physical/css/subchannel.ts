/**
 * One subchannel: its block in shared memory and the few operations both sides perform on it.
 *
 * | field | written by |
 * |---|---|
 * | lock | whoever holds it |
 * | iop | power-on, once |
 * | signal | kernel sets (HSCH, CSCH) and the I/O processor (reset of the path), the I/O processor clears when it performs the function; read without the lock |
 * | sequence | kernel: counts starts, so that an I/O processor notices a start that was cancelled and made anew |
 * | queued | 1 while the number is in the work ring: kernel or I/O processor sets, the I/O processor clears |
 * | heldStatus | I/O processor: device status not yet accepted because the subchannel was not idle |
 * | resumeCcw | I/O processor: the CCW a suspended program goes on with |
 * | accepted | I/O processor: `sequence` of the start whose first command the device accepted |
 * | schib | kernel: PMCW at MSCH, SCSW at SSCH, HSCH, CSCH, RSCH, XSCH, TSCH; I/O processor: SCSW, LPUM, PNOM, POM, PAM |
 * | orb | kernel at SSCH |
 * | irb | I/O processor: extended status and control words (the SCSW inside is unused); kernel clears at TSCH |
 *
 * Everything except `signal` and `iop` is read and written with `lock` held. Nobody waits while holding it, and no
 * second subchannel's lock is taken meanwhile. The bytes are plain stores: the lock's atomic operations order them.
 */

import { IRB, type Irb } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW, PMCW_FLAGS, type Pmcw, SCHIB, type Schib } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW, SCSW_STCTL_STATUS_PEND, type Scsw } from '../../../kernel/include/arch/s390/scsw.ts';
import { bytes, nested, struct, u32 } from '../../../kernel/lib/struct.ts';
import { type CssArea, SUBCHANNEL_SIZE } from './css_area.ts';

/** The block: the machine's own words in native order, then the architected structures in theirs. */
const SUBCHANNEL = struct(
  'subchannel',
  'le',
  {
    lock: u32,
    iop: u32,
    signal: u32,
    sequence: u32,
    queued: u32,
    heldStatus: u32,
    resumeCcw: u32,
    accepted: u32,
    schib: nested(SCHIB),
    orb: nested(ORB),
    irb: nested(IRB),
    unused: bytes(96),
  },
  { size: SUBCHANNEL_SIZE, offsets: { schib: 32, orb: 84, irb: 96 } },
);

/** Bits of the signal word: HSCH, CSCH, and the reset of the channel path in use. */
export const SIGNAL = { HALT: 1, CLEAR: 2, RESET: 4 } as const;
/** The signals of the kernel's functions. */
const FUNCTIONS = SIGNAL.HALT | SIGNAL.CLEAR;

/** Both sides' view of one subchannel. */
export class Subchannel {
  readonly number: number;
  readonly schib: Schib;
  readonly pmcw: Pmcw;
  readonly scsw: Scsw;
  readonly orb: Orb;
  readonly irb: Irb;
  readonly #area: CssArea;
  readonly #at: number;
  readonly #block;

  constructor(area: CssArea, number: number) {
    this.number = number;
    this.#area = area;
    this.#at = area.subchannel(number);
    const { dv } = area.memory;
    this.#block = SUBCHANNEL.at(dv, this.#at);
    const schib = this.#at + SUBCHANNEL.offset.schib;
    this.schib = SCHIB.at(dv, schib);
    this.pmcw = PMCW.at(dv, schib + SCHIB.offset.pmcw);
    this.scsw = SCSW.at(dv, schib + SCHIB.offset.scsw);
    this.orb = ORB.at(dv, this.#at + SUBCHANNEL.offset.orb);
    this.irb = IRB.at(dv, this.#at + SUBCHANNEL.offset.irb);
  }

  /** Runs `section` with the lock held. It must not wait. */
  locked<T>(section: () => T): T {
    const { memory } = this.#area;
    memory.lock(this.#at);
    try {
      return section();
    } finally {
      memory.unlock(this.#at);
    }
  }

  /** Halt, clear or reset is asked for; may be called without the lock. */
  signalled(): boolean {
    return this.#area.memory.load(this.#at + SUBCHANNEL.offset.signal) !== 0;
  }
  /** Sets signal bits. */
  raise(signal: number): void {
    this.#area.memory.or(this.#at + SUBCHANNEL.offset.signal, signal);
  }
  /** Clears signal bits; those of halt and clear when omitted. */
  lower(signal: number = FUNCTIONS): void {
    this.#area.memory.and(this.#at + SUBCHANNEL.offset.signal, ~signal);
  }
  /** The channel path in use is being reset. */
  resetting(): boolean {
    return (this.#area.memory.load(this.#at + SUBCHANNEL.offset.signal) & SIGNAL.RESET) !== 0;
  }

  /** Number of the I/O processor that serves the subchannel. */
  get iop(): number {
    return this.#block.iop;
  }
  set iop(value: number) {
    this.#block.iop = value;
  }
  get sequence(): number {
    return this.#block.sequence;
  }
  set sequence(value: number) {
    this.#block.sequence = value;
  }
  get heldStatus(): number {
    return this.#block.heldStatus;
  }
  set heldStatus(value: number) {
    this.#block.heldStatus = value;
  }
  get resumeCcw(): number {
    return this.#block.resumeCcw;
  }
  set resumeCcw(value: number) {
    this.#block.resumeCcw = value;
  }
  get accepted(): number {
    return this.#block.accepted;
  }
  set accepted(value: number) {
    this.#block.accepted = value;
  }

  /** Puts the number into its I/O processor's work ring unless it is there. The caller rings the doorbell. */
  enqueue(): void {
    if (this.#block.queued !== 0) return;
    this.#block.queued = 1;
    this.#area.work(this.#block.iop).push(this.number);
  }
  /** The number was taken from the work ring. */
  dequeued(): void {
    this.#block.queued = 0;
  }

  /** Device number valid and subchannel enabled: operational for the functions. */
  operational(): boolean {
    const both = PMCW_FLAGS.mask.V | PMCW_FLAGS.mask.E;
    return (this.pmcw.flags & both) === both;
  }
  /** Device number valid. */
  valid(): boolean {
    return (this.pmcw.flags & PMCW_FLAGS.mask.V) !== 0;
  }
  statusPending(): boolean {
    return (this.scsw.ctrl & SCSW_STCTL_STATUS_PEND) !== 0;
  }
  /** Interruption subclass. */
  get isc(): number {
    return PMCW_FLAGS.get(this.pmcw.flags, 'ISC');
  }
  /** Makes the subchannel's I/O-interruption condition pending. */
  setInterruption(): void {
    this.#area.setPending(this.isc, this.number);
  }
  /** Withdraws it; false when there was none. */
  withdrawInterruption(): boolean {
    return this.#area.clearPending(this.isc, this.number);
  }
}
