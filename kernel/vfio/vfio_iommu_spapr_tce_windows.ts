/** The DMA windows of one sPAPR TCE container (drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_create_window and its neighbours). */

import { MAX_TCE_LEVELS } from '../../devices/physical/phb/tce_table.ts';
import { DMA_WINDOWS, TCE_PAGE_SHIFTS, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { Errno } from '../include/uapi/errno.ts';
import type { Task } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import { IommuTable, tablePages } from '../ppc/iommu_table.ts';
import { type TableGroup, TCE32_PAGE_SHIFT, TCE32_SIZE } from '../ppc/table_group.ts';
import type { TceContext } from '../ppc/tce_context.ts';

/** Entries of a table that a request names. */
export interface TableRange {
  readonly table: IommuTable;
  readonly first: number;
  readonly count: number;
}

/** A bus-address range as an ioctl gives it. */
interface DmaRequest {
  readonly iova: number;
  readonly size: number;
  /** Exact low word of `iova`: as a number above 2^53 it was rounded. */
  readonly iovaLow: number;
}

/** Low 32 bits of the 64-bit field at `offset` of a structure. */
export function lowWord(view: { readonly dv: DataView; readonly address: number }, offset: number): number {
  return view.dv.getUint32(view.address + offset, true);
}

export class SpaprWindows {
  readonly groups: TableGroup[] = [];
  /** By window number. */
  readonly tables: (IommuTable | undefined)[] = Array.from({ length: DMA_WINDOWS }, () => undefined);
  readonly #host: TceContext;
  /** The default window is wanted, and made when something needs it. */
  #defaultPending = false;
  /** Pages are pinned one by one, as a v1 container does it, and that is allowed now. */
  readonly #pins: boolean;
  #enabled = false;

  constructor(host: TceContext, pins: boolean) {
    this.#host = host;
    this.#pins = pins;
  }

  /** A v1 container was enabled, or disabled: what is mapped stays. */
  enable(on: boolean): void {
    this.#enabled = on;
    for (const table of this.tables) table?.enable(on);
  }

  /** A group joins: the windows there are become its own. @throws Errno EBUSY, EINVAL; nothing is changed then */
  attach(group: TableGroup): void {
    group.takeOwnership();
    try {
      for (const table of this.tables) if (table !== undefined) group.setWindow(table);
    } catch (error) {
      group.releaseOwnership();
      throw error;
    }
    if (this.groups.length === 0 && this.tables.every((table) => table === undefined)) this.#defaultPending = true;
    this.groups.push(group);
  }

  /** A group leaves; the tables stay with the container. */
  detach(group: TableGroup): void {
    const at = this.groups.indexOf(group);
    if (at < 0) return;
    this.groups.splice(at, 1);
    group.releaseOwnership();
  }

  /** Makes the default window if it is still owed. @throws Errno ENODEV without a group, ENOMEM */
  settleDefault(): void {
    if (!this.#defaultPending) return;
    if (this.groups.length === 0) throw new Errno('ENODEV', 'no group is attached');
    this.create(TCE32_PAGE_SHIFT, TCE32_SIZE, 1);
  }

  /**
   * Creates a window in the first free place of every group.
   * @throws Errno ENXIO without a group, ENOSPC without a free window, EINVAL, ENOMEM; nothing is changed then
   */
  create(pageShift: number, size: number, levels: number): IommuTable {
    if (this.groups.length === 0) throw new Errno('ENXIO', 'no group is attached');
    const window = this.tables.indexOf(undefined);
    if (window < 0) throw new Errno('ENOSPC', `${DMA_WINDOWS} DMA windows exist`);
    if (!TCE_PAGE_SHIFTS.some((shift) => shift === pageShift)) throw new Errno('EINVAL', `page shift ${pageShift}`);
    const entries = size / 2 ** pageShift;
    if (!(entries >= 1) || !Number.isInteger(Math.log2(size)) || levels < 1 || levels > MAX_TCE_LEVELS)
      throw new Errno('EINVAL', `DMA window of 0x${size.toString(16)} bytes in ${levels} levels`);
    const { mm } = this.#host;
    const { memory, tracer } = this.#host.kernel;
    // In one level they would have to be there at once.
    if (levels === 1 && entries * TCE_SIZE > memory.size) throw new Errno('ENOMEM', `TCE table of ${entries} entries`);
    mm.account(tablePages(entries, levels));
    const table = this.#allocate({ window, pageShift, entries, levels });
    if (this.#enabled) table.enable(true);
    this.#program(table);
    this.tables[window] = table;
    this.#defaultPending = false;
    tracer.point(EVENT.tce_iommu_create_window, pageShift, size, table.startAddress);
    return table;
  }

  #allocate(geometry: { window: number; pageShift: number; entries: number; levels: number }): IommuTable {
    try {
      return new IommuTable(this.#host, geometry, this.#pins);
    } catch (error) {
      this.#host.mm.unaccount(tablePages(geometry.entries, geometry.levels));
      throw error;
    }
  }

  /** Sets the window in every group, or in none. */
  #program(table: IommuTable): void {
    try {
      for (const group of this.groups) group.setWindow(table);
    } catch (error) {
      this.#unset(table);
      this.#host.mm.unaccount(tablePages(table.entries, table.levels));
      // No hypercall has ever seen it: freeing it waits for nobody.
      this.#host.kernel.actor.spawn('free TCE table', table.put());
      throw error;
    }
  }

  #unset(table: IommuTable): void {
    for (const group of this.groups) if (group.tables[table.window] === table) group.unsetWindow(table.window);
  }

  /** Removes the window that starts at `start`. @param startLow its exact low word. @throws Errno EINVAL when there is none */
  *remove(start: number, startLow: number): Task<number> {
    if (this.#defaultPending && start === 0) {
      this.#defaultPending = false;
      return 0;
    }
    const table = this.tables.find((one) => one?.startAddress === start && startLow === 0);
    if (table === undefined) throw new Errno('EINVAL', `no DMA window starts at 0x${start.toString(16)}`);
    yield* this.#free(table);
    return 0;
  }

  *#free(table: IommuTable): Task {
    this.tables[table.window] = undefined;
    this.#unset(table);
    yield* table.revoke();
    this.#host.mm.unaccount(tablePages(table.entries, table.levels));
    yield* table.put();
  }

  /** The container goes: all tables. */
  *release(): Task {
    this.#defaultPending = false;
    for (const table of [...this.tables]) if (table !== undefined) yield* this.#free(table);
  }

  /**
   * The entries a request names. @param vaddr must be aligned to the window's page as well.
   * @throws Errno ENXIO when no window holds its first byte, EINVAL when it is not aligned or leaves the window
   */
  range({ iova, size, iovaLow }: DmaRequest, vaddr: number): TableRange {
    const table = this.tables.find((one) => one !== undefined && this.#holds(one, iova));
    if (table === undefined) throw new Errno('ENXIO', `no DMA window at 0x${iova.toString(16)}`);
    const { pageSize } = table;
    // Their low bits: a remainder of numbers beyond 32 bits is a slow division.
    if (((size | vaddr | iovaLow) & (pageSize - 1)) !== 0)
      throw new Errno(
        'EINVAL',
        `0x${iova.toString(16)} size 0x${size.toString(16)}: not in pages of ${pageSize} bytes`,
      );
    const first = (iova - table.startAddress) / pageSize;
    const count = size / pageSize;
    if (first + count > table.entries)
      throw new Errno('EINVAL', `0x${iova.toString(16)} size 0x${size.toString(16)}: beyond the DMA window`);
    return { table, first, count };
  }

  #holds(table: IommuTable, iova: number): boolean {
    return iova >= table.startAddress && iova < table.startAddress + table.entries * table.pageSize;
  }
}
