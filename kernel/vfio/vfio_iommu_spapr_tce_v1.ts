/**
 * MAP_DMA and UNMAP_DMA of a v1 container: every page is pinned when it is mapped (tce_iommu_build,
 * tce_iommu_unuse_page). The tables have no `it_userspace`, so hypercalls leave them alone.
 */
import { TCE_PCI_WRITE, TCE_PERMISSION_MASK } from '../include/arch/ppc/tce.ts';
import { MMAP_BASE } from '../lib/address_space.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { preempt, type Task } from '../lib/task.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import type { Powernv } from '../ppc/powernv.ts';
import type { TableRange } from './vfio_iommu_spapr_tce_windows.ts';

/** Entries changed before other tasks of the kernel get a turn. */
const CHUNK = 1024;

/** Maps user memory from `vaddr` on; v1 windows have 4K pages. @throws Errno EFAULT; what this call mapped is cleared again */
export function* mapDmaV1(host: Powernv, { table, first, count }: TableRange, vaddr: number, permission: number): Task {
  const { mm } = host.kernel;
  // Write implies read in the hardware (Linux pnv_tce_build).
  const bits = (permission & TCE_PCI_WRITE) !== 0 ? TCE_PERMISSION_MASK : permission;
  for (let i = 0; i < count; i++) {
    let hpa: number;
    try {
      hpa = yield* mm.pinPage(vaddr + i * PAGE_SIZE, (permission & TCE_PCI_WRITE) !== 0);
    } catch (error) {
      yield* unmapDmaV1(host, table, first, i);
      throw error;
    }
    const old = table.exchange(first + i, hpa + bits);
    host.ops.kill(table.slot, first + i, 1);
    unpin(host, old);
  }
}

/** Clears entries and unpins their pages: exchange, kill, unpin. */
export function* unmapDmaV1(host: Powernv, table: IommuTable, first: number, count: number): Task {
  for (let done = 0; done < count; done += CHUNK) {
    if (done > 0) yield* preempt();
    const chunk = Math.min(CHUNK, count - done);
    const old: number[] = [];
    for (let i = 0; i < chunk; i++) old.push(table.exchange(first + done + i, 0));
    host.ops.kill(table.slot, first + done, chunk);
    for (const tce of old) unpin(host, tce);
  }
}

function unpin(host: Powernv, tce: number): void {
  if ((tce & TCE_PERMISSION_MASK) === 0) return;
  const { mm } = host.kernel;
  const hpa = tce - (tce % PAGE_SIZE);
  // 0 when the page was unmapped meanwhile: then nobody translates code from it either.
  const mapping = mm.space.frames.mapping(hpa);
  const va = mapping === 0 ? 0 : MMAP_BASE + (mapping - 1) * PAGE_SIZE;
  mm.unpinPage(va, hpa, (tce & TCE_PCI_WRITE) !== 0);
}
