/** BARs that are mapped: KVM's memory slots follow what the guest writes. */
import { expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_REGION_INFO_FLAG } from '../../../kernel/include/uapi/vfio.ts';
import { BarSlots } from '../vfio/bar_slots.ts';
import { spaprPci } from './spapr_pci_fixture.ts';

/** Guest-physical address of the second bridge's bus address 0. */
const BASE = 0x110_0000_0000;
const { READ, WRITE, MMAP } = VFIO_REGION_INFO_FLAG;

/** A second bridge whose devices' BARs can be mapped as a whole, and KVM's memory slots. */
function mapped() {
  const fixture = spaprPci();
  const { machine, host, realize, rtas } = fixture;
  const { ioctls } = machine.kernel;
  const told = ioctls.get('VFIO_DEVICE_GET_REGION_INFO')!;
  ioctls.set('VFIO_DEVICE_GET_REGION_INFO', (call) => {
    call.view.flags = READ | WRITE | MMAP;
    return told(call);
  });
  const slots = new Map<number, { gpa: number; size: number }>();
  ioctls.set('KVM_SET_USER_MEMORY_REGION', ({ view }) => {
    if (host.fails === 'KVM_SET_USER_MEMORY_REGION') throw new Errno('EINVAL', host.fails);
    const { slot, guest_phys_addr: gpa, memory_size: size } = view;
    if (size === 0) expect(slots.delete(slot)).toBe(true);
    else {
      for (const other of slots.values()) expect(gpa + size <= other.gpa || other.gpa + other.size <= gpa).toBe(true);
      expect(slots.has(slot)).toBe(false);
      slots.set(slot, { gpa, size });
    }
    return 0;
  });
  // Without MSI-X nothing lies over the BAR.
  const open = ioctls.get('VFIO_GROUP_GET_DEVICE_FD')!;
  ioctls.set('VFIO_GROUP_GET_DEVICE_FD', (call) => {
    const fd = open(call)!;
    host.device(fd).config[0x51] = 0;
    return fd;
  });
  const phb = realize({ index: 1, slots: new BarSlots(machine) });
  return {
    ...fixture,
    phb,
    plug: (name?: string) => fixture.plug(name, phb),
    /** Where the slots are. */
    at: () => [...slots.values()].map(({ gpa }) => gpa).sort(),
    configOf: (devfn: number, register: number, size: number, value: number) =>
      rtas(0x2017, [(devfn << 8) | register, 0x0800_0000, 0x2000_0001, size, value], 1),
  };
}

test('KVM knows where each is; it moves with its BAR, and goes with memory space and with its device', () => {
  const { machine, phb, plug, at, configOf } = mapped();
  const first = plug();
  plug('0000:02:00.0');
  expect(at()).toEqual([BASE + 0x8000_0000, BASE + 0x8000_2000]);
  configOf(0, 0x10, 4, 0x9000_0000);
  expect(at()).toEqual([BASE + 0x8000_2000, BASE + 0x9000_0000]);
  configOf(0, 0x04, 2, 4);
  expect(at()).toEqual([BASE + 0x8000_2000]);
  configOf(0, 0x04, 2, 6);
  expect(at()).toEqual([BASE + 0x8000_2000, BASE + 0x9000_0000]);
  machine.run(phb.unplug(first));
  expect(at()).toEqual([BASE + 0x8000_2000]);
  machine.run(phb.reset());
  expect(at()).toEqual([BASE + 0x8000_0000]);
  machine.run(phb.unplug(phb.devices()[0]));
  expect(at()).toEqual([]);
});

test('BARs that overlap, or leave the bridge’s memory space, are the VMM’s alone', () => {
  const { plug, at, configOf } = mapped();
  plug();
  plug('0000:02:00.0');
  configOf(0, 0x10, 4, 0x8000_2000);
  expect(at()).toEqual([]);
  configOf(0, 0x10, 4, 0x1000);
  expect(at()).toEqual([BASE + 0x8000_2000]);
  configOf(0, 0x10, 4, 0xffff_e000);
  expect(at()).toEqual([BASE + 0x8000_2000, BASE + 0xffff_e000]);
});

test('what KVM refuses is told, and reached by exits', () => {
  const { machine, host, hcall, plug, at } = mapped();
  host.fails = 'KVM_SET_USER_MEMORY_REGION';
  const { device } = plug();
  expect(at()).toEqual([]);
  expect(machine.logs.at(-1)).toContain('kvm: memory slot 1 for a BAR at 0x11080000000');
  machine.kernel.mapped[4] = 0x5a;
  expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 1, BASE + 0x8000_0004).out).toEqual([0x5an]);
  expect(device.bars[0].direct).toHaveLength(1);
});
