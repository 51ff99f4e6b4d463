import { beforeEach, describe, expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { Errno, type ErrnoName } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_EEH_PE, VFIO_IRQ_SET, VFIO_REGION_INFO_FLAG } from '../../../kernel/include/uapi/vfio.ts';
import { preempt } from '../../../kernel/lib/task.ts';
import { FakeMachine } from '../fake_machine.ts';
import { BarSlots } from '../vfio/bar_slots.ts';
import { SpaprHypercalls } from './spapr_hcall.ts';
import { SpaprPhb, type SpaprPhbOptions } from './spapr_pci.ts';

const { READ, WRITE, MMAP } = VFIO_REGION_INFO_FLAG;
const REGION = 2 ** 40;
const CONFIG = 7;
const DDW = 2 ** 59;
const BUID = [0x0800_0000, 0x2000_0000];
/** A device with MSI of four vectors at 50, MSI-X of three at 60: table at 1000 of BAR 0, pending bits at 1800. */
const HEADER: readonly [at: number, bytes: readonly number[]][] = [
  [0x00, [0x86, 0x80, 0x0e, 0x10]],
  [0x06, [0x10, 0x00]],
  [0x34, [0x50]],
  [0x3c, [0x00, 0x01]],
  [0x50, [0x05, 0x60, 0x84, 0x00]],
  [0x60, [0x11, 0x00, 0x02, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x18, 0x00, 0x00]],
];

/** A device of the scripted kernel. */
class FakeDevice {
  readonly config = new Uint8Array(256);
  readonly bar = new Uint8Array(0x2000);
  /** Eventfds of the index in use. */
  eventfds: number[] = [];
  index = -1;
  unmasks = 0;
  constructor() {
    for (const [at, bytes] of HEADER) this.config.set(bytes, at);
  }
}

let machine: FakeMachine;
let hypercalls: SpaprHypercalls;
let phb: SpaprPhb;
const devices = new Map<number, FakeDevice>();
let windows: Map<number, { shift: number; size: number }>;
let eehOps: number[];
let eeh: number | ErrnoName;
let fails: string | undefined;
let links: number;

function fail(name: string): void {
  if (fails === name) throw new Errno('EINVAL', name);
}

