import { expect, test } from 'vitest';
import * as ioctls from '../include/uapi/ioctl.ts';
import { VFIO_SPAPR_TCE_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU, VFIO_TYPE1v2_IOMMU } from '../include/uapi/vfio.ts';
import { TestHost } from '../kvm/test_host.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
import type { VfioIommu } from './vfio.ts';
import { spaprTceDriver } from './vfio_iommu_spapr_tce.ts';
import { registerType1 } from './vfio_iommu_type1.ts';

const WINDOW1 = 2 ** 59;
const CREATE = ioctls.VFIO_IOMMU_SPAPR_TCE_CREATE;
const REMOVE = ioctls.VFIO_IOMMU_SPAPR_TCE_REMOVE;
const MAP = ioctls.VFIO_IOMMU_MAP_DMA;
const UNMAP = ioctls.VFIO_IOMMU_UNMAP_DMA;
const REGISTER = ioctls.VFIO_IOMMU_SPAPR_REGISTER_MEMORY;

/** A v2 container with PE 0, 16 registered pages and a 16-page window at bus address 0. */
function v2(lockLimit?: number) {
  const host = new TestHost({ lockLimit });
  const ram = host.ram(32);
  const { fd, groups } = host.run(() => host.container([0]));
  host.run(function* () {
    yield* host.register(fd, ram, 16);
    yield* host.window(fd, 12, 16 * PAGE_SIZE);
  });
  const table = host.powernv.groups[0]?.tables[0];
  if (table === undefined) throw new Error('no window');
  return { host, ram, fd, groups, table };
}

type V2 = ReturnType<typeof v2>;
const s = v2();

