/**
 * The functions of one subchannel, as its I/O processor performs them: clear, halt, start, resume, and status that the
 * device wants to present (SA22-7832 chapter 15). One task at a time runs {@link SubchannelTask.serve}.
 */
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import { preempt, type Task, untilDeadline } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import type { ChannelDevice } from './channel_device.ts';
import {
  ChannelProgram,
  type DeviceEnd,
  type ProgramContext,
  type ProgramEnd,
  type Start,
  withSense,
} from './channel_program.ts';
import { nextPath } from './path.ts';
import * as status from './status.ts';
import { SIGNAL, type Subchannel } from './subchannel.ts';

const { CSTAT, DSTAT } = scsw;
const { SCSW_CTRL_MASK_FCTL: FCTL, SCSW_CTRL_MASK_STCTL: STCTL } = scsw;
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;

/** How long a start waits for a busy device that does not tell when it is ready (ns). */
const BUSY_RETRY_NS = 1_000_000;
/** Status by which a device, or its control unit, says that it is no longer busy. */
const READY = DSTAT.DEVICE_END | DSTAT.CU_END;

/** A function taken up from the subchannel. */
type Work = { readonly kind: 'clear' | 'halt' | 'reset' | 'unsolicited' } | { readonly kind: 'start'; start: Start };

export class SubchannelTask {
  readonly subchannel: Subchannel;
  readonly #context: ProgramContext;
  readonly #device: ChannelDevice | undefined;
  /** Path tried last: the next start begins behind it. */
  #lastPath = 0;
  /** Path on which a program runs, or whose device end is awaited; 0 when none. */
  #path = 0;
  /** The device said it was busy, and not yet that it no longer is. */
  #busy = false;

  constructor(context: ProgramContext, subchannel: Subchannel, device: ChannelDevice | undefined) {
    this.#context = context;
    this.subchannel = subchannel;
    this.#device = device;
  }

  /**
   * The device presents status of its own accord: held until it can be accepted. Device end or control-unit end after
   * busy only says that the device can be tried again, and the program is not told (chapter 17, "Device Busy").
   */
  attention(dstat: number): void {
    const { subchannel } = this;
    let held = dstat;
    if (this.#busy && (dstat & READY) !== 0) {
      this.#busy = false;
      held &= ~READY;
    }
    if (held === 0) return;
    subchannel.locked(() => {
      subchannel.heldStatus |= held;
    });
  }

  /** Begins the reset of some of the subchannel's paths: asks for it if the subchannel is idle or uses one of them. */
  resetPaths(paths: number): boolean {
    const { subchannel } = this;
    const concerned = this.#path === 0 || (this.#path & paths) !== 0;
    if (concerned) subchannel.locked(() => subchannel.raise(SIGNAL.RESET));
    return concerned;
  }

  /** Performs functions until none is pending. Between finding none and leaving, nothing can run. */
  *serve(): Task {
    for (let work = this.#next(); work !== undefined; work = this.#next()) {
      if (work.kind === 'start') yield* this.#start(work.start);
      else if (work.kind === 'clear') this.#clear();
      else if (work.kind === 'halt') this.#halt();
      else if (work.kind === 'reset') this.#reset();
      else this.#unsolicited();
      yield* preempt();
    }
  }

