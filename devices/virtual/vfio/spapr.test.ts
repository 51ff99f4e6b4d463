import { beforeEach, describe, expect, test } from 'vitest';
import { Errno, type ErrnoName } from '../../../kernel/include/uapi/errno.ts';
import { FAKE_RAM_VA, FakeMachine } from '../fake_machine.ts';
import { SpaprTceTable } from '../ppc/spapr_iommu.ts';
import { VFIOPCIDevice } from './pci.ts';
import { attachTable, detachTable, openSpaprContainer } from './spapr.ts';

const HOST = '0000:00:00.0';
const CONFIG = 7 * 2 ** 40;

let machine: FakeMachine;
/** Entries of the hardware's table, as MAP and UNMAP leave it. */
let mapped: Map<number, string>;
let mapErrors: ErrnoName[];
let windowStart: number;
let levels: number[];
let config: Uint8Array;
let bar: Uint8Array;
let busError: ErrnoName | undefined;

beforeEach(() => {
  machine = new FakeMachine();
  machine.kvmVfioFd = 9;
  mapped = new Map();
  mapErrors = [];
  windowStart = 0;
  levels = [];
  config = new Uint8Array(256);
  bar = Uint8Array.from({ length: 0x2000 }, (_, i) => i & 0xff);
  busError = undefined;
  const { kernel } = machine;
  kernel.links.set(`/sys/bus/pci/devices/${HOST}/iommu_group`, '../../../kernel/iommu_groups/2');
  const names = ['VFIO_GROUP_SET_CONTAINER', 'VFIO_GROUP_UNSET_CONTAINER', 'VFIO_SET_IOMMU', 'VFIO_DEVICE_RESET'];
  names.push('VFIO_GET_API_VERSION', 'KVM_SET_DEVICE_ATTR', 'VFIO_IOMMU_SPAPR_TCE_REMOVE');
  names.push('VFIO_IOMMU_SPAPR_REGISTER_MEMORY', 'VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY');
  for (const name of names) kernel.ioctls.set(name, () => 0);
  kernel.ioctls.set('VFIO_CHECK_EXTENSION', ({ value }) => (value === 7 ? 1 : 0));
  kernel.ioctls.set('KVM_CHECK_EXTENSION', () => 1);
  kernel.ioctls.set('KVM_CREATE_SPAPR_TCE_64', () => kernel.install('table'));
  kernel.ioctls.set('VFIO_GROUP_GET_STATUS', ({ view }) => {
    view.flags = 1;
    return 0;
  });
  kernel.ioctls.set('VFIO_IOMMU_SPAPR_TCE_GET_INFO', ({ view }) => {
    view.dma32_window_start = 0;
    return 0;
  });
  kernel.ioctls.set('VFIO_IOMMU_SPAPR_TCE_CREATE', ({ view }) => {
    levels.push(view.levels);
    expect([view.page_shift, view.window_size]).toEqual([12, 0x10000]);
    view.start_addr = windowStart;
    return 0;
  });
  kernel.ioctls.set('VFIO_IOMMU_MAP_DMA', ({ view }) => {
    const error = mapErrors.shift();
    if (error !== undefined) throw new Errno(error, 'map');
    expect(view.size).toBe(0x1000);
    mapped.set(view.iova, `${(view.vaddr - FAKE_RAM_VA).toString(16)} ${view.flags}`);
    return 0;
  });
  kernel.ioctls.set('VFIO_IOMMU_UNMAP_DMA', ({ view }) => {
    mapped.delete(view.iova);
    return 0;
  });
  kernel.ioctls.set('VFIO_GROUP_GET_DEVICE_FD', () => kernel.install('device'));
  kernel.ioctls.set('VFIO_DEVICE_GET_INFO', ({ view }) => {
    Object.assign(view, { flags: 3, num_regions: 9, num_irqs: 5 });
    return 0;
  });
  kernel.ioctls.set('VFIO_DEVICE_GET_REGION_INFO', ({ view }) => {
    view.size = view.index === 0 ? bar.length : view.index === 7 ? 256 : 0;
    view.offset = view.index * 2 ** 40;
    return 0;
  });
  const region = (position: number) => (position >= CONFIG ? config : bar);
  kernel.read = (_fd, count, position) => {
    if (busError !== undefined) throw new Errno(busError, 'bus');
    return region(position).slice(position % 2 ** 40, (position % 2 ** 40) + count);
  };
  kernel.write = (_fd, bytes, position) => {
    if (busError !== undefined) throw new Errno(busError, 'bus');
    region(position).set(bytes, position % 2 ** 40);
    return bytes.length;
  };
});