// what, call, expected errno
const REFUSALS: [string, (s: V2) => Task<unknown>, string][] = [
  ['map without direction', (s) => s.host.mapDma(s.fd, 0, s.ram, PAGE_SIZE, 0), 'EINVAL'],
  ['map with an unknown flag', (s) => s.host.mapDma(s.fd, 0, s.ram, PAGE_SIZE, 7), 'EINVAL'],
  ['map with a short argsz', (s) => s.host.ioctlStruct(s.fd, MAP, { argsz: 31, flags: 3, size: PAGE_SIZE }), 'EINVAL'],
  ['map in no window', (s) => s.host.mapDma(s.fd, 16 * PAGE_SIZE, s.ram, PAGE_SIZE), 'ENXIO'],
  ['map in the window that is not there', (s) => s.host.mapDma(s.fd, WINDOW1, s.ram, PAGE_SIZE), 'ENXIO'],
  ['map beyond the window', (s) => s.host.mapDma(s.fd, 15 * PAGE_SIZE, s.ram, 2 * PAGE_SIZE), 'EINVAL'],
  ['map of half a page', (s) => s.host.mapDma(s.fd, 0, s.ram, PAGE_SIZE / 2), 'EINVAL'],
  ['map of an unaligned address', (s) => s.host.mapDma(s.fd, 0, s.ram + 8, PAGE_SIZE), 'EINVAL'],
  ['map at an unaligned iova', (s) => s.host.mapDma(s.fd, 8, s.ram, PAGE_SIZE), 'EINVAL'],
  ['map of unregistered memory', (s) => s.host.mapDma(s.fd, 0, s.ram + 16 * PAGE_SIZE, PAGE_SIZE), 'EINVAL'],
  ['unmap with flags', (s) => s.host.ioctlStruct(s.fd, UNMAP, { flags: 1, size: PAGE_SIZE }), 'EINVAL'],
  ['unmap in no window', (s) => s.host.unmapDma(s.fd, WINDOW1, PAGE_SIZE), 'ENXIO'],
  ['unmap of what is not mapped', (s) => s.host.unmapDma(s.fd, 0, 16 * PAGE_SIZE), 'OK'],
  ['register with flags', (s) => s.host.ioctlStruct(s.fd, REGISTER, { flags: 1, vaddr: s.ram }), 'EINVAL'],
  ['register of nothing', (s) => s.host.register(s.fd, s.ram + 16 * PAGE_SIZE, 0), 'EINVAL'],
  ['register of an unaligned address', (s) => s.host.register(s.fd, s.ram + 16 * PAGE_SIZE + 1, 1), 'EINVAL'],
  ['register twice', (s) => s.host.register(s.fd, s.ram, 16), 'EBUSY'],
  ['register of an overlap', (s) => s.host.register(s.fd, s.ram + PAGE_SIZE, 16), 'EINVAL'],
  ['register of unmapped memory', (s) => s.host.register(s.fd, 0x1000, 1), 'EFAULT'],
  ['register beyond the end of a mapping', (s) => s.host.register(s.fd, s.ram + 31 * PAGE_SIZE, 1000), 'EFAULT'],
  ['unregister of another size', (s) => s.host.unregister(s.fd, s.ram, 15), 'ENOENT'],
  ['unregister of an unaligned address', (s) => s.host.unregister(s.fd, s.ram + 1, 16), 'EINVAL'],
  [
    'create of an odd page size',
    (s) => s.host.ioctlStruct(s.fd, CREATE, { page_shift: 13, window_size: 65536, levels: 1 }),
    'EINVAL',
  ],
  [
    'create of an odd size',
    (s) => s.host.ioctlStruct(s.fd, CREATE, { page_shift: 12, window_size: 12288, levels: 1 }),
    'EINVAL',
  ],
  [
    'create of less than a page',
    (s) => s.host.ioctlStruct(s.fd, CREATE, { page_shift: 16, window_size: 4096, levels: 1 }),
    'EINVAL',
  ],
  ['create without levels', (s) => s.host.ioctlStruct(s.fd, CREATE, { page_shift: 12, window_size: 65536 }), 'EINVAL'],
  [
    'create with six levels',
    (s) => s.host.ioctlStruct(s.fd, CREATE, { page_shift: 12, window_size: 65536, levels: 6 }),
    'EINVAL',
  ],
  [
    'create with flags',
    (s) => s.host.ioctlStruct(s.fd, CREATE, { flags: 1, page_shift: 12, window_size: 65536, levels: 1 }),
    'EINVAL',
  ],
  [
    'create of more than the host has',
    (s) => s.host.ioctlStruct(s.fd, CREATE, { page_shift: 12, window_size: 2 ** 50, levels: 1 }),
    'ENOMEM',
  ],
  ['remove of no window', (s) => s.host.ioctlStruct(s.fd, REMOVE, { start_addr: WINDOW1 }), 'EINVAL'],
  ['remove inside a window', (s) => s.host.ioctlStruct(s.fd, REMOVE, { start_addr: PAGE_SIZE }), 'EINVAL'],
  ['enable', (s) => s.host.ioctl(s.fd, ioctls.VFIO_IOMMU_ENABLE), 'ENOTTY'],
  ['disable', (s) => s.host.ioctl(s.fd, ioctls.VFIO_IOMMU_DISABLE), 'ENOTTY'],
];

test.each(REFUSALS)('v2: %s', (_, call, expected) => {
  const { pages, locked } = s.host.held();
  expect(s.host.errno(() => call(s))).toBe(expected);
  s.host.invariants([s.table]);
  // it_userspace comes with the first mapping that gets as far as the table.
  expect(s.host.held().locked).toBe(locked);
  expect(s.host.held().pages - pages).toBeLessThanOrEqual(1);
});

test('an iova above 2^53 is checked to its last bit', () => {
  const { host, fd, ram } = v2();
  host.run(() => host.ioctlStruct(fd, CREATE, { page_shift: 12, window_size: 16 * PAGE_SIZE, levels: 1 }));
  const view = (MAP.struct as NonNullable<typeof MAP.struct>).make({
    argsz: 32,
    flags: 3,
    vaddr: ram,
    size: PAGE_SIZE,
  });
  view.dv.setBigUint64(16, (1n << 59n) + 1n, true);
  host.poke(0, new Uint8Array(view.dv.buffer));
  expect(host.errno(() => host.ioctl(fd, MAP as ioctls.Ioctl, host.user))).toBe('EINVAL');
  view.dv.setBigUint64(16, (1n << 59n) + 0x1000n, true);
  host.poke(0, new Uint8Array(view.dv.buffer));
  host.run(() => host.ioctl(fd, MAP as ioctls.Ioctl, host.user));
  expect(host.powernv.groups[0]?.tables[1]?.entry(1)).not.toBe(0);
});

