import { expect, test } from 'vitest';
import { Errno, type ErrnoName } from '../../kernel/include/uapi/errno.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { finish } from '../../test/support/small_machine.ts';
import type { DriveConfig } from '../config.ts';
import type { Syscalls } from '../syscall.ts';
import { busId, mediatedDevice, passThrough, passThroughUnsafe } from './host_setup.ts';

const DRIVE: DriveConfig = {
  file: 'a.ckd',
  schid: 0x1f,
  devno: 0x190,
  readonly: false,
  cache: 'unsafe',
  serviceTimeNs: 0,
};
const UUID = '6d696e69-7669-4736-8f72-00000000001f';
const DIRECTORY = '/sys/devices/css0/0.0.001f';

/** sysfs that takes writes, and refuses the one at `fails`. */
function sysfs(fails = -1, errno: ErrnoName = 'ENODEV') {
  const writes: [string, string][] = [];
  const sys = {
    *writeFile(path: string, text: string): Task {
      if (writes.length === fails) throw new Errno(errno, `write ${path}`);
      writes.push([path, text]);
    },
  } as unknown as Syscalls;
  return { sys, writes };
}

test('a bus id is css, subchannel set and number', () => {
  expect([busId(0), busId(0x1a), busId(0xffff)]).toEqual(['0.0.0000', '0.0.001a', '0.0.ffff']);
});

test('a drive is given to vfio_ccw and gets a mediated device, in the order of driverctl and mdevctl', () => {
  const { sys, writes } = sysfs();
  expect(finish(passThrough(sys, DRIVE))).toBe(`${DIRECTORY}/${UUID}`);
  expect(writes).toEqual([
    [`${DIRECTORY}/driver_override`, 'vfio_ccw'],
    [`${DIRECTORY}/driver/unbind`, '0.0.001f'],
    ['/sys/bus/css/drivers/vfio_ccw/bind', '0.0.001f'],
    [`${DIRECTORY}/mdev_supported_types/vfio_ccw-io/create`, UUID],
  ]);
});

test('for the RFC no-IOMMU groups are allowed first, and the subchannel itself is the device', () => {
  const { sys, writes } = sysfs();
  expect(finish(passThroughUnsafe(sys, DRIVE))).toBe(DIRECTORY);
  expect(writes).toEqual([
    ['/sys/module/vfio/parameters/enable_unsafe_noiommu_mode', '1'],
    [`${DIRECTORY}/driver_override`, 'vfio_ccw_rfc'],
    [`${DIRECTORY}/driver/unbind`, '0.0.001f'],
    ['/sys/bus/css/drivers/vfio_ccw_rfc/bind', '0.0.001f'],
  ]);
  expect(() => finish(passThroughUnsafe(sysfs(0, 'EINVAL').sys, DRIVE))).toThrow(/allow no-IOMMU groups: .*EINVAL/);
});

test.each([
  [0, 'driver override'],
  [1, 'unbind from its driver'],
  [2, 'bind to vfio_ccw'],
  [3, 'create the mediated device'],
])('a failure of step %i names subchannel, drive, step and errno, and nothing more is done', (step, what) => {
  const { sys, writes } = sysfs(step);
  expect(() => finish(passThrough(sys, DRIVE))).toThrow(
    new RegExp(`^subchannel 0\\.0\\.001f \\(drive a\\.ckd\\): ${what}: .*ENODEV`),
  );
  expect(writes).toHaveLength(step);
});

/** sysfs of the subchannel as it is: names in its directory, and its driver. */
function subchannel(names: string[], driver?: string) {
  const { sys, writes } = sysfs();
  Object.assign(sys, {
    *readdir() {
      return driver === undefined ? names : [...names, 'driver'];
    },
    *readlink() {
      return `../../../bus/css/drivers/${driver}`;
    },
  });
  const write = sys.writeFile.bind(sys);
  sys.writeFile = function* (path, text) {
    yield* write(path, text);
    if (path.endsWith('/drivers_probe')) driver = 'io_subchannel';
  };
  return { sys, writes: () => writes.map(([path]) => path.slice(path.lastIndexOf('/') + 1)) };
}

test.each([
  ['there is one', [UUID], 'vfio_ccw', []],
  ['it was removed', [], 'vfio_ccw', ['create']],
  ['the subchannel went back', [], 'io_subchannel', ['driver_override', 'unbind', 'bind', 'create']],
  ['it has no driver', [], undefined, ['drivers_probe', 'driver_override', 'unbind', 'bind', 'create']],
] as [string, string[], string | undefined, string[]][])(
  'the mediated device of a drive that was plugged before: %s',
  (_, names, driver, steps) => {
    const { sys, writes } = subchannel(names, driver);
    expect(finish(mediatedDevice(sys, DRIVE))).toBe(`${DIRECTORY}/${UUID}`);
    expect(writes()).toEqual(steps);
  },
);
