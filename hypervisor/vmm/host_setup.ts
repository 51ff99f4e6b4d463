/**
 * What driverctl and mdevctl do on a real host before QEMU starts: give the subchannels to vfio_ccw and make a mediated
 * device on each, through sysfs.
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

/** Prepares one drive; returns the path of its mediated device (`sysfsdev`). @throws Error naming the step that failed */
export function* passThrough(sys: Syscalls, drive: DriveConfig): Task<string> {
  const id = busId(drive.schid);
  const directory = `/sys/devices/css0/${id}`;
  const step = function* (what: string, path: string, text: string): Task {
    try {
      yield* sys.writeFile(path, text);
    } catch (error) {
      if (error instanceof Errno) throw new Error(`subchannel ${id} (drive ${drive.file}): ${what}: ${error.message}`);
      throw error;
    }
  };
  // driverctl -b css set-override 0.0.NNNN vfio_ccw
  yield* step('driver override', `${directory}/driver_override`, 'vfio_ccw');
  yield* step('unbind from its driver', `${directory}/driver/unbind`, id);
  yield* step('bind to vfio_ccw', '/sys/bus/css/drivers/vfio_ccw/bind', id);
  // mdevctl start -u UUID -p 0.0.NNNN -t vfio_ccw-io
  yield* step('create the mediated device', `${directory}/mdev_supported_types/vfio_ccw-io/create`, uuid(drive.schid));
  return `${directory}/${uuid(drive.schid)}`;
}