function scriptKernel(): void {
  const { kernel } = machine;
  devices.clear();
  for (const [host, group] of [
    ['0000:01:00.0', 4],
    ['0000:01:00.1', 4],
    ['0000:02:00.0', 5],
  ] as const)
    kernel.links.set(`/sys/bus/pci/devices/${host}/iommu_group`, `../../../kernel/iommu_groups/${group}`);
  const nothing = ['VFIO_GROUP_SET_CONTAINER', 'VFIO_GROUP_UNSET_CONTAINER', 'VFIO_SET_IOMMU', 'VFIO_DEVICE_RESET'];
  nothing.push('VFIO_GET_API_VERSION', 'VFIO_IOMMU_SPAPR_REGISTER_MEMORY', 'VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY');
  nothing.push(
    'VFIO_IOMMU_MAP_DMA',
    'VFIO_IOMMU_UNMAP_DMA',
    'VFIO_IOMMU_ENABLE',
    'VFIO_IOMMU_DISABLE',
    'KVM_ENABLE_CAP',
  );
  for (const name of nothing) kernel.ioctls.set(name, () => fail(name) as undefined);
  kernel.ioctls.set('VFIO_CHECK_EXTENSION', () => 1);
  kernel.ioctls.set('KVM_CHECK_EXTENSION', () => 1);
  kernel.ioctls.set('KVM_CREATE_SPAPR_TCE_64', () => kernel.install('table'));
  kernel.ioctls.set('KVM_SET_DEVICE_ATTR', () => {
    links++;
    fail('KVM_SET_DEVICE_ATTR');
    return 0;
  });
  kernel.ioctls.set('VFIO_GROUP_GET_STATUS', ({ view }) => {
    view.flags = 1;
    return 0;
  });
  kernel.ioctls.set('VFIO_IOMMU_SPAPR_TCE_GET_INFO', () => 0);
  kernel.ioctls.set('VFIO_IOMMU_SPAPR_TCE_CREATE', ({ view }) => {
    fail('VFIO_IOMMU_SPAPR_TCE_CREATE');
    view.start_addr = windows.has(0) ? DDW : 0;
    windows.set(view.start_addr, { shift: view.page_shift, size: view.window_size });
    return 0;
  });
  kernel.ioctls.set('VFIO_IOMMU_SPAPR_TCE_REMOVE', ({ view }) => {
    windows.delete(view.start_addr);
    return 0;
  });
  kernel.ioctls.set('VFIO_EEH_PE_OP', ({ view }) => {
    eehOps.push(view.op);
    if (typeof eeh === 'string') throw new Errno(eeh, 'eeh');
    return view.op === VFIO_EEH_PE.GET_STATE ? eeh : 0;
  });
  kernel.ioctls.set('VFIO_GROUP_GET_DEVICE_FD', () => {
    const fd = kernel.install('device');
    devices.set(fd, new FakeDevice());
    return fd;
  });
  kernel.ioctls.set('VFIO_DEVICE_GET_INFO', ({ view }) => {
    Object.assign(view, { flags: 3, num_regions: 9, num_irqs: 5 });
    return 0;
  });
  kernel.ioctls.set('VFIO_DEVICE_GET_REGION_INFO', ({ view }) => {
    view.size = view.index === 0 ? 0x2000 : view.index === CONFIG ? 256 : 0;
    view.offset = view.index * REGION;
    return 0;
  });
  kernel.ioctls.set('VFIO_DEVICE_GET_IRQ_INFO', ({ view }) => {
    view.count = 1;
    return 0;
  });
  kernel.ioctls.set('VFIO_DEVICE_SET_IRQS', ({ fd, view, tail }) => {
    fail('VFIO_DEVICE_SET_IRQS');
    const device = devices.get(fd)!;
    if ((view.flags & VFIO_IRQ_SET.ACTION_UNMASK) !== 0) device.unmasks++;
    else if (view.count === 0) device.index = -1;
    else {
      expect(device.index).toBe(-1);
      device.index = view.index;
      device.eventfds = [...new Int32Array(tail!.slice().buffer)];
    }
    return 0;
  });
  const region = (fd: number, position: number) => {
    const device = devices.get(fd)!;
    return position >= CONFIG * REGION ? device.config : device.bar;
  };
  kernel.read = (fd, count, position) => region(fd, position).slice(position % REGION, (position % REGION) + count);
  kernel.write = (fd, bytes, position) => {
    region(fd, position).set(bytes, position % REGION);
    return bytes.length;
  };
}

function realize(options: Partial<SpaprPhbOptions> = {}): SpaprPhb {
  const { irq, tce, ci } = hypercalls;
  const made = machine.run(
    SpaprPhb.realize(machine, { index: 0, irq, tce, ci, mapped: () => 0x8000, preregister: true, ...options }),
  );
  hypercalls.phbs.add(made);
  return made;
}
beforeEach(() => {
  machine = new FakeMachine();
  machine.kvmVfioFd = 9;
  windows = new Map();
  eehOps = [];
  eeh = 0;
  fails = undefined;
  links = 0;
  hypercalls = new SpaprHypercalls(machine, { tier: 'vmm', mark: () => {} });
  scriptKernel();
  phb = realize();
});

const hcall = (token: number, ...args: (number | bigint)[]) =>
  machine.run(hypercalls.hypercall(BigInt(token), args.map(BigInt)));
const plug = (host = '0000:01:00.0') => machine.run(phb.plug({ host }));
const fake = (plugged: { device: { fd: number } }) => devices.get(plugged.device.fd)!;

function rtas(token: number, args: readonly number[], nret: number): number[] {
  const dv = new DataView(machine.memory.bytes.buffer);
  [token, args.length, nret, ...args].forEach((word, i) => {
    dv.setUint32(0x4000 + 4 * i, word >>> 0);
  });
  hcall(HCALL.H_RTAS, 0x4000);
  return Array.from({ length: nret }, (_, i) => dv.getInt32(0x4000 + 4 * (3 + args.length + i)));
}
const writeConfig = (address: number, size: number, value: number) =>
  rtas(0x2017, [address, ...BUID, size, value], 1)[0];
const readConfig = (address: number, size: number) => rtas(0x2016, [address, ...BUID, size], 2);
/** The eventfds of the device's vectors are signalled. */
function signal(device: FakeDevice, ...vectors: number[]): void {
  for (const vector of vectors) machine.kernel.signal(device.eventfds[vector]);
  machine.run(
    (function* () {
      for (let turn = 0; turn < 100; turn++) yield* preempt();
    })(),
  );
}

