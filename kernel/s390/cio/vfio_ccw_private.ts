/** The state of one vfio-ccw device (struct vfio_ccw_private) and who may touch what (vfio-ccw facts 3.1, 3.8). */

import type { EventFd } from '../../fs/eventfd.ts';
import { IRB } from '../../include/arch/s390/irb.ts';
import type { Errno } from '../../include/uapi/errno.ts';
import { ccw_cmd_region, ccw_io_region } from '../../include/uapi/vfio.ts';
import type { Kernel } from '../../kernel.ts';
import { Mutex, type Task } from '../../lib/task.ts';
import type { VfioDevice, VfioKernelUsers } from '../../vfio/vfio.ts';
import type { Css } from './css.ts';
import type { DmaPool } from './dma_pool.ts';
import type { Subchannel } from './subchannel.ts';
import { ChannelProgram } from './vfio_ccw_cp.ts';
import type { CcwRegion } from './vfio_ccw_regions.ts';
import type { Work, Workqueue } from './workqueue.ts';

/** States of the device, numbered as in drivers/s390/cio/vfio_ccw_private.h. */
export const STATES = ['NOT_OPER', 'STANDBY', 'IDLE', 'CP_PROCESSING', 'CP_PENDING'] as const;
export type State = (typeof STATES)[number];

/** Events, numbered likewise. */
export const EVENTS = ['NOT_OPER', 'IO_REQ', 'INTERRUPT', 'ASYNC_REQ', 'OPEN', 'CLOSE'] as const;
export type Event = (typeof EVENTS)[number];

/** What all devices of the driver share. */
export interface VfioCcwHost {
  readonly kernel: Kernel;
  readonly css: Css;
  /** One workqueue for all devices, as in Linux. */
  readonly workqueue: Workqueue;
  readonly pool: DmaPool;
}

/**
 * Tasks of the kernel run on one thread and change hands only where they yield, so a section without a yield is a
 * section under a spin lock (sch->lock, cp_lock, crw_lock). What has to hold over yields:
 *
 * - `ioMutex`: the region buffers, and every change of `cp`. Who translates holds it from beginning to end; who frees
 *   takes it.
 * - `resetMutex`: open, close and reset exclude each other, for CLOSE in state STANDBY would end in NOT_OPER.
 *
 * Order: resetMutex, ioMutex, type1's lock. Type1 drops its lock while it calls dmaUnmap.
 */
export class VfioCcwPrivate {
  readonly host: VfioCcwHost;
  readonly sch: Subchannel;
  /** UUID. */
  readonly name: string;
  state: State = 'STANDBY';
  /** Runs an event through the state machine. */
  readonly fsm: (event: Event) => Task;
  /** The device as VFIO knows it; set by the constructor of `VfioCcwDevice`. */
  vfioDevice!: VfioDevice;
  /** Pinning and access, while the device is open. */
  users: VfioKernelUsers | undefined;
  readonly ioMutex: Mutex;
  readonly resetMutex: Mutex;
  readonly ioRegion = ccw_io_region.make();
  readonly cmdRegion = ccw_cmd_region.make();
  /** Regions 1, 2, ..., while the device is open. */
  regions: CcwRegion[] = [];
  readonly cp: ChannelProgram;
  /** The last interruption's IRB; the next one overwrites it whether or not it was looked at. */
  readonly irb = IRB.make();
  /** Number of the program that an interruption since the last io_work has ended, or 0. */
  endedProgram = 0;
  /** The program `irb` was stored for, or 0: its CCW address can be translated as long as that program is. */
  irbProgram = 0;
  /** Set while CLOSE stops the subchannel: interruptions are for it, and not for the guest. */
  closing = false;
  /** Interruptions taken, for who waits for one. */
  interruptions = 0;
  /** Channel reports the guest has not read, as CRW bytes, oldest first. */
  readonly crws: Uint8Array[] = [];
  ioTrigger: EventFd | undefined;
  crwTrigger: EventFd | undefined;
  reqTrigger: EventFd | undefined;
  /** Why the last region write was refused, for messages. */
  refusal: Errno | undefined;
  readonly ioWork: Work;
  readonly crwWork: Work;

  constructor(
    host: VfioCcwHost,
    sch: Subchannel,
    name: string,
    parts: {
      fsm: (device: VfioCcwPrivate, event: Event) => Task;
      ioTodo: (device: VfioCcwPrivate) => Task;
      crwTodo: (device: VfioCcwPrivate) => Task;
    },
  ) {
    this.host = host;
    this.sch = sch;
    this.name = name;
    this.fsm = (event) => parts.fsm(this, event);
    this.ioMutex = new Mutex(`io_mutex ${sch.busId}`);
    this.resetMutex = new Mutex(`reset ${sch.busId}`);
    this.cp = new ChannelProgram(host.kernel, host.pool);
    this.ioWork = { name: `io_work ${sch.busId}`, run: () => parts.ioTodo(this) };
    this.crwWork = { name: `crw_work ${sch.busId}`, run: () => parts.crwTodo(this) };
  }
}
