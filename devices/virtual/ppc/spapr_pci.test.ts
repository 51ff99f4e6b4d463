/** Devices of the host that come to a host bridge and go: places, BARs, groups, the container. */
import { expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { VFIO_REGION_INFO_FLAG } from '../../../kernel/include/uapi/vfio.ts';
import { BarSlots } from '../vfio/bar_slots.ts';
import { spaprPci } from './spapr_pci_fixture.ts';

const { READ, WRITE, MMAP } = VFIO_REGION_INFO_FLAG;

test('devices get device numbers and BARs that do not overlap, and answer there', () => {
  const { hcall, plug, fake } = spaprPci();
  const first = plug();
  const second = plug('0000:02:00.0');
  expect([first.devfn, second.devfn]).toEqual([0, 8]);
  expect([first, second].map(({ device }) => device.config.barAddress(0))).toEqual([0x8000_0000, 0x8000_2000]);
  fake(second).bar[4] = 0x5a;
  expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 1, 0x100_8000_2004)).toEqual({ ret: 0n, out: [0x5an] });
  expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 4, 0x100_8000_4000)).toEqual({ ret: 0n, out: [0xffff_ffffn] });
});

test('devices of a group share it; it leaves with the last of them, and the container with the last group', () => {
  const { machine, host, phb, plug } = spaprPci();
  const [a, b, c] = ['0000:01:00.0', '0000:01:00.1', '0000:02:00.0'].map((name) => plug(name));
  expect([phb.groupCount, a.device.group === b.device.group]).toEqual([2, true]);
  expect(machine.kernel.calls.filter((name) => name === 'open /dev/vfio/vfio')).toHaveLength(1);
  machine.run(phb.unplug(a));
  expect(phb.groupCount).toBe(2);
  expect(phb.deviceAt(0)).toBe(undefined);
  machine.run(phb.unplug(b));
  expect([phb.groupCount, phb.container === undefined]).toEqual([1, false]);
  machine.run(phb.unplug(c));
  expect([phb.groupCount, phb.container, host.windows.size]).toEqual([0, undefined, 0]);
  expect([...machine.kernel.open.values()]).toEqual(['table']);
  // The device number and the addresses are free again.
  expect(plug().device.config.barAddress(0)).toBe(0x8000_0000);
});

test('KVM is told of the table for each group', () => {
  const { host, plug } = spaprPci();
  plug();
  expect(host.links).toBe(2);
  plug('0000:02:00.0');
  expect(host.links).toBe(4);
});

test.each(['VFIO_SET_IOMMU', 'VFIO_IOMMU_SPAPR_TCE_CREATE', 'VFIO_DEVICE_SET_IRQS', 'KVM_SET_DEVICE_ATTR'])(
  'a failure of %s leaves nothing open, and the bus as it was',
  (name) => {
    const { machine, host, phb, plug } = spaprPci();
    host.fails = name;
    expect(() => plug()).toThrow();
    expect([...machine.kernel.open.values()].filter((path) => path !== 'table' && path !== 'eventfd')).toEqual([]);
    expect([phb.devices().length, phb.container, host.windows.size]).toEqual([0, undefined, 0]);
    host.fails = undefined;
    plug();
    expect(host.windows.size).toBe(1);
  },
);
test('a device whose interrupts cannot be had leaves none of its BARs mapped', () => {
  const { machine, host, realize, plug } = spaprPci();
  const { kernel, sys } = machine;
  const told = kernel.ioctls.get('VFIO_DEVICE_GET_REGION_INFO')!;
  kernel.ioctls.set('VFIO_DEVICE_GET_REGION_INFO', (call) => {
    call.view.flags = READ | WRITE | MMAP;
    return told(call);
  });
  const phb = realize({ index: 1, slots: new BarSlots(machine) });
  const calls: string[] = [];
  const { mmap, munmap } = sys;
  sys.mmap = (...args) => {
    calls.push('mmap');
    return mmap.apply(sys, args);
  };
  sys.munmap = (...args) => {
    calls.push('munmap');
    return munmap.apply(sys, args);
  };
  host.fails = 'VFIO_DEVICE_SET_IRQS';
  expect(() => plug('0000:01:00.0', phb)).toThrow();
  expect(calls).toEqual(['mmap', 'munmap']);
});

test('a second bridge has its own numbers', () => {
  const { machine, realize, hcall } = spaprPci();
  const other = realize({ index: 1 });
  machine.run(other.plug({ host: '0000:02:00.0' }));
  expect([other.buid, other.base, other.windows.table(0)?.liobn]).toEqual([
    0x800_0000_2000_0001n,
    0x110_0000_0000,
    0x8000_0100,
  ]);
  expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 1, 0x110_8000_0000).ret).toBe(0n);
});
