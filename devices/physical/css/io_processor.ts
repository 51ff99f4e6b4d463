/**
 * An I/O processor: takes subchannels from its work ring and performs their functions, each in a task of its own, so
 * that a slow device holds up nobody else. At most one task serves a subchannel at a time.
 */

import { CRW, CRW_ERC, CRW_FLAGS, CRW_RSC } from '../../../kernel/include/arch/s390/crw.ts';
import { ORB, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import * as scsw from '../../../kernel/include/arch/s390/scsw.ts';
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { type Actor, preempt, type Task, until } from '../../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { type DriveOptions, openDrive } from '../dasd/drive.ts';
import type { ChannelDevice } from './channel_device.ts';
import { ChannelProgram, type ProgramContext, type ProgramEnd } from './channel_program.ts';
import { CssArea } from './css_area.ts';
import * as status from './status.ts';
import { Subchannel } from './subchannel.ts';

const { DSTAT } = scsw;

/** A device that exists already, on a subchannel. */
export interface AttachedDevice {
  readonly schid: number;
  readonly device: ChannelDevice;
}

/** What hangs on a subchannel: the options of a 3390 drive, or a device made by the caller. */
export type DeviceConfig = DriveOptions | AttachedDevice;

export interface IoProcessorOptions {
  readonly memory: HostMemory;
  readonly cssBase: number;
  /** Lowest address a channel program may name. */
  readonly firstFrame: number;
  readonly kernelDoorbell: Doorbell;
  readonly tracer: Tracer;
  /** Number of this I/O processor, as in the table of `installDevices`. */
  readonly iop: number;
  readonly devices: readonly DeviceConfig[];
}

/** What can be done to a running I/O processor, on its own thread. */
export interface IoProcessor {
  /** A device presents status of its own accord. @param dstat device status; attention when omitted. */
  attention(schid: number, dstat?: number): void;
  /** Varies a channel path online or offline: PAM of every subchannel that has it, and a channel report. */
  configureChpid(chpid: number, online: boolean): void;
  /** Powers the devices off. */
  close(): void;
}

/** A function taken up from a subchannel. */
type Work =
  | { readonly kind: 'clear' | 'halt' | 'unsolicited' }
  | {
      readonly kind: 'start';
      readonly orb: Orb;
      readonly ccw: number;
      readonly sequence: number;
      readonly resumed: boolean;
    };

/**
 * Starts an I/O processor on its actor. Opens the devices' images.
 * @throws ImageError when an image cannot be used; Error when a subchannel is not this processor's.
 */
export function spawnIoProcessor(actor: Actor, options: IoProcessorOptions): IoProcessor {
  const processor = new Processor(actor, options);
  actor.spawn(`iop${options.iop}`, processor.dispatch());
  return processor;
}

class Processor implements IoProcessor {
  readonly #actor: Actor;
  readonly #options: IoProcessorOptions;
  readonly #area: CssArea;
  readonly #context: ProgramContext;
  readonly #devices = new Map<number, ChannelDevice>();
  readonly #subchannels = new Map<number, Subchannel>();
  /** Subchannels that a task serves now. */
  readonly #serving = new Set<number>();

  constructor(actor: Actor, options: IoProcessorOptions) {
    const { memory, firstFrame, tracer, kernelDoorbell } = options;
    this.#actor = actor;
    this.#options = options;
    this.#area = new CssArea(memory, options.cssBase);
    this.#context = { actor, memory, firstFrame, tracer, notify: () => kernelDoorbell.ring() };
    for (const config of options.devices) {
      const subchannel = this.#subchannel(config.schid);
      if (!subchannel.valid() || subchannel.iop !== options.iop)
        throw new Error(`subchannel ${config.schid} has no device on I/O processor ${options.iop}`);
      this.#devices.set(config.schid, 'device' in config ? config.device : openDrive(config));
    }
  }

  attention(schid: number, dstat: number = DSTAT.ATTENTION): void {
    const subchannel = this.#subchannel(schid);
    subchannel.locked(() => {
      subchannel.heldStatus |= dstat;
    });
    this.#take(subchannel);
  }

  configureChpid(chpid: number, online: boolean): void {
    for (let number = 0; number < this.#area.installed; number++) {
      const subchannel = this.#subchannel(number);
      subchannel.locked(() => {
        const { pmcw } = subchannel;
        for (let path = 0; path < 8; path++) {
          const bit = 0x80 >>> path;
          if ((pmcw.pim & bit) === 0 || pmcw.chpid[path] !== chpid) continue;
          pmcw.pam = online ? pmcw.pam | bit : pmcw.pam & ~bit;
        }
      });
    }
    const crw = CRW.make({ rsid: chpid });
    crw.flags = CRW_FLAGS.set(CRW_FLAGS.set(0, 'RSC', CRW_RSC.CHP), 'ERC', online ? CRW_ERC.INIT : CRW_ERC.PERRN);
    this.#area.report(crw.dv.getUint32(0));
    this.#context.notify();
  }

  close(): void {
    for (const device of this.#devices.values()) device.close();
  }

  /** The processor's own task: hands every subchannel of the work ring to a task that serves it. */
  *dispatch(): Task {
    const ring = this.#area.work(this.#options.iop);
    for (;;) {
      yield* until('work for the I/O processor', () => !ring.empty());
      const number = ring.pop();
      if (number === undefined) continue;
      const subchannel = this.#subchannel(number);
      subchannel.locked(() => subchannel.dequeued());
      this.#take(subchannel);
    }
  }

  #subchannel(number: number): Subchannel {
    let subchannel = this.#subchannels.get(number);
    if (subchannel === undefined) {
      subchannel = new Subchannel(this.#area, number);
      this.#subchannels.set(number, subchannel);
    }
    return subchannel;
  }

  #take(subchannel: Subchannel): void {
    // A task that serves the subchannel already looks for work again before it ends.
    if (this.#serving.has(subchannel.number)) return;
    this.#serving.add(subchannel.number);
    this.#actor.spawn(`subchannel ${subchannel.number}`, this.#serve(subchannel));
  }

  /** Performs functions until none is pending. Between finding none and leaving, nothing can run. */
  *#serve(subchannel: Subchannel): Task {
    for (let work = this.#next(subchannel); work !== undefined; work = this.#next(subchannel)) {
      if (work.kind === 'start') yield* this.#start(subchannel, work);
      else if (work.kind === 'clear') this.#clear(subchannel);
      else if (work.kind === 'halt') this.#halt(subchannel);
      else this.#unsolicited(subchannel);
      yield* preempt();
    }
    this.#serving.delete(subchannel.number);
  }

  /** The most urgent pending function: clear, halt, start, resume; last, status the device wants to present. */
  #next(subchannel: Subchannel): Work | undefined {
    return subchannel.locked(() => {
      const { ctrl, cpa } = subchannel.scsw;
      if ((ctrl & scsw.SCSW_ACTL_CLEAR_PEND) !== 0) return { kind: 'clear' };
      if ((ctrl & scsw.SCSW_ACTL_HALT_PEND) !== 0) return { kind: 'halt' };
      const start = (ctrl & scsw.SCSW_ACTL_START_PEND) !== 0;
      if (start || (ctrl & scsw.SCSW_ACTL_RESUME_PEND) !== 0) {
        const orb = ORB.make();
        ORB.bytes(orb).set(ORB.bytes(subchannel.orb));
        const ccw = start ? cpa : subchannel.resumeCcw;
        return { kind: 'start', orb, ccw, sequence: subchannel.sequence, resumed: !start };
      }
      const idle = (ctrl & scsw.SCSW_CTRL_MASK_FCTL) === 0 && !subchannel.statusPending();
      return idle && subchannel.heldStatus !== 0 ? { kind: 'unsolicited' } : undefined;
    });
  }

  *#start(subchannel: Subchannel, work: Extract<Work, { kind: 'start' }>): Task {
    const { number } = subchannel;
    this.#options.tracer.point(EVENT.iop_start, number, work.ccw);
    const device = this.#devices.get(number);
    const end = this.#refused(subchannel, device, work) ?? (yield* this.#run(subchannel, device, work));
    if (end.kind === 'cancelled') return;
    this.#present(subchannel, () => this.#conclude(subchannel, work, end));
  }

  #run(subchannel: Subchannel, device: ChannelDevice | undefined, work: Extract<Work, { kind: 'start' }>) {
    const { orb, sequence, resumed, ccw } = work;
    return new ChannelProgram(this.#context, subchannel, device as ChannelDevice, orb, sequence, resumed).run(ccw);
  }

  /** Selection fails: no path to the device (deferred cc 3), or the device has status of its own (deferred cc 1). */
  #refused(
    subchannel: Subchannel,
    device: ChannelDevice | undefined,
    work: Extract<Work, { kind: 'start' }>,
  ): ProgramEnd | undefined {
    const nothing = { dstat: 0, cstat: 0, cpa: work.ccw, count: 0 };
    return subchannel.locked(() => {
      const path = (work.orb.lpm & subchannel.pmcw.pam) !== 0;
      if (!path || device === undefined || !device.operational())
        return { kind: 'ended', status: { ...nothing, cc: 3 } };
      if (subchannel.heldStatus === 0) return undefined;
      const dstat = subchannel.heldStatus | DSTAT.BUSY;
      subchannel.heldStatus = 0;
      return { kind: 'ended', status: { ...nothing, dstat, cc: 1 } };
    });
  }

  /** With the lock: what the end of a program means, if its start still stands; false when nothing was presented. */
  #conclude(subchannel: Subchannel, work: Extract<Work, { kind: 'start' }>, end: ProgramEnd): boolean {
    const { ctrl } = subchannel.scsw;
    const stands = subchannel.sequence === work.sequence && (ctrl & scsw.SCSW_FCTL_START_FUNC) !== 0;
    // A clear function that came meanwhile is performed next, and nothing of the program is told.
    if (!stands || (ctrl & scsw.SCSW_ACTL_CLEAR_PEND) !== 0) return false;
    const halt = (ctrl & scsw.SCSW_ACTL_HALT_PEND) !== 0;
    if (end.kind === 'ended') {
      status.presentEnding(subchannel, end.status);
      // The program ended before the halt signal could reach the device: both functions are complete.
      if (halt) subchannel.lower();
    } else if (halt) {
      status.presentHalted(subchannel, end.kind === 'signalled' ? end.at : undefined);
    } else if (end.kind === 'suspended') {
      subchannel.resumeCcw = end.resume;
      status.presentSuspended(subchannel, end.resume + 8);
    }
    return true;
  }

  #clear(subchannel: Subchannel): void {
    this.#devices.get(subchannel.number)?.reset();
    this.#present(subchannel, () => {
      status.presentCleared(subchannel);
      return true;
    });
  }

  /** Halts a subchannel whose device is not active. */
  #halt(subchannel: Subchannel): void {
    this.#present(subchannel, () => {
      // Clear may have come since the function was taken up, and it undoes halt.
      if ((subchannel.scsw.ctrl & scsw.SCSW_ACTL_HALT_PEND) === 0) return false;
      status.presentHalted(subchannel, undefined);
      return true;
    });
  }

  #unsolicited(subchannel: Subchannel): void {
    this.#present(subchannel, () => {
      const { ctrl } = subchannel.scsw;
      if ((ctrl & scsw.SCSW_CTRL_MASK_FCTL) !== 0 || subchannel.statusPending()) return false;
      const dstat = subchannel.heldStatus;
      subchannel.heldStatus = 0;
      // A disabled subchannel accepts the status from the device and tells nobody.
      if (!subchannel.operational()) return false;
      status.presentUnsolicited(subchannel, dstat);
      return true;
    });
  }

  /** Changes status with the lock held and tells the kernel; `change` returns false when there is nothing to tell. */
  #present(subchannel: Subchannel, change: () => boolean): void {
    const { scsw: word, number } = subchannel;
    const seen = subchannel.locked(() =>
      !change() ? undefined : { stctl: word.ctrl & scsw.SCSW_CTRL_MASK_STCTL, dstat: word.dstat, cstat: word.cstat },
    );
    if (seen === undefined) return;
    this.#options.tracer.point(EVENT.iop_status, number, seen.stctl, seen.dstat, seen.cstat);
    this.#context.notify();
  }
}
