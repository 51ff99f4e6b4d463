/**
 * The channel-subsystem driver core (drivers/s390/cio/css.c): finds the subchannels at boot, shows them in sysfs, takes
 * interruptions and channel reports, and passes them to the driver bound to the subchannel.
 */
import { CRW_ERC, CRW_FLAGS, CRW_RSC } from '../../include/arch/s390/crw.ts';
import { IRB } from '../../include/arch/s390/irb.ts';
import { PMCW_CHARS, PMCW_FLAGS, SCHIB } from '../../include/arch/s390/schib.ts';
import type { Kernel } from '../../kernel.ts';
import { type Task, until } from '../../lib/task.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import { ChannelPath } from './chp.ts';
import { cioUpdateSchib } from './cio.ts';
import type { CioBus } from './cio_bus.ts';
import { CssDrivers } from './css_drivers.ts';
import { type ChpEvent, type CssDriver, Subchannel } from './subchannel.ts';

/** Subchannel numbers that can exist in one set. */
const MAX_SUBCHANNEL = 0x10000;
/** PMCW subchannel type of an I/O subchannel (vfio-ccw facts 1.3). */
const SUBCHANNEL_TYPE_IO = 0;

/** What a channel report about a path says, by its error-recovery code (chp_process_crw); others say nothing. */
const PATH_EVENTS: Readonly<Record<number, ChpEvent>> = {
  [CRW_ERC.AVAIL]: 'CHP_ONLINE',
  [CRW_ERC.INIT]: 'CHP_ONLINE',
  [CRW_ERC.IPI]: 'CHP_ONLINE',
  [CRW_ERC.TERROR]: 'CHP_OFFLINE',
  [CRW_ERC.TERM]: 'CHP_OFFLINE',
  [CRW_ERC.PERRN]: 'CHP_OFFLINE',
  [CRW_ERC.PERRI]: 'CHP_OFFLINE',
};

export class Css {
  readonly kernel: Kernel;
  readonly bus: CioBus;
  readonly subchannels = new Map<number, Subchannel>();
  readonly drivers: CssDrivers;
  readonly #paths = new Map<number, ChannelPath>();
  /** The interruption-response block of the host's one processor (per-CPU cio_irb). */
  readonly irb = IRB.make();

  /**
   * @param drivers in order of registration: the first that matches gets a new subchannel.
   * @param autoprobe whether it gets it unasked.
   */
  constructor(kernel: Kernel, bus: CioBus, drivers: readonly CssDriver[], autoprobe = true) {
    this.kernel = kernel;
    this.bus = bus;
    this.drivers = new CssDrivers(kernel, this.subchannels, drivers, autoprobe);
  }

  /** Finds the subchannels and begins to serve them. */
  *start(): Task {
    const schib = SCHIB.make();
    for (let schid = 0; schid < MAX_SUBCHANNEL && this.bus.stsch(schid, schib) === 0; schid++)
      if (PMCW_FLAGS.get(schib.pmcw.flags, 'V') === 1) yield* this.#register(schid);
    this.kernel.actor.spawn('io-interruption', this.#interruptions());
    this.kernel.actor.spawn('kmcheck', this.#channelReports());
  }

  *#register(schid: number): Task {
    const sch = new Subchannel(this.bus, schid);
    if (cioUpdateSchib(sch) !== 0) return;
    if (PMCW_CHARS.get(sch.schib.pmcw.chars, 'type') !== SUBCHANNEL_TYPE_IO) return;
    const { pim, chpid } = sch.schib.pmcw;
    for (let i = 0; i < chpid.length; i++) if ((pim & (0x80 >>> i)) !== 0) this.#path(chpid[i]);
    sch.lpm = sch.schib.pmcw.pam & sch.opm;
    this.subchannels.set(schid, sch);
    this.#publish(sch);
    if (this.drivers.autoprobe) yield* this.drivers.probe(sch);
  }

  #path(chpid: number): void {
    if (this.#paths.has(chpid)) return;
    const { vfs } = this.kernel;
    this.#paths.set(chpid, new ChannelPath(vfs, chpid, (id, event) => this.chpEvent(id, event)));
  }

  #publish(sch: Subchannel): void {
    const { vfs } = this.kernel;
    const { path, busId } = sch;
    const type = PMCW_CHARS.get(sch.schib.pmcw.chars, 'type').toString(16);
    const hex = (byte: number) => byte.toString(16).padStart(2, '0');
    vfs.attribute(`${path}/type`, () => type);
    vfs.attribute(`${path}/modalias`, () => `css:t${type.toUpperCase()}`);
    vfs.attribute(`${path}/pimpampom`, () => {
      const { pim, pam, pom } = sch.schib.pmcw;
      return `${hex(pim)} ${hex(pam)} ${hex(pom)}`;
    });
    vfs.attribute(`${path}/chpids`, () => {
      const { pim, chpid } = sch.schib.pmcw;
      return [...chpid].map((id, i) => hex((pim & (0x80 >>> i)) !== 0 ? id : 0)).join(' ');
    });
    vfs.attribute(
      `${path}/driver_override`,
      () => sch.driverOverride ?? '(null)',
      function* (name) {
        sch.driverOverride = name === '' ? undefined : name;
      },
    );
    vfs.add(`${path}/subsystem`, { kind: 'link', target: '../../../bus/css' });
    vfs.add(`/sys/bus/css/devices/${busId}`, { kind: 'link', target: `../../../devices/css0/${busId}` });
  }

