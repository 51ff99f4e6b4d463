import { expect, test } from 'vitest';
import { UUID } from '../../test/support/ccw_fixture.ts';
import { CcwRfcFixture, NOIOMMU_PARAMETER } from '../../test/support/ccw_rfc_fixture.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import * as uapi from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';

const TAINTED = '/proc/sys/kernel/tainted';
const RFC = '/sys/bus/css/drivers/vfio_ccw_rfc';
const read = (t: CcwRfcFixture, path: string) => t.run(t.user.readFile(path));

function opened(): CcwRfcFixture {
  const t = new CcwRfcFixture();
  t.run(t.openAll());
  return t;
}

test('the mode is off at first, and takes what a boolean module parameter takes', () => {
  const t = new CcwRfcFixture();
  const rows = ['Y', '0', 'on', 'off', 'True', 'no', '1', 'n'].map((text) => {
    t.run(t.user.writeFile(NOIOMMU_PARAMETER, text));
    return `${text}:${read(t, NOIOMMU_PARAMETER)}`;
  });
  expect(read(new CcwRfcFixture(), NOIOMMU_PARAMETER)).toBe('N');
  expect(rows.join(' ')).toBe('Y:Y 0:N on:Y off:N True:Y no:N 1:Y n:N');
  for (const text of ['maybe', '', 'o', '2'])
    expect([text, t.outcome(t.user.writeFile(NOIOMMU_PARAMETER, text))]).toEqual([text, 'EINVAL']);
});

test('while the mode is off no device gets a group, nothing is tainted, and no container has the backend', () => {
  const t = new CcwRfcFixture();
  t.run(t.user.writeFile('/sys/bus/css/drivers/io_subchannel/unbind', '0.0.0000'));
  expect(t.outcome(t.user.writeFile(`${RFC}/bind`, '0.0.0000'))).toBe('EINVAL');
  expect(t.kernel.vfs.has(`${RFC}/0.0.0000`)).toBe(false);
  expect(t.kernel.vfs.list('/dev/vfio')).toEqual(['vfio']);
  expect(read(t, TAINTED)).toBe('0');
  const container = t.run(t.user.open('/dev/vfio/vfio'));
  expect(t.run(t.user.ioctl(container, ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_NOIOMMU_IOMMU))).toBe(0);
});

test('a group taints the kernel for good and says so once per device and once per opening', () => {
  const t = opened();
  expect(read(t, TAINTED)).toBe('64');
  expect(t.kernel.vfs.list('/dev/vfio')).toEqual(['noiommu-0', 'vfio']);
  expect(read(t, '/sys/kernel/iommu_groups/0/name')).toBe('vfio-noiommu');
  expect(t.log.filter((line) => line.includes('noiommu'))).toEqual([
    'vfio_ccw_rfc 0.0.0000: Adding kernel taint for vfio-noiommu group on device',
    '0.0.0000: vfio-noiommu device opened by user',
  ]);
  t.run(t.user.close(t.fd));
  t.run(t.user.close(t.group));
  t.run(t.user.writeFile(`${RFC}/unbind`, '0.0.0000'));
  expect(t.kernel.vfs.list('/dev/vfio')).toEqual(['vfio']);
  expect(read(t, TAINTED)).toBe('64');
});

test('an ordinary mediated device taints nothing', () => {
  const t = new CcwRfcFixture();
  t.run(t.user.writeFile('/sys/bus/css/devices/0.0.0000/driver_override', 'vfio_ccw'));
  t.run(t.user.writeFile('/sys/bus/css/drivers/io_subchannel/unbind', '0.0.0000'));
  t.run(t.user.writeFile('/sys/bus/css/drivers/vfio_ccw/bind', '0.0.0000'));
  t.run(t.user.writeFile('/sys/bus/css/devices/0.0.0000/mdev_supported_types/vfio_ccw-io/create', UUID));
  expect(read(t, TAINTED)).toBe('0');
});

/** With a mediated device on 0.0.0001, its group 1 opened. */
function* mediated(t: CcwRfcFixture): Task<number> {
  const { user } = t;
  yield* user.writeFile('/sys/bus/css/drivers/io_subchannel/unbind', '0.0.0001');
  yield* user.writeFile('/sys/bus/css/drivers/vfio_ccw/bind', '0.0.0001');
  yield* user.writeFile('/sys/bus/css/devices/0.0.0001/mdev_supported_types/vfio_ccw-io/create', UUID);
  return yield* user.open('/dev/vfio/1');
}
const withoutRights = (t: CcwRfcFixture) => t.kernel.capabilities.delete('CAP_SYS_RAWIO');

