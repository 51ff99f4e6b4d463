/**
 * The interrupt logic of a NIC's engine: delays of causes (RDTR, RADV, TIDV, TADV), throttling (ITR), and the assertion
 * itself, by pin or by message (manual 3.2.7, 3.3.6, 13.4.17 to 13.4.22).
 *
 * The engine asserts, the register side takes back when no enabled cause is left; both hold the NIC's lock. A message
 * goes out whenever the pin would have been asserted.
 */
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import type { Actor, Wait } from '../../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { msiEnabled, sendMessage, setPin } from '../phb/interrupts.ts';
import { CAUSE, REG } from './e1000_regs.ts';
import { lockNic, STATE_AT, unlockNic } from './nic_area.ts';

/** Nanoseconds of a unit of ITR, and of the delay registers (manual 13.4.18, 13.4.30). */
const ITR_UNIT = 256;
const DELAY_UNIT = 1024;
const NEVER = Number.POSITIVE_INFINITY;

export interface InterruptUnitOptions {
  readonly memory: HostMemory;
  readonly block: number;
  readonly area: number;
  readonly pe: number;
  readonly actor: Actor;
  /** Rung after each assertion. */
  readonly kernelDoorbell: Doorbell;
  readonly tracer?: Tracer;
}

/** A delayed cause: due at `due`, pushed back by each event, but never past `limit`. */
interface Delay {
  readonly cause: number;
  /** BAR offsets of the delay after each event and of the absolute one. */
  readonly each: number;
  readonly absolute: number;
  /** Offset of the side's epoch word, and the epoch of the first event: a reset in between voids the delay. */
  readonly epochAt: number;
  epoch: number;
  due: number;
  limit: number;
}

function delay(cause: number, each: number, absolute: number, epochAt: number): Delay {
  return { cause, each, absolute, epochAt, epoch: 0, due: NEVER, limit: NEVER };
}

export class InterruptUnit {
  readonly #options: InterruptUnitOptions;
  readonly #receive = delay(CAUSE.RXT0, REG.RDTR, REG.RADV, STATE_AT.rxEpoch);
  readonly #transmit = delay(CAUSE.TXDW, REG.TIDV, REG.TADV, STATE_AT.txEpoch);
  /** No assertion before this time. */
  #notBefore = 0;
  /** What the unit's task waits for. */
  readonly wait: Wait;

  constructor(options: InterruptUnitOptions) {
    this.#options = options;
    const unit = this;
    this.wait = {
      what: `interrupt of the NIC of PE ${options.pe}`,
      ready: () => unit.#ready(),
      get deadline() {
        return unit.#deadline();
      },
    };
  }

  /** Frames were received: the cause to raise now, or 0 when it is delayed. */
  received(): number {
    return this.#delayed(this.#receive);
  }

  /** Descriptors with IDE were done: as {@link received}. */
  transmitted(): number {
    return this.#delayed(this.#transmit);
  }

  /** Raises what is due and asserts the interrupt if it is time. */
  service(): void {
    const { memory, block, area, pe, kernelDoorbell, tracer } = this.#options;
    const now = this.#options.actor.now();
    const due = this.#take(this.#receive, now) | this.#take(this.#transmit, now);
    let fired = 0;
    lockNic(memory, area);
    if (due !== 0) memory.or(area + REG.ICR, due);
    const pending = memory.load(area + REG.ICR) & memory.load(area + REG.IMS);
    if (pending !== 0 && memory.load(area + STATE_AT.asserted) === 0 && now >= this.#notBefore) {
      memory.store(area + STATE_AT.asserted, 1);
      this.#notBefore = now + (memory.load(area + REG.ITR) & 0xffff) * ITR_UNIT;
      if (msiEnabled(memory, block)) sendMessage(memory, block);
      else setPin(memory, block, true);
      fired = pending;
    }
    unlockNic(memory, area);
    if (fired === 0) return;
    tracer?.point(EVENT.e1000_irq, pe, fired, memory.load(area + REG.ITR));
    kernelDoorbell.ring();
  }

  #delayed(delay: Delay): number {
    const { memory, area, actor } = this.#options;
    const each = (memory.load(area + delay.each) & 0xffff) * DELAY_UNIT;
    if (each === 0) return delay.cause;
    const now = actor.now();
    const absolute = (memory.load(area + delay.absolute) & 0xffff) * DELAY_UNIT;
    const epoch = memory.load(area + delay.epochAt);
    if (delay.due === NEVER || delay.epoch !== epoch) delay.limit = absolute === 0 ? NEVER : now + absolute;
    delay.epoch = epoch;
    delay.due = Math.min(now + each, delay.limit);
    return 0;
  }

  #take(delay: Delay, now: number): number {
    if (now < delay.due) return 0;
    const { memory, area } = this.#options;
    delay.due = delay.limit = NEVER;
    return memory.load(area + delay.epochAt) === delay.epoch ? delay.cause : 0;
  }

  /** An enabled cause waits for its assertion. */
  #waiting(): boolean {
    const { memory, area } = this.#options;
    return (
      (memory.load(area + REG.ICR) & memory.load(area + REG.IMS)) !== 0 && memory.load(area + STATE_AT.asserted) === 0
    );
  }

  #ready(): boolean {
    return this.#waiting() && this.#options.actor.now() >= this.#notBefore;
  }

  #deadline(): number {
    return Math.min(this.#receive.due, this.#transmit.due, this.#waiting() ? this.#notBefore : NEVER);
  }
}
