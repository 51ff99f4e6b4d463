/** Two virtual machines of two processes on one host: what one does, however hostile, is never the other's. */
import { expect, test } from 'vitest';
import { HCALL, HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { KVM_CREATE_VM, VFIO_GROUP_SET_CONTAINER } from '../include/uapi/ioctl.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import { TestHost } from './test_host.ts';

const { H_PUT_TCE, H_GET_TCE } = HCALL;
const { H_PARAMETER, H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;
const PAGES = 8;
const WINDOW = PAGES * PAGE_SIZE;
const RW = 3;

interface Machine {
  readonly ram: number;
  readonly vm: number;
  readonly files: readonly number[];
  readonly table: IommuTable;
}

/** A machine in the current process: RAM registered, PE `pe` behind its LIOBN. */
function machine(host: TestHost, pe: number, liobn: number): Machine {
  const ram = host.ram(PAGES);
  return host.run(function* () {
    const { fd, groups } = yield* host.container([pe]);
    yield* host.register(fd, ram, PAGES);
    yield* host.window(fd, 12, WINDOW);
    // A mapping by the container makes `it_userspace`: without it hypercalls cannot map.
    yield* host.mapDma(fd, 0, ram, PAGE_SIZE);
    yield* host.unmapDma(fd, 0, PAGE_SIZE);
    const { vm, vcpu } = yield* host.machine(ram, PAGES);
    const tce = yield* host.table(vm, liobn, 12, PAGES);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, 1, groups[0]);
    yield* host.setAttr(device, 3, groups[0], tce);
    const table = host.powernv.groups[pe]?.tables[0] as IommuTable;
    return { ram, vm, files: [tce, device, vcpu, vm, ...groups, fd], table };
  });
}

/** A host with a machine in each process: PE 0 and LIOBN 0x10 are the first one's, PE 1 and 0x11 the second one's. */
function twoMachines() {
  const host = new TestHost({ others: 1 });
  const before = [0, 1].map((process) => {
    host.switchTo(process);
    return host.held();
  });
  host.switchTo(1);
  const second = machine(host, 1, 0x11);
  host.switchTo(0);
  const first = machine(host, 0, 0x10);
  return { host, before, first, second };
}

/** Everything of the first machine that the second must not change. */
function state({ host, first }: ReturnType<typeof twoMachines>) {
  host.switchTo(0);
  const { mm } = host.kernel;
  const bytes = Array.from({ length: PAGES }, (_, i) => mm.space.lookup(first.ram + i * PAGE_SIZE, true)).map((hpa) => [
    hpa,
    mm.space.frames.pins(hpa),
    Buffer.from(host.memory.bytes(hpa, PAGE_SIZE)).toString('base64'),
  ]);
  const entries = Array.from({ length: PAGES }, (_, i) => first.table.entry(i));
  const region = host.powernv.regions.list().map((one) => host.powernv.regions.mapped(one));
  return {
    held: host.held(),
    bytes,
    entries,
    region,
    views: [0, 1, 2].map((i) => host.real(H_GET_TCE, 0x10, i << 12)),
  };
}

test('the same guest address is each machine its own memory, in real mode, virtual mode and WebAssembly', () => {
  const { host, first, second } = twoMachines();
  for (const [process, { ram, table }, liobn] of [
    [0, first, 0x10],
    [1, second, 0x11],
  ] as const) {
    host.switchTo(process);
    const call = ['real', 'virtual', 'wasm'] as const;
    for (const [entry, mode] of call.entries()) {
      expect(host[mode](H_PUT_TCE, liobn, entry << 12, 0x2000 | RW), mode).toBe(H_SUCCESS);
      expect(table.entry(entry), mode).toBe(host.kernel.mm.space.lookup(ram + 0x2000, true) + RW);
    }
    const [region] = host.powernv.regions.list();
    expect(host.powernv.regions.mapped(region)).toBe(1 + call.length);
    host.invariants();
  }
  expect(first.table.entry(0)).not.toBe(second.table.entry(0));
});

test('a hostile machine: LIOBNs of the other one and addresses outside its RAM are refused, and nothing of the other changes', () => {
  const machines = twoMachines();
  const { host, first, second } = machines;
  host.switchTo(0);
  expect(host.real(H_PUT_TCE, 0x10, 0x1000, 0x3000 | RW)).toBe(H_SUCCESS);
  const before = state(machines);
  host.switchTo(1);
  for (const mode of ['real', 'virtual', 'wasm'] as const) {
    // The other machine's table is none for KVM: the VMM, which knows no such LIOBN either, is to say so.
    expect(host[mode](H_PUT_TCE, 0x10, 0x1000, 0x1000 | RW), mode).toBe(H_TOO_HARD);
    expect(host[mode](H_GET_TCE, 0x10, 0x1000), mode).toBe(H_TOO_HARD);
    for (const tce of [BigInt(WINDOW), BigInt(first.ram), BigInt(second.ram), 0xffff_ffff_ffff_f000n, 1n << 62n])
      expect(host[mode](H_PUT_TCE, 0x11, 0x1000, tce | 3n), `${mode} ${tce.toString(16)}`).toBe(H_TOO_HARD);
    expect(host[mode](H_PUT_TCE, 0x11, WINDOW, 0x1000 | RW), mode).toBe(H_PARAMETER);
  }
  expect(second.table.entry(1)).toBe(0);
  host.invariants();
  expect(state(machines)).toEqual(before);
});

test('a process maps its own addresses: those of the other are not registered, and the same number is another page', () => {
  const { host, first, second } = twoMachines();
  host.switchTo(1);
  const container = second.files.at(-1) as number;
  expect(host.errno(() => host.mapDma(container, 0, first.ram + 0x100_0000, PAGE_SIZE))).toBe('EINVAL');
  // Both processes have their RAM at the same address: what is mapped is the caller's.
  expect(first.ram).toBe(second.ram);
  host.run(() => host.mapDma(container, 0, first.ram, PAGE_SIZE));
  expect(second.table.entry(0)).toBe(host.kernel.processes[1].mm.space.lookup(second.ram, true) + RW);
  expect(host.kernel.processes[0].mm.space.lookup(first.ram, true) + RW).not.toBe(second.table.entry(0));
});

test('a group that one process has open is EBUSY for the other until it is closed', () => {
  const { host, second } = twoMachines();
  host.switchTo(0);
  expect(host.errno(() => host.open('/dev/vfio/1'))).toBe('EBUSY');
  host.switchTo(1);
  host.run(function* () {
    for (const fd of second.files) yield* host.close(fd);
  });
  host.switchTo(0);
  expect(host.errno(() => host.open('/dev/vfio/1'))).toBe('OK');
});

test('descriptors are numbers of their own process', () => {
  const { host, first } = twoMachines();
  const container = first.files.at(-1) as number;
  host.switchTo(1);
  const names = [0, 1].map((process) => {
    host.switchTo(process);
    return [...host.kernel.files.entries()].map(([, file]) => file.name);
  });
  expect(names[0]).not.toEqual([]);
  host.switchTo(1);
  // The same number is another file here, or none: another process's container cannot be named.
  const mine = host.kernel.files.file(container).object;
  host.switchTo(0);
  expect(host.kernel.files.file(container).object).not.toBe(mine);
  host.switchTo(1);
  expect(host.errno(() => host.ioctlWords(200, VFIO_GROUP_SET_CONTAINER, container))).toBe('EBADF');
});

test('each process has one virtual machine, and counts its own locked memory', () => {
  const { host } = twoMachines();
  const second = (process: number) => {
    host.switchTo(process);
    return host.errno(function* () {
      const kvm = yield* host.open('/dev/kvm');
      yield* host.ioctl(kvm, KVM_CREATE_VM);
    });
  };
  expect([second(0), second(1)]).toEqual(['EBUSY', 'EBUSY']);
  const [a, b] = host.kernel.processes.map(({ mm }) => mm.lockedVm);
  expect(a).toBeGreaterThan(PAGES);
  expect(b).toBe(a);
});

test('one machine goes: all of its is given back, and the other one is as before', () => {
  const machines = twoMachines();
  const { host, before, second } = machines;
  host.switchTo(1);
  expect(host.real(H_PUT_TCE, 0x11, 0x1000, 0x1000 | RW)).toBe(H_SUCCESS);
  const other = state(machines);
  const frames = host.kernel.pages.allocated;
  host.switchTo(1);
  const mine = host.held();
  host.run(function* () {
    for (const fd of second.files) yield* host.close(fd);
    yield* host.kernel.mm.unmap(second.ram);
  });
  const after = host.held();
  expect(after).toEqual({ ...before[1], pages: after.pages, windows: 1 });
  expect(frames - after.pages).toBeGreaterThan(PAGES);
  expect(mine.locked).toBeGreaterThan(0);
  const left = state(machines);
  expect({ ...left, held: { ...left.held, pages: 0, windows: 0 } }).toEqual({
    ...other,
    held: { ...other.held, pages: 0, windows: 0 },
  });
  host.invariants();
});

/** Writes to an attribute of vfio-pci's, as an administrator does who works in the current process. */
function* driver(host: TestHost, attribute: 'bind' | 'unbind', device: string) {
  const file = yield* host.kernel.vfs.open(`/sys/bus/pci/drivers/vfio-pci/${attribute}`, 1);
  yield* (file.operations.write as NonNullable<typeof file.operations.write>)(new TextEncoder().encode(device), 0);
}

test('a group descriptor outlives its device, and is no way to the device of whoever has the group next', () => {
  const { host, second } = twoMachines();
  const [tce, kvmVfio, , , group] = second.files;
  host.switchTo(1);
  const { name = '' } = host.vfio.groupOfFile(host.kernel.files.file(group))?.iommuGroup.devices[0] ?? {};
  // The host takes the device from the second machine, which keeps all its descriptors, and gives it to the first one.
  host.switchTo(0);
  const ram = host.ram(PAGES);
  const table = host.run(function* () {
    yield* driver(host, 'unbind', name);
    yield* driver(host, 'bind', name);
    const { fd } = yield* host.container([1]);
    yield* host.register(fd, ram, PAGES);
    yield* host.window(fd, 12, WINDOW);
    yield* host.mapDma(fd, 0, ram, WINDOW);
    return host.powernv.groups[1]?.tables[0] as IommuTable;
  });
  const before = Array.from({ length: PAGES }, (_, i) => table.entry(i));
  host.switchTo(1);
  // Added while it was this one's: its windows are the other's now.
  expect(host.errno(() => host.setAttr(kvmVfio, 3, group, tce))).toBe('EIO');
  expect(host.errno(() => host.setAttr(kvmVfio, 2, group))).toBe('OK');
  expect(host.errno(() => host.setAttr(kvmVfio, 1, group))).toBe('EINVAL');
  for (const mode of ['real', 'virtual', 'wasm'] as const) host[mode](H_PUT_TCE, 0x11, 0x1000, 0x1000 | RW);
  expect(Array.from({ length: PAGES }, (_, i) => table.entry(i))).toEqual(before);
  host.invariants();
});
