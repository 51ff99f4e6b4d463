/**
 * From an interruption to the eventfd: the FSM's irq, in the interruption handler, and io_work (vfio-ccw facts 3.3).
 *
 * The IRB waits in one buffer: a second interruption before io_work runs overwrites it, and the guest sees one
 * interruption with the last status. That loss is Linux's. That the first of the two ended the program is not lost:
 * otherwise its pages would stay pinned and the device busy for ever.
 */

import { IRB } from '../../include/arch/s390/irb.ts';
import {
  SCSW_ACTL_DEVICE_ACTIVE,
  SCSW_ACTL_SUBCH_ACTIVE,
  SCSW_CTRL_MASK_STCTL,
  SCSW_FLAGS,
  SCSW_STCTL_ALERT,
  SCSW_STCTL_STATUS_PEND,
  type Scsw,
} from '../../include/arch/s390/scsw.ts';
import { ccw_io_region } from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';

const UNSOLICITED = SCSW_STCTL_STATUS_PEND | SCSW_STCTL_ALERT;

/** scsw_is_solicited: the status answers something that was asked. */
export function isSolicited(scsw: Scsw): boolean {
  return SCSW_FLAGS.get(scsw.flags, 'CC') !== 0 || (scsw.ctrl & SCSW_CTRL_MASK_STCTL) !== UNSOLICITED;
}

/** Nothing runs any more. A suspended program counts as ended: resuming it is not supported. */
export function isFinal(scsw: Scsw): boolean {
  return (scsw.ctrl & (SCSW_ACTL_DEVICE_ACTIVE | SCSW_ACTL_SUBCH_ACTIVE)) === 0;
}

/** FSM action, in the interruption handler: keeps the processor's IRB, tells who waits, queues io_work. Does not sleep. */
export function* irq(device: VfioCcwPrivate): Task {
  IRB.copy(device.irb, device.host.css.irb);
  // SSCH gets condition code 0 only when no status is pending, and CP_PENDING is entered together with it: an
  // interruption in CP_PENDING is of the program that runs now, and one in any other state of something before it.
  device.irbProgram = device.state === 'CP_PENDING' ? device.cp.sequence : 0;
  const { scsw } = device.irb;
  if (device.irbProgram !== 0 && isSolicited(scsw) && isFinal(scsw)) device.endedProgram = device.irbProgram;
  device.interruptions++;
  device.host.workqueue.queue(device.ioWork);
}

/** vfio_ccw_sch_io_todo, on the workqueue. */
export function* ioTodo(device: VfioCcwPrivate): Task {
  const { host, sch, ioMutex, cp, ioRegion } = device;
  const { actor, tracer } = host.kernel;
  if (actor.simulated) yield* raceWindow(actor);
  yield* ioMutex.lock();
  try {
    // CLOSE stops the subchannel: it frees the program itself, and nothing is reported.
    if (device.closing || device.state === 'STANDBY' || device.state === 'NOT_OPER') return;
    // In the region: nobody reads there while the mutex is held.
    const irb = IRB.at(ioRegion.dv, ioRegion.address + ccw_io_region.offset.irb_area);
    IRB.copy(irb, device.irb);
    const ended = device.endedProgram;
    device.endedProgram = 0;
    if (isSolicited(irb.scsw) && device.irbProgram !== 0 && device.irbProgram === cp.sequence) {
      cp.updateScsw(irb.scsw);
      // In the buffer too: io_work queued again meanwhile finds the program freed, and the host's address is no business
      // of the guest. It is not translated a second time.
      device.irb.scsw.cpa = irb.scsw.cpa;
      device.irbProgram = 0;
    }
    const finished = ended !== 0 && ended === cp.sequence;
    if (finished) cp.free();
    if (actor.simulated) yield* raceWindow(actor);
    const { ctrl, dstat, cstat } = irb.scsw;
    tracer.point(EVENT.vfio_ccw_K5, sch.schid, ctrl & SCSW_CTRL_MASK_STCTL, dstat, cstat);
    if (actor.simulated) yield* raceWindow(actor);
    // Only now, so that no new request writes over the status.
    if (finished && device.state === 'CP_PENDING') device.state = 'IDLE';
  } finally {
    ioMutex.unlock();
  }
  if (actor.simulated) yield* raceWindow(actor);
  tracer.point(EVENT.vfio_ccw_K6, sch.schid);
  device.ioTrigger?.signal();
}
