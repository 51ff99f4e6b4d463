import { beforeEach, expect, test } from 'vitest';
import { Errno, type ErrnoName } from '../../../kernel/include/uapi/errno.ts';
import {
  VFIO_FSL_PAMU_IOMMU,
  VFIO_PAMU_ATTR,
  vfio_pamu_attr_enable,
  vfio_pamu_attr_geometry,
  vfio_pamu_attr_windows,
} from '../../../kernel/include/uapi/vfio.ts';
import { until } from '../../../kernel/lib/task.ts';
import { FAKE_RAM_VA, FakeMachine } from '../fake_machine.ts';
import { openPamuContainer } from './pamu_container.ts';
import { PlanImpossible } from './pamu_plan.ts';
import { VFIOPlatformDevice, VFIOPlatformGroups } from './platform.ts';

const GROUP = 5;
const REGION = 0x1_0000_0000;

let machine: FakeMachine;
/** What was done to the container, in order. */
let done: string[];
/** Errors that MAP_MSI_BANK gives, by bank. */
let bankErrors: Map<number, ErrnoName>;
let irqError: ErrnoName | undefined;
let registers: Uint8Array;
let interrupts: number;

beforeEach(() => {
  machine = new FakeMachine();
  done = [];
  bankErrors = new Map();
  irqError = undefined;
  registers = Uint8Array.from({ length: 0x80 }, (_, i) => i);
  interrupts = 0;
  const { kernel } = machine;
  for (const host of ['dma2', 'dma3'])
    kernel.links.set(`/sys/bus/platform/devices/${host}/iommu_group`, `../../../../kernel/iommu_groups/${GROUP}`);
  for (const name of ['VFIO_GET_API_VERSION', 'VFIO_GROUP_SET_CONTAINER', 'VFIO_SET_IOMMU'])
    kernel.ioctls.set(name, () => 0);
  const hex = (value: number) => value.toString(16);
  const answers: Record<string, Parameters<typeof kernel.ioctls.set>[1]> = {
    VFIO_CHECK_EXTENSION: ({ value }) => (value === VFIO_FSL_PAMU_IOMMU ? 1 : 0),
    VFIO_GROUP_GET_STATUS({ view }) {
      view.flags = 1;
      return 0;
    },
    VFIO_GROUP_UNSET_CONTAINER: () => {
      done.push('unset');
      return 0;
    },
    VFIO_DEVICE_RESET() {
      done.push('reset');
      return 0;
    },
    VFIO_IOMMU_PAMU_GET_MSI_BANK_COUNT: () => 2,
    VFIO_IOMMU_PAMU_GET_ATTR({ view }) {
      const { GEOMETRY } = VFIO_PAMU_ATTR;
      if (view.attribute === GEOMETRY)
        view.u = vfio_pamu_attr_geometry.bytes(vfio_pamu_attr_geometry.make({ aperture_end: 2 ** 36 - 1 }));
      else view.u = vfio_pamu_attr_windows.bytes(vfio_pamu_attr_windows.make({ count: 256 }));
      return 0;
    },
    VFIO_IOMMU_PAMU_SET_ATTR({ view }) {
      const dv = new DataView(view.u.slice().buffer);
      if (view.attribute === VFIO_PAMU_ATTR.GEOMETRY) {
        const { aperture_start, aperture_end } = vfio_pamu_attr_geometry.at(dv);
        done.push(`geometry ${hex(aperture_start)} ${hex(aperture_end)}`);
      } else if (view.attribute === VFIO_PAMU_ATTR.ENABLE) done.push(`enable ${vfio_pamu_attr_enable.at(dv).enable}`);
      else done.push(`windows ${vfio_pamu_attr_windows.at(dv).count}`);
      return 0;
    },
    VFIO_IOMMU_MAP_DMA({ view }) {
      done.push(`map ${hex(view.iova)} ${hex(view.size)} from ${hex(view.vaddr - FAKE_RAM_VA)}`);
      return 0;
    },
    VFIO_IOMMU_UNMAP_DMA({ view }) {
      done.push(`unmap ${hex(view.iova)} ${hex(view.size)}`);
      return 0;
    },
    VFIO_IOMMU_PAMU_MAP_MSI_BANK({ view }) {
      const error = bankErrors.get(view.msi_bank_index);
      if (error !== undefined) throw new Errno(error, 'bank');
      done.push(`bank ${view.msi_bank_index} ${hex(view.iova)}`);
      return 0;
    },
    VFIO_IOMMU_PAMU_UNMAP_MSI_BANK({ view }) {
      if (!done.some((line) => line.startsWith('bank') && line.endsWith(` ${hex(view.iova)}`)))
        throw new Errno('EINVAL', 'no bank there');
      done.push(`unbank ${hex(view.iova)}`);
      return 0;
    },
    VFIO_GROUP_GET_DEVICE_FD: () => kernel.install('device'),
    VFIO_DEVICE_GET_INFO({ view }) {
      Object.assign(view, { flags: 1 | 4, num_regions: 1, num_irqs: 2 });
      return 0;
    },
    VFIO_DEVICE_GET_REGION_INFO({ view }) {
      Object.assign(view, { size: registers.length, offset: REGION });
      return 0;
    },
    VFIO_DEVICE_GET_IRQ_INFO({ view }) {
      view.count = 1;
      return 0;
    },
    VFIO_DEVICE_SET_IRQS() {
      if (irqError !== undefined) throw new Errno(irqError, 'irq');
      return 0;
    },
  };
  for (const [name, answer] of Object.entries(answers)) kernel.ioctls.set(name, answer);
  kernel.read = (_fd, count, position) => registers.slice(position - REGION, position - REGION + count);
  kernel.write = (_fd, bytes, position) => {
    registers.set(bytes, position - REGION);
    return bytes.length;
  };
});

