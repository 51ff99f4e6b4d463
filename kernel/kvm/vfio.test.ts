import { expect, test } from 'vitest';
import * as ioctls from '../include/uapi/ioctl.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
import { TestHost } from './test_host.ts';

const [ADD, DEL, SET_TCE] = [1, 2, 3];
const ATTR = ioctls.KVM_SET_DEVICE_ATTR;

/** A container with PEs 0 and 1 and a 16-page window, and a machine with a fitting table. */
function setup() {
  const host = new TestHost();
  const ram = host.ram(16);
  return host.run(function* () {
    const { fd, groups } = yield* host.container([0, 1]);
    yield* host.register(fd, ram, 16);
    yield* host.window(fd, 12, 16 * PAGE_SIZE);
    const { vm } = yield* host.machine(ram, 16);
    const table = yield* host.table(vm, 5, 12, 16);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, ADD, groups[0]);
    const eventfd = host.kernel.files.install(host.kernel.files.file(device).get());
    return { host, ram, fd, groups, vm, table, device, eventfd };
  });
}
type Setup = ReturnType<typeof setup>;
const s = setup();

const CREATE = ioctls.KVM_CREATE_DEVICE;
const REFUSALS: [string, (s: Setup) => Task<unknown>, string][] = [
  ['add of a bad pointer', (s) => s.host.ioctlStruct(s.device, ATTR, { group: 1, attr: ADD, addr: 8 }), 'EFAULT'],
  ['add of no descriptor', (s) => s.host.setAttr(s.device, ADD, 99), 'EBADF'],
  ['add of a container', (s) => s.host.setAttr(s.device, ADD, s.fd), 'EINVAL'],
  ['add twice', (s) => s.host.setAttr(s.device, ADD, s.groups[0]), 'EEXIST'],
  ['del of what was not added', (s) => s.host.setAttr(s.device, DEL, s.groups[1]), 'ENOENT'],
  ['del of no descriptor', (s) => s.host.setAttr(s.device, DEL, 99), 'EBADF'],
  ['table for a group not added', (s) => s.host.setAttr(s.device, SET_TCE, s.groups[1], s.table), 'ENOENT'],
  ['table for no descriptor', (s) => s.host.setAttr(s.device, SET_TCE, 99, s.table), 'EBADF'],
  ['no table descriptor', (s) => s.host.setAttr(s.device, SET_TCE, s.groups[0], 99), 'EBADF'],
  ['a table that is none', (s) => s.host.setAttr(s.device, SET_TCE, s.groups[0], s.fd), 'EINVAL'],
  ['table of a bad pointer', (s) => s.host.ioctlStruct(s.device, ATTR, { group: 1, attr: SET_TCE, addr: 8 }), 'EFAULT'],
  ['attribute 9', (s) => s.host.setAttr(s.device, 9, 0), 'ENXIO'],
  ['attribute group 2', (s) => s.host.ioctlStruct(s.device, ATTR, { group: 2, attr: ADD }), 'ENXIO'],
  ['a second device', (s) => s.host.kvmVfio(s.vm), 'EBUSY'],
  ['a device of another type', (s) => s.host.ioctlStruct(s.vm, ioctls.KVM_CREATE_DEVICE, { type: 3 }), 'ENODEV'],
  ['a second device, unknown flags', (s) => s.host.ioctlStruct(s.vm, CREATE, { type: 4, flags: 2 }), 'EBUSY'],
  ['a test with unknown flags', (s) => s.host.ioctlStruct(s.vm, CREATE, { type: 4, flags: 3 }), 'OK'],
  ['a test for the device', (s) => s.host.ioctlStruct(s.vm, ioctls.KVM_CREATE_DEVICE, { type: 4, flags: 1 }), 'OK'],
  ['has SET_SPAPR_TCE', (s) => s.host.ioctlStruct(s.device, ioctls.KVM_HAS_DEVICE_ATTR, { group: 1, attr: 3 }), 'OK'],
  ['has _LIOBN', (s) => s.host.ioctlStruct(s.device, ioctls.KVM_HAS_DEVICE_ATTR, { group: 1, attr: 4 }), 'OK'],
  ['has attribute 5', (s) => s.host.ioctlStruct(s.device, ioctls.KVM_HAS_DEVICE_ATTR, { group: 1, attr: 5 }), 'ENXIO'],
  ['get', (s) => s.host.ioctlStruct(s.device, ioctls.KVM_GET_DEVICE_ATTR, { group: 1, attr: 1 }), 'EPERM'],
];
test.each(REFUSALS)('kvm-vfio: %s', (_, call, expected) => {
  expect(s.host.errno(() => call(s))).toBe(expected);
});

