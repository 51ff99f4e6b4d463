/**
 * vfio-ccw: a host subchannel passed through to the guest (QEMU hw/vfio/ccw.c; vfio-ccw facts 2.2 to 2.5). SSCH becomes
 * a write of the I/O region, its status an eventfd and a read of the region; HSCH and CSCH go through the command region.
 */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB, ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import { type PMCW, SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW, SCSW_ACTL_CLEAR_PEND, SCSW_ACTL_HALT_PEND, SCSW_FLAGS } from '../../../kernel/include/arch/s390/scsw.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import {
  ccw_cmd_region,
  ccw_io_region,
  ccw_schib_region,
  VFIO_CCW_ASYNC_CMD,
  VFIO_CCW_IRQ,
} from '../../../kernel/include/uapi/vfio.ts';
import { Mutex, preempt, type Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { SEI_CC, SEI_RS_CHP } from '../s390x/chsc_events.ts';
import { type ChannelSubsystem, deviceNumber } from '../s390x/css.ts';
import { CC, type PluggedDevice, Subchannel, type SubchannelOperations } from '../s390x/subchannel.ts';
import { type CcwFunction, functionOutcome, UNIT_EXCEPTION } from './ccw_errno.ts';
import { addPaths, buildSchib, type CcwHost, ccwHost } from './ccw_host.ts';
import { checkPlug, quietReset, realizeOrRelease, unplugSubchannel } from './ccw_plug.ts';
import { type CcwRegions, ccwRegions } from './ccw_regions.ts';
import { crwNotifier, ioNotifier, pretendFunction, unitException } from './ccw_results.ts';
import { VFIOContainer } from './container.ts';
import { EventNotifier } from './event_notifier.ts';
import { groupNumber, VFIOGroup } from './group.ts';

/** Options of `-device vfio-ccw`. */
export interface VfioCcwOptions {
  /** The mediated device's directory in sysfs. */
  readonly sysfsdev: string;
  /** The device's name in the monitor; its mediated device's UUID when omitted. */
  readonly id?: string;
  /** Device number in the guest; the first free one when omitted. */
  readonly devno?: number;
  /** Subchannel set, 0 when omitted; the guest sees others once it has enabled multiple sets. */
  readonly ssid?: number;
  /** Set the prefetch bit of every ORB: off unless the guest is known not to modify running programs. */
  readonly forceOrbPfch?: boolean;
  /** false: as before Linux 5.2 and QEMU 4.1, which had no command region, HSCH and CSCH do not reach the host. */
  readonly commandRegion?: boolean;
  /** The machine runs already: the guest is told by a channel report. */
  readonly hotplugged?: boolean;
  /** Container to join; a type1v2 container of its own when omitted. */
  readonly container?: VFIOContainer;
}

const DRIVER = 'vfio-ccw';

export class VFIOCCWDevice implements SubchannelOperations, PluggedDevice {
  readonly driver = DRIVER;
  readonly id: string;
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
  readonly #plugging = new Mutex('plugging');
  #prefetchWarned = false;
  #hostWorks = false;
  /** What SSCH writes into the I/O region, and its parts. The subchannel's lock is held meanwhile. */
  readonly #request = new Uint8Array(ccw_io_region.size);
  readonly #requestOrb = ORB.at(new DataView(this.#request.buffer), ccw_io_region.offset.orb_area);
  readonly #requestScsw = SCSW.at(new DataView(this.#request.buffer), ccw_io_region.offset.scsw_area);
  /** What was last read of it, and the IRB there. The same. */
  readonly result = new Uint8Array(ccw_io_region.size);
  readonly irb = IRB.at(new DataView(this.result.buffer), ccw_io_region.offset.irb_area);

  private constructor(css: ChannelSubsystem, host: CcwHost, options: VfioCcwOptions) {
    this.css = css;
    this.machine = css.machine;
    this.host = host;
    this.options = options;
    this.name = `vfio-ccw ${host.busId}`;
    this.id = options.id ?? host.uuid;
    const place = css.place(options.devno, options.ssid);
    this.sch = new Subchannel(place, place.devno, this, { passthrough: true, traceId: host.schid });
  }

  /** Brings a device into the machine. @throws Errno; Error, one sentence naming the device. Nothing is left open then. */
  static *realize(css: ChannelSubsystem, options: VfioCcwOptions): Task<VFIOCCWDevice> {
    const host = yield* ccwHost(css.machine, options.sysfsdev);
    checkPlug(css, DRIVER, host, options.id);
    const device = new VFIOCCWDevice(css, host, options);
    yield* realizeOrRelease(device.#realize(), () => device.#release());
    return device;
  }

  *#realize(): Task {
    const { machine, name, host } = this;
    const paths = yield* buildSchib(machine, host, this.sch);
    const number = yield* groupNumber(machine, name, host.directory);
    const container = this.options.container ?? (yield* VFIOContainer.open(machine));
    if (this.options.container === undefined) this.#container = container;
    this.#group = yield* VFIOGroup.get(machine, name, number, container);
    this.#fd = yield* this.#group.deviceFd(host.uuid);
    const { async, ...regions } = yield* ccwRegions(machine, name, this.#fd, host.schid);
    this.#regions = this.options.commandRegion === false ? regions : { ...regions, async };
    yield* this.#register(VFIO_CCW_IRQ.IO, 'io', () => ioNotifier(this));
    if (this.#regions.crw !== undefined) yield* this.#register(VFIO_CCW_IRQ.CRW, 'crw', () => crwNotifier(this));
    try {
      yield* this.#register(VFIO_CCW_IRQ.REQ, 'req', () => this.#requested());
    } catch (error) {
      // An old kernel does not ask for its device back: that is worth a warning, not a failure.
      machine.log(`${name}: warning: no request notifier: ${(error as Error).message}`);
    }
    const newPaths = addPaths(this.css, paths);
    this.css.add(this.sch);
    if (this.options.hotplugged !== true) return;
    // A path the guest has not heard of becomes accessible before the device on it is there.
    for (const rsid of newPaths)
      yield* this.css.queueEvent({
        contentCode: SEI_CC.RESOURCE_ACCESSIBILITY,
        reportingSource: SEI_RS_CHP,
        rsid,
      });
    yield* this.css.reportSubchannel(this.sch);
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

  get plugged(): PluggedDevice {
    return this;
  }
  /** @see PluggedDevice */
  describe(): Readonly<Record<string, string>> {
    const { sch, host, options, machine } = this;
    const { pmcw } = sch.schib;
    const regions = Object.entries(this.regions).map(
      ([name, r]) => `${name} ${r.size} bytes at 0x${r.offset.toString(16)}`,
    );
    return {
      sysfsdev: host.directory,
      host: host.busId,
      subchannel: sch.name,
      devno: deviceNumber(sch.ssid, pmcw.devno),
      'force-orb-pfch': options.forceOrbPfch === true ? 'on' : 'off',
      fd: `${this.fd}`,
      group: `${this.#group?.number} (fd ${this.#group?.fd})`,
      container: `fd ${this.#group?.container.fd}`,
      regions: regions.join(', '),
      eventfds: this.#notifiers.map(({ name, eventfd }) => `${name.slice(this.name.length + 1)} ${eventfd}`).join(', '),
      memory: `iova 0, 0x${machine.memory.size.toString(16)} bytes at 0x${machine.memory.hva(0).toString(16)}`,
    };
  }

  /**
   * Unplugs the device: the subchannel is gone, what runs on it is ended by the kernel, and the guest is told.
   * @returns false when it was unplugged already
   */
  unplug(): Task<boolean> {
    return unplugSubchannel(this.css, this.sch, this.#plugging, () => this.#release());
  }
  /** Closes what is open, last opened first. */
  *#release(): Task {
    const { sys } = this.machine;
    this.hostWorks(false);
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
    yield* this.unplug();
  }

  *start(sch: Subchannel): Task<number> {
    const orb = this.#requestOrb;
    ORB.copy(orb, sch.orb);
    if ((orb.ctrl0 & ORB_CTRL0.mask.P) === 0 && this.options.forceOrbPfch === true) {
      orb.ctrl0 |= ORB_CTRL0.mask.P;
      if (!this.#prefetchWarned)
        this.machine.log(`${this.name}: warning: prefetch forced for an ORB that does not allow it`);
      this.#prefetchWarned = true;
    }
    SCSW.copy(this.#requestScsw, sch.schib.scsw);
    this.machine.tracer.point(EVENT.vfio_ccw_Q4, sch.traceId, orb.cpa);
    const cc = yield* this.#function('ssch', this.regions.io.offset, this.#request);
    this.machine.tracer.point(EVENT.vfio_ccw_Q5, sch.traceId, cc);
    return cc;
  }
  /** Tells the machine whether the host has an I/O of this device. */
  hostWorks(works: boolean): void {
    if (works === this.#hostWorks) return;
    this.#hostWorks = works;
    this.machine.hostIos += works ? 1 : -1;
  }
  /** A resumed program is started again from its ORB: the kernel has no other way. */
  resume(sch: Subchannel): Task<number> {
    return this.start(sch);
  }
  *halt(sch: Subchannel): Task<number> {
    const { async } = this.regions;
    if (async === undefined) return yield* pretendFunction(this.css, sch, SCSW_ACTL_HALT_PEND);
    return yield* this.#function('hsch', async.offset, command(VFIO_CCW_ASYNC_CMD.HSCH));
  }
  *clear(sch: Subchannel): Task<number> {
    const { async } = this.regions;
    if (async === undefined) return yield* pretendFunction(this.css, sch, SCSW_ACTL_CLEAR_PEND);
    return yield* this.#function('csch', async.offset, command(VFIO_CCW_ASYNC_CMD.CSCH));
  }

  /** Writes a whole region; again while the kernel is busy with it. @returns condition code */
  *#function(ccwFunction: CcwFunction, offset: number, bytes: Uint8Array): Task<number> {
    const what = `${this.name} ${ccwFunction}`;
    for (;;) {
      try {
        // A short write without an error is a bad address (facts 2.3).
        const count = yield* this.machine.sys.pwrite(this.#fd, bytes, offset, what);
        if (count !== bytes.length) throw new Errno('EFAULT', what);
        if (ccwFunction === 'ssch') this.hostWorks(true);
        return CC.EXPECTED;
      } catch (error) {
        if (!(error instanceof Errno)) throw error;
        if (error.code !== 'EAGAIN') {
          const outcome = functionOutcome(ccwFunction, error.code);
          if (outcome !== UNIT_EXCEPTION) return outcome;
          this.machine.log(`${error.message}: the guest gets a unit exception`);
          yield* unitException(this.css, this.sch);
          return CC.EXPECTED;
        }
      }
      yield* preempt();
    }
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

  /** Machine reset. */
  reset(): Task {
    this.hostWorks(false);
    return quietReset(this.machine, this.#fd);
  }
}

/** The command region with one command. */
function command(value: number): Uint8Array {
  return ccw_cmd_region.bytes(ccw_cmd_region.make({ command: value }));
}
