/**
 * MAP_DMA of a v1 container: every page is pinned when it is mapped (tce_iommu_build, tce_iommu_unuse_page). Its tables
 * have no `it_userspace`: the kernel's thread alone changes them, for ioctls here and for hypercalls in virtual mode.
 */
import { TCE_PCI_WRITE } from '../include/arch/ppc/tce.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import { HARDWARE_PERMISSION } from '../ppc/tce_ops.ts';
import type { TableRange } from './vfio_iommu_spapr_tce_windows.ts';

/** Maps user memory from `vaddr` on; v1 windows have 4K pages. @throws Errno EFAULT; what this call mapped is cleared again */
export function* mapDmaV1(
  host: TceContext,
  { table, first, count }: TableRange,
  vaddr: number,
  permission: number,
): Task {
  for (let i = 0; i < count; i++) {
    let hpa: number;
    try {
      hpa = yield* host.mm.pinPage(vaddr + i * PAGE_SIZE, (permission & TCE_PCI_WRITE) !== 0);
    } catch (error) {
      yield* table.clear(first, i);
      throw error;
    }
    host.ops.exchangePinned(table.slot, first + i, hpa | HARDWARE_PERMISSION[permission]);
  }
}
