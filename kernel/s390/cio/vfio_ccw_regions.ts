/** What the regions of a vfio-ccw device have in common, and the I/O region, number 0 (vfio-ccw facts 3.5). */

import { Errno, errnoName } from '../../include/uapi/errno.ts';
import { ccw_io_region, VFIO_REGION_INFO_FLAG } from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { VfioCcwPrivate } from './vfio_ccw_private.ts';

/** A region that the device shows. */
export interface CcwRegion {
  /** VFIO_REGION_SUBTYPE_CCW; 0 for the I/O region, which has no capability. */
  readonly subtype: number;
  readonly size: number;
  /** VFIO_REGION_INFO_FLAG. */
  readonly flags: number;
  /** @throws Errno */
  read(position: number, count: number): Task<Uint8Array>;
  /** @throws Errno */
  write(position: number, data: Uint8Array): Task<number>;
  /** The device is being closed. */
  release?(): void;
}

/** @throws Errno EINVAL when the range leaves the region */
export function checkRange(region: string, position: number, count: number, size: number): void {
  if (position + count > size)
    throw new Errno('EINVAL', `${region} region: bytes ${position}..${position + count} of ${size}`);
}

/** Writers do not wait for each other. @throws Errno EAGAIN */
export function lockForWrite(device: VfioCcwPrivate): void {
  if (!device.ioMutex.tryLock())
    throw new Errno('EAGAIN', `vfio-ccw ${device.sch.busId}: another request is under way`);
}

/** What a region write returns: the region's ret_code when it is not 0. @throws Errno when that is negative */
export function writeResult(device: VfioCcwPrivate, retCode: number, count: number): number {
  const signed = retCode | 0;
  const { refusal } = device;
  device.refusal = undefined;
  if (signed >= 0) return signed === 0 ? count : signed;
  throw refusal !== undefined && refusal.errno === -signed ? refusal : new Errno(errnoName(-signed), device.name);
}

/** Region 0: ORB and SCSW in, IRB out. */
export function ioRegion(device: VfioCcwPrivate): CcwRegion {
  const bytes = ccw_io_region.bytes(device.ioRegion);
  const { kernel } = device.host;
  return {
    subtype: 0,
    size: ccw_io_region.size,
    flags: VFIO_REGION_INFO_FLAG.READ | VFIO_REGION_INFO_FLAG.WRITE,
    *read(position, count) {
      checkRange('I/O', position, count, bytes.length);
      yield* device.ioMutex.lock();
      const copy = bytes.slice(position, position + count);
      device.ioMutex.unlock();
      return copy;
    },
    *write(position, data) {
      checkRange('I/O', position, data.length, bytes.length);
      lockForWrite(device);
      try {
        bytes.set(data, position);
        yield* raceWindow(kernel.actor);
        yield* device.fsm('IO_REQ');
        const retCode = device.ioRegion.ret_code | 0;
        kernel.tracer.point(EVENT.vfio_ccw_K4, device.sch.schid, Math.max(0, -retCode));
        return writeResult(device, retCode, data.length);
      } finally {
        device.ioMutex.unlock();
      }
    },
  };
}
