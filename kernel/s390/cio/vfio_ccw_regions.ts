/** What the regions of a vfio-ccw device have in common, and the I/O region, number 0 (vfio-ccw facts 3.5). */

import { Errno, errnoName } from '../../include/uapi/errno.ts';
import { ccw_io_region, VFIO_REGION_INFO_FLAG } from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { Event, VfioCcwPrivate } from './vfio_ccw_private.ts';

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

/** What a region that takes requests has of its own. */
export interface RequestRegion {
  /** For messages. */
  readonly name: string;
  /** VFIO_REGION_SUBTYPE_CCW; 0 for the I/O region. */
  readonly subtype: number;
  readonly bytes: Uint8Array;
  /** `ret_code`, as it lies in `bytes`. */
  readonly retCode: () => number;
  /** What a write, of whatever part of the region, brings about; `ioMutex` is held. */
  readonly event: Event;
  /** Called after the event, before the answer. */
  done?(retCode: number): void;
}

/**
 * A region that is written to ask for something: the bytes are stored, the state machine acts on the whole region, and
 * `ret_code` is the answer. Reading gives the bytes and does not wait for I/O.
 */
export function requestRegion(device: VfioCcwPrivate, region: RequestRegion): CcwRegion {
  const { name, bytes } = region;
  return {
    subtype: region.subtype,
    size: bytes.length,
    flags: VFIO_REGION_INFO_FLAG.READ | VFIO_REGION_INFO_FLAG.WRITE,
    *read(position, count) {
      checkRange(name, position, count, bytes.length);
      if (!device.ioMutex.tryLock()) yield* device.ioMutex.lock();
      const copy = bytes.slice(position, position + count);
      device.ioMutex.unlock();
      return copy;
    },
    *write(position, data) {
      checkRange(name, position, data.length, bytes.length);
      lockForWrite(device);
      try {
        bytes.set(data, position);
        if (device.host.kernel.actor.simulated) yield* raceWindow(device.host.kernel.actor);
        yield* device.fsm(region.event);
        const retCode = region.retCode() | 0;
        region.done?.(retCode);
        return writeResult(device, retCode, data.length);
      } finally {
        device.ioMutex.unlock();
      }
    },
  };
}

/** Writers do not wait for each other. @throws Errno EAGAIN */
function lockForWrite(device: VfioCcwPrivate): void {
  if (!device.ioMutex.tryLock())
    throw new Errno('EAGAIN', `vfio-ccw ${device.sch.busId}: another request is under way`);
}

/** What a region write returns: the region's ret_code when it is not 0. @throws Errno when that is negative */
function writeResult(device: VfioCcwPrivate, retCode: number, count: number): number {
  const { refusal } = device;
  device.refusal = undefined;
  if (retCode >= 0) return retCode === 0 ? count : retCode;
  throw refusal !== undefined && refusal.errno === -retCode ? refusal : new Errno(errnoName(-retCode), device.name);
}

/** Region 0: ORB and SCSW in, IRB out. */
export function ioRegion(device: VfioCcwPrivate): CcwRegion {
  const { kernel } = device.host;
  return requestRegion(device, {
    name: 'I/O',
    subtype: 0,
    bytes: ccw_io_region.bytes(device.ioRegion),
    retCode: () => device.ioRegion.ret_code,
    event: 'IO_REQ',
    done: (retCode) => kernel.tracer.point(EVENT.vfio_ccw_K4, device.sch.schid, Math.max(0, -retCode)),
  });
}
