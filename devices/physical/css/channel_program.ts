/**
 * Executing one channel program: fetch, chain, count, end. Runs as a task of an I/O processor and lets others run
 * between CCWs (SA22-7832 chapter 15, "Execution of I/O Operations"). CCWs are never fetched ahead, whatever ORB.P
 * allows.
 */
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { ORB_CTRL0, ORB_CTRL1 } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import { type Actor, preempt, type Task } from '../../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { CCW_SIZE, type Ccw, CcwFetcher, type Reached } from './ccw_fetch.ts';
import { ChannelData } from './channel_data.ts';
import { type ChannelDevice, type CommandEnding, type Direction, directionOf } from './channel_device.ts';
import { ChannelCheck, ChannelStorage, type StorageOptions } from './channel_storage.ts';
import { DataAddress, idawFormat } from './data_address.ts';
import { ProgramPort, Signalled } from './program_port.ts';
import { type ProgramStatus, presentActive, presentBusy, presentIntermediate } from './status.ts';
import type { Subchannel } from './subchannel.ts';

const { CSTAT, DSTAT } = scsw;
const ENDED = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;

/** What is left of an operation after channel end: device end comes at `at` (ns), with `status` beside it. */
export interface DeviceEnd {
  readonly at: number;
  readonly status: number;
}

/** Why a program no longer runs. */
export type ProgramEnd =
  /** It ended by itself; with `deviceEnd` the device still goes on. */
  | { readonly kind: 'ended'; readonly status: ProgramStatus; readonly deviceEnd?: DeviceEnd }
  /** It suspended itself at the CCW `resume`. */
  | { readonly kind: 'suspended'; readonly resume: number }
  /** Halt, clear or a reset of the path stopped it; `cpa` and `count` as far as it came, absent when the device was not active. */
  | { readonly kind: 'signalled'; readonly at?: { readonly cpa: number; readonly count: number } }
  /** The start was cancelled before the first command. */
  | { readonly kind: 'cancelled' }
  /** The device, or its control unit, would not take the first command now. */
  | { readonly kind: 'busy'; readonly controlUnit: boolean };

/** The I/O processor's means. */
export interface ProgramContext extends StorageOptions {
  readonly actor: Actor;
  readonly tracer: Tracer;
  /** Rings the kernel's doorbell. */
  notify(): void;
  /** The address limit now. */
  addressLimit(): number;
}

/** The ORB's controls. */
export interface ProgramOrb {
  readonly ctrl0: number;
  readonly ctrl1: number;
  readonly lpm: number;
}

/** A start or resume function as it was taken up. */
export interface Start {
  readonly orb: ProgramOrb;
  /** The first CCW. */
  readonly ccw: number;
  /** The subchannel's start count. */
  readonly sequence: number;
  /** The program goes on after a suspension. */
  readonly resumed: boolean;
}

/** How one command left the chain. */
type Step =
  | { readonly kind: 'chain'; readonly next: number }
  | Extract<ProgramEnd, { kind: 'ended' | 'signalled' | 'busy' }>;

export class ChannelProgram {
  readonly #context: ProgramContext;
  readonly #subchannel: Subchannel;
  readonly #device: ChannelDevice;
  readonly #start: Start;
  readonly #fetcher: CcwFetcher;
  readonly #data: ChannelData;
  readonly #port: ProgramPort;
  #path = 0;
  #active = false;
  /** A PCI condition that waits until the device takes the first command. */
  #pci = false;
  /** Command in force: data chaining keeps it. */
  #command = 0;

