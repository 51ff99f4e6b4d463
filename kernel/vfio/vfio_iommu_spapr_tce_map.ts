/** MAP_DMA of a v2 container: preregistered memory into a window (tce_iommu_build_v2). */
import { Errno } from '../include/uapi/errno.ts';
import { IOMMU_MEM } from '../kvm/kvm_area.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { preempt, type Task } from '../lib/task.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import type { TableRange } from './vfio_iommu_spapr_tce_windows.ts';

/** Entries mapped before other tasks of the kernel get a turn. */
const MAP_CHUNK = 4096;

/**
 * Maps user pages from number `page` on; a live entry is overwritten and its page released. On an error the entries
 * mapped by this call are cleared again.
 * @throws Errno EINVAL when memory is not registered or is being unregistered, EPERM when its pages are smaller than
 *   the window's, ENOMEM when there is none for a further level of the table
 */
export function* mapDma(host: TceContext, { table, first, count }: TableRange, page: number, permission: number): Task {
  table.allocUserspace();
  const pagesPerEntry = 2 ** (table.pageShift - PAGE_SHIFT);
  for (let done = 0; done < count; ) {
    const user = page + done * pagesPerEntry;
    const chunk = Math.min(count - done, MAP_CHUNK);
    const mapped = host.ops.map(table.slot, first + done, user, chunk, permission);
    done += mapped;
    if (done === count) return;
    const at = page + done * pagesPerEntry;
    const refusal = mapped < chunk ? whyNot(host, { table, first: first + done, count: 1 }, at) : undefined;
    if (refusal !== undefined) {
      yield* table.clear(first, done);
      throw refusal;
    }
    // The rest of a long request, or an entry that a vCPU holds locked.
    yield* preempt();
  }
}

/** Why a user page cannot be mapped; undefined when it can, and only its entry was busy. */
function whyNot(host: TceContext, { table, first }: TableRange, page: number): Errno | undefined {
  const { pageShift } = table;
  const where = `0x${(page * PAGE_SIZE).toString(16)}`;
  const { regions } = host.ops;
  const region = regions.lookup(page, 2 ** (pageShift - PAGE_SHIFT));
  if (region === 0) return new Errno('EINVAL', `${where} is not registered`);
  if (regions.lookupShift(page, pageShift) === 0)
    return new Errno('EPERM', `${where}: host pages are smaller than 2^${pageShift} bytes`);
  if (host.kernel.memory.load(region + IOMMU_MEM.offset.mapped) === 0)
    return new Errno('EINVAL', `${where} is being unregistered`);
  if (!host.ops.has(table.slot, first)) return new Errno('ENOMEM', `a level of the TCE table for entry ${first}`);
  return undefined;
}