/** What is refused, by which call, and with what. */
const refusals: readonly [string, string, (t: CcwRfcFixture) => Task<unknown>][] = [
  [
    'opening the group without CAP_SYS_RAWIO',
    'EPERM',
    function* (t) {
      yield* t.bind();
      withoutRights(t);
      yield* t.user.open('/dev/vfio/noiommu-0');
    },
  ],
  [
    'SET_CONTAINER without CAP_SYS_RAWIO',
    'EPERM',
    function* (t) {
      yield* t.bind();
      const group = yield* t.user.open('/dev/vfio/noiommu-0');
      withoutRights(t);
      yield* t.setContainer(group, yield* t.user.open('/dev/vfio/vfio'));
    },
  ],
  [
    'SET_IOMMU without CAP_SYS_RAWIO',
    'EPERM',
    function* (t) {
      yield* t.bind();
      const group = yield* t.user.open('/dev/vfio/noiommu-0');
      const container = yield* t.user.open('/dev/vfio/vfio');
      yield* t.setContainer(group, container);
      withoutRights(t);
      yield* t.user.ioctl(container, ioctls.VFIO_SET_IOMMU, uapi.VFIO_NOIOMMU_IOMMU);
    },
  ],
  [
    'GET_DEVICE_FD without CAP_SYS_RAWIO',
    'EPERM',
    function* (t) {
      yield* t.openAll();
      withoutRights(t);
      yield* t.openDevice();
    },
  ],
  [
    'a no-IOMMU group in a container of another kind',
    'EPERM',
    function* (t) {
      yield* t.bind();
      const container = yield* t.user.open('/dev/vfio/vfio');
      yield* t.setContainer(yield* mediated(t), container);
      yield* t.setContainer(yield* t.user.open('/dev/vfio/noiommu-0'), container);
    },
  ],
  [
    'another group in a no-IOMMU container',
    'EPERM',
    function* (t) {
      yield* t.openAll();
      yield* t.setContainer(yield* mediated(t), t.container);
    },
  ],
  [
    'type1 for a no-IOMMU group',
    'ENODEV',
    function* (t) {
      yield* t.bind();
      const container = yield* t.user.open('/dev/vfio/vfio');
      yield* t.setContainer(yield* t.user.open('/dev/vfio/noiommu-0'), container);
      yield* t.user.ioctl(container, ioctls.VFIO_SET_IOMMU, uapi.VFIO_TYPE1v2_IOMMU);
    },
  ],
  [
    'the no-IOMMU backend for another group',
    'ENODEV',
    function* (t) {
      yield* t.bind();
      const container = yield* t.user.open('/dev/vfio/vfio');
      yield* t.setContainer(yield* mediated(t), container);
      yield* t.user.ioctl(container, ioctls.VFIO_SET_IOMMU, uapi.VFIO_NOIOMMU_IOMMU);
    },
  ],
  [
    'a device of another name',
    'ENODEV',
    function* (t) {
      yield* t.openAll();
      yield* t.openDevice(UUID);
    },
  ],
  [
    'a mapping: there is nothing to map into',
    'ENOTTY',
    function* (t) {
      yield* t.openAll();
      const map = uapi.vfio_iommu_type1_dma_map.make({ argsz: 32, flags: 3, vaddr: t.data.start, size: 4096 });
      yield* t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_MAP_DMA, map);
    },
  ],
];

test.each(refusals)('refused: %s (%s)', (_what, errno, calls) => {
  const t = new CcwRfcFixture();
  expect(t.outcome(calls(t))).toBe(errno);
});

test('what the container has to offer depends on the groups in it', () => {
  const t = new CcwRfcFixture();
  t.run(t.bind());
  const extensions = [uapi.VFIO_NOIOMMU_IOMMU, uapi.VFIO_TYPE1v2_IOMMU];
  const offered = (container: number) =>
    extensions.map((extension) => t.run(t.user.ioctl(container, ioctls.VFIO_CHECK_EXTENSION, extension)));
  const [empty, plain, unsafe] = [0, 1, 2].map(() => t.run(t.user.open('/dev/vfio/vfio')));
  t.run(t.setContainer(t.run(mediated(t)), plain));
  t.run(t.setContainer(t.run(t.user.open('/dev/vfio/noiommu-0')), unsafe));
  expect([offered(empty), offered(plain), offered(unsafe)]).toEqual([
    [1, 1],
    [0, 1],
    [1, 0],
  ]);
  t.run(t.user.ioctl(unsafe, ioctls.VFIO_SET_IOMMU, uapi.VFIO_NOIOMMU_IOMMU));
  expect(offered(unsafe)).toEqual([1, 0]);
});
