/**
 * A host subchannel passed through as QEMU's side of the 2016 RFC did it (vfio-ccw facts section 4): Q1 intercept SSCH, Q2
 * write a user-space channel program, Q3 one ioctl that lasts as long as the I/O, Q4 its IRB for the guest.
 *
 * The CPU that issued SSCH stands still meanwhile, interruptions and all. The VMM's lock and the subchannel's are dropped
 * around the ioctl, so other CPUs run: the RFC's cover letter leaves open whether QEMU's BQL is; with it held the whole
 * machine would stand. HSCH and CSCH of such another CPU never reach the host: the virtual subchannel answers from its own
 * copy, and the status of the program comes after that all the same. Status that no program brings has no carrier.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB } from '../../../kernel/include/arch/s390/orb.ts';
import {
  SCSW,
  SCSW_ACTL_CLEAR_PEND,
  SCSW_ACTL_HALT_PEND,
  SCSW_CTRL_MASK_FCTL,
  SCSW_CTRL_MASK_STCTL,
} from '../../../kernel/include/arch/s390/scsw.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_DEVICE_CCW_CMD_REQUEST } from '../../../kernel/include/uapi/ioctl.ts';
import { VFIO_DEVICE_FLAGS, VFIO_NOIOMMU_IOMMU, vfio_ccw_cmd } from '../../../kernel/include/uapi/vfio.ts';
import type { View } from '../../../kernel/lib/struct.ts';
import { Mutex, type Task, until } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { type ChannelSubsystem, deviceNumber } from '../s390x/css.ts';
import { CC, type PluggedDevice, Subchannel, type SubchannelOperations } from '../s390x/subchannel.ts';
import { ARENA_SIZE, UserChannelProgram } from './ccw_cmd_request_program.ts';
import { functionOutcome, UNIT_EXCEPTION } from './ccw_errno.ts';
import { addPaths, buildSchib, type CcwHost, subchannelHost } from './ccw_host.ts';
import { checkPlug, quietReset, realizeOrRelease, unplugSubchannel } from './ccw_plug.ts';
import { pretendFunction, takeIrb, unitException } from './ccw_results.ts';
import { type ContainerListener, VFIOContainer } from './container.ts';
import { deviceInfo } from './device.ts';
import { groupNumber, VFIOGroup } from './group.ts';

/** Options of `-device vfio-ccw-rfc`. */
export interface CcwRequestOptions {
  /** The subchannel's directory in sysfs. */
  readonly sysfsdev: string;
  /** The device's name in the monitor; the subchannel's when omitted. */
  readonly id?: string;
  /** Device number in the guest; the first free one when omitted. */
  readonly devno?: number;
  /** The machine runs already: the guest is told by a channel report. */
  readonly hotplugged?: boolean;
}

/** A no-IOMMU container maps nothing. */
const NO_LISTENER: ContainerListener = { *add() {}, *remove() {} };

const DRIVER = 'vfio-ccw-rfc';

export class VFIOCCWRequestDevice implements SubchannelOperations, PluggedDevice {
  readonly driver = DRIVER;
  readonly id: string;
  readonly css: ChannelSubsystem;
  readonly machine: Machine;
  readonly host: CcwHost;
  /** The device in messages. */
  readonly name: string;
  readonly sch: Subchannel;
  readonly #options: CcwRequestOptions;
  #fd = -1;
  #arena = -1;
  #group: VFIOGroup | undefined;
  #container: VFIOContainer | undefined;
  readonly #plugging = new Mutex('plugging');
  /** The ioctl is under way: the arena is in use. */
  #busy = false;
  /** Counts what happened to the subchannel that an ioctl under way does not know of. */
  #changes = 0;

  private constructor(css: ChannelSubsystem, host: CcwHost, options: CcwRequestOptions) {
    this.css = css;
    this.machine = css.machine;
    this.host = host;
    this.#options = options;
    this.name = `vfio-ccw-rfc ${host.busId}`;
    this.id = options.id ?? host.busId;
    const place = css.place(options.devno);
    this.sch = new Subchannel(place, place.devno, this, {
      passthrough: true,
      startEvent: EVENT.ccw_rfc_Q1,
      traceId: host.schid,
    });
  }