  constructor(context: ProgramContext, subchannel: Subchannel, device: ChannelDevice, start: Start) {
    this.#context = context;
    this.#subchannel = subchannel;
    this.#device = device;
    this.#start = start;
    const { ctrl0, ctrl1 } = start.orb;
    const { F, S, H, T } = ORB_CTRL0.mask;
    const format1 = (ctrl0 & F) !== 0;
    const idaws = idawFormat((ctrl0 & H) !== 0, (ctrl0 & T) !== 0);
    const limitMode = PMCW_FLAGS.get(subchannel.pmcw.flags, 'LM');
    const storage = new ChannelStorage(context, ctrl0, limitMode, context.addressLimit());
    this.#fetcher = new CcwFetcher(storage, {
      format1,
      suspendControl: (ctrl0 & S) !== 0,
      midawControl: (ctrl1 & ORB_CTRL1.mask.D) !== 0,
    });
    const address = new DataAddress(storage, idaws, format1, () => this.#intermediate('pci'));
    this.#data = new ChannelData(context.memory, this.#fetcher, address, (ccw) => this.#begun(ccw));
    this.#port = new ProgramPort(this.#data, subchannel, context.actor, () => this.#taken());
  }

  /** The device took a command of the program. */
  get active(): boolean {
    return this.#active;
  }

  /**
   * Runs on a path until the program ends in one way or another; then the device is told. After busy it may run anew.
   */
  *run(path: number): Task<ProgramEnd> {
    this.#path = path;
    const end = yield* this.#chain();
    if (!this.#active) return end;
    const added = this.#device.end();
    if (added === 0) return end;
    // The device failed at the very end: whatever it was still doing is over.
    const reported = end.kind === 'ended' ? end.status : { dstat: 0, cstat: 0, cpa: this.#fetcher.cpa, count: 0 };
    const status = { ...reported, dstat: reported.dstat | ENDED | added };
    return { kind: 'ended', status: withSense(this.#subchannel, this.#device, status) };
  }

  *#chain(): Task<ProgramEnd> {
    let address = this.#start.ccw;
    // A resumed program was checked for a TIC in first place when it was started.
    let how: Reached = this.#start.resumed ? 'command' : 'first';
    for (;;) {
      if (this.#subchannel.signalled()) return this.#signalled(0);
      let ccw: Ccw;
      try {
        ccw = this.#fetcher.fetch(address, how);
        if ((ccw.flags & CCW_FLAG.SUSPEND) !== 0) {
          // Resumed before it came to suspend itself: the CCW is fetched once more, for it may have changed.
          if (!this.#resumedAlready()) return { kind: 'suspended', resume: ccw.address };
          ccw = this.#fetcher.fetch(ccw.address, how === 'first' ? 'first' : 'command');
          if ((ccw.flags & CCW_FLAG.SUSPEND) !== 0) return { kind: 'suspended', resume: ccw.address };
        }
      } catch (check) {
        return this.#checked(check, 0, 0);
      }
      if (!this.#active && !this.#accept()) return { kind: 'cancelled' };
      const step = yield* this.#execute(ccw);
      if (step.kind !== 'chain') return step;
      address = step.next;
      how = 'command';
      yield* preempt();
    }
  }

  /**
   * The subchannel was made resume pending while its program ran (SA22-7832 chapter 14, "RESUME SUBCHANNEL"): takes
   * that back. A program that is itself being resumed has still to use up its own.
   */
  #resumedAlready(): boolean {
    if (this.#start.resumed && !this.#active) return false;
    const { scsw: word } = this.#subchannel;
    return this.#subchannel.locked(() => {
      const pending = (word.ctrl & scsw.SCSW_ACTL_RESUME_PEND) !== 0;
      word.ctrl &= ~scsw.SCSW_ACTL_RESUME_PEND;
      return pending;
    });
  }

  /** The first command goes to the device, unless the start was cancelled, halted or cleared meanwhile. */
  #accept(): boolean {
    const subchannel = this.#subchannel;
    const { resumed, sequence } = this.#start;
    const pending = resumed ? scsw.SCSW_ACTL_RESUME_PEND : scsw.SCSW_ACTL_START_PEND;
    this.#active = subchannel.locked(() => {
      const stands = subchannel.sequence === sequence && (subchannel.scsw.ctrl & pending) !== 0;
      if (!stands || subchannel.signalled()) return false;
      presentActive(subchannel, this.#path, pending);
      return true;
    });
    if (!this.#active) return false;
    this.#port.offered = true;
    this.#pci = false;
    this.#device.begin(this.#path);
    return true;
  }

  *#execute(ccw: Ccw): Task<Step> {
    const data = this.#data;
    this.#command = ccw.command;
    // The checks of the fetch leave only codes that have a direction.
    data.start(ccw, directionOf(ccw.command) as Direction);
    this.#begun(ccw);
    let ending: CommandEnding;
    try {
      ending = yield* this.#device.execute(ccw.command, this.#port);
      if (this.#port.offered && (ending.status & DSTAT.BUSY) !== 0) return this.#busy(ending.status);
      this.#port.taken();
      if (ending.deviceEnd !== undefined && this.#chains(ending)) ending = yield* this.#awaitDeviceEnd(ending);
    } catch (stop) {
      this.#port.taken();
      if (stop instanceof Signalled) return this.#signalled(data.residual);
      return this.#checked(stop, ENDED, data.residual);
    }
    return this.#evaluate(ending);
  }

  /** Command chaining goes on only when the device is ready for the next command. */
  *#awaitDeviceEnd(ending: CommandEnding): Task<CommandEnding> {
    const { ns = 0, status = 0 } = ending.deviceEnd ?? {};
    yield* this.#port.delay(ns);
    return { status: ending.status | status | DSTAT.DEVICE_END, immediate: ending.immediate };
  }

  /** The start goes back to where it was; the device keeps nothing of it. */
  #busy(dstat: number): Extract<ProgramEnd, { kind: 'busy' }> {
    const subchannel = this.#subchannel;
    this.#port.offered = false;
    this.#active = false;
    subchannel.locked(() => {
      if (subchannel.sequence === this.#start.sequence && (subchannel.scsw.ctrl & scsw.SCSW_FCTL_START_FUNC) !== 0)
        presentBusy(subchannel, this.#start.resumed);
    });
    return { kind: 'busy', controlUnit: (dstat & DSTAT.STAT_MOD) !== 0 };
  }

  /** Whether the command is followed by command chaining, as far as its channel end tells. */
  #chains(ending: CommandEnding): boolean {
    const usual = (ending.status & ~(DSTAT.STAT_MOD | DSTAT.DEVICE_END)) === DSTAT.CHANNEL_END;
    return usual && (this.#data.ccw.flags & CCW_FLAG.CC) !== 0 && !this.#incorrectLength(ending);
  }

  /** Command chaining, or the end of the program. */
  #evaluate(ending: CommandEnding): Step {
    const { ccw, residual } = this.#data;
    if ((ending.status & DSTAT.DEVICE_END) !== 0 && this.#chains(ending)) {
      const skip = (ending.status & DSTAT.STAT_MOD) !== 0 ? CCW_SIZE : 0;
      return { kind: 'chain', next: ccw.address + CCW_SIZE + skip };
    }
    const cstat = this.#incorrectLength(ending) ? CSTAT.INCORR_LEN : 0;
    const status = { dstat: ending.status, cstat, cpa: ccw.address + CCW_SIZE, count: residual };
    const { deviceEnd } = ending;
    return {
      kind: 'ended',
      status: withSense(this.#subchannel, this.#device, status),
      deviceEnd: deviceEnd && { at: this.#context.actor.now() + deviceEnd.ns, status: deviceEnd.status ?? 0 },
    };
  }

  /** SA22-7832 chapter 16, "Incorrect Length". */
  #incorrectLength(ending: CommandEnding): boolean {
    const data = this.#data;
    const { ctrl0, ctrl1 } = this.#start.orb;
    const { flags } = data.ccw;
    const chainsData = (flags & CCW_FLAG.DC) !== 0;
    const suppressed = (flags & CCW_FLAG.SLI) !== 0 && !chainsData;
    const refused = (ending.status & DSTAT.UNIT_CHECK) !== 0 && data.transferred === 0;
    if (suppressed || refused) return false;
    if (ending.immediate === true && !chainsData) {
      const format0 = (ctrl0 & ORB_CTRL0.mask.F) === 0;
      if (format0 || (ctrl1 & ORB_CTRL1.mask.L) !== 0) return false;
    }
    return data.residual !== 0 || data.excess || chainsData;
  }

  #checked(check: unknown, dstat: number, count: number): Extract<ProgramEnd, { kind: 'ended' }> {
    if (!(check instanceof ChannelCheck)) throw check;
    return { kind: 'ended', status: { dstat, cstat: check.cstat, cpa: this.#fetcher.cpa, count } };
  }

  #signalled(count: number): Extract<ProgramEnd, { kind: 'signalled' }> {
    return { kind: 'signalled', at: this.#active ? { cpa: this.#fetcher.cpa, count } : undefined };
  }

  /** A CCW became current. */
  #begun(ccw: Ccw): void {
    this.#context.tracer.point(EVENT.ccw_execute, this.#subchannel.number, this.#command, ccw.flags, ccw.count);
    if ((ccw.flags & CCW_FLAG.PCI) === 0) return;
    if (this.#port.offered) this.#pci = true;
    else this.#intermediate('pci');
  }

  /** The device took the first command: what waited for that is told. */
  #taken(): void {
    const subchannel = this.#subchannel;
    const first = subchannel.accepted !== this.#start.sequence;
    subchannel.accepted = this.#start.sequence;
    if (first && (this.#start.orb.ctrl0 & ORB_CTRL0.mask.I) !== 0) this.#intermediate('initial');
    if (this.#pci) this.#intermediate('pci');
  }

  #intermediate(kind: 'pci' | 'initial'): void {
    const subchannel = this.#subchannel;
    subchannel.locked(() => {
      // Halt and clear make intermediate status pointless.
      if (!subchannel.signalled()) presentIntermediate(subchannel, this.#fetcher.cpa, kind);
    });
    this.#context.notify();
  }
}

/** Adds sense information to status with unit check, when the subchannel is to have it concurrently (PMCW.S). */
export function withSense(subchannel: Subchannel, device: ChannelDevice, status: ProgramStatus): ProgramStatus {
  const concurrent = (subchannel.pmcw.chars & PMCW_CHARS.mask.CSENSE) !== 0;
  if (!concurrent || (status.dstat & DSTAT.UNIT_CHECK) === 0) return status;
  return { ...status, sense: device.takeSense() };
}