// guest page shift, entries, offset in pages; does the 16-page 4K window at 0 fit?
test.each([
  [12, 16, 0, 'OK'],
  [12, 8, 0, 'OK'],
  [16, 1, 0, 'OK'],
  [12, 17, 0, 'EINVAL'],
  [16, 2, 0, 'EINVAL'],
  [12, 8, 8, 'EINVAL'],
])('a table of 2^%i-byte pages, %i entries from page %i: %s', (shift, size, offset, expected) => {
  const one = setup();
  const table = one.host.run(() => one.host.table(one.vm, 6, shift, size, offset));
  expect(one.host.errno(() => one.host.setAttr(one.device, SET_TCE, one.groups[0], table))).toBe(expected);
});

test('a table with smaller pages than the window does not fit', () => {
  const one = setup();
  one.host.run(() =>
    one.host.ioctlStruct(one.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, { page_shift: 16, window_size: 65536, levels: 1 }),
  );
  one.host.run(() => one.host.ioctlStruct(one.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE, { start_addr: 0 }));
  const table = one.host.run(() => one.host.table(one.vm, 6, 12, 16, 2 ** 47));
  expect(one.host.errno(() => one.host.setAttr(one.device, SET_TCE, one.groups[0], table))).toBe('EINVAL');
  const fits = one.host.run(() => one.host.table(one.vm, 8, 16, 1, 2 ** 43));
  expect(one.host.errno(() => one.host.setAttr(one.device, SET_TCE, one.groups[0], fits))).toBe('OK');
  // The window at 2^59, through both tiers.
  expect(one.host.real(0x20, 8, 1n << 59n, 0)).toBe(0);
  expect(one.host.virtual(0x20, 8, (1n << 59n) + 65536n, 0)).toBe(-4);
});

test('references: each hardware table is held once per guest table, however often and by however many groups', () => {
  const one = setup();
  const { host } = one;
  const hardware = host.powernv.groups[0]?.tables[0];
  const guest = [...(host.kvm.vm?.tables ?? [])][0];
  host.run(() => host.setAttr(one.device, ADD, one.groups[1]));
  for (const group of [0, 0, 1, 1]) host.run(() => host.setAttr(one.device, SET_TCE, one.groups[group], one.table));
  expect(hardware?.references).toBe(2);
  expect(guest.attached()).toEqual([{ table: hardware, holders: 2 }]);
  host.run(() => host.setAttr(one.device, DEL, one.groups[0]));
  expect(hardware?.references).toBe(2);
  host.run(() => host.setAttr(one.device, DEL, one.groups[1]));
  expect(hardware?.references).toBe(1);
  expect(guest.attached()).toEqual([]);
});

test('two windows bound to two tables: deleting the group drops both references', () => {
  const one = setup();
  const { host } = one;
  host.run(function* () {
    yield* host.ioctlStruct(one.fd, ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE, {
      page_shift: 12,
      window_size: 65536,
      levels: 1,
    });
    const second = yield* host.table(one.vm, 6, 12, 16, 2 ** 47);
    yield* host.setAttr(one.device, SET_TCE, one.groups[0], one.table);
    yield* host.setAttr(one.device, SET_TCE, one.groups[0], second);
  });
  const tables = host.powernv.groups[0]?.tables ?? [];
  expect(tables.map((t) => t?.references)).toEqual([2, 2]);
  host.run(() => host.setAttr(one.device, DEL, one.groups[0]));
  expect(tables.map((t) => t?.references)).toEqual([1, 1]);
});

test('a table closed by another task while it is being attached: attached in full or refused, never half', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const host = new TestHost({ seed });
    const ram = host.ram(16);
    const fds = host.run(function* () {
      const { fd, groups } = yield* host.container([0]);
      yield* host.window(fd, 12, 16 * PAGE_SIZE);
      const { vm } = yield* host.machine(ram, 16);
      const table = yield* host.table(vm, 5, 12, 16);
      const device = yield* host.kvmVfio(vm);
      yield* host.setAttr(device, ADD, groups[0]);
      return { table, device, group: groups[0] };
    });
    let closed = false;
    host.kernel.spawn(
      host.kernel.process,
      'closer',
      (function* () {
        yield* host.close(fds.table);
        closed = true;
      })(),
    );
    const code = host.errno(() => host.setAttr(fds.device, SET_TCE, fds.group, fds.table));
    expect(['OK', 'EBADF', 'EINVAL']).toContain(code);
    host.simulation.run(() => closed);
    expect(host.powernv.groups[0]?.tables[0]?.references).toBe(1);
  }
});
