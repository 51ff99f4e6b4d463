import { expect, test } from 'vitest';
import { DMA_PORT, DMA_PORT_ID } from '../../devices/physical/phb/dma_port.ts';
import { EventFd } from '../fs/eventfd.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import { VFIO_IRQ_SET } from '../include/uapi/vfio.ts';
import { TestHost } from '../kvm/test_host.ts';
import type { Task } from '../lib/task.ts';
import { pciName } from './vfio_pci.ts';
import { regionOffset } from './vfio_pci_rdwr.ts';

const BAR0 = regionOffset(0);
const CONFIG = regionOffset(7);
const [MSI, ERR, REQ] = [1, 3, 4];

function setup() {
  const host = new TestHost();
  return host.run(function* () {
    const { groups } = yield* host.container([1]);
    host.poke(0, new TextEncoder().encode('0000:01:01.0\0'));
    const device = yield* host.ioctl(groups[0], ioctls.VFIO_GROUP_GET_DEVICE_FD, host.user);
    return { host, device, group: groups[0] };
  });
}
type Setup = ReturnType<typeof setup>;

function read({ host, device }: Setup, count: number, offset: number): number[] {
  return [...host.run(() => host.kernel.files.file(device).operations.read?.(count, offset) as Task<Uint8Array>)];
}
function write({ host, device }: Setup, offset: number, ...bytes: number[]): number {
  const { operations } = host.kernel.files.file(device);
  return host.run(() => operations.write?.(Uint8Array.from(bytes), offset) as Task<number>);
}

test('the name is the address on the bus', () => {
  expect([0x0100, 0x0108, 0xffff].map(pciName)).toEqual(['0000:01:00.0', '0000:01:01.0', '0000:ff:1f.7']);
});

test('each PE is a group with its device, found from sysfs', () => {
  const { host } = setup();
  const { vfs } = host.kernel;
  expect(vfs.list('/sys/kernel/iommu_groups')).toEqual(['0', '1', '2']);
  expect(vfs.resolve('/sys/bus/pci/devices/0000:01:01.0')).toBe('/sys/devices/pci0000:00/0000:01:01.0');
  expect(vfs.resolve('/sys/bus/pci/devices/0000:01:01.0/iommu_group')).toBe('/sys/kernel/iommu_groups/1');
  expect(vfs.resolve('/sys/kernel/iommu_groups/1/devices/0000:01:01.0')).toBe('/sys/devices/pci0000:00/0000:01:01.0');
  expect(vfs.resolve('/sys/bus/pci/drivers/vfio-pci/0000:01:02.0')).toBe('/sys/devices/pci0000:00/0000:01:02.0');
  const vendor = host.run(function* () {
    const file = yield* vfs.open('/sys/bus/pci/devices/0000:01:01.0/vendor', 0);
    return yield* file.operations.read?.(16, 0) as Task<Uint8Array>;
  });
  expect(new TextDecoder().decode(vendor)).toBe('0x1234\n');
});

test('information about device, regions and interrupts', () => {
  const { host, device } = setup();
  expect(host.run(() => host.ioctlStruct(device, ioctls.VFIO_DEVICE_GET_INFO))).toMatchObject({
    flags: 3,
    num_regions: 9,
    num_irqs: 5,
  });
  const region = (index: number) => {
    const info = host.run(() => host.ioctlStruct(device, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index }));
    return [info.size, info.offset, info.flags];
  };
  // Read, write, map in part, and capabilities that say which part.
  expect(region(0)).toEqual([0x4000, 0, 15]);
  expect(region(7)).toEqual([256, 7 * 2 ** 40, 3]);
  for (const absent of [1, 2, 3, 4, 5, 6]) expect(region(absent)).toEqual([0, absent * 2 ** 40, 0]);
  const irq = (index: number) => {
    const info = host.run(() => host.ioctlStruct(device, ioctls.VFIO_DEVICE_GET_IRQ_INFO, { index }));
    return [info.count, info.flags];
  };
  expect([0, 1, 2, 4].map(irq)).toEqual([
    [1, 7],
    [0, 9],
    [2, 9],
    [1, 9],
  ]);
});

