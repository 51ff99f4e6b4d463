/**
 * What driverctl and mdevctl do on a real host before QEMU starts: give the subchannels to vfio_ccw and make a mediated
 * device on each, through sysfs; or to the driver of the 2016 RFC, which takes them as they are.
 */
import { Errno } from '../../kernel/include/uapi/errno.ts';
import type { Task } from '../../kernel/lib/task.ts';
import type { DriveConfig } from '../config.ts';
import type { Syscalls } from '../syscall.ts';

/** Bus id of a host subchannel: css, subchannel set, number. */
export function busId(schid: number): string {
  return `0.0.${schid.toString(16).padStart(4, '0')}`;
}

/** The UUID of a drive's mediated device: version 4 in form, the subchannel's number at its end, the same in every run. */
function uuid(schid: number): string {
  return `6d696e69-7669-4736-8f72-${schid.toString(16).padStart(12, '0')}`;
}

/** Writes one attribute. @throws Error naming subchannel, drive and step */
function* step(sys: Syscalls, drive: DriveConfig, what: string, path: string, text: string): Task {
  try {
    yield* sys.writeFile(path, text);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    throw new Error(`subchannel ${busId(drive.schid)} (drive ${drive.file}): ${what}: ${error.message}`);
  }
}

/** driverctl -b css set-override 0.0.NNNN DRIVER. Returns the subchannel's directory. */
function* setOverride(sys: Syscalls, drive: DriveConfig, driver: string): Task<string> {
  const id = busId(drive.schid);
  const directory = `/sys/devices/css0/${id}`;
  yield* step(sys, drive, 'driver override', `${directory}/driver_override`, driver);
  yield* step(sys, drive, 'unbind from its driver', `${directory}/driver/unbind`, id);
  yield* step(sys, drive, `bind to ${driver}`, `/sys/bus/css/drivers/${driver}/bind`, id);
  return directory;
}

/** Prepares one drive; returns the path of its mediated device (`sysfsdev`). @throws Error naming the step that failed */
export function* passThrough(sys: Syscalls, drive: DriveConfig): Task<string> {
  const directory = yield* setOverride(sys, drive, 'vfio_ccw');
  // mdevctl start -u UUID -p 0.0.NNNN -t vfio_ccw-io
  const create = `${directory}/mdev_supported_types/vfio_ccw-io/create`;
  yield* step(sys, drive, 'create the mediated device', create, uuid(drive.schid));
  return `${directory}/${uuid(drive.schid)}`;
}

/** The same for the driver of the RFC; `sysfsdev` is the subchannel. No-IOMMU groups have to be allowed first. @throws Error */
export function* passThroughUnsafe(sys: Syscalls, drive: DriveConfig): Task<string> {
  const parameter = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';
  yield* step(sys, drive, 'allow no-IOMMU groups', parameter, '1');
  return yield* setOverride(sys, drive, 'vfio_ccw_rfc');
}

/** driverctl set-override NAME vfio-platform. @throws Error naming the device and the step that failed */
export function* passThroughPlatform(sys: Syscalls, name: string): Task {
  const directory = `/sys/bus/platform/devices/${name}`;
  const one = function* (what: string, path: string, text: string): Task {
    try {
      yield* sys.writeFile(path, text);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      throw new Error(`platform device ${name}: ${what}: ${error.message}`);
    }
  };
  yield* one('driver override', `${directory}/driver_override`, 'vfio-platform');
  yield* one('unbind from its driver', `${directory}/driver/unbind`, name);
  yield* one('bind to vfio-platform', '/sys/bus/platform/drivers/vfio-platform/bind', name);
}

/**
 * The mediated device of a drive that was given to vfio_ccw before: the one there is, or a new one where it was removed or
 * the subchannel went back to another driver meanwhile. @throws Errno; Error naming the step that failed
 */
export function* mediatedDevice(sys: Syscalls, drive: DriveConfig): Task<string> {
  const id = busId(drive.schid);
  const directory = `/sys/devices/css0/${id}`;
  const names = yield* sys.readdir(directory);
  if (names.includes(uuid(drive.schid))) return `${directory}/${uuid(drive.schid)}`;
  if (!names.includes('driver')) yield* sys.writeFile('/sys/bus/css/drivers_probe', id);
  const driver = yield* sys.readlink(`${directory}/driver`);
  if (!driver.endsWith('/vfio_ccw')) return yield* passThrough(sys, drive);
  yield* sys.writeFile(`${directory}/mdev_supported_types/vfio_ccw-io/create`, uuid(drive.schid));
  return `${directory}/${uuid(drive.schid)}`;
}