  /** I/O interruptions: TPI, TSCH, and the driver's handler, without a pause between the last two (sch->lock). */
  *#interruptions(): Task {
    const { bus, kernel } = this;
    const { irb } = this;
    for (;;) {
      yield* until('I/O interruption', () => bus.interruptionPending());
      const code = bus.tpi();
      if (code === undefined) continue;
      if (kernel.actor.simulated) yield* raceWindow(kernel.actor);
      // Condition code 1: the status was taken or cleared meanwhile.
      if (bus.tsch(code.schid, irb) !== 0) continue;
      const sch = this.subchannels.get(code.schid);
      if (sch === undefined) continue;
      sch.schib.scsw = irb.scsw;
      yield* sch.driver?.irq(sch) ?? nothing();
    }
  }

  /** Channel reports: what the channel subsystem tells unasked (s390_do_machine_check, crw_collect_info). */
  *#channelReports(): Task {
    const { bus } = this;
    for (;;) {
      yield* until('channel report', () => bus.crwPending());
      const crw = bus.stcrw();
      if (crw === undefined) continue;
      const flags = crw >>> 16;
      const rsid = crw & 0xffff;
      if (CRW_FLAGS.get(flags, 'R') === 1) yield* this.#rescan();
      const erc = CRW_FLAGS.get(flags, 'ERC');
      switch (CRW_FLAGS.get(flags, 'RSC')) {
        case CRW_RSC.SUBCH:
          yield* this.schEvent(rsid);
          break;
        case CRW_RSC.CHP:
          // A solicited one ends RESET CHANNEL PATH: who asked for that knows what it means (chp_process_crw).
          if (CRW_FLAGS.get(flags, 'S') === 0 && PATH_EVENTS[erc] !== undefined)
            yield* this.chpEvent(rsid, PATH_EVENTS[erc]);
          break;
      }
    }
  }

  /** Reports were lost: every subchannel is looked at. */
  *#rescan(): Task {
    const schib = SCHIB.make();
    for (let schid = 0; schid < MAX_SUBCHANNEL && this.bus.stsch(schid, schib) === 0; schid++)
      yield* this.schEvent(schid);
  }

  /** css_evaluate_subchannel: it may have appeared, changed or vanished. */
  *schEvent(schid: number): Task {
    const sch = this.subchannels.get(schid);
    if (sch === undefined) {
      const schib = SCHIB.make();
      const there = this.bus.stsch(schid, schib) === 0 && PMCW_FLAGS.get(schib.pmcw.flags, 'V') === 1;
      if (there) yield* this.#register(schid);
      return;
    }
    if (sch.unregistering) return;
    yield* sch.driver?.schEvent(sch) ?? nothing();
    // Without a driver that has taken care of it, what is gone is forgotten here.
    if (!sch.unregistering && cioUpdateSchib(sch) !== 0) this.scheduleUnregister(sch);
  }

  /** A channel path has changed: every subchannel's driver is told. */
  *chpEvent(chpid: number, event: ChpEvent): Task {
    for (const sch of [...this.subchannels.values()]) yield* sch.driver?.chpEvent(sch, chpid, event) ?? nothing();
  }

  /** css_sched_sch_todo(SCH_TODO_UNREG): forgets the subchannel as soon as its driver lets go. */
  scheduleUnregister(sch: Subchannel): void {
    if (sch.unregistering) return;
    sch.unregistering = true;
    this.kernel.actor.spawn(`unregister ${sch.busId}`, this.#unregister(sch));
  }

  *#unregister(sch: Subchannel): Task {
    yield* this.drivers.release(sch);
    this.kernel.vfs.remove(`/sys/bus/css/devices/${sch.busId}`);
    this.kernel.vfs.remove(sch.path);
    this.subchannels.delete(sch.schid);
  }

  /** The host goes down: no program may run on. */
  *shutdown(): Task {
    for (const sch of [...this.subchannels.values()]) yield* sch.driver?.shutdown(sch) ?? nothing();
  }
}

function* nothing(): Task {}
