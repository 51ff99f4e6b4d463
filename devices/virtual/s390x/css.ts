/**
 * The virtual channel subsystem (QEMU hw/s390x/css.c): subchannels by number, channel paths, interruptions and channel
 * reports. Devices sit in virtual css 0xFE; until the guest enables MCSS-E that css is its css 0.
 */

import type { DequeuedIo, Machine } from '../../../hypervisor/machine_api.ts';
import { CRW_ERC, CRW_FLAGS, CRW_RSC } from '../../../kernel/include/arch/s390/crw.ts';
import type { Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW_STCTL_STATUS_PEND } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { type ChscEvent, EventQueue } from './chsc_events.ts';
import { type ChannelReport, CrwQueue, channelReport } from './crw_queue.ts';
import { functionEnded, functionStarted, type MeasurementMode } from './measurement.ts';
import type { Subchannel } from './subchannel.ts';
import type { SubchannelId } from './subchannel_id.ts';

/** The css of virtual devices (QEMU VIRTUAL_CSSID). */
export const VIRTUAL_CSSID = 0xfe;
/** Highest numbers once MSS and MCSS-E are enabled. */
export const MAX_SSID = 3;
export const MAX_CSSID = 0xff;
/** Subchannels of a set, device numbers of a css. */
const NUMBERS = 0x10000;

/** A channel path of a css. */
export interface ChannelPath {
  readonly type: number;
  /** Not a path of the host: a reset of it succeeds. */
  readonly isVirtual: boolean;
}

export class ChannelSubsystem {
  readonly machine: Machine;
  readonly reports = new CrwQueue();
  /** Event information for CHSC. */
  readonly events = new EventQueue();
  /** Channel paths by CHPID. */
  readonly paths = new Map<number, ChannelPath>();
  /** Requests of SSCH that no CPU uses now. */
  readonly spareOrbs: Orb[] = [];
  /** What SCHM switched on. */
  measurement: MeasurementMode | undefined;
  #maxSsid = 0;
  #maxCssid = 0;
  readonly #sets: Map<number, Subchannel>[] = Array.from({ length: MAX_SSID + 1 }, () => new Map());

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** True once SDA enabled multiple channel subsystems: ids then carry the css number. */
  get mcsse(): boolean {
    return this.#maxCssid > 0;
  }
  enableMcsse(): void {
    this.#maxCssid = MAX_CSSID;
  }
  enableMss(): void {
    this.#maxSsid = MAX_SSID;
  }

  /**
   * A free place for a device: the first unused subchannel of a set, and `devno` or the first one unused there.
   * @throws Error naming the device number when it is taken.
   */
  place(devno?: number, ssid = 0): { cssid: number; ssid: number; schid: number; devno: number } {
    const set = this.#sets[ssid];
    const used = new Set([...set.values()].map((sch) => sch.schib.pmcw.devno));
    if (devno !== undefined && used.has(devno))
      throw new Error(`device number ${deviceNumber(ssid, devno)} is in use: choose another devno=`);
    const schid = firstFree((n) => set.has(n));
    const number = devno ?? firstFree((n) => used.has(n));
    if (schid < 0 || number < 0) throw new Error('no subchannel is free: the virtual channel subsystem is full');
    return { cssid: VIRTUAL_CSSID, ssid, schid, devno: number };
  }
  add(sch: Subchannel): void {
    this.#sets[sch.ssid].set(sch.schid, sch);
  }
  /** Takes a subchannel away. Its pending interruption goes with it. */
  *remove(sch: Subchannel): Task {
    this.#sets[sch.ssid].delete(sch.schid);
    yield* this.withdrawInterruption(sch);
  }
  /** The subchannel is part of the subsystem: not unplugged, nor another one of that number. */
  holds(sch: Subchannel): boolean {
    return this.#sets[sch.ssid].get(sch.schid) === sch;
  }
  /** Every subchannel, by set and number. */
  *subchannels(): Iterable<Subchannel> {
    for (const set of this.#sets) yield* [...set.values()].sort((a, b) => a.schid - b.schid);
  }

  /** The subchannel an instruction names, when there is one and the guest may see it. */
  find(id: SubchannelId): Subchannel | undefined {
    if (!this.#names(id) || id.ssid > this.#maxSsid) return undefined;
    return this.#sets[id.ssid].get(id.schid);
  }
  /** STSCH of this number answers "not operational": no subchannel of that number or above is there (QEMU css_schid_final). */
  beyondLast(id: SubchannelId): boolean {
    return !this.#names(id) || id.ssid > this.#maxSsid || id.schid > Math.max(-1, ...this.#sets[id.ssid].keys());
  }
  /** The css that GR1 names is the virtual one. */
  #names(id: SubchannelId): boolean {
    return !id.m || id.cssid === VIRTUAL_CSSID;
  }

  /** The subsystem-identification word that an interruption stores: 0x0001nnnn in set 0. */
  identification(sch: Subchannel): number {
    const css = this.mcsse ? (sch.cssid << 8) | 8 : 0;
    return (((css | (sch.ssid << 1) | 1) << 16) | sch.schid) >>> 0;
  }
  /** Makes the subchannel's interruption pending, with the guest's own parameter and subclass. */
  *injectIoInterrupt(sch: Subchannel): Task {
    const { intparm } = sch.schib.pmcw;
    const { isc } = sch;
    this.machine.tracer.point(EVENT.css_io_interrupt, (sch.cssid << 8) | sch.ssid, sch.schid, intparm, isc);
    // A subchannel has one interruption pending at most: that of an earlier status is replaced.
    if (sch.interruption !== undefined) yield* this.withdrawInterruption(sch);
    yield* this.#inject(sch, this.identification(sch), intparm, isc);
  }
  #inject(sch: Subchannel, subsystemId: number, intparm: number, isc: number): Task {
    sch.interruption = this.machine.watchIo(subsystemId);
    return this.machine.injectIo(subsystemId, intparm, isc);
  }
  /**
   * The status is not pending any more, whatever the reason: nor is its interruption. Nothing is to be done when a CPU
   * took it: it was delivered, or KVM took it off its queue for the TSCH. It is there yet when it came after the TSCH
   * had left the guest.
   */
  *withdrawInterruption(sch: Subchannel): Task {
    const { interruption } = sch;
    sch.interruption = undefined;
    if (interruption?.taken() === false) yield* this.machine.clearIo(interruption.subsystemId);
  }
  /** Puts back an interruption that KVM took off its queue for an instruction that then failed. */
  *putBackInterruption({ subsystemId, intparm, word }: DequeuedIo): Task {
    // ISC is bits 2-4 of the interruption-identification word.
    const isc = (word >>> 27) & 7;
    if (word >>> 31 !== 0) return yield* this.machine.injectAdapter(isc);
    const sch = this.#sets[(subsystemId >>> 17) & MAX_SSID].get(subsystemId & 0xffff);
    if (sch === undefined) return;
    yield* sch.lock.lock();
    try {
      // Another CPU may have taken the status meanwhile.
      if (!this.holds(sch) || (sch.schib.scsw.ctrl & SCSW_STCTL_STATUS_PEND) === 0) return;
      // Another of the same subchannel may have come: one is enough.
      yield* this.machine.clearIo(subsystemId);
      yield* this.#inject(sch, subsystemId, intparm, isc);
    } finally {
      sch.lock.unlock();
    }
  }