describe('plugging', () => {
  test('devices get device numbers and BARs that do not overlap, and answer there', () => {
    const first = plug();
    const second = plug('0000:02:00.0');
    expect([first.devfn, second.devfn]).toEqual([0, 8]);
    expect([first, second].map(({ device }) => device.config.barAddress(0))).toEqual([0x8000_0000, 0x8000_2000]);
    fake(second).bar[4] = 0x5a;
    expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 1, 0x100_8000_2004)).toEqual({ ret: 0n, out: [0x5an] });
    expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 4, 0x100_8000_4000)).toEqual({ ret: 0n, out: [0xffff_ffffn] });
  });
  test('devices of a group share it; it leaves with the last of them, and the container with the last group', () => {
    const [a, b, c] = ['0000:01:00.0', '0000:01:00.1', '0000:02:00.0'].map(plug);
    expect([phb.groupCount, a.device.group === b.device.group]).toEqual([2, true]);
    expect(machine.kernel.calls.filter((name) => name === 'open /dev/vfio/vfio')).toHaveLength(1);
    machine.run(phb.unplug(a));
    expect(phb.groupCount).toBe(2);
    expect(phb.deviceAt(0)).toBe(undefined);
    machine.run(phb.unplug(b));
    expect([phb.groupCount, phb.container === undefined]).toEqual([1, false]);
    machine.run(phb.unplug(c));
    expect([phb.groupCount, phb.container, windows.size]).toEqual([0, undefined, 0]);
    expect([...machine.kernel.open.values()]).toEqual(['table']);
    // The device number and the addresses are free again.
    expect(plug().device.config.barAddress(0)).toBe(0x8000_0000);
  });
  test('KVM is told of the table for each group', () => {
    plug();
    expect(links).toBe(2);
    plug('0000:02:00.0');
    expect(links).toBe(4);
  });
  test.each(['VFIO_SET_IOMMU', 'VFIO_IOMMU_SPAPR_TCE_CREATE', 'VFIO_DEVICE_SET_IRQS', 'KVM_SET_DEVICE_ATTR'])(
    'a failure of %s leaves nothing open, and the bus as it was',
    (name) => {
      fails = name;
      expect(() => plug()).toThrow();
      expect([...machine.kernel.open.values()].filter((path) => path !== 'table' && path !== 'eventfd')).toEqual([]);
      expect([phb.devices().length, phb.container, windows.size]).toEqual([0, undefined, 0]);
      fails = undefined;
      plug();
      expect(windows.size).toBe(1);
    },
  );
  test('a device whose interrupts cannot be had leaves none of its BARs mapped', () => {
    const { kernel, sys } = machine;
    const told = kernel.ioctls.get('VFIO_DEVICE_GET_REGION_INFO')!;
    kernel.ioctls.set('VFIO_DEVICE_GET_REGION_INFO', (call) => {
      call.view.flags = READ | WRITE | MMAP;
      return told(call);
    });
    phb = realize({ index: 1, slots: new BarSlots(machine) });
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
    fails = 'VFIO_DEVICE_SET_IRQS';
    expect(() => plug()).toThrow();
    expect(calls).toEqual(['mmap', 'munmap']);
  });
  test('a second bridge has its own numbers', () => {
    const other = realize({ index: 1 });
    machine.run(other.plug({ host: '0000:02:00.0' }));
    expect([other.buid, other.base, other.windows.table(0)?.liobn]).toEqual([
      0x800_0000_2000_0001n,
      0x110_0000_0000,
      0x8000_0100,
    ]);
    expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 1, 0x110_8000_0000).ret).toBe(0n);
  });
});

describe('configuration space', () => {
  test.each([
    ['another bus', 0x1_0000, 4],
    ['another device', 0x0800, 4],
    ['three bytes', 0, 3],
    ['no bytes', 0, 0],
    ['off its boundary', 2, 4],
    ['beyond the end', 0x1000_0000, 4],
  ])('%s is a hardware error', (_, address, size) => {
    plug();
    expect([readConfig(address, size)[0], writeConfig(address, size, 0)]).toEqual([-1, -1]);
  });
  test('what the VMM keeps itself the kernel does not show', () => {
    const { config } = fake(plug());
    config.fill(0x66, 0x10, 0x34);
    config.fill(0x66, 0x64, 0x6c);
    expect([0x14, 0x30, 0x64].map((at) => readConfig(at, 4)[1])).toEqual([0, 0, 0x1000]);
    expect(readConfig(0x2c, 4)[1]).toBe(0x6666_6666);
  });
  test('what the kernel refuses reads as all ones', () => {
    plug();
    machine.kernel.read = () => {
      throw new Errno('EIO', 'config');
    };
    machine.kernel.write = () => {
      throw new Errno('EIO', 'config');
    };
    expect([readConfig(0, 4), writeConfig(0x3c, 1, 1)]).toEqual([[0, -1], 0]);
    expect(machine.logs).toHaveLength(2);
  });
});

