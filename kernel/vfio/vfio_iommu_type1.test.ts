import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Type1Fixture } from '../../test/support/type1_fixture.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import * as uapi from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';
import { migratePage } from '../mm/migrate.ts';
import type { VfioKernelUsers } from './vfio.ts';

const K = 4096;
const R = uapi.VFIO_DMA_MAP_FLAG.READ;
const W = uapi.VFIO_DMA_MAP_FLAG.WRITE;
const VADDR = uapi.VFIO_DMA_MAP_FLAG.VADDR;

test('MAP_DMA refusals, in the order of the checks', () => {
  const t = new Type1Fixture();
  t.run(t.mapDma(16 * K, 4 * K));
  const top = 2 ** 64 - K;
  const rows: [string, Task<number>, number | string][] = [
    ['argsz 31', t.mapDma(0, K, t.ram, R, 31), 'EINVAL'],
    ['unknown flag', t.mapDma(0, K, t.ram, 8 | R), 'EINVAL'],
    ['no flag', t.mapDma(0, K, t.ram, 0), 'EINVAL'],
    ['READ with VADDR', t.mapDma(0, K, t.ram, R | VADDR), 'EINVAL'],
    ['size 0', t.mapDma(0, 0), 'EINVAL'],
    ['size unaligned', t.mapDma(0, K + 1), 'EINVAL'],
    ['iova unaligned', t.mapDma(2048, K), 'EINVAL'],
    ['vaddr unaligned', t.mapDma(0, K, t.ram + 1), 'EINVAL'],
    ['iova wraps', t.mapDma(top, 2 * K), 'EINVAL'],
    ['vaddr wraps', t.mapDma(0, 2 * K, top), 'EINVAL'],
    ['VADDR, nothing there', t.mapDma(0, K, t.ram, VADDR), 'ENOENT'],
    ['VADDR, not invalidated', t.mapDma(16 * K, 4 * K, t.ram, VADDR), 'EINVAL'],
    ['overlap below', t.mapDma(15 * K, 2 * K), 'EEXIST'],
    ['overlap inside', t.mapDma(17 * K, K), 'EEXIST'],
    ['overlap above', t.mapDma(19 * K, 2 * K), 'EEXIST'],
    ['overlap around', t.mapDma(0, 64 * K), 'EEXIST'],
    ['just below', t.mapDma(15 * K, K), 0],
    ['just above', t.mapDma(20 * K, K), 0],
    ['up to the last byte', t.mapDma(top, K), 0],
    ['the last page again', t.mapDma(top, K), 'EEXIST'],
    ['address that is not mapped: nothing is pinned', t.mapDma(40 * K, K, 0x1000), 0],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
});

test('unaligned values above 2^53 are not rounded into aligned ones', () => {
  const t = new Type1Fixture();
  const map = uapi.vfio_iommu_type1_dma_map.make({ argsz: 32, flags: R, vaddr: t.ram, size: K });
  map.dv.setBigUint64(uapi.vfio_iommu_type1_dma_map.offset.iova, 0xffff_ffff_ffff_e001n, true);
  expect(t.outcome(t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_MAP_DMA, map))).toBe('EINVAL');
});

