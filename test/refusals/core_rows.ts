/** Refusals of containers, groups and devices (vfio-tce facts 1.2 to 1.4). */

import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import { TestHost } from '../../kernel/kvm/test_host.ts';
import { Type1Fixture, WithIommu } from '../support/type1_fixture.ts';
import {
  apart,
  ccw,
  irqs,
  joined,
  K,
  pci,
  type Row,
  rfc,
  SET,
  SPAPR,
  s32,
  setContainer,
  struct,
  T1V2,
  text,
  type1,
} from './surroundings.ts';

export const CORE_ROWS: readonly Row[] = [
  // Container.
  [ioctls.VFIO_SET_IOMMU, 'no group', apart((t) => t.user.ioctl(t.container, ioctls.VFIO_SET_IOMMU, T1V2)), 'EINVAL'],
  [ioctls.VFIO_SET_IOMMU, 'set already', ccw((t) => t.user.ioctl(t.container, ioctls.VFIO_SET_IOMMU, T1V2)), 'EINVAL'],
  [ioctls.VFIO_SET_IOMMU, 'no backend', joined((t) => t.user.ioctl(t.container, ioctls.VFIO_SET_IOMMU, 99)), 'ENODEV'],
  [
    ioctls.VFIO_SET_IOMMU,
    'two groups in a v1 container',
    () => {
      const host = new TestHost();
      return host.errno(() => host.container([0, 1], SPAPR));
    },
    'EBUSY',
  ],
  [ioctls.VFIO_SET_IOMMU, 'a group without an IOMMU for type1', withoutIommu, 'EIO'],
  [
    ioctls.VFIO_SET_IOMMU,
    'no-IOMMU without CAP_SYS_RAWIO',
    rfc(function* (t) {
      yield* t.user.close(t.fd);
      yield* t.user.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER);
      yield* t.setContainer(t.group, t.container);
      t.kernel.capabilities.delete('CAP_SYS_RAWIO');
      return yield* t.user.ioctl(t.container, ioctls.VFIO_SET_IOMMU, uapi.VFIO_NOIOMMU_IOMMU);
    }),
    'EPERM',
  ],
  // Group.
  [
    ioctls.VFIO_GROUP_SET_CONTAINER,
    'bad pointer',
    apart((t) => t.user.ioctl(t.group, ioctls.VFIO_GROUP_SET_CONTAINER, 8)),
    'EFAULT',
  ],
  [ioctls.VFIO_GROUP_SET_CONTAINER, 'descriptor not open', apart((t) => setContainer(t, 99)), 'EBADF'],
  [ioctls.VFIO_GROUP_SET_CONTAINER, 'negative descriptor', apart((t) => setContainer(t, -1)), 'EBADF'],
  [ioctls.VFIO_GROUP_SET_CONTAINER, 'a group instead', apart((t) => setContainer(t, t.group)), 'EBADFD'],
  [ioctls.VFIO_GROUP_SET_CONTAINER, 'has one', ccw((t) => setContainer(t, t.container)), 'EINVAL'],
  [
    ioctls.VFIO_GROUP_SET_CONTAINER,
    'a host driver has a member',
    apart((t) => {
      const group = t.core.groupOfFile(t.kernel.files.file(t.group));
      if (group !== undefined) group.iommuGroup.ownedByHost = true;
      return setContainer(t, t.container);
    }),
    'EBUSY',
  ],
  [
    ioctls.VFIO_GROUP_SET_CONTAINER,
    'its devices are gone',
    apart(function* (t) {
      yield* t.user.writeFile('/sys/bus/css/drivers/vfio_ccw/unbind', '0.0.0000');
      return yield* setContainer(t, t.container);
    }),
    'ENODEV',
  ],
  [
    ioctls.VFIO_GROUP_SET_CONTAINER,
    'no IOMMU for a type1 container',
    type1((t) =>
      t.join(
        Object.assign(new WithIommu(t.core, 'x', () => new Error()), {
          group: t.core.allocateGroup({ emulated: false }),
        }),
      ),
    ),
    'EIO',
  ],
  [
    ioctls.VFIO_GROUP_SET_CONTAINER,
    'no-IOMMU without CAP_SYS_RAWIO',
    rfc(function* (t) {
      yield* t.user.close(t.fd);
      yield* t.user.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER);
      t.kernel.capabilities.delete('CAP_SYS_RAWIO');
      return yield* t.setContainer(t.group, t.container);
    }),
    'EPERM',
  ],
  [
    ioctls.VFIO_GROUP_UNSET_CONTAINER,
    'none',
    apart((t) => t.user.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER)),
    'EINVAL',
  ],
  [
    ioctls.VFIO_GROUP_UNSET_CONTAINER,
    'device open',
    ccw((t) => t.user.ioctl(t.group, ioctls.VFIO_GROUP_UNSET_CONTAINER)),
    'EBUSY',
  ],
  [
    ioctls.VFIO_GROUP_GET_DEVICE_FD,
    'bad pointer',
    ccw((t) => t.user.ioctl(t.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, 8)),
    'EFAULT',
  ],
  [
    ioctls.VFIO_GROUP_GET_DEVICE_FD,
    'unknown name',
    ccw((t) => t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, text('disk'))),
    'ENODEV',
  ],
  [
    ioctls.VFIO_GROUP_GET_DEVICE_FD,
    'name without an end',
    ccw((t) => t.user.ioctlBytes(t.group, ioctls.VFIO_GROUP_GET_DEVICE_FD, new Uint8Array(2 * K).fill(65))),
    'EINVAL',
  ],
  [ioctls.VFIO_GROUP_GET_DEVICE_FD, 'no container', apart((t) => t.openDevice()), 'EINVAL'],
  [ioctls.VFIO_GROUP_GET_DEVICE_FD, 'no IOMMU set', joined((t) => t.openDevice()), 'EINVAL'],
  [
    ioctls.VFIO_GROUP_GET_DEVICE_FD,
    'no descriptor left',
    ccw(function* (t) {
      for (let fd = 0; fd < 1100; fd++) yield* t.user.eventfd();
      return 0;
    }),
    'EMFILE',
  ],
  [
    ioctls.VFIO_GROUP_GET_DEVICE_FD,
    'no descriptor left for the device',
    ccw(function* (t) {
      try {
        for (;;) yield* t.user.eventfd();
      } catch {
        return yield* t.openDevice();
      }
    }),
    'EMFILE',
  ],
  [
    ioctls.VFIO_GROUP_GET_DEVICE_FD,
    'the subchannel cannot be enabled',
    ccw(function* (t) {
      yield* t.user.close(t.fd);
      t.css.subchannels[0].gone = true;
      return yield* t.openDevice();
    }),
    'EINVAL',
  ],
  [
    ioctls.VFIO_GROUP_GET_DEVICE_FD,
    'no-IOMMU without CAP_SYS_RAWIO',
    rfc((t) => {
      t.kernel.capabilities.delete('CAP_SYS_RAWIO');
      return t.openDevice();
    }),
    'EPERM',
  ],
  // vfio-ccw device.
  [
    ioctls.VFIO_DEVICE_GET_REGION_INFO,
    'region 4',
    ccw((t) => struct(t, t.fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index: 4 })),
    'EINVAL',
  ],
  [
    ioctls.VFIO_DEVICE_GET_REGION_INFO,
    'region 2^32 - 1',
    ccw((t) => struct(t, t.fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index: 0xffffffff })),
    'EINVAL',
  ],
  [
    ioctls.VFIO_DEVICE_GET_REGION_INFO,
    'capabilities would go where nothing is',
    ccw(function* (t) {
      const last = t.ram.start + t.ram.size - 32;
      const info = uapi.vfio_region_info.make({ argsz: 64, index: 1 });
      t.user.bytes(last, 32).set(uapi.vfio_region_info.bytes(info));
      return yield* t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, last);
    }),
    'EFAULT',
  ],
  [
    ioctls.VFIO_DEVICE_GET_IRQ_INFO,
    'interrupt 3',
    ccw((t) => struct(t, t.fd, ioctls.VFIO_DEVICE_GET_IRQ_INFO, { index: 3 })),
    'EINVAL',
  ],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'interrupt 3', irqs({ index: 3 }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'start 1', irqs({ start: 1 }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'count 2', irqs({ count: 2, argsz: 28 }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'start + count wraps', irqs({ start: 1, count: 0xffffffff }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'unknown flag', irqs({ flags: SET.ACTION_TRIGGER | SET.DATA_EVENTFD | 64 }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'no kind of data', irqs({ flags: SET.ACTION_TRIGGER }), 'EINVAL'],
  [
    ioctls.VFIO_DEVICE_SET_IRQS,
    'two kinds of data',
    irqs({ flags: SET.ACTION_TRIGGER | SET.DATA_BOOL | SET.DATA_NONE }),
    'EINVAL',
  ],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'no action', irqs({ flags: SET.DATA_EVENTFD }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'mask', irqs({ flags: SET.ACTION_MASK | SET.DATA_NONE }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'unmask', irqs({ flags: SET.ACTION_UNMASK | SET.DATA_NONE }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'argsz without the data', irqs({ argsz: 23 }), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'descriptor -2', irqs({}, s32(-2)), 'EINVAL'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'descriptor not open', irqs({}, s32(99)), 'EBADF'],
  [ioctls.VFIO_DEVICE_SET_IRQS, 'no eventfd', irqs({}, s32(0)), 'EINVAL'],
  [
    ioctls.VFIO_DEVICE_SET_IRQS,
    'data where nothing is',
    ccw(function* (t) {
      const last = t.ram.start + t.ram.size - 20;
      const header = uapi.vfio_irq_set.make({ argsz: 24, flags: SET.ACTION_TRIGGER | SET.DATA_EVENTFD, count: 1 });
      t.user.bytes(last, 20).set(uapi.vfio_irq_set.bytes(header));
      return yield* t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_SET_IRQS, last);
    }),
    'EFAULT',
  ],
  [
    ioctls.VFIO_DEVICE_SET_IRQS,
    'mask of a vfio-pci notifier',
    pci((host, fd) =>
      host.ioctlStruct(fd, ioctls.VFIO_DEVICE_SET_IRQS, { flags: SET.ACTION_MASK | SET.DATA_NONE, index: 4, count: 1 }),
    ),
    'ENOTTY',
  ],
  [
    ioctls.VFIO_DEVICE_GET_REGION_INFO,
    'vfio-pci: VGA',
    pci((host, fd) => host.ioctlStruct(fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index: 8 })),
    'EINVAL',
  ],
  [
    ioctls.VFIO_DEVICE_GET_IRQ_INFO,
    'vfio-pci: ERR',
    pci((host, fd) => host.ioctlStruct(fd, ioctls.VFIO_DEVICE_GET_IRQ_INFO, { index: 3 })),
    'EINVAL',
  ],
  [
    ioctls.VFIO_DEVICE_RESET,
    'the subchannel is gone',
    ccw((t) => {
      t.css.subchannels[0].gone = true;
      return t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET);
    }),
    'EINVAL',
  ],
];

function withoutIommu(): unknown {
  const t = new Type1Fixture();
  const device = Object.assign(new WithIommu(t.core, 'x', () => new Error()), {
    group: t.core.allocateGroup({ emulated: false }),
  });
  t.run(t.user.close(t.fd));
  t.run(t.user.ioctl(t.groupFd, ioctls.VFIO_GROUP_UNSET_CONTAINER));
  t.run(t.join(device));
  return t.outcome(t.user.ioctl(t.container, ioctls.VFIO_SET_IOMMU, T1V2));
}
