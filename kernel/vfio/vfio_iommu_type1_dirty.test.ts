import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Type1Fixture, WithIommu } from '../../test/support/type1_fixture.ts';
import { Errno } from '../include/uapi/errno.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import * as uapi from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';
import type { VfioKernelUsers } from './vfio.ts';

const K = 4096;
const { START, STOP, GET_BITMAP } = uapi.VFIO_IOMMU_DIRTY_PAGES_FLAG;
const { GET_DIRTY_BITMAP, ALL, VADDR } = uapi.VFIO_DMA_UNMAP_FLAG;

function started(): Type1Fixture {
  const t = new Type1Fixture();
  t.run(t.mapDma(0, 8 * K));
  t.run(t.mapDma(8 * K, 8 * K, t.ram + 8 * K));
  t.run(t.dirtyPages(START));
  return t;
}
const users = (t: Type1Fixture) => t.device.users as VfioKernelUsers;
const write = (t: Type1Fixture, iova: number, length: number) => users(t).dmaRw(iova, new Uint8Array(length), true);

test('nothing is dirty at first; what is pinned stays dirty until after it is unpinned', () => {
  const t = started();
  expect(t.run(t.dirty(0, 16))).toEqual([]);
  t.run(t.device.pin(2 * K, 2));
  expect(t.run(t.dirty(0, 16))).toEqual([2, 3]);
  expect(t.run(t.dirty(0, 16))).toEqual([2, 3]);
  users(t).unpinPages(t.device, 2 * K, 1);
  // Pinned since the last report: once more.
  expect(t.run(t.dirty(0, 16))).toEqual([2, 3]);
  expect(t.run(t.dirty(0, 16))).toEqual([3]);
});

test('what the kernel writes is dirty once, what it reads is not', () => {
  const t = started();
  t.run(write(t, 3 * K + 4000, 200));
  t.run(write(t, 8 * K - 1, 2));
  t.run(users(t).dmaRw(0, new Uint8Array(16), false));
  expect(t.run(t.dirty(0, 16))).toEqual([3, 4, 7, 8]);
  expect(t.run(t.dirty(0, 16))).toEqual([]);
});

test('pages pinned before tracking begins are dirty; STOP forgets; START while it runs changes nothing', () => {
  const t = new Type1Fixture();
  t.run(t.mapDma(0, 8 * K));
  t.run(t.device.pin(K, 1));
  t.run(t.dirtyPages(START));
  t.run(write(t, 5 * K, 1));
  t.run(t.dirtyPages(START));
  expect(t.run(t.dirty(0, 8))).toEqual([1, 5]);
  t.run(t.dirtyPages(STOP));
  expect(t.outcome(t.dirty(0, 8))).toBe('EINVAL');
  expect(t.run(t.dirtyPages(STOP))).toBe(0);
  t.run(t.dirtyPages(START));
  expect(t.run(t.dirty(0, 8))).toEqual([1]);
});

test('a mapping made while pages are tracked is tracked', () => {
  const t = started();
  t.run(t.mapDma(16 * K, 8 * K, t.ram + 16 * K));
  t.run(write(t, 17 * K, 1));
  expect(t.run(t.dirty(16 * K, 8))).toEqual([1]);
});

test('bits below a mapping in the same word, and words of holes, stay as they are', () => {
  const t = started();
  t.run(t.unmapDma(0, 8 * K));
  t.run(t.mapDma(100 * K, K, t.ram));
  t.run(write(t, 9 * K, 1));
  t.run(write(t, 100 * K, 1));
  const before = new Uint8Array(24).fill(0xff);
  const dirty = t.run(t.dirty(0, 192, before));
  // Page 8 is the first one of the mapping; above its last one, 15, the word is cleared.
  expect(dirty.filter((page) => page < 64)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 9]);
  expect(dirty.filter((page) => page >= 64 && page < 128)).toEqual([...range(64, 101)]);
  expect(dirty.filter((page) => page >= 128)).toEqual([...range(128, 192)]);
});
function* range(from: number, to: number): Iterable<number> {
  for (let i = from; i < to; i++) yield i;
}

test('unmapping reports what was dirty, also what a device let go of just now', () => {
  const t = started();
  t.run(t.device.pin(9 * K, 2));
  t.run(write(t, 14 * K, 1));
  const [dirty, size] = t.run(unmapDirty(t, 8 * K, 8 * K));
  expect([dirty, size]).toEqual([0b0100_0110, 8 * K]);
  expect([t.device.told, t.mappings]).toEqual([[[8 * K, 8 * K]], '0+8']);
});

/** Unmaps; returns the first byte of the bitmap and the size. */
function* unmapDirty(t: Type1Fixture, iova: number, size: number, change: object = {}, argsz = 48, flags = 0) {
  const bits = t.user.buffer(new Uint8Array(8));
  const bitmap = uapi.vfio_bitmap.make({ pgsize: K, size: 8, data: bits, ...change });
  const unmap = uapi.vfio_iommu_type1_dma_unmap.make({ argsz, flags: GET_DIRTY_BITMAP | flags, iova, size });
  yield* t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_UNMAP_DMA, unmap, uapi.vfio_bitmap.bytes(bitmap));
  return [t.user.bytes(bits, 1)[0], unmap.size];
}