describe('memory slots of BARs', () => {
  const slots = new Map<number, { gpa: number; size: number; va: number }>();
  /** A bridge whose devices' BARs can be mapped up to the MSI-X table. */
  beforeEach(() => {
    const { kernel } = machine;
    const told = kernel.ioctls.get('VFIO_DEVICE_GET_REGION_INFO')!;
    kernel.ioctls.set('VFIO_DEVICE_GET_REGION_INFO', (call) => {
      call.view.flags = READ | WRITE | MMAP;
      return told(call);
    });
    slots.clear();
    kernel.ioctls.set('KVM_SET_USER_MEMORY_REGION', ({ view }) => {
      fail('KVM_SET_USER_MEMORY_REGION');
      const { slot, guest_phys_addr: gpa, memory_size: size, userspace_addr: va } = view;
      if (size === 0) expect(slots.delete(slot)).toBe(true);
      else {
        for (const other of slots.values()) expect(gpa + size <= other.gpa || other.gpa + other.size <= gpa).toBe(true);
        expect(slots.has(slot)).toBe(false);
        slots.set(slot, { gpa, size, va });
      }
      return 0;
    });
    // Without MSI-X nothing lies over the BAR.
    devices.clear();
    const open = kernel.ioctls.get('VFIO_GROUP_GET_DEVICE_FD')!;
    kernel.ioctls.set('VFIO_GROUP_GET_DEVICE_FD', (call) => {
      const fd = open(call)!;
      devices.get(fd)!.config[0x51] = 0;
      return fd;
    });
    phb = realize({ index: 1, slots: new BarSlots(machine) });
  });
  const at = () => [...slots.values()].map(({ gpa }) => gpa).sort();
  const base = 0x110_0000_0000;
  const configOf = (devfn: number, register: number, size: number, value: number) =>
    rtas(0x2017, [(devfn << 8) | register, 0x0800_0000, 0x2000_0001, size, value], 1);

  test('KVM knows where each is; it moves with its BAR, and goes with memory space and with its device', () => {
    const first = plug();
    plug('0000:02:00.0');
    expect(at()).toEqual([base + 0x8000_0000, base + 0x8000_2000]);
    configOf(0, 0x10, 4, 0x9000_0000);
    expect(at()).toEqual([base + 0x8000_2000, base + 0x9000_0000]);
    configOf(0, 0x04, 2, 4);
    expect(at()).toEqual([base + 0x8000_2000]);
    configOf(0, 0x04, 2, 6);
    expect(at()).toEqual([base + 0x8000_2000, base + 0x9000_0000]);
    machine.run(phb.unplug(first));
    expect(at()).toEqual([base + 0x8000_2000]);
    machine.run(phb.reset());
    expect(at()).toEqual([base + 0x8000_0000]);
    machine.run(phb.unplug(phb.devices()[0]));
    expect(at()).toEqual([]);
  });
  test('BARs that overlap, or leave the bridge’s memory space, are the VMM’s alone', () => {
    plug();
    plug('0000:02:00.0');
    configOf(0, 0x10, 4, 0x8000_2000);
    expect(at()).toEqual([]);
    configOf(0, 0x10, 4, 0x1000);
    expect(at()).toEqual([base + 0x8000_2000]);
    configOf(0, 0x10, 4, 0xffff_e000);
    expect(at()).toEqual([base + 0x8000_2000, base + 0xffff_e000]);
  });
  test('what KVM refuses is told, and reached by exits', () => {
    fails = 'KVM_SET_USER_MEMORY_REGION';
    const { device } = plug();
    expect(at()).toEqual([]);
    expect(machine.logs.at(-1)).toContain('kvm: memory slot 1 for a BAR at 0x11080000000');
    machine.kernel.mapped[4] = 0x5a;
    expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 1, base + 0x8000_0004).out).toEqual([0x5an]);
    expect(device.bars[0].direct).toHaveLength(1);
  });
});

