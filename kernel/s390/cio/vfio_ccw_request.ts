/** A write to the I/O region: the FSM's request, and START SUBCHANNEL (vfio-ccw facts 3.2). */

import { ORB, ORB_CTRL0, type Orb } from '../../include/arch/s390/orb.ts';
import {
  SCSW,
  SCSW_ACTL_START_PEND,
  SCSW_CTRL_MASK_FCTL,
  SCSW_FCTL_CLEAR_FUNC,
  SCSW_FCTL_HALT_FUNC,
  SCSW_FCTL_START_FUNC,
} from '../../include/arch/s390/scsw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { ccw_io_region } from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import { cioUpdateSchib } from './cio.ts';
import { isOperandException } from './cio_bus.ts';
import type { Subchannel } from './subchannel.ts';
import { subchannelIntparm } from './vfio_ccw_open.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';

/** FSM action: CP_PROCESSING, then CP_PENDING when the program runs, IDLE when it does not. `ioMutex` is held. */
export function* ioRequest(device: VfioCcwPrivate): Task {
  const { ioRegion: region } = device;
  const { dv, address } = region;
  device.state = 'CP_PROCESSING';
  const { ctrl } = SCSW.at(dv, address + ccw_io_region.offset.scsw_area);
  try {
    if ((ctrl & SCSW_FCTL_START_FUNC) !== 0) {
      yield* start(device);
      region.ret_code = 0;
    } else if ((ctrl & (SCSW_FCTL_HALT_FUNC | SCSW_FCTL_CLEAR_FUNC)) !== 0) {
      // Halt and clear have their own region.
      throw new Errno('EOPNOTSUPP', `vfio-ccw ${device.sch.busId}: halt or clear through the I/O region`);
    }
    // No function at all: nothing is done, and ret_code stays what user space wrote.
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    device.refusal = error;
    region.ret_code = -error.errno;
  }
  // Unless the program was started, or the subchannel closed or lost meanwhile.
  if (device.state === 'CP_PROCESSING') device.state = 'IDLE';
  const { kernel } = device.host;
  kernel.tracer.point(EVENT.vfio_ccw_fsm_io_request, device.sch.schid, ctrl & SCSW_CTRL_MASK_FCTL, region.ret_code | 0);
}

function* start(device: VfioCcwPrivate): Task {
  const { cp, host, sch, users } = device;
  const { actor, tracer } = host.kernel;
  // In the region: nobody writes there while the mutex is held.
  const orb = ORB.at(device.ioRegion.dv, device.ioRegion.address + ccw_io_region.offset.orb_area);
  if ((orb.ctrl0 & ORB_CTRL0.mask.B) !== 0) throw new Errno('EOPNOTSUPP', `vfio-ccw ${sch.busId}: transport mode`);
  if (users === undefined) throw new Errno('EIO', `vfio-ccw ${sch.busId}: not open`);
  if (actor.simulated) yield* raceWindow(actor);
  const ccws = yield* cp.init(device.vfioDevice, users, orb);
  try {
    tracer.point(EVENT.vfio_ccw_K1, sch.schid, orb.cpa, ccws);
    if (actor.simulated) yield* raceWindow(actor);
    const pages = yield* cp.prefetch();
    tracer.point(EVENT.vfio_ccw_K2, sch.schid, orb.cpa, pages);
    if (actor.simulated) yield* raceWindow(actor);
    startSubchannel(device);
  } catch (error) {
    cp.free();
    throw error;
  }
}

/** fsm_io_helper: SSCH. Without a pause between the look at the state, the instruction and the new state. */
function startSubchannel(device: VfioCcwPrivate): void {
  const { cp, host, sch } = device;
  // CLOSE or NOT_OPER came in between: the subchannel is disabled, or is to be.
  if (device.state !== 'CP_PROCESSING' || device.closing)
    throw new Errno('EIO', `vfio-ccw ${sch.busId}: closed during the request`);
  const orb = cp.orbFor(subchannelIntparm(sch), sch.lpm);
  host.kernel.tracer.point(EVENT.vfio_ccw_K3, sch.schid, orb.cpa);
  issue(sch, orb);
  device.state = 'CP_PENDING';
}

/** SSCH. @throws Errno EBUSY, EACCES, ENODEV; EIO for an operand exception: nothing was started */
export function issue(sch: Subchannel, orb: Orb): void {
  let cc: number;
  try {
    cc = sch.bus.ssch(sch.schid, orb);
  } catch (error) {
    if (!isOperandException(error)) throw error;
    throw new Errno('EIO', `vfio-ccw ${sch.busId}: SSCH: ${(error as Error).message}`);
  }
  switch (cc) {
    case 0:
      sch.schib.scsw.ctrl |= SCSW_ACTL_START_PEND;
      return;
    case 1:
    case 2:
      throw new Errno('EBUSY', `vfio-ccw ${sch.busId}: SSCH condition code ${cc}`);
    default:
      throw noPath(sch, orb.lpm);
  }
}

/** Condition code 3: the paths tried are not operational. What is left? */
function noPath(sch: Subchannel, tried: number): Errno {
  if (tried !== 0) sch.lpm &= ~tried;
  else sch.lpm = 0;
  if (cioUpdateSchib(sch) !== 0) return new Errno('ENODEV', `vfio-ccw ${sch.busId}: SSCH: subchannel gone`);
  return sch.lpm !== 0
    ? new Errno('EACCES', `vfio-ccw ${sch.busId}: SSCH: path mask 0x${tried.toString(16)} not operational`)
    : new Errno('ENODEV', `vfio-ccw ${sch.busId}: SSCH: no path operational`);
}
