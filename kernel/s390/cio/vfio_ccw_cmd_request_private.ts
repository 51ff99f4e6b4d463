/** The state of one device of the 2016 RFC (struct vfio_ccw_device there): no state machine, one request at a time. */
import type { Irb } from '../../include/arch/s390/irb.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { Mutex, type Task } from '../../lib/task.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { VfioDevice } from '../../vfio/vfio.ts';
import { type CioResult, cioDisableSubchannel, cioEnableSubchannel, cioIsEnabled, cioUpdateSchib } from './cio.ts';
import type { Subchannel } from './subchannel.ts';
import { UserMemory } from './vfio_ccw_cmd_request_memory.ts';
import { quiesce, subchannelIntparm, VFIO_CCW_ISC } from './vfio_ccw_open.ts';
import type { VfioCcwHost } from './vfio_ccw_private.ts';

/** A call that is under way. */
export interface CmdRequest {
  /** Status of its program so far. */
  readonly irb: Irb;
  /** SSCH had condition code 0. */
  started: boolean;
  /** The final status is there. */
  ended: boolean;
  /** Why there will be none. */
  failure: Errno | undefined;
}

/**
 * Tasks change hands only where they yield. Over yields: `request` makes the calls exclude each other, `resetMutex` open,
 * close and reset.
 */
export class VfioCcwRfc {
  readonly host: VfioCcwHost;
  readonly sch: Subchannel;
  readonly memory: UserMemory;
  /** As VFIO knows it; set by the constructor of `VfioCcwRfcDevice`. */
  vfioDevice!: VfioDevice;
  /** STANDBY: not open; IDLE: open and enabled, whether or not a program runs. */
  state: 'NOT_OPER' | 'STANDBY' | 'IDLE' = 'STANDBY';
  /** Set while {@link stop} works: interruptions are for it. */
  closing = false;
  interruptions = 0;
  /** Interruptions whose status reached nobody. */
  lost = 0;
  request: CmdRequest | undefined;
  readonly resetMutex: Mutex;

  constructor(host: VfioCcwHost, sch: Subchannel) {
    this.host = host;
    this.sch = sch;
    this.memory = new UserMemory(host.kernel);
    this.resetMutex = new Mutex(`reset ${sch.busId}`);
  }

  /** The device in messages. */
  get what(): string {
    return `vfio_ccw_rfc ${this.sch.busId}`;
  }

  /** Enables the subchannel: IDLE. Called with `resetMutex` held. */
  *open(): Task {
    const { sch, host } = this;
    sch.config.isc = VFIO_CCW_ISC;
    const result = yield* cioEnableSubchannel(host.kernel.actor, sch, subchannelIntparm(sch));
    if (this.state !== 'STANDBY') return; // Lost meanwhile.
    if (result === 0) this.state = 'IDLE';
    else this.notOper();
  }

  /** Stops what runs and disables the subchannel: STANDBY. A call that is under way fails with EIO. `resetMutex` is held. */
  *stop(): Task {
    const { sch, host } = this;
    this.closing = true;
    try {
      let result: CioResult = cioUpdateSchib(sch);
      if (result === 0 && !cioIsEnabled(sch)) result = 'ENODEV';
      if (result === 0) result = yield* cioDisableSubchannel(host.kernel.actor, sch);
      if (result === 'EBUSY') result = yield* quiesce(this);
      if (this.state === 'NOT_OPER') return; // Lost meanwhile.
      if (result !== 0) return this.notOper();
      this.state = 'STANDBY';
      yield* raceWindow(host.kernel.actor);
      this.#fail(new Errno('EIO', `${this.what}: reset or closed during the request`));
    } finally {
      this.closing = false;
    }
  }

  /** The subchannel is lost: a call that is under way fails with ENODEV. */
  notOper(): void {
    this.host.css.scheduleUnregister(this.sch);
    this.state = 'NOT_OPER';
    this.#fail(new Errno('ENODEV', `${this.what}: subchannel gone`));
  }

  #fail(error: Errno): void {
    if (this.request !== undefined && !this.request.ended) this.request.failure = error;
  }
}