test('mapping and unmapping move the region count, also over live entries; unregistering waits for zero', () => {
  const { host, ram, fd, table } = v2();
  const mapped = () => host.powernv.regions.mapped(host.powernv.regions.list()[0]) - 1;
  host.run(() => host.mapDma(fd, 0, ram, 16 * PAGE_SIZE));
  host.run(() => host.mapDma(fd, 0, ram + 4 * PAGE_SIZE, 8 * PAGE_SIZE, 1));
  expect(mapped()).toBe(16);
  host.invariants([table]);
  expect(host.errno(() => host.unregister(fd, ram, 16))).toBe('EBUSY');
  host.run(() => host.unmapDma(fd, 0, 15 * PAGE_SIZE));
  expect(mapped()).toBe(1);
  expect(host.errno(() => host.unregister(fd, ram, 16))).toBe('EBUSY');
  host.run(() => host.unmapDma(fd, 0, 16 * PAGE_SIZE));
  const { locked } = host.held();
  expect(host.errno(() => host.unregister(fd, ram, 16))).toBe('OK');
  expect(locked - host.held().locked).toBe(16);
});

test('a map that fails in the middle leaves nothing of itself', () => {
  const { host, ram, fd, table } = v2();
  host.run(() => host.mapDma(fd, 8 * PAGE_SIZE, ram, PAGE_SIZE));
  expect(host.errno(() => host.mapDma(fd, 0, ram + 12 * PAGE_SIZE, 8 * PAGE_SIZE))).toBe('EINVAL');
  expect(Array.from({ length: 16 }, (_, i) => table.entry(i) !== 0).indexOf(true)).toBe(8);
  host.invariants([table]);
});

test('pages of a window larger than the host pages behind them are refused', () => {
  const { host, ram, fd } = v2();
  host.run(() => host.ioctlStruct(fd, CREATE, { page_shift: 16, window_size: 0x100000, levels: 1 }));
  const aligned = Math.ceil(ram / 65536) * 65536;
  expect(aligned + 65536).toBeLessThanOrEqual(ram + 16 * PAGE_SIZE);
  expect(host.errno(() => host.mapDma(fd, WINDOW1, aligned, 65536))).toBe('EPERM');
});

test('memory in one piece takes large IOMMU pages', () => {
  const { host, fd } = v2();
  const { mm } = host.kernel;
  // 64K that are aligned in both address spaces.
  const frames = mm.pages.allocPages(31) as number;
  let vma = mm.mmapFrames('padding', frames, PAGE_SIZE);
  while ((vma.start + PAGE_SIZE) % 65536 !== 0) vma = mm.mmapFrames('padding', frames, PAGE_SIZE);
  const hpa = Math.ceil(frames / 65536) * 65536;
  const { start } = mm.mmapFrames('huge', hpa, 65536);
  host.run(() => host.ioctlStruct(fd, CREATE, { page_shift: 16, window_size: 0x100000, levels: 1 }));
  host.run(() => host.register(fd, start, 16));
  host.run(() => host.mapDma(fd, WINDOW1 + 65536, start, 65536));
  expect(host.powernv.groups[0]?.tables[1]?.entry(1)).toBe(hpa + 3);
});

test('the default window is owed from the first group on, and made when it is needed', () => {
  const host = new TestHost({ lockLimit: 10_000 });
  const ram = host.ram(1);
  const { fd } = host.run(() => host.container([0]));
  expect(host.bridge.inspect(0).windows).toEqual([undefined, undefined]);
  expect(host.errno(() => host.mapDma(fd, 0, ram, PAGE_SIZE))).toBe('EPERM');
  host.run(() => host.register(fd, ram, 1));
  host.run(() => host.mapDma(fd, 0x3fff_f000, ram, PAGE_SIZE));
  expect(host.bridge.inspect(0).windows[0]).toMatchObject({ entries: 0x40000, pageShift: 12 });
  // 512 pages of entries, and as many for it_userspace.
  expect(host.kernel.mm.lockedVm).toBe(1 + 1024);
});