describe('messages', () => {
  const change = (fn: number, count: number) => rtas(0x2019, [0, ...BUID, fn, count, 7], 4);
  beforeEach(() => {
    plug();
    hcall(HCALL.H_CPPR, 0xff);
  });
  const device = () => fake(phb.devices()[0]);
  const route = (...numbers: number[]) => {
    for (const number of numbers) rtas(0x200a, [number, 0, 5], 1);
  };
  const served = () => {
    const found: number[] = [];
    for (;;) {
      const xirr = Number(hcall(HCALL.H_XIRR).out[0]);
      if ((xirr & 0xff_ffff) === 0) return found;
      found.push(xirr & 0xff_ffff);
      hcall(HCALL.H_EOI, xirr);
    }
  };

  test('MSI: sources at a multiple of their number, vectors in the low bits of the data', () => {
    change(4, 1);
    expect(change(1, 4)).toEqual([0, 4, 8, 1]);
    route(0x1304, 0x1305, 0x1306, 0x1307);
    // Enable, four vectors.
    writeConfig(0x52, 2, 0x21);
    expect([device().index, device().eventfds.length]).toEqual([1, 4]);
    signal(device(), 2, 0);
    expect(served().sort()).toEqual([0x1304, 0x1306]);
    writeConfig(0x52, 2, 0);
    expect(device().index).toBe(0);
  });
  test('MSI-X: a masked vector is pending until it is unmasked', () => {
    expect(change(4, 3)).toEqual([0, 3, 8, 2]);
    route(0x1300, 0x1301, 0x1302);
    hcall(HCALL.H_LOGICAL_CI_STORE, 4, 0x100_8000_100c, 0x0100_0000);
    writeConfig(0x62, 2, 0x8000);
    expect([device().index, device().eventfds.length]).toEqual([2, 3]);
    signal(device(), 0, 1);
    expect(served()).toEqual([0x1301]);
    expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 8, 0x100_8000_1800).out).toEqual([0x0100_0000_0000_0000n]);
    hcall(HCALL.H_LOGICAL_CI_STORE, 4, 0x100_8000_100c, 0);
    expect(served()).toEqual([0x1300]);
    writeConfig(0x62, 2, 0xc000);
    signal(device(), 2);
    expect(served()).toEqual([]);
    writeConfig(0x62, 2, 0x8000);
    expect(served()).toEqual([0x1302]);
  });
  test('too many: told how many there are, and none is given', () => {
    expect(change(3, 5)).toEqual([0, 4, 8, 1]);
    expect(rtas(0x2018, [0, ...BUID, 0], 3)[0]).toBe(-1);
  });
  test.each([
    ['an unknown function', 0, 1, -3],
    ['query', 2, 1, -3],
    ['release of none', 1, 0, -1],
  ])('%s', (_, fn, count, status) => {
    expect(change(fn, count)[0]).toBe(status);
  });
  test('released, and given again: the same sources', () => {
    change(3, 2);
    expect(change(3, 0).slice(0, 2)).toEqual([0, 0]);
    change(3, 2);
    expect(rtas(0x2018, [0, ...BUID, 1], 3)).toEqual([0, 0x1301, 1]);
    expect(rtas(0x2018, [0, ...BUID, 2], 3)[0]).toBe(-1);
  });
  test('a message to anywhere else is not an interrupt', () => {
    change(3, 1);
    route(0x1300);
    writeConfig(0x54, 4, 0x1000);
    writeConfig(0x52, 2, 1);
    signal(device(), 0);
    expect(served()).toEqual([]);
  });
  test('what the kernel refuses is told, and the guest goes on', () => {
    change(3, 1);
    fails = 'VFIO_DEVICE_SET_IRQS';
    expect(writeConfig(0x52, 2, 1)).toBe(0);
    expect(machine.logs.at(-1)).toContain('vfio-pci 0000:01:00.0: interrupts: VFIO_DEVICE_SET_IRQS: EINVAL');
  });
  test('what the kernel refuses is tried and told once for each time the guest asks; then the pin is back', () => {
    change(3, 1);
    const failures = () => machine.logs.filter((line) => line.includes('interrupts:')).length;
    const setIrqs = machine.kernel.ioctls.get('VFIO_DEVICE_SET_IRQS')!;
    machine.kernel.ioctls.set('VFIO_DEVICE_SET_IRQS', (call) => {
      if (call.view.index === 1) throw new Errno('EINVAL', 'messages');
      return setIrqs(call);
    });
    const before = failures();
    writeConfig(0x52, 2, 1);
    writeConfig(0x54, 4, 0x1000);
    writeConfig(0x3c, 1, 5);
    expect(failures()).toBe(before + 1);
    machine.kernel.ioctls.set('VFIO_DEVICE_SET_IRQS', setIrqs);
    writeConfig(0x54, 4, 0x1000);
    expect(fake(phb.devices()[0]).index).not.toBe(1);
    writeConfig(0x52, 2, 0);
    expect(fake(phb.devices()[0]).index).toBe(0);
    writeConfig(0x52, 2, 1);
    expect([fake(phb.devices()[0]).index, failures()]).toEqual([1, before + 1]);
  });
  test('hot unplug frees the sources', () => {
    change(3, 4);
    machine.run(phb.unplug(phb.devices()[0]));
    plug();
    change(3, 4);
    expect(rtas(0x2018, [0, ...BUID, 0], 3)[1]).toBe(0x1300);
  });
});

