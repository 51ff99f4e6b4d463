/** VFIO_IOMMU_GET_INFO of type1 and its capability chain (vfio-tce facts 2.5). */
import { VFIO_IOMMU_GET_INFO } from '../include/uapi/ioctl.ts';
import {
  VFIO_IOMMU_INFO,
  VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
  VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
  vfio_iommu_type1_info,
  vfio_iommu_type1_info_cap_migration,
  vfio_iommu_type1_info_dma_avail,
} from '../include/uapi/vfio.ts';
import type { AddressSpace } from '../lib/address_space.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import { infoCapabilities } from './info_cap.ts';
import { DIRTY_BITMAP_SIZE_MAX } from './vfio_iommu_type1_dirty.ts';

/**
 * Page sizes a mapping may be made of: the IOMMUs here map 4K pages and so every size from PAGE_SIZE up. The bit of
 * 2^63 is left as it is: the value is PAGE_MASK, which a double holds exactly.
 */
export const TYPE1_PAGE_SIZES = 2 ** 64 - PAGE_SIZE;

/** End of `cap_offset`: a caller whose argsz is below it knows no capabilities. */
const CAP_OFFSET_END = vfio_iommu_type1_info.offset.cap_offset + 4;

/** Answers the ioctl at user address `arg`; `view` is the copied fixed part, `available` the mappings that may still be made. */
export function* type1GetInfo(
  space: AddressSpace,
  arg: number,
  view: View<typeof vfio_iommu_type1_info.fields>,
  available: number,
): Task<number> {
  const room = view.argsz;
  view.flags = VFIO_IOMMU_INFO.PGSIZES;
  view.iova_pgsizes = TYPE1_PAGE_SIZES;
  if (room < CAP_OFFSET_END) {
    yield* space.copy(arg, vfio_iommu_type1_info.bytes(view).subarray(0, VFIO_IOMMU_GET_INFO.minsz), true);
    return 0;
  }
  const dmaAvail = vfio_iommu_type1_info_dma_avail.make({ avail: available });
  const { size } = vfio_iommu_type1_info;
  const migration = vfio_iommu_type1_info_cap_migration.make({
    pgsize_bitmap: PAGE_SIZE,
    max_dirty_bitmap_size: DIRTY_BITMAP_SIZE_MAX,
  });
  // Ranges of valid addresses are not among them: without an IOMMU of a limited width there is no list (facts 2.5).
  const chain = infoCapabilities(size, [
    {
      id: VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
      version: 1,
      bytes: vfio_iommu_type1_info_cap_migration.bytes(migration),
    },
    {
      id: VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
      version: 1,
      bytes: vfio_iommu_type1_info_dma_avail.bytes(dmaAvail),
    },
  ]);
  view.flags |= VFIO_IOMMU_INFO.CAPS;
  if (room < size + chain.length) {
    view.argsz = size + chain.length;
    view.cap_offset = 0;
  } else {
    view.cap_offset = size;
    yield* space.copy(arg + size, chain, true);
  }
  yield* space.copy(arg, vfio_iommu_type1_info.bytes(view).subarray(0, Math.min(room, size)), true);
  return 0;
}