test('windows: a second one at 2^59, a third refused, both programmed to a group that joins later', () => {
  const { host, fd, groups } = v2();
  const made = host.run(() => host.ioctlStruct(fd, CREATE, { page_shift: 16, window_size: 0x100000, levels: 1 }));
  expect(made.start_addr).toBe(WINDOW1);
  expect(host.errno(() => host.ioctlStruct(fd, CREATE, { page_shift: 12, window_size: 65536, levels: 1 }))).toBe(
    'ENOSPC',
  );
  const joined = host.run(function* () {
    const group = yield* host.open('/dev/vfio/1');
    yield* host.ioctlWords(group, ioctls.VFIO_GROUP_SET_CONTAINER, fd);
    return group;
  });
  expect(host.bridge.inspect(1).windows).toEqual(host.bridge.inspect(0).windows);
  host.run(() => host.ioctl(groups[0], ioctls.VFIO_GROUP_UNSET_CONTAINER));
  expect(host.bridge.inspect(0).windows).toEqual([undefined, undefined]);
  expect(host.bridge.inspect(1).windows[1]).toBeDefined();
  host.run(() => host.ioctlStruct(fd, REMOVE, { start_addr: WINDOW1 }));
  expect(host.bridge.inspect(1).windows[1]).toBeUndefined();
  host.run(() => host.ioctl(joined, ioctls.VFIO_GROUP_UNSET_CONTAINER));
});

test('GET_INFO says what the version can', () => {
  const { host, fd } = v2();
  const info = ioctls.VFIO_IOMMU_SPAPR_TCE_GET_INFO;
  const full = host.run(() => host.ioctlStruct(fd, info));
  expect(full).toMatchObject({ flags: 1, dma32_window_start: 0, dma32_window_size: 0x4000_0000, ddw_levels: 5 });
  expect(full.ddw_pgsizes).toBe(0x1121_1000);
  expect(full.ddw_max_dynamic_windows_supported).toBe(2);
  const short = host.run(() => host.ioctlStruct(fd, info, { argsz: 16, ddw_levels: 77 }));
  expect(short).toMatchObject({ flags: 0, ddw_levels: 77 });
  expect(host.errno(() => host.ioctlStruct(fd, info, { argsz: 15 }))).toBe('EINVAL');
});

test('extensions: both versions before and after one is chosen, nothing else', () => {
  const { host, fd } = v2();
  const ask = (extension: number) => host.run(() => host.ioctl(fd, ioctls.VFIO_CHECK_EXTENSION, extension));
  expect([1, 2, 3, 5, 7, 8].map(ask)).toEqual([0, 1, 0, 1, 1, 0]);
});

test('the locked-memory limit refuses a page too many, and changes nothing', () => {
  const { host, ram, fd } = v2(16 + 4 + 15);
  expect(host.kernel.mm.lockedVm).toBe(16 + 2);
  const before = host.held();
  const other = ram + 16 * PAGE_SIZE;
  host.kernel.mm.lockLimit = host.kernel.mm.lockedVm + 15;
  expect(host.errno(() => host.register(fd, other, 16))).toBe('ENOMEM');
  host.kernel.mm.lockLimit = host.kernel.mm.lockedVm + 1;
  expect(host.errno(() => host.ioctlStruct(fd, CREATE, { page_shift: 12, window_size: 65536, levels: 1 }))).toBe(
    'ENOMEM',
  );
  expect(host.held()).toEqual(before);
});

function v1() {
  const host = new TestHost({ lockLimit: 2 ** 20 });
  const ram = host.ram(8);
  return { host, ram, ...host.run(() => host.container([0], VFIO_SPAPR_TCE_IOMMU)) };
}

test('v1: the gate, one group, the charge of a whole window, and no v2 commands', () => {
  const { host, ram, fd } = v1();
  const enable = ioctls.VFIO_IOMMU_ENABLE;
  expect(host.errno(() => host.mapDma(fd, 0, ram, PAGE_SIZE))).toBe('EPERM');
  expect(host.errno(() => host.register(fd, ram, 8))).toBe('ENOTTY');
  expect(host.errno(() => host.ioctlStruct(fd, CREATE, {}))).toBe('ENOTTY');
  const second = host.run(() => host.open('/dev/vfio/1'));
  expect(host.errno(() => host.ioctlWords(second, ioctls.VFIO_GROUP_SET_CONTAINER, fd))).toBe('EBUSY');
  host.kernel.mm.lockLimit = 0x40000 - 1;
  expect(host.errno(() => host.ioctl(fd, enable))).toBe('ENOMEM');
  host.kernel.mm.lockLimit = 2 ** 20;
  expect(host.errno(() => host.ioctl(fd, enable))).toBe('OK');
  expect(host.kernel.mm.lockedVm).toBe(0x40000);
  expect(host.errno(() => host.ioctl(fd, enable))).toBe('EBUSY');
  expect(host.errno(() => host.ioctl(fd, ioctls.VFIO_IOMMU_DISABLE))).toBe('OK');
  expect(host.kernel.mm.lockedVm).toBe(0);
});

