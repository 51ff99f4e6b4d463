/**
 * Executing one channel program: fetch, chain, count, end. Runs as a task of an I/O processor and lets others run
 * between CCWs (SA22-7832 chapter 15, "Execution of I/O Operations"). Storage keys and address-limit checking are not
 * modelled; CCWs are never fetched ahead, whatever ORB.P allows.
 */
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { ORB_CTRL0, ORB_CTRL1, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS } from '../../../kernel/include/arch/s390/schib.ts';
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { type Actor, preempt, type Task, untilDeadline } from '../../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { CCW_SIZE, type Ccw, CcwFetcher, ChannelCheck } from './ccw_fetch.ts';
import { ChannelData, idawFormat } from './channel_data.ts';
import {
  type ChannelDevice,
  type CommandEnding,
  type DataPort,
  type Direction,
  directionOf,
} from './channel_device.ts';
import { type ProgramStatus, presentActive, presentIntermediate } from './status.ts';
import type { Subchannel } from './subchannel.ts';

const { CSTAT, DSTAT } = scsw;
const ENDED = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;

/** Why a program no longer runs. */
export type ProgramEnd =
  /** It ended by itself. */
  | { readonly kind: 'ended'; readonly status: ProgramStatus }
  /** It suspended itself at the CCW `resume`. */
  | { readonly kind: 'suspended'; readonly resume: number }
  /** Halt or clear stopped it; `cpa` and `count` as far as it came, absent when the device was not active. */
  | { readonly kind: 'signalled'; readonly at?: { readonly cpa: number; readonly count: number } }
  /** The start was cancelled before the first command. */
  | { readonly kind: 'cancelled' };

/** The I/O processor's means. */
export interface ProgramContext {
  readonly actor: Actor;
  readonly memory: HostMemory;
  readonly firstFrame: number;
  readonly tracer: Tracer;
  /** Rings the kernel's doorbell. */
  notify(): void;
}

/** Halt or clear came while the device was busy: unwinds the device's command. */
class Signalled extends Error {}

/** How one command left the chain. */
type Step = { readonly kind: 'chain'; readonly next: number } | Extract<ProgramEnd, { kind: 'ended' | 'signalled' }>;

export class ChannelProgram {
  readonly #context: ProgramContext;
  readonly #subchannel: Subchannel;
  readonly #device: ChannelDevice;
  readonly #orb: Orb;
  readonly #sequence: number;
  readonly #resumed: boolean;
  readonly #fetcher: CcwFetcher;
  #active = false;