function open(granule = 0x10000, hosts = ['dma2', 'dma3']) {
  const container = machine.run(openPamuContainer(machine, granule));
  const groups = new VFIOPlatformGroups(machine, container);
  const interrupt = function* () {
    interrupts++;
  };
  return hosts.map((host) => machine.run(VFIOPlatformDevice.realize(machine, { host, groups, interrupt })));
}

test('RAM and every bank get windows before a device is opened; the second device finds its group open', () => {
  open();
  expect(done).toEqual(['geometry 0 3ffff', 'windows 4', 'map 0 20000 from 0', 'bank 0 20000', 'bank 1 30000']);
  expect(machine.kernel.calls.filter((call) => call.startsWith('open'))).toEqual([
    'open /dev/vfio/vfio',
    'open /dev/vfio/5',
  ]);
});

test('the group leaves with its last device, banks and memory with the group', () => {
  const [first, second] = open();
  done.length = 2;
  done.push('bank 0 20000', 'bank 1 30000');
  const before = done.length;
  machine.run(first.unrealize());
  expect(done.length).toBe(before);
  machine.run(second.unrealize());
  expect(done.slice(before)).toEqual(['unbank 20000', 'unbank 30000', 'unmap 0 40000', 'unset']);
});

test('banks that are not to be had are told, and are no reason to give up', () => {
  bankErrors = new Map([
    [0, 'EPERM'],
    [1, 'EBUSY'],
  ]);
  irqError = 'ENODEV';
  const [device] = open(0x10000, ['dma2']);
  expect(machine.logs).toEqual([
    expect.stringContaining('MSI bank 0 is not mapped: its page has doorbells of other banks'),
    expect.stringContaining('MSI bank 1 is not mapped: somebody else has it'),
    expect.stringContaining('vfio-platform dma2: no interrupt: irq: ENODEV'),
  ]);
  expect(device.hasInterrupt).toBe(false);
  machine.run(device.unrealize());
  expect(done.slice(-2)).toEqual(['unmap 0 40000', 'unset']);
});

test('what else is refused ends the set-up, and leaves nothing open', () => {
  bankErrors.set(1, 'ENODEV');
  expect(() => open()).toThrow('bank: ENODEV');
  expect([...machine.kernel.open.values()]).toEqual(['/dev/vfio/vfio']);
  // RAM of 128 KiB in pieces of 256 bytes: no geometry.
  expect(() => open(256)).toThrow(PlanImpossible);
});

test('registers are words, in the device’s byte order; anything else is a bus where nothing answers', () => {
  const [device] = open();
  const window = device.window(0x1000);
  expect([window.base, window.size]).toEqual([0x1000, 0x80]);
  expect([...machine.run(window.read(4, 4))]).toEqual([4, 5, 6, 7]);
  machine.run(window.write(8, Uint8Array.of(1, 2, 3, 4)));
  expect([...registers.subarray(8, 12)]).toEqual([1, 2, 3, 4]);
  expect([...machine.run(window.read(4, 2))]).toEqual([0xff, 0xff]);
  machine.run(window.write(8, Uint8Array.of(9)));
  machine.kernel.read = () => {
    throw new Errno('EINVAL', 'registers');
  };
  expect([...machine.run(window.read(4, 4))]).toEqual([0xff, 0xff, 0xff, 0xff]);
  expect(registers[8]).toBe(1);
  expect(machine.logs).toHaveLength(1);
});

test('its message interrupts the guest, once for all that came before it was served', () => {
  open(0x10000, ['dma2']);
  const [eventfd] = machine.kernel.eventfds.keys();
  machine.kernel.signal(eventfd);
  machine.kernel.signal(eventfd);
  machine.run(until('interrupt', () => interrupts > 0));
  expect(interrupts).toBe(1);
});

test('a restart ends what the device does, and only then lets DMA go on', () => {
  const [device] = open(0x10000, ['dma2']);
  done.length = 0;
  machine.run(device.restart());
  expect(done).toEqual(['reset', 'enable 1']);
});