test('UNMAP_DMA of version 2', () => {
  const t = new Type1Fixture();
  for (const page of [0, 4, 8]) t.run(t.mapDma(page * K, 4 * K));
  const { ALL, VADDR: UVADDR, GET_DIRTY_BITMAP } = uapi.VFIO_DMA_UNMAP_FLAG;
  const rows: [string, Task<number>, number | string][] = [
    ['argsz 23', t.unmapDma(0, K, 0, 23), 'EINVAL'],
    ['unknown flag', t.unmapDma(0, K, 8), 'EINVAL'],
    ['dirty with ALL', t.unmapDma(0, 0, ALL | GET_DIRTY_BITMAP), 'EINVAL'],
    ['VADDR with a mediated device', t.unmapDma(0, 4 * K, UVADDR), 'EBUSY'],
    ['ALL with a size', t.unmapDma(0, K, ALL), 'EINVAL'],
    ['ALL with an iova', t.unmapDma(K, 0, ALL), 'EINVAL'],
    ['size 0', t.unmapDma(0, 0), 'EINVAL'],
    ['unaligned', t.unmapDma(1, K), 'EINVAL'],
    ['wraps', t.unmapDma(2 ** 64 - K, 2 * K), 'EINVAL'],
    ['front half', t.unmapDma(0, 2 * K), 'EINVAL'],
    ['back half', t.unmapDma(2 * K, 2 * K), 'EINVAL'],
    ['one and a half', t.unmapDma(0, 6 * K), 'EINVAL'],
    ['nothing there', t.unmapDma(100 * K, K), 0],
    ['two of them and a hole', t.unmapDma(4 * K, 60 * K), 8 * K],
    ['all', t.unmapDma(0, 0, ALL), 4 * K],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
  expect(t.mappings).toBe('');
});

test('UNMAP_DMA of version 1: the first page decides', () => {
  const t = new Type1Fixture({ type: uapi.VFIO_TYPE1_IOMMU });
  t.run(t.mapDma(0, 4 * K));
  expect(t.run(t.unmapDma(K, K))).toBe(0);
  expect(t.run(t.unmapDma(0, K))).toBe(4 * K);
});

test('the number of mappings is limited', () => {
  const t = new Type1Fixture({ dmaEntryLimit: 3 });
  for (const page of [0, 2, 4]) t.run(t.mapDma(page * K, K));
  expect(t.outcome(t.mapDma(6 * K, K))).toBe('ENOSPC');
  t.run(t.unmapDma(2 * K, K));
  expect(t.outcome(t.mapDma(6 * K, K))).toBe(0);
});

test('the default limit is 65535 mappings', () => {
  const t = new Type1Fixture();
  t.run(
    (function* () {
      for (let i = 0; i < 65535; i++) yield* t.mapDma(i * K, K);
    })(),
  );
  expect(t.outcome(t.mapDma(65535 * K, K))).toBe('ENOSPC');
  expect(t.run(t.unmapDma(0, K))).toBe(K);
  expect(t.outcome(t.mapDma(65535 * K, K))).toBe(0);
});

test('GET_INFO: page sizes, and the mappings that are left when there is room', () => {
  const t = new Type1Fixture({ dmaEntryLimit: 10 });
  t.run(t.mapDma(0, K));
  const info = uapi.vfio_iommu_type1_info.make({ argsz: 16 });
  t.run(t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_GET_INFO, info));
  expect([info.argsz, info.flags, info.iova_pgsizes]).toEqual([16, 1, 2 ** 64 - K]);
  info.argsz = 24;
  t.run(t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_GET_INFO, info));
  expect([info.argsz, info.flags, info.cap_offset]).toEqual([72, 3, 0]);
  const tail = new Uint8Array(48);
  t.run(t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_GET_INFO, info, tail));
  expect([info.flags, info.cap_offset]).toEqual([3, 24]);
  const migration = uapi.vfio_iommu_type1_info_cap_migration.at(new DataView(tail.buffer));
  expect([migration.id, migration.version, migration.next, migration.flags]).toEqual([2, 1, 56, 0]);
  expect([migration.pgsize_bitmap, migration.max_dirty_bitmap_size]).toEqual([K, 2 ** 28]);
  const cap = uapi.vfio_iommu_type1_info_dma_avail.at(new DataView(tail.buffer), 32);
  expect([cap.id, cap.version, cap.next, cap.avail]).toEqual([3, 1, 0, 9]);
  info.argsz = 15;
  expect(t.outcome(t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_GET_INFO, info))).toBe('EINVAL');
});

