/** The regions of a vfio-ccw device: which there are, and whether they have the size this VMM knows (vfio-ccw facts 3.5). */

import type { Machine } from '../../../hypervisor/machine_api.ts';
import {
  ccw_cmd_region,
  ccw_crw_region,
  ccw_io_region,
  ccw_schib_region,
  VFIO_CCW_CONFIG_REGION_INDEX,
  VFIO_DEVICE_FLAGS,
  VFIO_REGION_SUBTYPE_CCW,
  VFIO_REGION_TYPE_CCW,
} from '../../../kernel/include/uapi/vfio.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { deviceInfo, type RegionInfo, regionInfo } from './device.ts';

/** The optional regions: a feature is off when its region is absent. */
export type CcwFeature = 'async' | 'schib' | 'crw';

const OPTIONAL: Readonly<Record<CcwFeature, { readonly subtype: number; readonly size: number }>> = {
  async: { subtype: VFIO_REGION_SUBTYPE_CCW.ASYNC_CMD, size: ccw_cmd_region.size },
  schib: { subtype: VFIO_REGION_SUBTYPE_CCW.SCHIB, size: ccw_schib_region.size },
  crw: { subtype: VFIO_REGION_SUBTYPE_CCW.CRW, size: ccw_crw_region.size },
};

export interface CcwRegions {
  readonly io: RegionInfo;
  readonly async?: RegionInfo;
  readonly schib?: RegionInfo;
  readonly crw?: RegionInfo;
}

/** Asks the device for its regions. @throws Errno; Error, one sentence naming the device */
export function* ccwRegions(machine: Machine, name: string, fd: number, schid: number): Task<CcwRegions> {
  const info = yield* deviceInfo(machine, fd);
  if ((info.flags & VFIO_DEVICE_FLAGS.CCW) === 0) throw new Error(`${name}: this is no channel I/O device`);
  if (info.num_regions < 1) throw new Error(`${name}: the device has no regions: its driver is not vfio_ccw`);
  const io = yield* regionInfo(machine, fd, VFIO_CCW_CONFIG_REGION_INDEX);
  checkSize(name, 'I/O', io, ccw_io_region.size);
  machine.tracer.point(EVENT.vfio_ccw_Q1, schid, io.offset, io.size);
  const regions: { io: RegionInfo } & Partial<Record<CcwFeature, RegionInfo>> = { io };
  for (let index = VFIO_CCW_CONFIG_REGION_INDEX + 1; index < info.num_regions; index++) {
    const region = yield* regionInfo(machine, fd, index);
    for (const [feature, { subtype, size }] of Object.entries(OPTIONAL) as [CcwFeature, (typeof OPTIONAL)['async']][]) {
      if (region.type?.type !== VFIO_REGION_TYPE_CCW || region.type.subtype !== subtype) continue;
      checkSize(name, feature, region, size);
      machine.tracer.point(EVENT.vfio_ccw_Q1, schid, region.offset, region.size);
      regions[feature] = region;
    }
  }
  return regions;
}

function checkSize(name: string, region: string, { size }: RegionInfo, expected: number): void {
  if (size !== expected)
    throw new Error(`${name}: the ${region} region has ${size} bytes, not ${expected}: kernel and VMM do not match`);
}
