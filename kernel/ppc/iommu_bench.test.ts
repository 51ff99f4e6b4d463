import { expect, test } from 'vitest';
import { type IommuBenchOptions, measureIommu } from './iommu_bench.ts';

const MiB = 2 ** 20;
const RAM = 8 * MiB;
const base = { memory: RAM, maps: [{ iova: 0, size: RAM, offset: 0 }], repeats: 3, batches: 4 };
/** 4 windows of RAM, three of banks, one empty. */
const windows = { start: 0, end: 16 * MiB - 1, count: 8, msi: [8 * MiB, 10 * MiB, 12 * MiB] };
/** Tables of 4K entries: root, middle, and one for each 2 MiB that is not a page of its own. */
const CASES: readonly (IommuBenchOptions & {
  readonly ioctls: number;
  readonly tables: number;
  readonly reads: number;
})[] = [
  { ...base, side: 'type1 4K', piece: 4096, ioctls: 1, tables: (2 + 4) * 4096, reads: 4 },
  { ...base, side: 'type1 2M', piece: 2 * MiB, ioctls: 1, tables: 2 * 4096, reads: 3 },
  { ...base, side: 'PAMU', piece: 2 * MiB, windows, ioctls: 9, tables: 8 * 64, reads: 2 },
];

test.each(CASES.map((row) => [row.side, row] as const))('%s: ioctls, tables, and every access checked', (_, row) => {
  const { ioctls, work, tableBytes, lines, setUp, access } = measureIommu(row);
  // A huge page of type1 is pinned page by page too; what comes back of a GET is a copy more.
  expect(work.pins).toBe(RAM / 4096);
  expect(work.copies).toBe(row.side === 'PAMU' ? 10 : 1);
  expect([ioctls, tableBytes, lines, setUp.length, access.length]).toEqual([row.ioctls, row.tables, row.reads, 2, 2]);
  for (const ns of [...setUp, ...access]) expect(ns).toBeGreaterThan(0);
});

test('the same memory at two bus addresses', () => {
  const maps = [base.maps[0], { iova: 2 ** 32, size: RAM, offset: 0 }];
  const { ioctls, tableBytes } = measureIommu({ ...base, maps, side: 'type1 2M', piece: 2 * MiB });
  expect([ioctls, tableBytes]).toEqual([2, 3 * 4096]);
});
