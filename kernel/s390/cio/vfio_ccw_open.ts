/** Opening, closing and losing the subchannel: the FSM's open, close and notoper (vfio-ccw facts 3.2, 3.7). */

import { Errno } from '../../include/uapi/errno.ts';
import { type Task, untilDeadline } from '../../lib/task.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import {
  type CioResult,
  cioCancelHaltClear,
  cioDisableSubchannel,
  cioEnableSubchannel,
  cioIsEnabled,
  cioUpdateSchib,
} from './cio.ts';
import { SUBSYSTEM_ID_ONE } from './cio_bus.ts';
import type { Subchannel } from './subchannel.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';

/** Interruption subclass of vfio-ccw's subchannels (VFIO_CCW_ISC = IO_SCH_ISC; vfio-ccw facts 1.7). */
export const VFIO_CCW_ISC = 3;
/** Tries that a quiesce starts with, and how long it waits for each interruption (facts 3.7). */
const QUIESCE_TRIES = 255;
const QUIESCE_WAIT_NS = 3e9;

/** The interruption parameter of `sch`: stands for the address of Linux's struct subchannel, never 0. */
export function subchannelIntparm(sch: Subchannel): number {
  return SUBSYSTEM_ID_ONE | sch.schid;
}

/** FSM action: enables the subchannel; IDLE. */
export function* open(device: VfioCcwPrivate): Task {
  const { sch, host } = device;
  sch.config.isc = VFIO_CCW_ISC;
  const result = yield* cioEnableSubchannel(host.kernel.actor, sch, subchannelIntparm(sch));
  if (device.state !== 'STANDBY') return; // Lost meanwhile.
  if (result === 0) device.state = 'IDLE';
  else yield* device.fsm('NOT_OPER');
}

/**
 * FSM action: stops and disables the subchannel; STANDBY. Whatever the program was doing, it is gone, and no
 * interruption of it reaches user space.
 */
export function* close(device: VfioCcwPrivate): Task {
  const { sch, host } = device;
  const { actor } = host.kernel;
  device.closing = true;
  try {
    let result: CioResult = cioUpdateSchib(sch);
    if (result === 0 && !cioIsEnabled(sch)) result = 'ENODEV';
    if (result === 0) result = yield* cioDisableSubchannel(actor, sch);
    if (result === 'EBUSY') result = yield* quiesce(device);
    if (device.state === 'NOT_OPER') return; // Lost meanwhile; notOper has freed.
    if (result !== 0) {
      yield* device.fsm('NOT_OPER');
      return;
    }
    // From here on no request starts anything: a translation under way finds the state changed and gives up.
    device.state = 'STANDBY';
    yield* raceWindow(actor);
    yield* host.workqueue.cancel(device.ioWork);
    yield* freeProgram(device);
  } finally {
    device.closing = false;
  }
}

/** What is to be brought to rest: counts its interruptions, and what they leave for the workqueue, if anything. */
type Quiesced = Pick<VfioCcwPrivate, 'sch' | 'host' | 'interruptions'> & Partial<Pick<VfioCcwPrivate, 'ioWork'>>;

/** vfio_ccw_sch_quiesce: cancel, halt, clear until the subchannel can be disabled. */
export function* quiesce(device: Quiesced): Task<CioResult> {
  const { sch, host } = device;
  const { actor } = host.kernel;
  const retries = { left: QUIESCE_TRIES };
  for (;;) {
    const seen = device.interruptions;
    const step = cioCancelHaltClear(sch, retries);
    if (step === 'EIO') host.kernel.log(`vfio-ccw: could not quiesce subchannel ${sch.busId}`);
    if (step === 'EIO' || step === 'ENODEV') return step;
    if (step === 'EBUSY')
      yield* untilDeadline(
        `interruption of ${sch.busId}`,
        () => device.interruptions !== seen,
        actor.now() + QUIESCE_WAIT_NS,
      );
    if (device.ioWork !== undefined) yield* host.workqueue.cancel(device.ioWork);
    const result = yield* cioDisableSubchannel(actor, sch);
    if (result !== 'EBUSY') return result;
    yield* raceWindow(actor);
  }
}

/** FSM action: the subchannel is lost. NOT_OPER, the css core is to forget it, the program is freed. */
export function* notOper(device: VfioCcwPrivate): Task {
  device.host.css.scheduleUnregister(device.sch);
  device.state = 'NOT_OPER';
  yield* raceWindow(device.host.kernel.actor);
  yield* freeProgram(device);
}

/** cp_free where nobody translates and no io_work looks at the program. */
function* freeProgram(device: VfioCcwPrivate): Task {
  yield* device.ioMutex.lock();
  device.cp.free();
  device.endedProgram = 0;
  device.irbProgram = 0;
  device.ioMutex.unlock();
}

/** vfio_ccw_mdev_reset: CLOSE then OPEN. @param wanted asked again once it is this reset's turn. @throws Errno EINVAL when the subchannel is lost */
export function* reset(device: VfioCcwPrivate, wanted: () => boolean = () => true): Task {
  yield* device.resetMutex.lock();
  try {
    if (!wanted()) return;
    yield* device.fsm('CLOSE');
    yield* device.fsm('OPEN');
    if (device.state === 'NOT_OPER') throw new Errno('EINVAL', `vfio-ccw ${device.sch.busId}: reset: not operational`);
  } finally {
    device.resetMutex.unlock();
  }
}
