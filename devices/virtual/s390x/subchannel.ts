/** One virtual subchannel (QEMU's SubchDev): what the guest sees of a device, and what the device must offer. */

import type { IoWatch } from '../../../hypervisor/machine_api.ts';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_FLAGS, SCHIB } from '../../../kernel/include/arch/s390/schib.ts';
import { Mutex, type Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';

/** Condition codes of the I/O instructions (SA22-7832 chapter 14; QEMU's IOInstEnding). */
export const CC = { EXPECTED: 0, STATUS_PRESENT: 1, BUSY: 2, NOT_OPERATIONAL: 3 } as const;

/** Bytes of an extended-status word and of the sense data an ECW carries. */
const ESW_SIZE = 20;
export const SENSE_SIZE = 32;

/** A device as the monitor sees it. */
export interface PluggedDevice {
  /** `-device ...,id=`. */
  readonly id: string;
  /** `vfio-ccw`. */
  readonly driver: string;
  /** For people: properties and what belongs to the device, by name. */
  describe(): Readonly<Record<string, string>>;
  /** Takes the device out of the running machine; false when somebody else did so before. @throws Errno */
  unplug(): Task<boolean>;
}

/**
 * The device behind a subchannel. Every function returns the condition code of the instruction that asked; the
 * function-control bits are set already, and are withdrawn by the caller when the code is not 0.
 */
export interface SubchannelOperations {
  /** What the monitor knows it by. Absent: it cannot be unplugged. */
  readonly plugged?: PluggedDevice;
  /** SSCH: the request is in `sch.orb`. */
  start(sch: Subchannel): Task<number>;
  halt(sch: Subchannel): Task<number>;
  clear(sch: Subchannel): Task<number>;
  /** RSCH of a suspended program. */
  resume(sch: Subchannel): Task<number>;
  /** STSCH: brings what the device knows better into `sch.schib`. Absent: nothing does. */
  updateSchib?(sch: Subchannel): Task;
  /** Machine reset. */
  reset?(sch: Subchannel): Task;
  /** Ends a start function for which the CPU that issued it stands still; the guest gets a unit exception. Absent: there is none. */
  letCpuGo?(): Task;
}

/** Why a measurement block could not be updated (SA22-7832 chapter 16, "Extended-Status Flags"). */
export type MeasurementCheck = 'program' | 'protection';

export class Subchannel {
  readonly cssid: number;
  readonly ssid: number;
  readonly schid: number;
  readonly operations: SubchannelOperations;
  /** A device of the host: SSCH of it is step Q3 of the vfio-ccw process. */
  readonly passthrough: boolean;
  /** The trace event of an SSCH that was intercepted, when it is passed through. */
  readonly startEvent: number;
  /** Number of the subchannel in trace events: the host's own where there is one, so that Q and K steps line up. */
  readonly traceId: number;
  readonly schib = SCHIB.make();
  /** The last request. */
  readonly orb = ORB.make();
  /** The one before, while it is not known whether the device takes the last. */
  readonly replacedOrb = ORB.make();
  readonly esw = new Uint8Array(ESW_SIZE);
  /** The same as words. */
  readonly eswWords = new DataView(this.esw.buffer);
  readonly senseData = new Uint8Array(SENSE_SIZE);
  /** What TSCH stores: made when it does. */
  readonly irb = IRB.make();
  readonly response = IRB.bytes(this.irb);
  /** The interruption that was made pending since status was last cleared: KVM may still have it. */
  interruption: IoWatch | undefined;
  /** When the function that is measured was started, ns. */
  measuredSince: number | undefined;
  /** Measured time that is no whole unit yet, ns. */
  measuredRest = 0;
  /** The measurement block could not be updated: it is outside storage, or its key is another. */
  measurementCheck: MeasurementCheck | undefined;
  /** Held by an instruction and by result handlers while they work on this subchannel. */
  readonly lock: Mutex;

  constructor(
    id: { readonly cssid: number; readonly ssid: number; readonly schid: number },
    devno: number,
    operations: SubchannelOperations,
    options: { readonly passthrough?: boolean; readonly startEvent?: number; readonly traceId?: number } = {},
  ) {
    this.cssid = id.cssid;
    this.ssid = id.ssid;
    this.schid = id.schid;
    this.operations = operations;
    this.passthrough = options.passthrough ?? false;
    this.startEvent = options.startEvent ?? EVENT.vfio_ccw_Q3;
    this.traceId = options.traceId ?? id.schid;
    this.lock = new Mutex(`subchannel ${this.name}`);
    this.schib.pmcw.devno = devno;
    this.schib.pmcw.flags = PMCW_FLAGS.mask.V;
  }

  /** `0.0.0003`: subchannel set and number, as lscss prints it. */
  get name(): string {
    return `0.${this.ssid}.${this.schid.toString(16).padStart(4, '0')}`;
  }
  /** Device number valid and enabled: without both every function answers condition code 3. */
  get operational(): boolean {
    const needed = PMCW_FLAGS.mask.V | PMCW_FLAGS.mask.E;
    return (this.schib.pmcw.flags & needed) === needed;
  }
  /** Interruption subclass. */
  get isc(): number {
    return PMCW_FLAGS.get(this.schib.pmcw.flags, 'ISC');
  }
}
