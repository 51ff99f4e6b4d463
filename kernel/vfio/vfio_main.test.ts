import { expect, test } from 'vitest';
import { CcwFixture, UUID } from '../../test/support/ccw_fixture.ts';
import { Errno } from '../include/uapi/errno.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import * as uapi from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';

const fdBytes = (fd: number) => uapi.fd_argument.bytes(uapi.fd_argument.make({ fd }));
const nameBytes = (name: string) => new TextEncoder().encode(`${name}\0`);

function opened(): CcwFixture {
  const t = new CcwFixture();
  t.run(t.openAll());
  return t;
}

test('container commands before an IOMMU is set', () => {
  const t = new CcwFixture();
  t.run(t.make());
  const c = t.run(t.user.open('/dev/vfio/vfio'));
  const rows: [ioctls.Ioctl, number, number | string][] = [
    [ioctls.VFIO_GET_API_VERSION, 0, 0],
    [ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_TYPE1_IOMMU, 1],
    [ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_TYPE1v2_IOMMU, 1],
    [ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_UPDATE_VADDR, 1],
    [ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_SPAPR_TCE_v2_IOMMU, 0],
    [ioctls.VFIO_SET_IOMMU, uapi.VFIO_TYPE1v2_IOMMU, 'EINVAL'],
    [ioctls.VFIO_IOMMU_MAP_DMA, 0, 'EINVAL'],
    [ioctls.VFIO_GROUP_GET_STATUS, 0, 'EINVAL'],
  ];
  expect(rows.map(([ioctl, arg]) => t.outcome(t.user.ioctl(c, ioctl, arg)))).toEqual(rows.map((row) => row[2]));
});

test('container commands once type1 v2 is set', () => {
  const t = opened();
  const rows: [ioctls.Ioctl, number, number | string][] = [
    [ioctls.VFIO_GET_API_VERSION, 0, 0],
    [ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_TYPE1v2_IOMMU, 1],
    [ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_DMA_CC_IOMMU, 1],
    [ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_UPDATE_VADDR, 0],
    [ioctls.VFIO_SET_IOMMU, uapi.VFIO_TYPE1v2_IOMMU, 'EINVAL'],
    [ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, 0, 'ENOTTY'],
    [ioctls.VFIO_IOMMU_MAP_DMA, 8, 'EFAULT'],
  ];
  expect(rows.map(([ioctl, arg]) => t.outcome(t.user.ioctl(t.container, ioctl, arg)))).toEqual(
    rows.map((row) => row[2]),
  );
});

test('SET_IOMMU of a type that no backend has is ENODEV', () => {
  const t = new CcwFixture();
  t.run(t.make());
  const c = t.run(t.user.open('/dev/vfio/vfio'));
  const g = t.run(t.user.open('/dev/vfio/0'));
  t.run(t.user.ioctlBytes(g, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(c)));
  expect(t.outcome(t.user.ioctl(c, ioctls.VFIO_SET_IOMMU, uapi.VFIO_SPAPR_TCE_v2_IOMMU))).toBe('ENODEV');
  expect(t.outcome(t.user.ioctl(c, ioctls.VFIO_SET_IOMMU, uapi.VFIO_TYPE1_IOMMU))).toBe(0);
});

test('a backend that fails to attach is undone and the next one is tried', () => {
  const t = new CcwFixture();
  const steps: string[] = [];
  const backend = (name: string, fails: boolean) => {
    const driver = {
      name,
      checkExtension: (extension: number) => (extension === uapi.VFIO_SPAPR_TCE_IOMMU ? 1 : 0),
      open: () => ({
        driver,
        *attachGroup(): Task {
          steps.push(`${name} attach`);
          if (fails) throw new Errno('EPERM', name);
        },
        *detachGroup(): Task {},
        *ioctl(): Task<number> {
          return 42;
        },
        *release(): Task {
          steps.push(`${name} release`);
        },
      }),
    };
    return driver;
  };
  t.core.registerIommuDriver(backend('bad', true));
  t.core.registerIommuDriver(backend('good', false));
  t.run(t.make());
  const c = t.run(t.user.open('/dev/vfio/vfio'));
  const g = t.run(t.user.open('/dev/vfio/0'));
  t.run(t.user.ioctlBytes(g, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(c)));
  t.run(t.user.ioctl(c, ioctls.VFIO_SET_IOMMU, uapi.VFIO_SPAPR_TCE_IOMMU));
  expect(t.run(t.user.ioctl(c, ioctls.VFIO_IOMMU_MAP_DMA))).toBe(42);
  t.run(t.user.ioctl(g, ioctls.VFIO_GROUP_UNSET_CONTAINER));
  expect(steps).toEqual(['bad attach', 'bad release', 'good attach', 'good release']);
  // Fresh again: no backend, no groups.
  expect(t.outcome(t.user.ioctl(c, ioctls.VFIO_IOMMU_MAP_DMA))).toBe('EINVAL');
});

