/** A subchannel as the host kernel knows it (struct subchannel, drivers/s390/cio/css.h) and what a driver of it is. */
import { SCHIB } from '../../include/arch/s390/schib.ts';
import type { Task } from '../../lib/task.ts';
import type { CioBus } from './cio_bus.ts';

/** What MODIFY SUBCHANNEL is to set (struct schib_config). */
export interface SchibConfig {
  intparm: number;
  isc: number;
  enabled: boolean;
  /** Concurrent sense. */
  csense: boolean;
}

/** What happened to a channel path (drivers/s390/cio/chp.h). */
export type ChpEvent = 'CHP_VARY_OFF' | 'CHP_OFFLINE' | 'CHP_VARY_ON' | 'CHP_ONLINE';

/** A driver on the css bus (struct css_driver). */
export interface CssDriver {
  readonly name: string;
  /** Takes the subchannel. @throws Errno */
  probe(sch: Subchannel): Task;
  /** Gives it up; may wait for user space. */
  remove(sch: Subchannel): Task;
  /** TEST SUBCHANNEL stored an IRB in `css.irb`. Must copy it before it sleeps: the next one is stored there too. */
  irq(sch: Subchannel): Task;
  /** The subchannel may have appeared, vanished or changed. */
  schEvent(sch: Subchannel): Task;
  /** A channel path with this number changed. */
  chpEvent(sch: Subchannel, chpid: number, event: ChpEvent): Task;
  /** The host is shutting down. */
  shutdown(sch: Subchannel): Task;
}

export class Subchannel {
  readonly bus: CioBus;
  /** Subchannel number. */
  readonly schid: number;
  /** `0.0.nnnn`. */
  readonly busId: string;
  /** The SCHIB as last stored. */
  readonly schib = SCHIB.make();
  readonly config: SchibConfig = { intparm: 0, isc: 0, enabled: false, csense: false };
  /** Paths that may be used: available and operational (LPM to start with). */
  lpm = 0;
  /** Paths not varied off. */
  opm = 0xff;
  driver: CssDriver | undefined;
  /** Only a driver of this name may bind. */
  driverOverride: string | undefined;
  /** The kernel is about to forget it (SCH_TODO_UNREG). */
  unregistering = false;

  constructor(bus: CioBus, schid: number) {
    this.bus = bus;
    this.schid = schid;
    this.busId = `0.0.${schid.toString(16).padStart(4, '0')}`;
  }

  /** Directory in sysfs. */
  get path(): string {
    return `/sys/devices/css0/${this.busId}`;
  }
}