  /** The most urgent pending function: clear, halt, start, resume; last, status the device wants to present. */
  #next(): Work | undefined {
    const { subchannel } = this;
    return subchannel.locked(() => {
      const { ctrl, cpa } = subchannel.scsw;
      if ((ctrl & scsw.SCSW_ACTL_CLEAR_PEND) !== 0) return { kind: 'clear' };
      if ((ctrl & scsw.SCSW_ACTL_HALT_PEND) !== 0) return { kind: 'halt' };
      // TSCH of a suspended program's status takes a halt function away, but cannot lower its signal.
      if (subchannel.signalled()) subchannel.lower();
      if (subchannel.resetting()) return { kind: 'reset' };
      const pending = (ctrl & scsw.SCSW_ACTL_START_PEND) !== 0;
      // A program whose ending got lost is still active, and not to be resumed.
      const active = (ctrl & scsw.SCSW_ACTL_SUBCH_ACTIVE) !== 0;
      if (pending || ((ctrl & scsw.SCSW_ACTL_RESUME_PEND) !== 0 && !active)) {
        const { ctrl0, ctrl1, lpm } = subchannel.orb;
        const { sequence } = subchannel;
        const ccw = pending ? cpa : subchannel.resumeCcw;
        return { kind: 'start', start: { orb: { ctrl0, ctrl1, lpm }, ccw, sequence, resumed: !pending } };
      }
      const idle = (ctrl & (FCTL | ACTIVE)) === 0 && !subchannel.statusPending();
      return idle && subchannel.heldStatus !== 0 ? { kind: 'unsolicited' } : undefined;
    });
  }

  *#start(start: Start): Task {
    const { subchannel } = this;
    const device = this.#device;
    this.#context.tracer.point(EVENT.iop_start, subchannel.number, start.ccw);
    const end = this.#refused(start) ?? (device && (yield* this.#select(device, start))) ?? this.#noPath(start);
    if (end.kind === 'cancelled') return;
    if (end.kind === 'busy') {
      yield* this.#awaitReady(start);
      return;
    }
    const { deviceEnd } = end.kind === 'ended' ? end : {};
    // Status that gets lost leaves the subchannel active until somebody halts or clears it.
    const lost = this.#path !== 0 && end.kind === 'ended' && device?.loseEnding?.() === true;
    const presented = !lost && this.#present(() => this.#conclude(start, end));
    if (presented && device !== undefined && deviceEnd !== undefined)
      yield* this.#awaitDeviceEnd(device, start, deviceEnd);
    this.#path = 0;
  }

  /** The device has status of its own, which a start meets first: deferred condition code 1. */
  #refused(start: Start): ProgramEnd | undefined {
    const { subchannel } = this;
    return subchannel.locked(() => {
      const { heldStatus } = subchannel;
      if (heldStatus === 0) return undefined;
      subchannel.heldStatus = 0;
      return { kind: 'ended', status: { dstat: heldStatus | DSTAT.BUSY, cstat: 0, cpa: start.ccw, count: 0, cc: 1 } };
    });
  }

  /** The device appears not operational on all paths there are: deferred condition code 3. */
  #noPath(start: Start): ProgramEnd {
    return { kind: 'ended', status: { dstat: 0, cstat: 0, cpa: start.ccw, count: 0, cc: 3 } };
  }

  /** Tries the available paths in turn until the device answers on one; undefined when it does on none. */
  *#select(device: ChannelDevice, start: Start): Task<ProgramEnd | undefined> {
    const { subchannel } = this;
    const program = new ChannelProgram(this.#context, subchannel, device, start);
    let busy: ProgramEnd | undefined;
    let paths = subchannel.locked(() => start.orb.lpm & subchannel.pmcw.pam);
    while (paths !== 0) {
      const path = nextPath(paths, this.#lastPath);
      this.#lastPath = path;
      paths &= ~path;
      if (!device.operational(path)) {
        this.#pathFailed(start, path);
        continue;
      }
      this.#path = path;
      const end = yield* program.run(path);
      if (!program.active) this.#path = 0;
      if (end.kind !== 'busy') {
        this.#busy = false;
        return end;
      }
      this.#busy = true;
      busy = end;
      // Another path may lead through a control unit that is not busy; a busy device is busy on all.
      if (!end.controlUnit) break;
    }
    return busy;
  }

  #pathFailed(start: Start, path: number): void {
    const { subchannel } = this;
    subchannel.locked(() => {
      if (subchannel.sequence === start.sequence && (subchannel.scsw.ctrl & scsw.SCSW_FCTL_START_FUNC) !== 0)
        status.presentPathFailure(subchannel, path);
    });
  }

  /** Waits until a start that found the device busy is worth another try, or is none any more. */
  *#awaitReady(start: Start): Task {
    const { subchannel } = this;
    const pending = start.resumed ? scsw.SCSW_ACTL_RESUME_PEND : scsw.SCSW_ACTL_START_PEND;
    const over = () =>
      !this.#busy ||
      subchannel.signalled() ||
      subchannel.heldStatus !== 0 ||
      subchannel.sequence !== start.sequence ||
      (subchannel.scsw.ctrl & pending) === 0;
    yield* untilDeadline('busy device', over, this.#context.actor.now() + BUSY_RETRY_NS);
  }

  /** With the lock: what the end of a program means, if its start still stands; false when nothing was presented. */
  #conclude(start: Start, end: ProgramEnd): boolean {
    const { subchannel } = this;
    const { ctrl } = subchannel.scsw;
    const stands = subchannel.sequence === start.sequence && (ctrl & scsw.SCSW_FCTL_START_FUNC) !== 0;
    // A clear function that came meanwhile is performed next, and nothing of the program is told.
    if (!stands || (ctrl & scsw.SCSW_ACTL_CLEAR_PEND) !== 0) return false;
    const halt = (ctrl & scsw.SCSW_ACTL_HALT_PEND) !== 0;
    if (end.kind === 'ended') {
      // A device that goes on would be halted next: it ends at once instead.
      const goesOn = end.deviceEnd !== undefined && !halt;
      const dstat = end.deviceEnd !== undefined && halt ? DSTAT.DEVICE_END : 0;
      status.presentEnding(subchannel, { ...end.status, dstat: end.status.dstat | dstat }, goesOn);
      // The program ended before the halt signal could reach the device: both functions are complete.
      if (halt) subchannel.lower();
    } else if (halt) {
      status.presentHalted(subchannel, end.kind === 'signalled' ? end.at : undefined);
    } else if (end.kind === 'suspended') {
      return this.#suspend(start, end.resume);
    } else if (end.kind === 'signalled' && end.at !== undefined) {
      status.presentEnding(subchannel, { ...end.at, dstat: 0, cstat: CSTAT.INTF_CTRL_CHK });
    } else {
      return false;
    }
    return true;
  }

  /** With the lock: the program suspends itself, unless RSCH was faster. */
  #suspend(start: Start, resume: number): boolean {
    const { subchannel } = this;
    const { scsw: word } = subchannel;
    const own = start.resumed && this.#path === 0;
    subchannel.resumeCcw = resume;
    if (!own && (word.ctrl & scsw.SCSW_ACTL_RESUME_PEND) !== 0) {
      word.ctrl &= ~(ACTIVE | scsw.SCSW_ACTL_START_PEND);
      return false;
    }
    status.presentSuspended(subchannel, resume + 8, own ? scsw.SCSW_ACTL_RESUME_PEND : scsw.SCSW_ACTL_START_PEND);
    return true;
  }

  /** Channel end was presented: the device's end of the operation. Halt, clear and reset come first. */
  *#awaitDeviceEnd(device: ChannelDevice, start: Start, end: DeviceEnd): Task {
    const { subchannel } = this;
    if (yield* untilDeadline('device end', () => subchannel.signalled(), end.at)) return;
    this.#present(() => {
      const { ctrl } = subchannel.scsw;
      if ((ctrl & scsw.SCSW_ACTL_DEVICE_ACTIVE) === 0 || subchannel.signalled()) return false;
      const dstat = DSTAT.DEVICE_END | end.status;
      const nothing = { cstat: 0, cpa: subchannel.scsw.cpa, count: 0 };
      const reported = withSense(subchannel, device, { ...nothing, dstat });
      // A start given since then meets the status, which is of no start of its own.
      const another = (ctrl & scsw.SCSW_FCTL_START_FUNC) !== 0 && subchannel.sequence !== start.sequence;
      if (another) status.presentEnding(subchannel, { ...reported, cc: 1 });
      else if (subchannel.operational()) status.presentDeviceEnd(subchannel, reported);
      else subchannel.scsw.ctrl &= ~ACTIVE;
      return subchannel.operational();
    });
  }

  #clear(): void {
    this.#device?.reset();
    this.#busy = false;
    this.#present(() => {
      status.presentCleared(this.subchannel);
      return true;
    });
  }

  /** Halts a subchannel that runs no program. */
  #halt(): void {
    const { subchannel } = this;
    this.#present(() => {
      const { ctrl, cpa, count } = subchannel.scsw;
      // Clear may have come since the function was taken up, and it undoes halt.
      if ((ctrl & scsw.SCSW_ACTL_HALT_PEND) === 0) return false;
      // Active without a program: its ending status got lost.
      const active = (ctrl & scsw.SCSW_ACTL_SUBCH_ACTIVE) !== 0;
      status.presentHalted(subchannel, active ? { cpa, count } : undefined);
      return true;
    });
  }

  /** The path is reset: so are the device and what it was still doing. */
  #reset(): void {
    const { subchannel } = this;
    this.#device?.reset();
    this.#busy = false;
    this.#present(() => {
      subchannel.lower(SIGNAL.RESET);
      const { ctrl, cpa, count } = subchannel.scsw;
      const check = { dstat: 0, cstat: CSTAT.INTF_CTRL_CHK };
      // Halt or clear that came since then is performed next.
      const pending = scsw.SCSW_ACTL_CLEAR_PEND | scsw.SCSW_ACTL_HALT_PEND;
      if ((ctrl & ACTIVE) === 0 || (ctrl & pending) !== 0) return false;
      if (!subchannel.operational() || (ctrl & scsw.SCSW_ACTL_START_PEND) !== 0) {
        subchannel.scsw.ctrl &= ~ACTIVE;
        return false;
      }
      if ((ctrl & scsw.SCSW_ACTL_SUBCH_ACTIVE) !== 0) status.presentEnding(subchannel, { ...check, cpa, count });
      else status.presentDeviceEnd(subchannel, check);
      return true;
    });
  }

  #unsolicited(): void {
    const { subchannel } = this;
    this.#present(() => {
      const { scsw: word, pmcw } = subchannel;
      if ((word.ctrl & FCTL) !== 0 || subchannel.statusPending()) return false;
      const dstat = subchannel.heldStatus;
      subchannel.heldStatus = 0;
      // A disabled subchannel accepts the status from the device and tells nobody.
      if (!subchannel.operational()) return false;
      const paths = pmcw.pam & pmcw.pim;
      const path = (paths & this.#lastPath) !== 0 || paths === 0 ? this.#lastPath : nextPath(paths, 0);
      status.presentUnsolicited(subchannel, dstat, path);
      return true;
    });
  }

  /** Changes status with the lock held and tells the kernel; `change` returns false when there is nothing to tell. */
  #present(change: () => boolean): boolean {
    const { subchannel } = this;
    const { scsw: word, number } = subchannel;
    let stctl = 0;
    let dstat = 0;
    let cstat = 0;
    const changed = subchannel.locked(() => {
      if (!change()) return false;
      stctl = word.ctrl & STCTL;
      dstat = word.dstat;
      cstat = word.cstat;
      return true;
    });
    if (!changed) return false;
    this.#context.tracer.point(EVENT.iop_status, number, stctl, dstat, cstat);
    this.#context.notify();
    return true;
  }
}