test('mapping pins nothing; pins are counted by iova and charged once', () => {
  const t = new Type1Fixture();
  const { mm } = t.kernel;
  t.run(t.mapDma(0, 8 * K));
  t.run(t.mapDma(32 * K, 8 * K)); // The same memory at a second address.
  expect(mm.lockedVm).toBe(0);
  const first = t.run(t.device.pin(K, 3));
  expect(t.run(t.device.pin(K, 3))).toEqual(first);
  expect(mm.lockedVm).toBe(3);
  expect(t.run(t.device.pin(33 * K, 1))).toEqual([first[0]]);
  expect([mm.lockedVm, mm.space.frames.pins(first[0])]).toEqual([4, 2]);
  const users = t.device.users as VfioKernelUsers;
  users.unpinPages(t.device, K, 3);
  expect(mm.lockedVm).toBe(4);
  users.unpinPages(t.device, K, 3);
  users.unpinPages(t.device, 33 * K, 1);
  expect([mm.lockedVm, mm.space.frames.pins(first[0])]).toEqual([0, 0]);
  users.unpinPages(t.device, K, 1); // Silent.
  expect(t.log).toEqual([]);
  users.unpinPages(t.device, 100 * K, 1);
  expect(t.log[0]).toContain('0x64000');
});

test('pin refusals are all or nothing', () => {
  const t = new Type1Fixture({ lockLimit: 4 });
  const { mm } = t.kernel;
  t.run(t.mapDma(0, 8 * K));
  t.run(t.mapDma(8 * K, 4 * K, t.ram, R));
  t.run(t.mapDma(16 * K, 4 * K, 0x10000));
  const users = t.device.users as VfioKernelUsers;
  const rows: [string, Task<number[]>, string][] = [
    ['513 pages', t.device.pin(0, 513), 'E2BIG'],
    ['not mapped', t.device.pin(64 * K, 1), 'EINVAL'],
    ['runs out of the mapping', t.device.pin(10 * K, 3, R), 'EINVAL'],
    ['read-only mapping', t.device.pin(8 * K, 1), 'EPERM'],
    ['no memory behind it', t.device.pin(16 * K, 1), 'EFAULT'],
    ['memory limit', t.device.pin(0, 5), 'ENOMEM'],
  ];
  for (const [what, task, expected] of rows) {
    expect([what, t.outcome(task)]).toEqual([what, expected]);
    expect([what, mm.lockedVm]).toEqual([what, 0]);
  }
  users.unregisterDevice(t.device);
  expect(t.outcome(t.device.pin(0, 1))).toBe('EINVAL');
  const v1 = new Type1Fixture({ type: uapi.VFIO_TYPE1_IOMMU });
  v1.run(v1.mapDma(0, K));
  expect(v1.outcome(v1.device.pin(0, 1))).toBe('EACCES');
});

test('dma_rw crosses mappings and asks for permission to read', () => {
  const t = new Type1Fixture();
  t.run(t.mapDma(0, K, t.ram));
  t.run(t.mapDma(K, K, t.ram + 8 * K));
  t.run(t.mapDma(2 * K, K, t.ram + 9 * K, W));
  t.run(t.mapDma(3 * K, K, t.ram + 10 * K, R));
  const users = t.device.users as VfioKernelUsers;
  const data = Uint8Array.from({ length: 200 }, (_, i) => i);
  t.run(users.dmaRw(K - 100, data, true));
  expect(t.user.bytes(t.ram + 8 * K, 100)).toEqual(data.subarray(100));
  const back = new Uint8Array(200);
  t.run(users.dmaRw(K - 100, back, false));
  expect(back).toEqual(data);
  expect(t.outcome(users.dmaRw(2 * K, back, false))).toBe('EPERM');
  expect(t.outcome(users.dmaRw(2 * K, back, true))).toBe('EPERM');
  expect(t.outcome(users.dmaRw(3 * K, back, true))).toBe('EPERM');
  expect(t.outcome(users.dmaRw(4 * K - 1, back, false))).toBe('EINVAL');
});

