/** Refusals of type1 (vfio-tce facts 2). */
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import * as uapi from '../../kernel/include/uapi/vfio.ts';
import {
  ccw,
  DIRTY,
  dirty,
  iommu,
  K,
  map,
  R,
  type Row,
  T1,
  TOP,
  type1,
  UNMAP_FLAG,
  unmap,
  VADDR,
} from './surroundings.ts';

export const TYPE1_ROWS: readonly Row[] = [
  // type1.
  [
    ioctls.VFIO_IOMMU_GET_INFO,
    'capabilities would go where nothing is',
    ccw(function* (t) {
      const last = t.ram.start + t.ram.size - 24;
      t.user.bytes(last, 24).set(uapi.vfio_iommu_type1_info.bytes(uapi.vfio_iommu_type1_info.make({ argsz: 200 })));
      return yield* t.user.ioctl(t.container, ioctls.VFIO_IOMMU_GET_INFO, last);
    }),
    'EFAULT',
  ],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'no flag', map(K * 64, K, undefined, 0), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'unknown flag', map(K * 64, K, undefined, R | 8), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'READ with VADDR', map(0, 4 * K, undefined, R | VADDR), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'size 0', map(K * 64, 0), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'size unaligned', map(K * 64, 100), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'iova unaligned', map(K * 64 + 1, K), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'vaddr unaligned', map(K * 64, K, 0x801), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'iova wraps', map(TOP, 2 * K), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'vaddr wraps', map(K * 64, 2 * K, TOP), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'VADDR where nothing is', map(K * 64, K, undefined, VADDR), 'ENOENT'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'VADDR of a valid one', map(0, 4 * K, undefined, VADDR), 'EINVAL'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'overlap', map(K, 64 * K), 'EEXIST'],
  [
    ioctls.VFIO_IOMMU_MAP_DMA,
    'one mapping too many',
    type1((t) => t.mapDma(K * 64, K), { dmaEntryLimit: 3 }),
    'ENOSPC',
  ],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'locked-memory limit', iommu((t) => t.mapDma(0, 4 * K), { lockLimit: 3 }), 'ENOMEM'],
  [ioctls.VFIO_IOMMU_MAP_DMA, 'nothing at vaddr', iommu((t) => t.mapDma(0, K, 0x1000)), 'EFAULT'],
  [
    ioctls.VFIO_IOMMU_MAP_DMA,
    'the IOMMU cannot',
    iommu((t, nic) => {
      nic.refuses = 0;
      return t.mapDma(0, K);
    }),
    'EINVAL',
  ],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'unknown flag', unmap(0, 4 * K, 8), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'ALL with a size', unmap(0, K, UNMAP_FLAG.ALL), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'ALL with an iova', unmap(K, 0, UNMAP_FLAG.ALL), 'EINVAL'],
  [
    ioctls.VFIO_IOMMU_UNMAP_DMA,
    'a report with ALL',
    unmap(0, 0, UNMAP_FLAG.ALL | UNMAP_FLAG.GET_DIRTY_BITMAP, 48),
    'EINVAL',
  ],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'a report without a bitmap', unmap(0, 4 * K, UNMAP_FLAG.GET_DIRTY_BITMAP), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'VADDR with a mediated device', unmap(0, 4 * K, UNMAP_FLAG.VADDR), 'EBUSY'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'size 0', unmap(0, 0), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'size unaligned', unmap(0, K + 1), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'iova unaligned', unmap(1, 4 * K), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'wraps', unmap(TOP, 2 * K), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'bisects at its start', unmap(2 * K, 2 * K), 'EINVAL'],
  [ioctls.VFIO_IOMMU_UNMAP_DMA, 'bisects at its end', unmap(0, 2 * K), 'EINVAL'],
  [
    ioctls.VFIO_IOMMU_UNMAP_DMA,
    'a report to where nothing is',
    type1(function* (t) {
      yield* t.dirtyPages(DIRTY.START);
      const bitmap = uapi.vfio_bitmap.bytes(uapi.vfio_bitmap.make({ pgsize: K, size: 8, data: 4096 }));
      const request = uapi.vfio_iommu_type1_dma_unmap.make({
        argsz: 48,
        flags: UNMAP_FLAG.GET_DIRTY_BITMAP,
        size: 4 * K,
      });
      return yield* t.user.ioctlStruct(t.container, ioctls.VFIO_IOMMU_UNMAP_DMA, request, bitmap);
    }),
    'EFAULT',
  ],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'version 1', type1((t) => t.dirtyPages(DIRTY.START), { type: T1 }), 'EACCES'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'no flag', type1((t) => t.dirtyPages(0)), 'EINVAL'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'two flags', type1((t) => t.dirtyPages(DIRTY.START | DIRTY.STOP)), 'EINVAL'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'unknown flag', type1((t) => t.dirtyPages(8)), 'EINVAL'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'report without a range', type1((t) => t.dirtyPages(DIRTY.GET_BITMAP)), 'EINVAL'],
  [
    ioctls.VFIO_IOMMU_DIRTY_PAGES,
    'not started',
    type1((t) => t.dirtyPages(DIRTY.GET_BITMAP, { iova: 0, size: 20 * K, bits: t.ram })),
    'EINVAL',
  ],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'other pages', dirty({ pgsize: 65536 }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'bitmap too small', dirty({ size: 65 * K }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'iova unaligned', dirty({ iova: 1 }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'bisects', dirty({ size: 18 * K }), 'EINVAL'],
  [ioctls.VFIO_IOMMU_DIRTY_PAGES, 'to where nothing is', dirty({ bits: 4096 }), 'EFAULT'],
];