function open() {
  const container = machine.run(openSpaprContainer(machine));
  const device = machine.run(VFIOPCIDevice.realize(machine, { host: HOST, container }));
  const options = { liobn: 0x8000_0000, busOffset: 0, pageShift: 12, nbTable: 16, needVfio: true };
  const table = machine.run(SpaprTceTable.create(machine, { ...options, mapped: () => 0x8000 }));
  return { container, device, table, attach: () => attachTable(machine, container, [device.group], table) };
}

test('set up: RAM is registered, the default window goes, the new one is KVM’s too', () => {
  const { container, device, table, attach } = open();
  const links: [number, number[]][] = [];
  machine.kernel.ioctls.set('KVM_SET_DEVICE_ATTR', ({ view }) => {
    const value = machine.kernel.heap.blocks.get(view.addr)!;
    const dv = new DataView(value.buffer);
    links.push([view.attr, [dv.getInt32(0, true), dv.getInt32(4, true)]]);
    return 0;
  });
  const attached = machine.run(attach());
  expect(links).toEqual([[3, [device.group.fd, table.fd]]]);
  expect(machine.kernel.calls.filter((call) => !call.startsWith('VFIO_DEVICE'))).toEqual([
    'open /dev/vfio/vfio',
    'VFIO_GET_API_VERSION',
    'VFIO_CHECK_EXTENSION',
    'open /dev/vfio/2',
    'VFIO_GROUP_GET_STATUS',
    'VFIO_GROUP_SET_CONTAINER',
    'KVM_SET_DEVICE_ATTR',
    'VFIO_SET_IOMMU',
    'VFIO_IOMMU_SPAPR_REGISTER_MEMORY',
    'VFIO_IOMMU_SPAPR_TCE_GET_INFO',
    'VFIO_IOMMU_SPAPR_TCE_REMOVE',
    'VFIO_GROUP_GET_DEVICE_FD',
    'KVM_CHECK_EXTENSION',
    'KVM_CHECK_EXTENSION',
    'KVM_CREATE_SPAPR_TCE_64',
    'VFIO_IOMMU_SPAPR_TCE_CREATE',
    'KVM_SET_DEVICE_ATTR',
  ]);
  machine.kernel.ioctls.set('KVM_SET_DEVICE_ATTR', () => 0);
  machine.run(detachTable(machine, attached));
  machine.run(device.unrealize());
  machine.run(container.close());
  machine.run(table.release(machine));
  expect(machine.kernel.open.size).toBe(0);
});
test('RAM that is still held when the last group leaves is left to the container', () => {
  const { device } = open();
  machine.kernel.ioctls.set('VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY', () => {
    throw new Errno('EBUSY', 'unregister');
  });
  machine.run(device.unrealize());
  expect(machine.logs[0]).toContain('RAM stays registered');
});

describe('the window', () => {
  test('elsewhere than the guest needs it is refused and removed', () => {
    const { attach } = open();
    windowStart = 0x800_0000_0000_0000;
    expect(() => machine.run(attach())).toThrow('the host put the DMA window at 0x800000000000000');
    expect(machine.kernel.calls.at(-1)).toBe('VFIO_IOMMU_SPAPR_TCE_REMOVE');
  });
  test('is tried with more levels, and refused at last', () => {
    const { attach } = open();
    const create = machine.kernel.ioctls.get('VFIO_IOMMU_SPAPR_TCE_CREATE')!;
    machine.kernel.ioctls.set('VFIO_IOMMU_SPAPR_TCE_CREATE', (call) => {
      create(call);
      throw new Errno('EINVAL', 'create');
    });
    expect(() => machine.run(attach())).toThrow('EINVAL');
    expect(levels).toEqual([1, 2, 3, 4]);
  });
});