test('v1: a page is pinned while it is mapped, and its table is out of reach of hypercalls', () => {
  const { host, ram, fd, groups } = v1();
  const idle = { locked: host.held().locked };
  const { frames } = host.kernel.mm.space;
  const hpa = host.kernel.mm.space.lookup(ram, false);
  host.run(() => host.ioctl(fd, ioctls.VFIO_IOMMU_ENABLE));
  host.run(() => host.mapDma(fd, 0, ram, 8 * PAGE_SIZE));
  expect(frames.pins(hpa)).toBe(1);
  expect(host.errno(() => host.mapDma(fd, 0, 0x1000, PAGE_SIZE))).toBe('EFAULT');
  host.run(() => host.mapDma(fd, 0x1000, ram, PAGE_SIZE));
  expect(frames.pins(hpa)).toBe(2);
  host.run(function* () {
    const { vm } = yield* host.machine(ram, 8);
    const table = yield* host.table(vm, 7, 12, 8);
    const device = yield* host.kvmVfio(vm);
    yield* host.setAttr(device, 1, groups[0]);
    yield* host.setAttr(device, 3, groups[0], table);
  });
  expect(host.real(0x20, 7, 0, 3)).toBe(9999);
  expect(host.real(0x20, 7, 0, 0)).toBe(9999);
  host.run(() => host.unmapDma(fd, 0, PAGE_SIZE));
  expect(frames.pins(hpa)).toBe(1);
  host.run(() => host.ioctl(groups[0], ioctls.VFIO_GROUP_UNSET_CONTAINER));
  expect(frames.pins(hpa)).toBe(0);
  expect(host.held().locked).toBe(idle.locked + 2); // the guest's own table
});

/** All orders of a list. */
function* orders<T>(list: readonly T[]): Iterable<readonly T[]> {
  if (list.length === 0) yield [];
  for (const [i, first] of list.entries())
    for (const rest of orders([...list.slice(0, i), ...list.slice(i + 1)])) yield [first, ...rest];
}

test('closing in every order leaves no pins, pages, windows or charges', () => {
  const host = new TestHost();
  const ram = host.ram(16);
  const idle = host.held();
  const hpa = host.kernel.mm.space.lookup(ram, false);
  for (const order of orders(['table', 'del', 'remove', 'container', 'group', 'vm'] as const)) {
    const fds = host.run(function* () {
      const { fd: container, groups } = yield* host.container([0], VFIO_SPAPR_TCE_v2_IOMMU);
      yield* host.register(container, ram, 16);
      yield* host.window(container, 12, 16 * PAGE_SIZE);
      yield* host.mapDma(container, 0, ram, 16 * PAGE_SIZE);
      const { vm, vcpu } = yield* host.machine(ram, 16);
      const table = yield* host.table(vm, 9, 12, 16);
      const device = yield* host.kvmVfio(vm);
      yield* host.setAttr(device, 1, groups[0]);
      yield* host.setAttr(device, 3, groups[0], table);
      yield* host.setAttr(device, 3, groups[0], table);
      return { container, group: groups[0], vm, vcpu, table, device };
    });
    expect(host.real(0x20, 9, 0x2000, 0x5003)).toBe(0);
    for (const what of order)
      host.errno(function* () {
        if (what === 'del') yield* host.setAttr(fds.device, 2, fds.group);
        else if (what === 'remove') yield* host.ioctlStruct(fds.container, REMOVE, { start_addr: 0 });
        else yield* host.close(fds[what]);
      });
    host.run(() => host.close(fds.device));
    host.run(() => host.close(fds.vcpu));
    expect({ order, ...host.held() }).toEqual({ order, ...idle });
    expect(host.kernel.mm.space.frames.pins(hpa)).toBe(0);
    expect(host.kvm.vm).toBeUndefined();
  }
});

