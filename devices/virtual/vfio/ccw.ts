/**
 * vfio-ccw: a host subchannel passed through to the guest (QEMU hw/vfio/ccw.c; vfio-ccw facts 2.2 to 2.5). SSCH becomes
 * a write of the I/O region, its status an eventfd and a read of the region; HSCH and CSCH go through the command region.
 */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { type PMCW, SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import {
  DSTAT,
  SCSW,
  SCSW_ACTL_CLEAR_PEND,
  SCSW_ACTL_HALT_PEND,
  SCSW_ACTL_START_PEND,
  SCSW_CTRL_MASK_STCTL,
  SCSW_FLAGS,
  SCSW_STCTL_STATUS_PEND,
} from '../../../kernel/include/arch/s390/scsw.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_DEVICE_RESET } from '../../../kernel/include/uapi/ioctl.ts';
import {
  ccw_cmd_region,
  ccw_io_region,
  ccw_schib_region,
  VFIO_CCW_ASYNC_CMD,
  VFIO_CCW_IRQ,
} from '../../../kernel/include/uapi/vfio.ts';
import { preempt, type Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import type { ChannelSubsystem } from '../s390x/css.ts';
import { CC, Subchannel, type SubchannelOperations } from '../s390x/subchannel.ts';
import { type CcwFunction, functionOutcome, STCTL_ALERT_END, UNIT_EXCEPTION } from './ccw_errno.ts';
import { type CcwHost, ccwHost, ccwPaths } from './ccw_host.ts';
import { type CcwRegions, ccwRegions } from './ccw_regions.ts';
import { crwNotifier, ioNotifier } from './ccw_results.ts';
import { VFIOContainer } from './container.ts';
import { EventNotifier } from './event_notifier.ts';
import { groupNumber, VFIOGroup } from './group.ts';

/** Options of `-device vfio-ccw`. */
export interface VfioCcwOptions {
  /** The mediated device's directory in sysfs. */
  readonly sysfsdev: string;
  /** Device number in the guest; the first free one when omitted. */
  readonly devno?: number;
  /** Set the prefetch bit of every ORB: off unless the guest is known not to modify running programs. */
  readonly forceOrbPfch?: boolean;
  /** The machine runs already: the guest is told by a channel report. */
  readonly hotplugged?: boolean;
  /** Container to join; a type1v2 container of its own when omitted. */
  readonly container?: VFIOContainer;
}

export class VFIOCCWDevice implements SubchannelOperations {
  readonly css: ChannelSubsystem;
  readonly machine: Machine;
  readonly host: CcwHost;
  /** The device in messages: `vfio-ccw 0.0.0000`. */
  readonly name: string;
  readonly options: VfioCcwOptions;
  readonly sch: Subchannel;
  #fd = -1;
  #regions: CcwRegions | undefined;
  #group: VFIOGroup | undefined;
  #container: VFIOContainer | undefined;
  readonly #notifiers: EventNotifier[] = [];
  #prefetchWarned = false;

  private constructor(css: ChannelSubsystem, host: CcwHost, options: VfioCcwOptions) {
    this.css = css;
    this.machine = css.machine;
    this.host = host;
    this.options = options;
    this.name = `vfio-ccw ${host.busId}`;
    const place = css.place(options.devno);
    this.sch = new Subchannel(place, place.devno, this, { passthrough: true, traceId: host.schid });
  }

  /** Brings a device into the machine. @throws Errno; Error, one sentence naming the device. Nothing is left open then. */
  static *realize(css: ChannelSubsystem, options: VfioCcwOptions): Task<VFIOCCWDevice> {
    const host = yield* ccwHost(css.machine, options.sysfsdev);
    for (const sch of css.subchannels()) {
      const { operations } = sch;
      if (operations instanceof VFIOCCWDevice && operations.host.busId === host.busId)
        throw new Error(`${operations.name}: this subchannel of the host is in the machine already`);
    }
    const device = new VFIOCCWDevice(css, host, options);
    try {
      yield* device.#realize();
    } catch (error) {
      yield* device.#release();
      throw error;
    }
    return device;
  }

  *#realize(): Task {
    const { machine, name, host } = this;
    yield* this.#buildSchib();
    const number = yield* groupNumber(machine, name, host.directory);
    const container = this.options.container ?? (yield* VFIOContainer.open(machine));
    if (this.options.container === undefined) this.#container = container;
    this.#group = yield* VFIOGroup.get(machine, name, number, container);
    this.#fd = yield* this.#group.deviceFd(host.uuid);
    this.#regions = yield* ccwRegions(machine, name, this.#fd, host.schid);
    yield* this.#register(VFIO_CCW_IRQ.IO, 'io', () => ioNotifier(this));
    if (this.#regions.crw !== undefined) yield* this.#register(VFIO_CCW_IRQ.CRW, 'crw', () => crwNotifier(this));
    try {
      yield* this.#register(VFIO_CCW_IRQ.REQ, 'req', () => this.#requested());
    } catch (error) {
      // An old kernel does not ask for its device back: that is worth a warning, not a failure.
      machine.log(`${name}: warning: no request notifier: ${(error as Error).message}`);
    }
    this.css.add(this.sch);
    if (this.options.hotplugged === true) yield* this.css.reportSubchannel(this.sch);
  }

  /** Path masks and channel paths are the host's; the rest of the PMCW is the guest's. */
  *#buildSchib(): Task {
    const paths = yield* ccwPaths(this.machine, this.host);
    const { pmcw } = this.sch.schib;
    const { pim, pam, pom } = paths;
    Object.assign(pmcw, { lpm: pim, pim, pam, pom, chpid: Uint8Array.from(paths.chpids) });
    for (const [i, chpid] of paths.chpids.entries())
      if ((pim & (0x80 >> i)) !== 0) this.css.paths.set(chpid, { type: paths.types[i], isVirtual: false });
  }

  *#register(index: number, what: string, handler: () => Task): Task {
    const notifier = yield* EventNotifier.register(this.machine, this.#fd, index, `${this.name} ${what}`, handler);
    this.#notifiers.push(notifier);
    this.machine.tracer.point(EVENT.vfio_ccw_Q2, this.host.schid, notifier.eventfd);
  }

  /** Descriptor and regions of a device that is realised. */
  get fd(): number {
    return this.#fd;
  }
  get regions(): CcwRegions {
    if (this.#regions === undefined) throw new Error(`${this.name}: not realised`);
    return this.#regions;
  }

  /** Unplugs the device: the subchannel is gone and the guest is told. */
  *unrealize(): Task {
    yield* this.sch.lock.lock();
    this.css.remove(this.sch);
    this.sch.lock.unlock();
    yield* this.#release();
    yield* this.css.reportSubchannel(this.sch);
  }
  /** Closes what is open, last opened first. */
  *#release(): Task {
    const { sys } = this.machine;
    for (let notifier = this.#notifiers.pop(); notifier !== undefined; notifier = this.#notifiers.pop())
      yield* notifier.unregister();
    if (this.#fd >= 0) yield* sys.close(this.#fd);
    this.#fd = -1;
    if (this.#group !== undefined) yield* this.#group.put();
    this.#group = undefined;
    if (this.#container !== undefined) yield* this.#container.close();
    this.#container = undefined;
  }
  /** The host wants its device back. */
  *#requested(): Task {
    this.machine.log(`${this.name}: the host asks for the device; it is unplugged`);
    yield* this.unrealize();
  }

  *start(sch: Subchannel): Task<number> {
    const orb = ORB.make();
    ORB.bytes(orb).set(ORB.bytes(sch.orb));
    if ((orb.ctrl0 & ORB_CTRL0.mask.P) === 0 && this.options.forceOrbPfch === true) {
      orb.ctrl0 |= ORB_CTRL0.mask.P;
      if (!this.#prefetchWarned)
        this.machine.log(`${this.name}: warning: prefetch forced for an ORB that does not allow it`);
      this.#prefetchWarned = true;
    }
    const region = ccw_io_region.make({ orb_area: ORB.bytes(orb), scsw_area: SCSW.bytes(sch.schib.scsw) });
    this.machine.tracer.point(EVENT.vfio_ccw_Q4, sch.traceId, orb.cpa);
    const cc = yield* this.#function('ssch', this.regions.io.offset, ccw_io_region.bytes(region));
    this.machine.tracer.point(EVENT.vfio_ccw_Q5, sch.traceId, cc);
    return cc;
  }
  /** A resumed program is started again from its ORB: the kernel has no other way. */
  resume(sch: Subchannel): Task<number> {
    return this.start(sch);
  }
  *halt(sch: Subchannel): Task<number> {
    const { async } = this.regions;
    if (async === undefined) return yield* this.#pretend(sch, SCSW_ACTL_HALT_PEND, DSTAT.DEVICE_END);
    return yield* this.#function('hsch', async.offset, command(VFIO_CCW_ASYNC_CMD.HSCH));
  }
  *clear(sch: Subchannel): Task<number> {
    const { async } = this.regions;
    if (async === undefined) return yield* this.#pretend(sch, SCSW_ACTL_CLEAR_PEND, 0);
    return yield* this.#function('csch', async.offset, command(VFIO_CCW_ASYNC_CMD.CSCH));
  }

  /**
   * Without the command region (kernels before 2019) the function is only made to look done. QEMU raises no interruption
   * here and the guest waits for one; this VMM raises it.
   */
  *#pretend(sch: Subchannel, pending: number, dstat: number): Task<number> {
    const { scsw } = sch.schib;
    scsw.ctrl = (scsw.ctrl & ~pending) | SCSW_STCTL_STATUS_PEND;
    scsw.dstat = dstat;
    scsw.cstat = 0;
    yield* this.css.injectIoInterrupt(sch);
    return CC.EXPECTED;
  }

  /** Writes a whole region; again while the kernel is busy with it. @returns condition code */
  *#function(ccwFunction: CcwFunction, offset: number, bytes: Uint8Array): Task<number> {
    const what = `${this.name} ${ccwFunction}`;
    for (;;) {
      try {
        // A short write without an error is a bad address (facts 2.3).
        const count = yield* this.machine.sys.pwrite(this.#fd, bytes, offset, what);
        if (count !== bytes.length) throw new Errno('EFAULT', what);
        return CC.EXPECTED;
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        if (error.code !== 'EAGAIN') {
          const outcome = functionOutcome(ccwFunction, error.code);
          if (outcome !== UNIT_EXCEPTION) return outcome;
          this.machine.log(`${error.message}: the guest gets a unit exception`);
          yield* this.#unitException();
          return CC.EXPECTED;
        }
      }
      yield* preempt();
    }
  }
  /** Status of a function that never reached the device. */
  *#unitException(): Task {
    const { scsw } = this.sch.schib;
    scsw.ctrl = (scsw.ctrl & ~(SCSW_ACTL_START_PEND | SCSW_CTRL_MASK_STCTL)) | STCTL_ALERT_END;
    // Eight past the first CCW, as if that one had been refused.
    scsw.cpa = this.sch.orb.cpa + 8;
    scsw.dstat = DSTAT.UNIT_EXCEP;
    scsw.cstat = 0;
    yield* this.css.injectIoInterrupt(this.sch);
  }

  /** STSCH: path state and path-not-operational come from the host; an error leaves what is known. */
  *updateSchib(sch: Subchannel): Task {
    const { schib: region } = this.regions;
    if (region === undefined) return;
    try {
      const bytes = yield* this.machine.sys.pread(this.#fd, ccw_schib_region.size, region.offset, `${this.name} stsch`);
      if (bytes.length !== ccw_schib_region.size) throw new Errno('EIO', `${this.name} stsch`);
      const host = SCHIB.at(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
      const { pnom, lpum, pam, pom } = host.pmcw;
      Object.assign(sch.schib.pmcw, { pnom, lpum, pam, pom } satisfies Partial<
        Record<keyof typeof PMCW.fields, number>
      >);
      sch.schib.scsw.flags |= host.scsw.flags & SCSW_FLAGS.mask.N;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.machine.log(error.message);
    }
  }

  /** Machine reset: the kernel's reset ends what runs; what it says of it is of no interest. */
  *reset(): Task {
    try {
      yield* this.machine.sys.ioctl(this.#fd, VFIO_DEVICE_RESET);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
  }
}

/** The command region with one command. */
function command(value: number): Uint8Array {
  return ccw_cmd_region.bytes(ccw_cmd_region.make({ command: value }));
}