test('group refusals', () => {
  const t = opened();
  const status = uapi.vfio_group_status.make({ argsz: 8 });
  t.run(t.user.ioctlStruct(t.group, ioctls.VFIO_GROUP_GET_STATUS, status));
  expect(status.flags).toBe(3);
  const rows: [string, Task<number>, string | number][] = [
    ['open twice', t.user.open('/dev/vfio/0'), 'EBUSY'],
    ['status, argsz 7', statusOf(t, 7), 'EINVAL'],
    ['set: bad pointer', t.user.ioctl(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, 1), 'EFAULT'],
    ['set: bad descriptor', t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(99)), 'EBADF'],
    ['set: has one', t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(t.container)), 'EINVAL'],
    ['unset: device open', t.user.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER), 'EBUSY'],
    ['device: unknown', t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, nameBytes('x')), 'ENODEV'],
    ['device: bad pointer', t.user.ioctl(t.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, 1), 'EFAULT'],
    [
      'device: endless name',
      t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, new Uint8Array(9000).fill(65)),
      'EINVAL',
    ],
    ['unknown command', t.user.ioctl(t.group, ioctls.VFIO_DEVICE_RESET), 'ENOTTY'],
    ['group that is not there', t.user.open('/dev/vfio/7'), 'ENOENT'],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
});

function* statusOf(t: CcwFixture, argsz: number): Task<number> {
  const status = uapi.vfio_group_status.make({ argsz });
  yield* t.user.ioctlStruct(t.group, ioctls.VFIO_GROUP_GET_STATUS, status);
  return status.flags;
}

test('a group without a container', () => {
  const t = new CcwFixture();
  t.run(t.make());
  t.group = t.run(t.user.open('/dev/vfio/0'));
  const c = t.run(t.user.open('/dev/vfio/vfio'));
  const event = t.run(t.user.eventfd());
  const rows: [string, Task<number>, string | number][] = [
    ['viable', statusOf(t, 8), 1],
    ['unset', t.user.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER), 'EINVAL'],
    ['device', t.openDevice(), 'EINVAL'],
    ['set: eventfd', t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(event)), 'EBADFD'],
    ['set', t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(c)), 0],
    ['device without SET_IOMMU', t.openDevice(), 'EINVAL'],
    ['unset again', t.user.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER), 0],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
  const group = t.core.groupOfFile(t.kernel.files.file(t.group));
  if (group === undefined) throw new Error('no group');
  group.iommuGroup.ownedByHost = true;
  expect(t.run(statusOf(t, 8))).toBe(0);
  expect(t.outcome(t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, fdBytes(c)))).toBe('EBUSY');
});

test.each([
  ['device', 'group', 'container'],
  ['device', 'container', 'group'],
  ['group', 'device', 'container'],
  ['group', 'container', 'device'],
  ['container', 'device', 'group'],
  ['container', 'group', 'device'],
])('closing %s, %s, %s leaves nothing', (...order) => {
  const t = opened();
  const device = t.device;
  t.program(0x1000, [[0x02, 0, 4096, 0x3800]]);
  t.run(t.ssch(0x1000));
  expect(t.held).toBe('2 pins, 2 locked, 2 blocks');
  const fds: Record<string, number> = { device: t.fd, group: t.group, container: t.container };
  for (const name of order) t.run(t.user.close(fds[name]));
  expect(t.held).toBe('0 pins, 0 locked, 0 blocks');
  expect(device.state).toBe('STANDBY');
  // All can be opened again.
  const again = t.run(t.user.open('/dev/vfio/0'));
  expect(t.outcome(t.user.ioctlBytes(again, ioctls.VFIO_GROUP_GET_DEVICE_FD, nameBytes(UUID)))).toBe('EINVAL');
});

test('two descriptors of one device: the last close closes it', () => {
  const t = opened();
  const second = t.run(t.openDevice());
  t.run(t.user.close(t.fd));
  t.fd = second;
  expect(t.device.state).toBe('IDLE');
  t.run(t.user.close(second));
  expect(t.css.subchannels[0].enabled).toBe(false);
});

test('the group is found behind its file, and only there', () => {
  const t = opened();
  const group = t.core.groupOfFile(t.kernel.files.file(t.group));
  expect(group?.iommuGroup.id).toBe(0);
  expect(group?.container?.iommu?.driver.name).toBe('vfio-iommu-type1');
  expect(t.core.groupOfFile(t.kernel.files.file(t.container))).toBeUndefined();
});

test('sysfs shows the group', () => {
  const t = opened();
  expect(t.run(t.user.readlink(`/sys/kernel/iommu_groups/0/devices/${UUID}`))).toBe(
    `../../../../devices/css0/0.0.0000/${UUID}`,
  );
  expect(t.kernel.vfs.resolve(`/sys/kernel/iommu_groups/0/devices/${UUID}`)).toBe(`/sys/devices/css0/0.0.0000/${UUID}`);
  expect(t.kernel.vfs.resolve(`/sys/bus/mdev/devices/${UUID}/iommu_group`)).toBe('/sys/kernel/iommu_groups/0');
});