  /**
   * @param orb a copy that stays. @param sequence the subchannel's start count when the start was taken up.
   * @param resumed true when the program goes on after a suspension.
   */
  constructor(
    context: ProgramContext,
    subchannel: Subchannel,
    device: ChannelDevice,
    orb: Orb,
    sequence: number,
    resumed: boolean,
  ) {
    this.#context = context;
    this.#subchannel = subchannel;
    this.#device = device;
    this.#orb = orb;
    this.#sequence = sequence;
    this.#resumed = resumed;
    this.#fetcher = new CcwFetcher(context.memory, context.firstFrame, {
      format1: (orb.ctrl0 & ORB_CTRL0.mask.F) !== 0,
      suspendControl: (orb.ctrl0 & ORB_CTRL0.mask.S) !== 0,
    });
  }

  /** Runs from the CCW at `start` until the program ends in one way or another; then the device is told. */
  *run(start: number): Task<ProgramEnd> {
    const end = yield* this.#chain(start);
    if (!this.#active) return end;
    const added = this.#device.end();
    if (added === 0) return end;
    const reported = end.kind === 'ended' ? end.status : { dstat: ENDED, cstat: 0, cpa: this.#fetcher.cpa, count: 0 };
    return { kind: 'ended', status: this.#withSense({ ...reported, dstat: reported.dstat | added }) };
  }

  *#chain(start: number): Task<ProgramEnd> {
    let address = start;
    for (let how: 'first' | 'command' = 'first'; ; how = 'command') {
      if (this.#subchannel.signalled()) return this.#signalled(0);
      let ccw: Ccw;
      try {
        ccw = this.#fetcher.fetch(address, how);
      } catch (check) {
        return this.#checked(check, 0, 0);
      }
      if ((ccw.flags & CCW_FLAG.SUSPEND) !== 0) return { kind: 'suspended', resume: ccw.address };
      if (!this.#active && !this.#accept()) return { kind: 'cancelled' };
      const step = yield* this.#execute(ccw);
      if (step.kind !== 'chain') return step;
      address = step.next;
      yield* preempt();
    }
  }

  /** The device accepts the first command, unless the start was cancelled, halted or cleared meanwhile. */
  #accept(): boolean {
    const subchannel = this.#subchannel;
    const pending = this.#resumed ? scsw.SCSW_ACTL_RESUME_PEND : scsw.SCSW_ACTL_START_PEND;
    this.#active = subchannel.locked(() => {
      const stands = subchannel.sequence === this.#sequence && (subchannel.scsw.ctrl & pending) !== 0;
      if (!stands || subchannel.signalled()) return false;
      presentActive(subchannel);
      return true;
    });
    if (!this.#active) return false;
    this.#device.begin();
    if (!this.#resumed && (this.#orb.ctrl0 & ORB_CTRL0.mask.I) !== 0) this.#intermediate('initial');
    return true;
  }

  *#execute(ccw: Ccw): Task<Step> {
    this.#begun(ccw);
    const { memory, firstFrame } = this.#context;
    const { ctrl0 } = this.#orb;
    const idaw = idawFormat((ctrl0 & ORB_CTRL0.mask.H) !== 0, (ctrl0 & ORB_CTRL0.mask.T) !== 0);
    // The checks of the fetch leave only codes that have a direction.
    const direction = directionOf(ccw.command) as Direction;
    const data = new ChannelData(memory, firstFrame, this.#fetcher, idaw, ccw, direction, (chained) =>
      this.#begun(chained, ccw.command),
    );
    let ending: CommandEnding;
    try {
      ending = yield* this.#device.execute(ccw.command, this.#port(data));
    } catch (stop) {
      if (stop instanceof Signalled) return this.#signalled(data.residual);
      return this.#checked(stop, ENDED, data.residual);
    }
    return this.#evaluate(ending, data);
  }

  /** Command chaining, or the end of the program. */
  #evaluate(ending: CommandEnding, data: ChannelData): Step {
    const { ccw } = data;
    const cstat = this.#incorrectLength(ending, data) ? CSTAT.INCORR_LEN : 0;
    const chains = (ccw.flags & CCW_FLAG.CC) !== 0 && cstat === 0 && (ending.status & ~DSTAT.STAT_MOD) === ENDED;
    if (chains) {
      const skip = (ending.status & DSTAT.STAT_MOD) !== 0 ? CCW_SIZE : 0;
      return { kind: 'chain', next: ccw.address + CCW_SIZE + skip };
    }
    const cpa = ccw.address + CCW_SIZE;
    return {
      kind: 'ended',
      status: this.#withSense({ dstat: ending.status, cstat, cpa, count: data.residual }),
    };
  }

  /** SA22-7832 chapter 16, "Incorrect Length". */
  #incorrectLength(ending: CommandEnding, data: ChannelData): boolean {
    const { flags } = data.ccw;
    const chainsData = (flags & CCW_FLAG.DC) !== 0;
    const suppressed = (flags & CCW_FLAG.SLI) !== 0 && !chainsData;
    const refused = (ending.status & DSTAT.UNIT_CHECK) !== 0 && data.transferred === 0;
    if (suppressed || refused) return false;
    if (ending.immediate === true && !chainsData) {
      const format0 = (this.#orb.ctrl0 & ORB_CTRL0.mask.F) === 0;
      if (format0 || (this.#orb.ctrl1 & ORB_CTRL1.mask.L) !== 0) return false;
    }
    return data.residual !== 0 || data.excess || chainsData;
  }

  #withSense(status: ProgramStatus): ProgramStatus {
    const concurrent = (this.#subchannel.pmcw.chars & PMCW_CHARS.mask.CSENSE) !== 0;
    if (!concurrent || (status.dstat & DSTAT.UNIT_CHECK) === 0) return status;
    return { ...status, sense: this.#device.takeSense() };
  }

  #checked(check: unknown, dstat: number, count: number): Extract<ProgramEnd, { kind: 'ended' }> {
    if (!(check instanceof ChannelCheck)) throw check;
    return { kind: 'ended', status: { dstat, cstat: check.cstat, cpa: this.#fetcher.cpa, count } };
  }

  #signalled(count: number): Extract<ProgramEnd, { kind: 'signalled' }> {
    return { kind: 'signalled', at: this.#active ? { cpa: this.#fetcher.cpa, count } : undefined };
  }

  /** A CCW became current. @param command the command in force, when data chaining made it current. */
  #begun(ccw: Ccw, command = ccw.command): void {
    this.#context.tracer.point(EVENT.ccw_execute, this.#subchannel.number, command, ccw.flags, ccw.count);
    if ((ccw.flags & CCW_FLAG.PCI) !== 0) this.#intermediate('pci');
  }

  #intermediate(kind: 'pci' | 'initial'): void {
    const subchannel = this.#subchannel;
    subchannel.locked(() => {
      // Halt and clear make intermediate status pointless.
      if (!subchannel.signalled()) presentIntermediate(subchannel, this.#fetcher.cpa, kind);
    });
    this.#context.notify();
  }

  #port(data: ChannelData): DataPort {
    const subchannel = this.#subchannel;
    const { actor } = this.#context;
    return {
      take: (length) => data.take(length),
      give: (bytes) => data.give(bytes),
      *delay(ns) {
        const signalled = yield* untilDeadline('device', () => subchannel.signalled(), actor.now() + ns);
        if (signalled) throw new Signalled();
      },
    };
  }
}