describe('the pin', () => {
  test('is swizzled, shared by devices, and unmasked by the guest’s EOI', () => {
    const plugged = Array.from({ length: 5 }, (_, i) => plug(`0000:0${i % 2 === 0 ? 1 : 2}:00.0`));
    hcall(HCALL.H_CPPR, 0xff);
    rtas(0x200a, [0x1200, 0, 5], 1);
    // Devices 0 and 4 share the bridge's INTA#.
    signal(fake(plugged[0]), 0);
    signal(fake(plugged[4]), 0);
    expect(hcall(HCALL.H_XIRR).out).toEqual([0xff00_1200n]);
    expect(plugged.map((one) => fake(one).unmasks)).toEqual([0, 0, 0, 0, 0]);
    hcall(HCALL.H_EOI, 0xff00_1200);
    expect(plugged.map((one) => fake(one).unmasks)).toEqual([1, 0, 0, 0, 1]);
    expect(hcall(HCALL.H_XIRR).out).toEqual([0xff00_0000n]);
  });
});

describe('windows', () => {
  test('without a device they are the guest’s view alone, and a device that comes gets them', () => {
    expect(rtas(0x2027, [0, ...BUID, 16, 24], 4)).toEqual([0, 0x8000_0001 | 0, 0x0800_0000, 0]);
    expect(hcall(HCALL.H_PUT_TCE, 0x8000_0001, DDW, 0x1_0003).ret).toBe(0n);
    plug();
    expect([...windows]).toEqual([
      [0, { shift: 12, size: 0x4000_0000 }],
      // 64K pages of the guest over RAM in pages of 4K.
      [DDW, { shift: 12, size: 0x100_0000 }],
    ]);
  });
  test.each([
    ['a page size that is not offered', 13, 24, -3],
    ['a window smaller than a page', 16, 15, -3],
    ['a window larger than all', 12, 64, -1],
    ['a window beyond all numbers', 12, 0xffff_ffff, -1],
  ])('%s', (_, pageShift, windowShift, status) => {
    plug();
    expect(rtas(0x2027, [0, ...BUID, pageShift, windowShift], 4)[0]).toBe(status);
    expect(windows.size).toBe(1);
  });
  test('what the host refuses leaves no window behind', () => {
    plug();
    fails = 'VFIO_IOMMU_SPAPR_TCE_CREATE';
    expect(rtas(0x2027, [0, ...BUID, 12, 24], 4)[0]).toBe(-1);
    expect(rtas(0x2026, [0, ...BUID], 5)[1]).toBe(1);
    fails = undefined;
    expect(rtas(0x2027, [0, ...BUID, 12, 24], 4)[0]).toBe(0);
  });
  test('without them the calls are refused', () => {
    realize({ index: 1, ddw: false });
    const buid = [0x0800_0000, 0x2000_0001];
    expect([rtas(0x2026, [0, ...buid], 5)[0], rtas(0x2028, [0x8000_0100], 1)[0]]).toEqual([-3, -3]);
  });
  test('KVM without VFIO support: the table moves to the VMM when a device comes, with what is in it', () => {
    machine.kernel.ioctls.set('KVM_CHECK_EXTENSION', ({ value }) => (value === 142 ? 0 : 1));
    expect(phb.windows.table(0)?.fd).toBeGreaterThan(0);
    hcall(HCALL.H_PUT_TCE, 0x8000_0000, 0x1000, 0x5003);
    plug();
    expect(phb.windows.table(0)?.fd).toBe(-1);
    expect(hcall(HCALL.H_GET_TCE, 0x8000_0000, 0x1000).out).toEqual([0x5003n]);
  });
  test('reset: the default window, messages and BARs as at first', () => {
    plug();
    rtas(0x2027, [0, ...BUID, 12, 24], 4);
    rtas(0x2019, [0, ...BUID, 4, 3, 7], 4);
    writeConfig(0x62, 2, 0x8000);
    writeConfig(0x10, 4, 0x9000_0000);
    machine.run(hypercalls.reset());
    const { device } = phb.devices()[0];
    expect([[...windows.keys()], fake({ device }).index, device.config.barAddress(0)]).toEqual([[0], 0, 0x8000_0000]);
    expect(rtas(0x2018, [0, ...BUID, 0], 3)[0]).toBe(-1);
    expect(eehOps).toEqual([VFIO_EEH_PE.ENABLE]);
  });
});