const s = setup();
const irqs =
  (flags: number, index: number, start = 0, count = 1, tail?: Uint8Array) =>
  (one: Setup) =>
    one.host.ioctlStruct(one.device, ioctls.VFIO_DEVICE_SET_IRQS, { flags, index, start, count }, tail);
const { DATA_NONE, DATA_BOOL, DATA_EVENTFD, ACTION_TRIGGER, ACTION_MASK } = VFIO_IRQ_SET;
const fd = (n: number) => new Uint8Array(Int32Array.from([n]).buffer);
const REFUSALS: [string, (one: Setup) => Task<unknown>, string][] = [
  [
    'region 8 (VGA)',
    (one) => one.host.ioctlStruct(one.device, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index: 8 }),
    'EINVAL',
  ],
  ['region 9', (one) => one.host.ioctlStruct(one.device, ioctls.VFIO_DEVICE_GET_REGION_INFO, { index: 9 }), 'EINVAL'],
  [
    'region with a short argsz',
    (one) => one.host.ioctlStruct(one.device, ioctls.VFIO_DEVICE_GET_REGION_INFO, { argsz: 31 }),
    'EINVAL',
  ],
  [
    'interrupt 3 (ERR)',
    (one) => one.host.ioctlStruct(one.device, ioctls.VFIO_DEVICE_GET_IRQ_INFO, { index: 3 }),
    'EINVAL',
  ],
  ['interrupt 5', (one) => one.host.ioctlStruct(one.device, ioctls.VFIO_DEVICE_GET_IRQ_INFO, { index: 5 }), 'EINVAL'],
  ['MSI, which the device has not', irqs(DATA_NONE | ACTION_TRIGGER, MSI), 'EINVAL'],
  ['two kinds of data', irqs(DATA_NONE | DATA_BOOL | ACTION_TRIGGER, REQ), 'EINVAL'],
  ['unknown flags', irqs(0x80 | DATA_NONE | ACTION_TRIGGER, REQ), 'EINVAL'],
  ['start + count wraps', irqs(DATA_NONE | ACTION_TRIGGER, REQ, 1, 0xffff_ffff), 'EINVAL'],
  ['count * 4 beyond argsz', irqs(DATA_EVENTFD | ACTION_TRIGGER, REQ, 0, 1), 'EINVAL'],
  ['the error interrupt, which only PCI Express has', irqs(DATA_NONE | ACTION_TRIGGER, ERR, 0, 0), 'EINVAL'],
  ['an eventfd for it', irqs(DATA_EVENTFD | ACTION_TRIGGER, ERR, 0, 1, fd(-1)), 'EINVAL'],
  ['a second request notifier', irqs(DATA_EVENTFD | ACTION_TRIGGER, REQ, 1, 1, fd(-1)), 'EINVAL'],
  ['mask of the request notifier', irqs(DATA_NONE | ACTION_MASK, REQ), 'ENOTTY'],
  ['an eventfd that is none', irqs(DATA_EVENTFD | ACTION_TRIGGER, REQ, 0, 1, fd(0)), 'EINVAL'],
  ['a descriptor that is none', irqs(DATA_EVENTFD | ACTION_TRIGGER, REQ, 0, 1, fd(99)), 'EBADF'],
  ['a descriptor below -1', irqs(DATA_EVENTFD | ACTION_TRIGGER, REQ, 0, 1, fd(-2)), 'OK'],
  ['no eventfd', irqs(DATA_EVENTFD | ACTION_TRIGGER, REQ, 0, 0), 'EINVAL'],
  ['a signal of no truth value', irqs(DATA_BOOL | ACTION_TRIGGER, REQ, 0, 0), 'EINVAL'],
  ['a signal without an eventfd', irqs(DATA_NONE | ACTION_TRIGGER, REQ, 0, 1), 'EINVAL'],
  ['a truth value without an eventfd', irqs(DATA_BOOL | ACTION_TRIGGER, REQ, 0, 1, Uint8Array.of(1)), 'OK'],
  ['taking away what is not there', irqs(DATA_NONE | ACTION_TRIGGER, REQ, 0, 0), 'EINVAL'],
  ['taking an eventfd away', irqs(DATA_EVENTFD | ACTION_TRIGGER, REQ, 0, 1, fd(-1)), 'OK'],
];
test.each(REFUSALS)('vfio-pci: %s', (_, call, expected) => {
  expect(s.host.errno(() => call(s))).toBe(expected);
});