  /** Brings a device into the machine. @throws Errno; Error, one sentence naming the device. Nothing is left open then. */
  static *realize(css: ChannelSubsystem, options: CcwRequestOptions): Task<VFIOCCWRequestDevice> {
    const host = yield* subchannelHost(css.machine, options.sysfsdev);
    checkPlug(css, DRIVER, host, options.id);
    const device = new VFIOCCWRequestDevice(css, host, options);
    yield* realizeOrRelease(device.#realize(), () => device.#release());
    return device;
  }

  *#realize(): Task {
    const { machine, name, host } = this;
    const paths = yield* buildSchib(machine, host, this.sch);
    const number = yield* groupNumber(machine, name, host.directory);
    this.#container = yield* VFIOContainer.open(machine, VFIO_NOIOMMU_IOMMU, NO_LISTENER);
    this.#group = yield* VFIOGroup.get(machine, name, number, this.#container);
    this.#fd = yield* this.#group.deviceFd(host.busId);
    const { flags } = yield* deviceInfo(machine, this.#fd);
    if ((flags & VFIO_DEVICE_FLAGS.CCW) === 0) throw new Error(`${name}: this is no channel I/O device`);
    this.#arena = yield* machine.sys.mmap(-1, ARENA_SIZE);
    addPaths(this.css, paths);
    this.css.add(this.sch);
    if (this.#options.hotplugged === true) yield* this.css.reportSubchannel(this.sch);
  }

  get plugged(): PluggedDevice {
    return this;
  }
  /** @see PluggedDevice */
  describe(): Readonly<Record<string, string>> {
    const { sch, host } = this;
    return {
      sysfsdev: host.directory,
      host: host.busId,
      subchannel: sch.name,
      devno: deviceNumber(sch.ssid, sch.schib.pmcw.devno),
      fd: `${this.#fd}`,
      group: `noiommu-${this.#group?.number} (fd ${this.#group?.fd})`,
      container: `fd ${this.#container?.fd}`,
      program: `${ARENA_SIZE} bytes at 0x${this.#arena.toString(16)}${this.#busy ? ', in use' : ''}`,
    };
  }

  /** Unplugs the device. A request that is under way is ended by a reset: there is no other way to it. */
  unplug(): Task<boolean> {
    return unplugSubchannel(this.css, this.sch, this.#plugging, () => this.#endAndRelease());
  }
  *#endAndRelease(): Task {
    if (this.#busy) yield* this.reset();
    yield* until(`request of ${this.name}`, () => !this.#busy);
    yield* this.#release();
  }
  /** Closes what is open, last opened first. */
  *#release(): Task {
    const { sys } = this.machine;
    if (this.#arena >= 0) yield* sys.munmap(this.#arena, ARENA_SIZE);
    this.#arena = -1;
    if (this.#fd >= 0) yield* sys.close(this.#fd);
    this.#fd = -1;
    if (this.#group !== undefined) yield* this.#group.put();
    this.#group = undefined;
    if (this.#container !== undefined) yield* this.#container.close();
    this.#container = undefined;
  }

  *start(sch: Subchannel): Task<number> {
    const { css } = this;
    // The guest may believe that a program is over which the host's device still works on.
    if (this.#busy) return CC.BUSY;
    const changes = this.#changes;
    try {
      const program = yield* this.#translate(sch);
      const irb = yield* this.#request(sch, program);
      if (!css.holds(sch) || !sch.operational) return CC.NOT_OPERATIONAL;
      irb.scsw.cpa = program.guestAddress(irb.scsw.cpa);
      takeIrb(sch, irb);
      this.machine.tracer.point(
        EVENT.ccw_rfc_Q4,
        sch.traceId,
        sch.schib.scsw.ctrl & SCSW_CTRL_MASK_STCTL,
        sch.schib.pmcw.intparm,
      );
      yield* css.injectIoInterrupt(sch);
      return CC.EXPECTED;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (!css.holds(sch) || !sch.operational) return CC.NOT_OPERATIONAL;
      // Halted or cleared meanwhile, as far as the guest knows: it has had its status.
      if (this.#changes !== changes) return CC.EXPECTED;
      const outcome = functionOutcome('ssch', error.code);
      if (outcome !== UNIT_EXCEPTION) return outcome;
      this.machine.log(`${this.name} ssch: ${error.message}: the guest gets a unit exception`);
      yield* unitException(css, sch);
      return CC.EXPECTED;
    }
  }

  /** Q2: writes the user-space program into the VMM's memory. @throws Errno */
  *#translate(sch: Subchannel): Task<UserChannelProgram> {
    const { machine } = this;
    const program = yield* UserChannelProgram.translate(machine.memory, sch.orb, this.#arena);
    yield* machine.sys.store(this.#arena, program.bytes);
    machine.tracer.point(EVENT.ccw_rfc_Q2, sch.traceId, sch.orb.cpa, program.ccws, program.idaws);
    return program;
  }

  /** Q3: the ioctl, without the locks. @throws Errno */
  *#request(sch: Subchannel, program: UserChannelProgram): Task<ReturnType<typeof IRB.at>> {
    const orb = ORB.make();
    ORB.copy(orb, sch.orb);
    orb.ctrl0 = program.ctrl0;
    const cmd = vfio_ccw_cmd.make({
      argsz: vfio_ccw_cmd.size,
      ccwchain_nr: program.ccws,
      orb_area: ORB.bytes(orb),
      scsw_area: SCSW.bytes(sch.schib.scsw),
      ccwchain_buf: this.#arena,
    });
    this.machine.tracer.point(EVENT.ccw_rfc_Q3, sch.traceId, this.#arena);
    this.#busy = true;
    sch.lock.unlock();
    try {
      yield* this.machine.unlocked(this.#blockingIoctl(cmd));
    } finally {
      // In the order of every handler: the machine's lock, which is back, and then the subchannel's.
      yield* sch.lock.lock();
    }
    return IRB.at(new DataView(cmd.irb_area.slice().buffer));
  }
  *#blockingIoctl(cmd: View<typeof vfio_ccw_cmd.fields>): Task {
    try {
      yield* this.machine.sys.ioctlStruct(this.#fd, VFIO_DEVICE_CCW_CMD_REQUEST, cmd);
    } finally {
      this.#busy = false;
    }
  }

  /** A resumed program is started again from its ORB: the host's went with the call that ran it. */
  resume(sch: Subchannel): Task<number> {
    return this.start(sch);
  }
  halt(sch: Subchannel): Task<number> {
    return this.#pretend(sch, SCSW_ACTL_HALT_PEND);
  }
  clear(sch: Subchannel): Task<number> {
    return this.#pretend(sch, SCSW_ACTL_CLEAR_PEND);
  }
  #pretend(sch: Subchannel, pending: typeof SCSW_ACTL_HALT_PEND | typeof SCSW_ACTL_CLEAR_PEND): Task<number> {
    this.#changes++;
    this.machine.tracer.point(EVENT.ccw_rfc_pretend, sch.traceId, sch.schib.scsw.ctrl & SCSW_CTRL_MASK_FCTL);
    return pretendFunction(this.css, sch, pending);
  }

  /** @see SubchannelOperations: only the kernel's reset gets at a request that is under way. */
  *letCpuGo(): Task {
    if (!this.#busy) return;
    this.machine.log(`${this.name}: a reset ends the request that keeps a CPU from stopping`);
    yield* quietReset(this.machine, this.#fd);
  }
  /** Machine reset, unplug. */
  *reset(): Task {
    this.#changes++;
    yield* quietReset(this.machine, this.#fd);
  }
}