describe('entries', () => {
  test('are mapped with the guest’s permissions and unmapped', () => {
    const { table, attach } = open();
    machine.run(table.put(3, 0x4003n));
    machine.run(attach());
    machine.run(table.put(4, 0x5001n));
    machine.run(table.put(5, 0x6002n));
    expect([...mapped]).toEqual([
      [0x3000, '4000 3'],
      [0x4000, '5000 1'],
      [0x5000, '6000 2'],
    ]);
    machine.run(table.put(4, 0n));
    expect(mapped.has(0x4000)).toBe(false);
  });
  test('outside the guest’s memory leave nothing behind', () => {
    const { table, attach } = open();
    machine.run(attach());
    machine.run(table.put(4, 0x5003n));
    machine.run(table.put(4, 0xff_ffff_f003n));
    expect(mapped.size).toBe(0);
    expect(machine.logs[0]).toContain('not in the guest');
  });
  test('that are busy are unmapped and mapped again; what fails leaves nothing behind', () => {
    const { table, attach } = open();
    machine.run(attach());
    mapErrors = ['EBUSY'];
    machine.run(table.put(1, 0x5003n));
    expect(mapped.get(0x1000)).toBe('5000 3');
    mapErrors = ['EBUSY', 'ENOMEM'];
    machine.run(table.put(1, 0x6003n));
    expect(mapped.size).toBe(0);
    expect(machine.logs.at(-1)).toContain('VFIO_MAP_DMA 0x1000 to 0x6000');
  });
});

describe('vfio-pci', () => {
  test('the device is enabled, and its BAR answers at its window', () => {
    const { device } = open();
    expect(config[4]).toBe(6);
    const window = device.barWindow(0, 0x100_8000_0000);
    expect([window.base, window.size]).toEqual([0x100_8000_0000, 0x2000]);
    expect(machine.run(window.read(0x1004, 4))).toEqual(Uint8Array.of(4, 5, 6, 7));
    machine.run(window.write(8, Uint8Array.of(1, 0, 0, 0)));
    expect(bar[8]).toBe(1);
  });
  test('what the kernel refuses reads as all ones', () => {
    const { device } = open();
    const window = device.barWindow(0, 0);
    busError = 'EIO';
    expect(machine.run(window.read(0, 4))).toEqual(new Uint8Array(4).fill(0xff));
    machine.run(window.write(0, new Uint8Array(4)));
    expect(machine.logs.length).toBe(2);
    expect(() => device.barWindow(1, 0)).toThrow('vfio-pci 0000:00:00.0: there is no BAR 1');
  });
  test('reset enables the device again', () => {
    const { device } = open();
    config[4] = 0;
    machine.run(device.reset());
    expect(config[4]).toBe(6);
  });
  test.each([
    ['no PCI device', { flags: 0x10, num_regions: 9 }, 'vfio-pci 0000:00:00.0: this is no PCI device'],
    ['no configuration space', { flags: 3, num_regions: 7 }, 'vfio-pci 0000:00:00.0: the device has 7 regions'],
  ])('%s is refused, and nothing of it stays open', (_what, info, message) => {
    machine.kernel.ioctls.set('VFIO_DEVICE_GET_INFO', ({ view }) => {
      Object.assign(view, info);
      return 0;
    });
    const container = machine.run(openSpaprContainer(machine));
    expect(() => machine.run(VFIOPCIDevice.realize(machine, { host: HOST, container }))).toThrow(message);
    expect([...machine.kernel.open.values()]).toEqual(['/dev/vfio/vfio']);
  });
});
