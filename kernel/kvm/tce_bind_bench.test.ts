import { expect, test } from 'vitest';
import { type BindSide, measureBind } from './tce_bind_bench.ts';

const rest = { repeats: 4, batches: 4, calls: 130 };

test.each([
  // ADD and SET for each group, DEL for each; the container once each.
  ['group', 6, 3],
  ['group-liobn', 6, 3],
  ['container', 1, 1],
] as const)(
  '%s: %d ioctls bind three groups, %d unbind them, and hypercalls reach the window',
  (side, binds, unbinds) => {
    const [{ bind, unbind, put }] = measureBind({ cases: [{ side, groups: 3, ...rest }] });
    expect([bind.ioctls, unbind.ioctls]).toEqual([binds, unbinds]);
    expect([bind.times.length, unbind.times.length, put.length]).toEqual([2, 2, 2]);
    for (const ns of [...bind.times, ...unbind.times, ...put]) expect(ns).toBeGreaterThan(0);
    // Nothing is pinned by a binding: the memory is registered.
    expect([bind.work.pins, unbind.work.pins]).toEqual([0, 0]);
  },
);

test('copies: an attribute is two, itself and what it points to; the container’s ioctl is one', () => {
  const copies = (side: BindSide) => {
    const [{ bind }] = measureBind({ cases: [{ side, groups: 2, ...rest }] });
    return [bind.work.copies / bind.ioctls, bind.work.copiedBytes];
  };
  // kvm_device_attr is 24 bytes, a descriptor 4, kvm_vfio_spapr_tce 8, the RFC's structure 24; the container's 16.
  expect(copies('group')).toEqual([2, 2 * (24 + 4 + 24 + 8)]);
  expect(copies('group-liobn')).toEqual([2, 2 * (24 + 4 + 24 + 24)]);
  expect(copies('container')).toEqual([1, 16]);
});