test('a container that goes while another one maps memory that only it registered leaves that memory registered, until it is unmapped', () => {
  const { host, ram, fd, groups } = v2();
  const other = host.run(() => host.container([1]));
  const foreign = host.ram(1);
  host.run(function* () {
    yield* host.register(other.fd, foreign, 1);
    // The list of regions is the process's: the first container may map what the second registered.
    yield* host.mapDma(fd, 0, foreign, PAGE_SIZE);
    yield* host.ioctl(other.groups[0], ioctls.VFIO_GROUP_UNSET_CONTAINER);
  });
  expect(host.powernv.regions.list().map(({ ua }) => ua)).toEqual([ram, foreign]);
  // The group is whole again: it can join another container.
  expect(host.errno(() => host.ioctlWords(other.groups[0], ioctls.VFIO_GROUP_SET_CONTAINER, fd))).toBe('OK');
  // It goes with the last mapping of it.
  host.run(() => host.unmapDma(fd, 0, PAGE_SIZE));
  expect(host.powernv.regions.list().map(({ ua }) => ua)).toEqual([ram]);
  for (const each of [...groups, ...other.groups, fd, other.fd]) host.run(() => host.close(each));
  expect(host.powernv.regions.list()).toEqual([]);
});

test('type1 has no domain for a PE, so SET_IOMMU of it is EIO, and the group can go to the TCE backend', () => {
  const host = new TestHost();
  registerType1(host.vfio);
  expect(host.errno(() => host.container([0], VFIO_TYPE1v2_IOMMU))).toBe('EIO');
  // The first descriptor that `container` opened.
  const [[fd]] = host.kernel.files.entries();
  expect(host.errno(() => host.ioctl(fd, ioctls.VFIO_SET_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU))).toBe('OK');
});

test('a backend without a group says so, each command in its own way', () => {
  const host = new TestHost();
  const driver = spaprTceDriver(host.powernv);
  const tableGroup = host.powernv.groups[0];
  const group = { id: 0, devices: [], emulated: false, ownedByHost: false, tableGroup };
  const call = (backend: VfioIommu, { number, struct }: ioctls.Ioctl, values: object = {}) => {
    if (struct !== undefined) host.poke(0, struct.bytes(struct.make({ argsz: struct.size, ...values })));
    return host.errno(() => backend.ioctl(number, host.user));
  };
  const v1 = driver.open(VFIO_SPAPR_TCE_IOMMU);
  expect([call(v1, ioctls.VFIO_IOMMU_ENABLE), call(v1, MAP), call(v1, UNMAP)]).toEqual(['ENODEV', 'EPERM', 'EPERM']);
  const v2 = driver.open(VFIO_SPAPR_TCE_v2_IOMMU);
  expect([call(v2, ioctls.VFIO_IOMMU_SPAPR_TCE_GET_INFO), call(v2, CREATE)]).toEqual(['ENXIO', 'ENXIO']);
  const vaddr = host.ram(1);
  expect(call(v2, REGISTER, { vaddr, size: PAGE_SIZE })).toBe('OK');
  const map = { flags: 3, vaddr, size: PAGE_SIZE };
  expect(call(v2, MAP, map)).toBe('ENXIO');
  // A default window is owed since the first group came; the last group takes its making away.
  host.run(() => v2.attachGroup(group));
  host.run(() => v2.detachGroup(group));
  expect([call(v2, MAP, map), call(v2, UNMAP, { size: PAGE_SIZE }), call(v2, CREATE)]).toEqual([
    'ENODEV',
    'ENODEV',
    'ENXIO',
  ]);
});

test('SET_IOMMU v1 with two groups in the container is EBUSY, and neither stays attached', () => {
  const host = new TestHost();
  expect(host.errno(() => host.container([0, 1], VFIO_SPAPR_TCE_IOMMU))).toBe('EBUSY');
  const [[fd]] = host.kernel.files.entries();
  expect(host.errno(() => host.ioctl(fd, ioctls.VFIO_SET_IOMMU, VFIO_SPAPR_TCE_v2_IOMMU))).toBe('OK');
});
