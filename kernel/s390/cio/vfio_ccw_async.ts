/** HALT and CLEAR SUBCHANNEL for the guest: region 1 and the FSM's async action (vfio-ccw facts 3.2, 3.5). */

import { SCSW_ACTL_CLEAR_PEND, SCSW_ACTL_HALT_PEND, SCSW_CTRL_MASK_ACTL } from '../../include/arch/s390/scsw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { ccw_cmd_region, VFIO_CCW_ASYNC_CMD, VFIO_REGION_SUBTYPE_CCW } from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';
import { type CcwRegion, requestRegion } from './vfio_ccw_regions.ts';

/** Region 1. */
export function asyncRegion(device: VfioCcwPrivate): CcwRegion {
  return requestRegion(device, {
    name: 'async',
    subtype: VFIO_REGION_SUBTYPE_CCW.ASYNC_CMD,
    bytes: ccw_cmd_region.bytes(device.cmdRegion),
    retCode: () => device.cmdRegion.ret_code,
    event: 'ASYNC_REQ',
  });
}

/** Puts an errno into the command region. */
export function asyncRegionRefuse(device: VfioCcwPrivate, error: Errno): void {
  device.refusal = error;
  device.cmdRegion.ret_code = -error.errno;
}

/** FSM action: the command. The state stays; the interruption decides. */
export function* asyncRequest(device: VfioCcwPrivate): Task {
  const { sch, host, cmdRegion: region } = device;
  const { command } = region;
  try {
    if (device.closing) throw new Errno('EIO', `vfio-ccw ${sch.busId}: being closed`);
    if (command === VFIO_CCW_ASYNC_CMD.HSCH) halt(device);
    else if (command === VFIO_CCW_ASYNC_CMD.CSCH) clear(device);
    else throw new Errno('EINVAL', `vfio-ccw ${sch.busId}: asynchronous command ${command}`);
    region.ret_code = 0;
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    asyncRegionRefuse(device, error);
  }
  host.kernel.tracer.point(EVENT.vfio_ccw_fsm_async_request, sch.schid, command, region.ret_code | 0);
}

function halt({ sch }: VfioCcwPrivate): void {
  const cc = sch.bus.hsch(sch.schid);
  if (cc === 3) throw new Errno('ENODEV', `vfio-ccw ${sch.busId}: HSCH condition code 3`);
  if (cc !== 0) throw new Errno('EBUSY', `vfio-ccw ${sch.busId}: HSCH condition code ${cc}`);
  sch.schib.scsw.ctrl |= SCSW_ACTL_HALT_PEND;
}

function clear({ sch }: VfioCcwPrivate): void {
  const cc = sch.bus.csch(sch.schid);
  if (cc === 3) throw new Errno('ENODEV', `vfio-ccw ${sch.busId}: CSCH condition code 3`);
  const { scsw } = sch.schib;
  scsw.ctrl = (scsw.ctrl & ~SCSW_CTRL_MASK_ACTL) | SCSW_ACTL_CLEAR_PEND;
}