test('unmapping what is pinned tells the device, with the whole mapping, and then goes on', () => {
  const t = new Type1Fixture();
  for (const page of [0, 4, 8]) t.run(t.mapDma(page * K, 4 * K));
  t.run(t.device.pin(5 * K, 2));
  t.run(t.device.pin(9 * K, 1));
  expect(t.run(t.unmapDma(0, 12 * K))).toBe(12 * K);
  expect(t.device.told).toEqual([
    [4 * K, 4 * K],
    [8 * K, 4 * K],
  ]);
  expect(t.kernel.mm.lockedVm).toBe(0);
});

test('a device that does not unpin ends the run, named as the bug it is', () => {
  const t = new Type1Fixture();
  t.run(t.mapDma(0, 4 * K));
  t.run(t.device.pin(0, 1));
  t.device.deaf = true;
  expect(() => t.run(t.unmapDma(0, 4 * K))).toThrow(/after 10 dma_unmap notifications/);
  expect(t.device.told.length).toBe(11);
});

test('nobody can pin a mapping again while it is being unmapped', () => {
  // A guest that keeps starting I/O could otherwise drive the unmapping to its tenth round.
  const t = new Type1Fixture();
  t.run(t.mapDma(0, 4 * K));
  t.run(t.device.pin(0, 1));
  t.device.stubborn = true;
  expect(t.outcome(t.unmapDma(0, 4 * K))).toBe('EINVAL');
  expect([t.device.told.length, t.kernel.mm.lockedVm, t.mappings]).toEqual([1, 0, '0+4']);
  t.device.stubborn = false;
  expect(t.run(t.device.pin(0, 1))).toHaveLength(1);
  expect(t.run(t.unmapDma(0, 4 * K))).toBe(4 * K);
});

test('closing a container that still has mappings and pins releases them', () => {
  const t = new Type1Fixture();
  t.run(t.mapDma(0, 8 * K));
  t.run(t.device.pin(0, 8));
  t.run(t.user.close(t.fd));
  t.run(t.user.close(t.groupFd));
  t.run(t.user.close(t.container));
  expect(t.kernel.mm.lockedVm).toBe(0);
});

test('a pinned page does not move; an unpinned one does, and is found again', () => {
  const t = new Type1Fixture();
  const { mm } = t.kernel;
  t.run(t.mapDma(0, 4 * K));
  const [hpa] = t.run(t.device.pin(K, 1));
  expect(t.run(migratePage(mm, t.memory, t.ram + K))).toBe(false);
  (t.device.users as VfioKernelUsers).unpinPages(t.device, K, 1);
  expect(t.run(migratePage(mm, t.memory, t.ram + K))).toBe(true);
  const [moved] = t.run(t.device.pin(K, 1));
  expect(moved).not.toBe(hpa);
  expect(moved).toBe(mm.space.lookup(t.ram + K, true));
});

test('mappings behave as a model of intervals says', () => {
  const page = fc.integer({ min: 0, max: 12 });
  const step = fc.record({ map: fc.boolean(), iova: page, size: fc.integer({ min: 1, max: 4 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const t = new Type1Fixture();
      let model: [number, number][] = [];
      for (const { map, iova, size } of steps) {
        const hit = model.filter(([at, length]) => at < iova + size && iova < at + length);
        if (map) {
          const expected = hit.length > 0 ? 'EEXIST' : 0;
          expect(t.outcome(t.mapDma(iova * K, size * K))).toBe(expected);
          if (expected === 0) model.push([iova, size]);
        } else {
          const whole = hit.every(([at, length]) => at >= iova && at + length <= iova + size);
          const expected = whole ? hit.reduce((sum, [, length]) => sum + length * K, 0) : 'EINVAL';
          expect(t.outcome(t.unmapDma(iova * K, size * K))).toBe(expected);
          if (whole) model = model.filter((entry) => !hit.includes(entry));
        }
      }
      const sorted = model.sort((a, b) => a[0] - b[0]).map(([at, length]) => `${at}+${length}`);
      expect(t.mappings).toBe(sorted.join(' '));
    }),
    { numRuns: 15 },
  );
});