test('BAR 0 answers once memory space is enabled, in any size and at any alignment', () => {
  const one = setup();
  const { operations } = one.host.kernel.files.file(one.device);
  expect(one.host.errno(() => operations.read?.(4, BAR0) as Task<unknown>)).toBe('EIO');
  expect(one.host.errno(() => operations.write?.(new Uint8Array(4), BAR0) as Task<unknown>)).toBe('EIO');
  expect(read(one, 2, CONFIG)).toEqual([0x34, 0x12]);
  write(one, CONFIG + 4, 6, 0);
  expect(read(one, 4, BAR0 + DMA_PORT.ID)).toEqual([0, 8, 16, 24].map((n) => (DMA_PORT_ID >> n) & 0xff));
  expect(write(one, BAR0 + DMA_PORT.BUFFER + 1, 1, 2, 3, 4, 5, 6, 7)).toBe(7);
  expect(read(one, 9, BAR0 + DMA_PORT.BUFFER)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0]);
});

test('accesses end where the region ends, and absent regions have no bytes', () => {
  const one = setup();
  const { operations } = one.host.kernel.files.file(one.device);
  expect(read(one, 100, CONFIG + 250)).toHaveLength(6);
  for (const offset of [CONFIG + 256, regionOffset(1), regionOffset(6), regionOffset(9), regionOffset(100), -4])
    expect(one.host.errno(() => operations.read?.(4, offset) as Task<unknown>)).toBe('EINVAL');
});

test('sizing a BAR through configuration space', () => {
  const one = setup();
  write(one, CONFIG + 0x10, 0xff, 0xff, 0xff, 0xff);
  expect(read(one, 4, CONFIG + 0x10)).toEqual([0, 0xc0, 0xff, 0xff]);
});

test('reset keeps configuration space and clears the device; close leaves it without DMA', () => {
  const one = setup();
  write(one, CONFIG + 4, 6, 0);
  write(one, BAR0 + DMA_PORT.BUFFER, 7);
  one.host.bridge.eehFreeze(1);
  expect(read(one, 4, BAR0 + DMA_PORT.ID)).toEqual([255, 255, 255, 255]);
  one.host.run(() => one.host.ioctl(one.device, ioctls.VFIO_DEVICE_RESET));
  expect(read(one, 2, CONFIG + 4)).toEqual([6, 0]);
  expect(read(one, 1, BAR0 + DMA_PORT.BUFFER)).toEqual([0]);
  one.host.run(() => one.host.close(one.device));
  expect(one.host.bridge.configRead(1, 4, 2)).toBe(0);
});

test('the request notifier tells user space, and lets its eventfd go on close', () => {
  const one = setup();
  const { host } = one;
  const fdOf = host.kernel.files.install(EventFd.file(0));
  const eventfd = EventFd.of(host.kernel.files.file(fdOf));
  const set = (flags: number, count: number, tail?: Uint8Array) =>
    host.run(() => irqs(flags | ACTION_TRIGGER, REQ, 0, count, tail)(one));
  set(DATA_EVENTFD, 1, fd(fdOf));
  const device = host.vfio.groupOfFile(host.kernel.files.file(one.group))?.iommuGroup.devices[0];
  device?.request?.(0);
  set(DATA_NONE, 1);
  set(DATA_BOOL, 1, Uint8Array.of(0));
  set(DATA_BOOL, 1, Uint8Array.of(1));
  expect(eventfd.signals).toBe(3);
  set(DATA_NONE, 0);
  device?.request?.(1);
  expect(eventfd.signals).toBe(3);
});