describe('EEH', () => {
  test.each([
    [0x2020, [0, ...BUID, 0], VFIO_EEH_PE.DISABLE, -1],
    [0x2020, [0, ...BUID, 1], VFIO_EEH_PE.ENABLE, -1],
    [0x2020, [0, ...BUID, 2], VFIO_EEH_PE.UNFREEZE_IO, -1],
    [0x2020, [0, ...BUID, 3], VFIO_EEH_PE.UNFREEZE_DMA, -1],
    [0x2023, [0, ...BUID, 0], VFIO_EEH_PE.RESET_DEACTIVATE, -1],
    [0x2023, [0, ...BUID, 1], VFIO_EEH_PE.RESET_HOT, -1],
    [0x2023, [0, ...BUID, 3], VFIO_EEH_PE.RESET_FUNDAMENTAL, -1],
    [0x2024, [0, ...BUID], VFIO_EEH_PE.CONFIGURE, -3],
  ] as const)('call %i %j is operation %i; refused by the kernel it is %i', (token, args, op, refused) => {
    plug();
    expect(rtas(token, args, 1)).toEqual([0]);
    eeh = 'EIO';
    expect(rtas(token, args, 1)).toEqual([refused]);
    expect(eehOps).toEqual([op, op]);
  });
  test.each([0, 1, 2, 4, 5])('state %i', (state) => {
    plug();
    eeh = state;
    expect(rtas(0x2022, [0, ...BUID], 5)).toEqual([0, state, 1, 1000, 0]);
    expect(rtas(0x2022, [0, ...BUID], 4)).toEqual([0, state, 1, 1000]);
  });
  test.each([
    ['an option there is not', 0x2020, [0, ...BUID, 4], 1],
    ['a reset there is not', 0x2023, [0, ...BUID, 2], 1],
    ['enabling a device there is not', 0x2020, [0x0800, ...BUID, 1], 1],
    ['the PE of a device there is not', 0x2021, [0x0800, ...BUID, 0], 2],
    ['asking something else of a PE', 0x2021, [0, ...BUID, 2], 2],
    ['a log there is not', 0x2025, [0, ...BUID, 0, 0, 0, 0, 3], 1],
  ] as const)('%s is refused', (_, token, args, nret) => {
    plug();
    expect(rtas(token, args, nret)[0]).toBe(-3);
    expect(eehOps).toEqual([]);
  });
  test('with two groups there is no state they share', () => {
    plug();
    plug('0000:02:00.0');
    expect([rtas(0x2022, [0, ...BUID], 4)[0], rtas(0x2020, [0, ...BUID, 1], 1)[0]]).toEqual([-3, -1]);
    expect([rtas(0x2021, [0, ...BUID, 1], 2), eehOps]).toEqual([[0, 2], []]);
  });
  test('before a reset MSI-X is switched off and its table forgotten', () => {
    plug();
    rtas(0x2019, [0, ...BUID, 4, 3, 7], 4);
    writeConfig(0x62, 2, 0x8000);
    rtas(0x2023, [0, ...BUID, 1], 1);
    expect([fake(phb.devices()[0]).index, readConfig(0x62, 2)]).toEqual([0, [0, 0x0002]]);
    expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 8, 0x100_8000_1000).out).toEqual([0n]);
  });
});