  /** SSCH or RSCH was accepted, for measurement. */
  *functionStarted(sch: Subchannel): Task {
    const { machine, measurement } = this;
    if (measurement !== undefined) yield* functionStarted(machine, measurement, sch, machine.actor.now());
  }
  /** Status of a device has come and is in `sch`, for measurement. */
  *functionEnded(sch: Subchannel): Task {
    const { machine, measurement } = this;
    if (measurement !== undefined) yield* functionEnded(machine, measurement, sch, machine.actor.now());
  }

  /** Queues a channel report, with a machine check if the guest is to be told. */
  *queueReport(report: ChannelReport): Task {
    const { flags, rsid } = report;
    const field = (name: 'RSC' | 'ERC' | 'C') => CRW_FLAGS.get(flags, name);
    this.machine.tracer.point(EVENT.css_crw, field('RSC'), field('ERC'), rsid, field('C'));
    if (this.reports.add(report)) yield* this.machine.injectChannelReport();
  }
  /** Event information for CHSC; a report of the channel subsystem says that there is some. */
  *queueEvent(event: ChscEvent): Task {
    this.events.add(event);
    yield* this.queueReport(channelReport(CRW_RSC.CSS, CRW_ERC.EVENT, 0));
  }
  /** A subchannel came or went: one report, chained to one that names set and css when the guest knows of such. */
  *reportSubchannel(sch: Subchannel): Task {
    const chained = this.#maxSsid > 0 || this.mcsse;
    yield* this.queueReport(channelReport(CRW_RSC.SUBCH, CRW_ERC.IPI, sch.schid, { chained }));
    if (!chained) return;
    const css = this.mcsse ? sch.cssid << 8 : 0;
    yield* this.queueReport(channelReport(CRW_RSC.SUBCH, CRW_ERC.IPI, css | (sch.ssid << 4)));
  }

  /** Machine reset: subsystem back to one css and one set, every subchannel disabled and idle, devices reset. */
  *reset(): Task {
    this.#maxSsid = 0;
    this.#maxCssid = 0;
    this.measurement = undefined;
    this.reports.clear();
    this.events.clear();
    for (const sch of [...this.subchannels()]) {
      yield* sch.lock.lock();
      try {
        resetSubchannel(sch);
        yield* sch.operations.reset?.(sch) ?? nothing();
      } finally {
        sch.lock.unlock();
      }
    }
    // Status that came meanwhile was of disabled subchannels: only now nothing more is pending.
    yield* this.machine.clearInterrupts();
  }
}

function* nothing(): Task {}

/** A device number as QEMU writes it: `fe.0.0190`. */
export function deviceNumber(ssid: number, devno: number): string {
  return `${VIRTUAL_CSSID.toString(16)}.${ssid}.${devno.toString(16).padStart(4, '0')}`;
}

function firstFree(used: (n: number) => boolean): number {
  for (let n = 0; n < NUMBERS; n++) if (!used(n)) return n;
  return -1;
}

/** What I/O-system reset leaves (SA22-7832 chapter 17, "I/O-System Reset"): what the device is stays, the rest is zero. */
function resetSubchannel(sch: Subchannel): void {
  const { pmcw, scsw } = sch.schib;
  pmcw.intparm = 0;
  pmcw.flags &= PMCW_FLAGS.mask.V | PMCW_FLAGS.mask.T;
  pmcw.lpm = pmcw.pim;
  pmcw.pnom = 0;
  pmcw.lpum = 0;
  pmcw.mbi = 0;
  pmcw.pom = 0xff;
  pmcw.chars = 0;
  scsw.flags = 0;
  scsw.ctrl = 0;
  scsw.cpa = 0;
  scsw.dstat = 0;
  scsw.cstat = 0;
  scsw.count = 0;
  sch.schib.mba = 0;
  sch.esw.fill(0);
  sch.senseData.fill(0);
  sch.measuredSince = undefined;
  sch.measuredRest = 0;
  sch.measurementCheck = undefined;
  sch.interruption = undefined;
}