test('refusals of GET_BITMAP, START and unmapping with a report', () => {
  const t = started();
  const bits = t.user.buffer(new Uint8Array(64));
  const get = (change: object) => t.dirtyPages(GET_BITMAP, { iova: 0, size: 16 * K, bits, ...change });
  const short = uapi.vfio_iommu_type1_dirty_bitmap.make({ argsz: 47, flags: GET_BITMAP });
  const rows: [string, Task<unknown>, unknown][] = [
    ['no flag', t.dirtyPages(0), 'EINVAL'],
    ['two flags', t.dirtyPages(START | STOP), 'EINVAL'],
    ['unknown flag', t.dirtyPages(8), 'EINVAL'],
    [
      'argsz 7',
      t.user.ioctlStruct(
        t.container,
        ioctls.VFIO_IOMMU_DIRTY_PAGES,
        uapi.vfio_iommu_type1_dirty_bitmap.make({ argsz: 7 }),
      ),
      'EINVAL',
    ],
    ['argsz 47', t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_DIRTY_PAGES, short, new Uint8Array(40)), 'EINVAL'],
    ['pages of 8K', get({ pgsize: 2 * K }), 'EINVAL'],
    ['pages of nothing', get({ pgsize: 0 }), 'EINVAL'],
    ['iova unaligned', get({ iova: 1 }), 'EINVAL'],
    ['size 0', get({ size: 0 }), 'EINVAL'],
    ['size unaligned', get({ size: 16 * K + 1 }), 'EINVAL'],
    ['wraps', get({ iova: 2 ** 64 - K, size: 2 * K }), 'EINVAL'],
    ['no room', get({ size: 65 * K }), 'EINVAL'],
    ['no bytes', get({ bytes: 0 }), 'EINVAL'],
    ['more than 2^28 bytes', get({ bytes: 2 ** 28 + 8 }), 'EINVAL'],
    ['bitmap that wraps', get({ bits: 2 ** 64 - 4096, bytes: 8192 }), 'EINVAL'],
    ['begins inside a mapping', get({ iova: 4 * K, size: 12 * K }), 'EINVAL'],
    ['ends inside a mapping', get({ size: 12 * K }), 'EINVAL'],
    ['no memory for the bitmap', get({ bits: 4096 }), 'EFAULT'],
    ['unmap: argsz 47', unmapDirty(t, 0, 8 * K, {}, 47), 'EINVAL'],
    ['unmap: with ALL', unmapDirty(t, 0, 0, {}, 48, ALL), 'EINVAL'],
    ['unmap: with VADDR', unmapDirty(t, 0, 8 * K, {}, 48, VADDR), 'EINVAL'],
    ['unmap: pages of 8K', unmapDirty(t, 0, 8 * K, { pgsize: 2 * K }), 'EINVAL'],
    ['unmap: no room', unmapDirty(t, 0, 8 * K, { size: 4 }), 'EINVAL'],
    ['unmap: no memory for the bitmap', unmapDirty(t, 0, 8 * K, { data: 4096 }), 'EFAULT'],
    ['stop', t.dirtyPages(STOP), 0],
    ['unmap: not tracked', unmapDirty(t, 0, 8 * K), 'EINVAL'],
    ['a mapping of 2^31 pages', t.mapDma(2 ** 40, 2 ** 43, 0), 0],
    ['start: too large for a bitmap', t.dirtyPages(START), 'EINVAL'],
    ['unmap it', t.unmapDma(2 ** 40, 2 ** 43), 2 ** 43],
    ['start', t.dirtyPages(START), 0],
    ['map it again', t.mapDma(2 ** 40, 2 ** 43, 0), 'EINVAL'],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
  expect(t.mappings).toBe('0+8 8+8');
  const v1 = new Type1Fixture({ type: uapi.VFIO_TYPE1_IOMMU });
  expect([START, STOP, GET_BITMAP].map((flag) => v1.outcome(v1.dirtyPages(flag)))).toEqual(Array(3).fill('EACCES'));
});

test('behind an IOMMU every page is dirty, every time; when it leaves, once more', () => {
  const t = started();
  const other = new WithIommu(t.core, 'nic', () => new Errno('EINVAL', 'nic'));
  t.run(t.join(other));
  expect(t.run(t.dirty(0, 16))).toEqual([...range(0, 16)]);
  expect(t.run(t.dirty(0, 16))).toEqual([...range(0, 16)]);
  t.run(t.user.ioctl(t.groups[0], ioctls.VFIO_GROUP_UNSET_CONTAINER));
  expect(t.run(t.dirty(0, 16))).toEqual([...range(0, 16)]);
  expect(t.run(t.dirty(0, 16))).toEqual([]);
});

test('reports of whatever ranges say what a model of pages says', () => {
  const page = fc.integer({ min: 0, max: 15 });
  const step = fc.record({ pin: fc.boolean(), page, pages: fc.integer({ min: 1, max: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.integer({ min: 0, max: 70 }), (steps, below) => {
      const t = started();
      const model = new Set<number>();
      for (const { pin, page: first, pages } of steps) {
        const inside = Math.min(pages, (first < 8 ? 8 : 16) - first);
        if (pin) t.run(t.device.pin(first * K, inside));
        else t.run(write(t, first * K, inside * K));
        for (let i = 0; i < inside; i++) model.add(first + i);
      }
      // A range that begins before the mappings shifts their bits through words.
      t.run(t.unmapDma(8 * K, 8 * K));
      const base = 2 ** 20 * K - below * K;
      t.run(t.mapDma(2 ** 20 * K, 16 * K, t.ram));
      t.run(write(t, (2 ** 20 + 3) * K, 1));
      expect(t.run(t.dirty(base, below + 16))).toEqual([below + 3]);
      expect(t.run(t.dirty(0, 8))).toEqual([...model].filter((p) => p < 8).sort((a, b) => a - b));
    }),
    { numRuns: 20 },
  );
});
