/** Regions 2 and 3: the host's SCHIB, and channel reports about paths (vfio-ccw facts 3.5, 3.7). */
import { CRW, CRW_ERC, CRW_FLAGS, CRW_RSC } from '../../include/arch/s390/crw.ts';
import { SCHIB } from '../../include/arch/s390/schib.ts';
import { Errno } from '../../include/uapi/errno.ts';
import {
  ccw_crw_region,
  ccw_schib_region,
  VFIO_REGION_INFO_FLAG,
  VFIO_REGION_SUBTYPE_CCW,
} from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { chpMask } from './chp.ts';
import { type CioResult, cioCancelHaltClear, cioUpdateSchib } from './cio.ts';
import type { ChpEvent, Subchannel } from './subchannel.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';
import { type CcwRegion, checkRange } from './vfio_ccw_regions.ts';

/** HSCH and CSCH tries when a path in use goes (facts 3.7: the budget of a quiesce). */
const TERMINATE_TRIES = 255;

function* readOnly(): Task<number> {
  throw new Errno('EINVAL', 'read-only region');
}

/** Region 2: every read is a STORE SUBCHANNEL. */
export function schibRegion(device: VfioCcwPrivate): CcwRegion {
  const bytes = new Uint8Array(ccw_schib_region.size);
  return {
    subtype: VFIO_REGION_SUBTYPE_CCW.SCHIB,
    size: ccw_schib_region.size,
    flags: VFIO_REGION_INFO_FLAG.READ,
    *read(position, count) {
      checkRange('schib', position, count, bytes.length);
      yield* device.ioMutex.lock();
      try {
        if (cioUpdateSchib(device.sch) !== 0) throw new Errno('ENODEV', `vfio-ccw ${device.sch.busId}: STSCH`);
        bytes.set(SCHIB.bytes(device.sch.schib));
        return bytes.slice(position, position + count);
      } finally {
        device.ioMutex.unlock();
      }
    },
    write: readOnly,
  };
}

/** Region 3: every read takes one report; zeros when there is none. */
export function crwRegion(device: VfioCcwPrivate): CcwRegion {
  return {
    subtype: VFIO_REGION_SUBTYPE_CCW.CRW,
    size: ccw_crw_region.size,
    flags: VFIO_REGION_INFO_FLAG.READ,
    *read(position, count) {
      checkRange('crw', position, count, ccw_crw_region.size);
      yield* device.ioMutex.lock();
      const region = ccw_crw_region.make();
      const crw = device.crws.shift();
      if (crw !== undefined) region.crw = crw;
      device.ioMutex.unlock();
      if (device.crws.length > 0) device.crwTrigger?.signal();
      return ccw_crw_region.bytes(region).slice(position, position + count);
    },
    write: readOnly,
    release() {
      device.crws.length = 0;
    },
  };
}

/** vfio_ccw_queue_crw. */
function queueCrw(device: VfioCcwPrivate, erc: number, rsid: number): void {
  const crw = CRW.make({ rsid });
  crw.flags = CRW_FLAGS.set(CRW_FLAGS.set(0, 'RSC', CRW_RSC.CHP), 'ERC', erc);
  device.crws.push(CRW.bytes(crw));
  device.host.workqueue.queue(device.crwWork);
}

/** vfio_ccw_crw_todo, on the workqueue. */
export function* crwTodo(device: VfioCcwPrivate): Task {
  if (device.crws.length > 0) device.crwTrigger?.signal();
}

/** Stops what runs if it runs over one of the paths. */
function terminate(sch: Subchannel, mask: number): void {
  if ((sch.schib.pmcw.lpum & mask) !== 0) cioCancelHaltClear(sch, { left: TERMINATE_TRIES });
}

/** What each event does to the path masks and tells the guest; `mask`: the paths of that CHPID on this subchannel. */
const CHP_EVENTS: Readonly<Record<ChpEvent, (sch: Subchannel, mask: number, report: (erc: number) => void) => void>> = {
  CHP_VARY_OFF(sch, mask) {
    sch.opm &= ~mask;
    sch.lpm &= ~mask;
    terminate(sch, mask);
  },
  CHP_OFFLINE(sch, mask, report) {
    terminate(sch, mask);
    report(CRW_ERC.PERRN);
  },
  CHP_VARY_ON(sch, mask) {
    sch.opm |= mask;
    sch.lpm |= mask;
  },
  CHP_ONLINE(sch, mask, report) {
    sch.lpm |= mask & sch.opm;
    report(CRW_ERC.INIT);
  },
};

/**
 * vfio_ccw_chp_event. `device`: the mediated device of the subchannel, if there is one.
 * @returns ENODEV when the subchannel cannot be stored any more: somebody has to look at it
 */
export function chpEvent(
  sch: Subchannel,
  device: VfioCcwPrivate | undefined,
  chpid: number,
  event: ChpEvent,
): CioResult {
  const mask = chpMask(sch, chpid);
  if (device === undefined || mask === 0) return 0;
  device.host.kernel.tracer.point(EVENT.vfio_ccw_chp_event, sch.schid, mask, Object.keys(CHP_EVENTS).indexOf(event));
  const update = cioUpdateSchib(sch);
  if (update !== 0) return update;
  CHP_EVENTS[event](sch, mask, (erc) => {
    // Without a listener reports would pile up: they are for who has the device open.
    if (device.users !== undefined) queueCrw(device, erc, chpid);
  });
  return 0;
}
