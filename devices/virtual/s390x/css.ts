/**
 * The virtual channel subsystem (QEMU hw/s390x/css.c): subchannels by number, channel paths, interruptions and channel
 * reports. Devices sit in virtual css 0xFE; until the guest enables MCSS-E that css is its css 0.
 */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import { CRW_ERC, CRW_RSC } from '../../../kernel/include/arch/s390/crw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { type ChannelReport, CrwQueue, channelReport } from './crw_queue.ts';
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
  /** Channel paths by CHPID. */
  readonly paths = new Map<number, ChannelPath>();
  /** SCHM: measurement-block update is on, with blocks from this absolute address. */
  measurement: { readonly origin: number } | undefined;
  #maxSsid = 0;
  #maxCssid = 0;
  readonly #sets: Map<number, Subchannel>[] = Array.from({ length: MAX_SSID + 1 }, () => new Map());
  // Highest subchannel number ever used, per set: numbers above it are "beyond the last" (QEMU css_schid_final).
  readonly #last: number[] = new Array(MAX_SSID + 1).fill(-1);

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

  /** A free place for a device: the first unused subchannel of set 0, and `devno` or the first unused one. @throws Error naming the device number when it is taken. */
  place(devno?: number): { cssid: number; ssid: number; schid: number; devno: number } {
    const used = new Set([...this.subchannels()].map((sch) => sch.schib.pmcw.devno));
    if (devno !== undefined && used.has(devno))
      throw new Error(`device number 0x${devno.toString(16).padStart(4, '0')} is in use: choose another devno=`);
    const set = this.#sets[0];
    const schid = firstFree((n) => set.has(n));
    const number = devno ?? firstFree((n) => used.has(n));
    if (schid < 0 || number < 0) throw new Error('no subchannel is free: the virtual channel subsystem is full');
    return { cssid: VIRTUAL_CSSID, ssid: 0, schid, devno: number };
  }
  add(sch: Subchannel): void {
    this.#sets[sch.ssid].set(sch.schid, sch);
    this.#last[sch.ssid] = Math.max(this.#last[sch.ssid], sch.schid);
  }
  remove(sch: Subchannel): void {
    this.#sets[sch.ssid].delete(sch.schid);
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
  /** STSCH of this number answers "not operational": no subchannel of that number or above was ever there. */
  beyondLast(id: SubchannelId): boolean {
    return !this.#names(id) || id.ssid > this.#maxSsid || id.schid > this.#last[id.ssid];
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
    yield* this.machine.injectIo(this.identification(sch), intparm, isc);
  }

  /** Queues a channel report, with a machine check if the guest is to be told. */
  *queueReport(report: ChannelReport): Task {
    this.machine.tracer.point(EVENT.css_crw, (report.flags >> 8) & 0xf, report.flags & 0x3f, report.rsid);
    if (this.reports.add(report)) yield* this.machine.injectChannelReport();
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
    for (const sch of this.subchannels()) {
      yield* sch.lock.lock();
      try {
        resetSubchannel(sch);
        yield* sch.operations.reset?.(sch) ?? nothing();
      } finally {
        sch.lock.unlock();
      }
    }
  }
}

function* nothing(): Task {}

function firstFree(used: (n: number) => boolean): number {
  for (let n = 0; n < NUMBERS; n++) if (!used(n)) return n;
  return -1;
}

/** What I/O-system reset leaves (SA22-7832 chapter 17, "I/O-System Reset"): what the device is stays, the rest is zero. */
function resetSubchannel(sch: Subchannel): void {
  const { pmcw, scsw } = sch.schib;
  const valid = pmcw.flags & 1;
  pmcw.intparm = 0;
  pmcw.flags = valid;
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
}
