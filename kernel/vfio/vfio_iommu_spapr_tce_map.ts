/** MAP_DMA of a v2 container: preregistered memory into a window (tce_iommu_build_v2). */
import { Errno } from '../include/uapi/errno.ts';
import { IOMMU_MEM } from '../kvm/kvm_area.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { preempt, type Task } from '../lib/task.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import type { TableRange } from './vfio_iommu_spapr_tce_windows.ts';

/** Entries mapped before other tasks of the kernel get a turn. */
const MAP_CHUNK = 4096;

/**
 * Maps user pages from number `page` on; a live entry is overwritten and its page released. On an error the entries
 * mapped by this call are cleared again.
 * @returns undefined when it is done, as nearly always; else what is left to do
 * @throws Errno EINVAL when memory is not registered or is being unregistered, EPERM when its pages are smaller than
 *   the window's, ENOMEM when there is none for a further level of the table
 */
export function mapDma(host: TceContext, range: TableRange, page: number, permission: number): Task | undefined {
  range.table.allocUserspace();
  const mapped = mapChunk(host, range, page, permission, 0);
  return mapped === range.count ? undefined : mapRest(host, range, page, permission, mapped);
}

function* mapRest(host: TceContext, range: TableRange, page: number, permission: number, mapped: number): Task {
  const { table, first, count } = range;
  for (let done = mapped; done < count; ) {
    const refusal = whyNot(host, { table, first: first + done }, userPage(table, page, done));
    if (refusal !== undefined) {
      yield* table.clear(first, done);
      throw refusal;
    }
    // The rest of a long request, or an entry that a vCPU holds locked.
    yield* preempt();
    done += mapChunk(host, range, page, permission, done);
  }
}

/** Maps what comes after the first `done` entries, a chunk at most. @returns how many */
function mapChunk(
  host: TceContext,
  { table, first, count }: TableRange,
  page: number,
  permission: number,
  done: number,
): number {
  const chunk = Math.min(count - done, MAP_CHUNK);
  return host.ops.map(table.slot, first + done, userPage(table, page, done), chunk, permission);
}

/** The user page behind the first `done` entries. */
function userPage({ pageSize }: IommuTable, page: number, done: number): number {
  return page + (done * pageSize) / PAGE_SIZE;
}

/** Why a user page cannot be mapped; undefined when it can: its entry was busy, or it is the next chunk's first. */
function whyNot(
  host: TceContext,
  { table, first }: Pick<TableRange, 'table' | 'first'>,
  page: number,
): Errno | undefined {
  const { pageShift, pageSize } = table;
  const where = `0x${(page * PAGE_SIZE).toString(16)}`;
  const { regions } = host.ops;
  const region = regions.lookup(page, pageSize / PAGE_SIZE);
  if (region === 0) return new Errno('EINVAL', `${where} is not registered`);
  if (regions.lookupShift(page, pageShift) === 0)
    return new Errno('EPERM', `${where}: host pages are smaller than 2^${pageShift} bytes`);
  if (host.kernel.memory.load(region + IOMMU_MEM.offset.mapped) === 0)
    return new Errno('EINVAL', `${where} is being unregistered`);
  if (!host.ops.has(table.slot, first)) return new Errno('ENOMEM', `a level of the TCE table for entry ${first}`);
  return undefined;
}
