/**
 * Hardware TCE tables as kernel objects: memory, references, life and death (arch/powerpc/kernel/iommu.c and
 * arch/powerpc/platforms/powernv/pci-ioda-tce.c). The changing of entries is in `tce_ops.ts`.
 */
import { clearTceTable, MAX_TCE_LEVELS, readTce } from '../../devices/physical/phb/tce_table.ts';
import { HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { DMA_WINDOW_START, TCE_PERMISSION_MASK, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { Errno } from '../include/uapi/errno.ts';
import { IOMMU_TABLE, IOMMU_TABLES, KVM_AREA, TABLE_PINS } from '../kvm/kvm_area.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { preempt, type Task } from '../lib/task.ts';
import { levelPages } from './powernv_tce.ts';
import type { TceContext } from './tce_context.ts';
import { USERSPACE_SIZE } from './tce_ops.ts';

/** Entries cleared before other tasks of the kernel get a turn. */
const CLEAR_CHUNK = 4096;

/** Geometry of a DMA window. */
export interface WindowGeometry {
  /** Number of the window in a PE: 0 at bus address 0, 1 at 1 << 59. */
  readonly window: number;
  readonly pageShift: number;
  readonly entries: number;
  /** Levels of the table; 1 when omitted. */
  readonly levels?: number;
}

/** log2 of the entries in a level; a level has whole pages (pnv_pci_ioda2_table_alloc_pages). */
export function tableLevelShift(entries: number, levels: number): number {
  return Math.max(Math.ceil(Math.log2(entries) / levels), PAGE_SHIFT - Math.log2(TCE_SIZE));
}

/**
 * Host pages that a table is charged for: all its levels as if they were there, once for the entries and once more for
 * `it_userspace` (pnv_pci_ioda2_get_table_size, tce_iommu_create_table).
 */
export function tablePages(entries: number, levels = 1): number {
  if (levels === 1) return 2 * Math.ceil((entries * TCE_SIZE) / PAGE_SIZE);
  const size = 2 ** tableLevelShift(entries, levels);
  let pages = 0;
  for (let level = 0, there = entries; level < levels; level++) {
    there = Math.ceil(there / size);
    pages += there * ((size * TCE_SIZE) / PAGE_SIZE);
  }
  return 2 * pages;
}

export class IommuTable {
  readonly window: number;
  readonly pageShift: number;
  /** Bytes of a page. */
  readonly pageSize: number;
  /** Bus address of the first entry; exact, being 0 or a power of two. */
  readonly startAddress: number;
  readonly entries: number;
  readonly levels: number;
  /** log2 of the entries in a level of a table of several; else 0. */
  readonly levelShift: number;
  /** HPA of the entries, or of the first level. */
  readonly hpa: number;
  /** The slot in shared memory. */
  readonly slot: number;
  readonly #host: TceContext;
  #references = 1;
  #userspace = 0;

  /**
   * A cleared table, with one reference; of its levels the first. @param pins its pages are pinned one by one: the table
   * of a v1 container. @throws Errno ENOMEM, EINVAL for a number of levels that no table has
   */
  constructor(host: TceContext, { window, pageShift, entries, levels = 1 }: WindowGeometry, pins = false) {
    if (!(levels >= 1 && levels <= MAX_TCE_LEVELS)) throw new Errno('EINVAL', `TCE table of ${levels} levels`);
    const { mm } = host;
    const { memory } = host.kernel;
    const slot = freeSlot(host);
    const levelShift = levels === 1 ? 0 : tableLevelShift(entries, levels);
    const firstLevel = levels === 1 ? entries : 2 ** levelShift;
    const hpa = slot === undefined ? undefined : mm.pages.allocPages(Math.ceil((firstLevel * TCE_SIZE) / PAGE_SIZE));
    if (slot === undefined || hpa === undefined) throw new Errno('ENOMEM', `TCE table of ${entries} entries`);
    this.#host = host;
    this.window = window;
    this.pageShift = pageShift;
    this.pageSize = 2 ** pageShift;
    this.startAddress = Number(DMA_WINDOW_START[window]);
    this.entries = entries;
    this.levels = levels;
    this.levelShift = levelShift;
    this.hpa = hpa;
    this.slot = slot;
    clearTceTable(memory, hpa, firstLevel);
    memory.bytes(slot, IOMMU_TABLE.size).fill(0);
    const words = IOMMU_TABLE.at(memory.dv, slot);
    words.table = hpa;
    words.entries = entries;
    words.pageShift = pageShift;
    words.window = window;
    words.levels = levels;
    words.levelShift = levelShift;
    words.pins = pins ? TABLE_PINS.PINS : 0;
    memory.store(slot + IOMMU_TABLE.offset.live, 1);
  }

  /** Holders: the container that made it, and every KVM table it hangs under. */
  get references(): number {
    return this.#references;
  }
  get(): this {
    this.#references++;
    return this;
  }
  /** Drops a reference; the last one frees the table's memory. */
  *put(): Task {
    if (--this.#references > 0) return;
    yield* this.revoke();
    const { mm } = this.#host;
    const { memory } = this.#host.kernel;
    if (this.levels > 1) this.#freeLevels(this.hpa, this.levels - 1);
    else mm.pages.freePages(this.hpa, Math.ceil((this.entries * TCE_SIZE) / PAGE_SIZE));
    if (this.#userspace !== 0) mm.pages.freePages(this.#userspace, userspacePages(this.entries));
    memory.store(this.slot + IOMMU_TABLE.offset.table, 0);
  }

  /** Frees a level, 0 being the lowest, and those below it (pnv_pci_ioda2_table_do_free_pages). */
  #freeLevels(hpa: number, level: number): void {
    const { mm } = this.#host;
    const { memory } = this.#host.kernel;
    if (level > 0)
      for (let i = 0; i < 2 ** this.levelShift; i++) {
        const next = readTce(memory, hpa, i);
        if ((next & TCE_PERMISSION_MASK) !== 0) this.#freeLevels(next - (next % PAGE_SIZE), level - 1);
      }
    mm.pages.freePages(hpa, levelPages(this.levelShift, level === 0));
  }

  /** Whether a table whose pages are pinned one by one takes pages now: its container is enabled, and so charged. */
  enable(on: boolean): void {
    const { memory } = this.#host.kernel;
    const pins = this.slot + IOMMU_TABLE.offset.pins;
    if (on) memory.or(pins, TABLE_PINS.ENABLED);
    else memory.and(pins, ~TABLE_PINS.ENABLED);
  }

  /**
   * Allocates `it_userspace` unless it is there; until then hypercalls cannot map. Tables of several levels have it in
   * each lowest level, from its making on. @throws Errno ENOMEM
   */
  allocUserspace(): void {
    if (this.#userspace !== 0 || this.levels > 1) return;
    const { mm } = this.#host;
    const { memory } = this.#host.kernel;
    const hpa = mm.pages.allocPages(userspacePages(this.entries));
    if (hpa === undefined) throw new Errno('ENOMEM', 'it_userspace');
    memory.bytes(hpa, userspacePages(this.entries) * PAGE_SIZE).fill(0);
    this.#userspace = hpa;
    memory.store(this.slot + IOMMU_TABLE.offset.userspace, hpa);
  }

  /** The PE translates with this table from now on, so kills go to it (pnv_pci_link_table_and_group). */
  link(pe: number): void {
    this.#host.kernel.memory.or(this.slot + IOMMU_TABLE.offset.pes, 1 << pe);
  }
  unlink(pe: number): void {
    this.#host.kernel.memory.and(this.slot + IOMMU_TABLE.offset.pes, ~(1 << pe));
  }

  /**
   * Ends the table's use: hypercalls pass over it from now on, and every page it named is released. No PE translates
   * with it any more. Linux leaves a removed window's table to KVM, which goes on mapping into it, so that memory stays
   * in use until the LIOBN's descriptor is closed; here it does not.
   */
  *revoke(): Task {
    const { memory } = this.#host.kernel;
    if (memory.exchange(this.slot + IOMMU_TABLE.offset.live, 0) === 0) return;
    yield* this.#host.requests.flushAll('hardware TCE table in use');
    yield* this.clear(0, this.entries);
  }

  /**
   * Clears a few entries that nobody holds locked, as nearly always: a task would take longer than they do. Otherwise
   * false, and {@link clear} does the rest.
   */
  clearNow(first: number, count: number): boolean {
    return count <= CLEAR_CHUNK && this.#host.ops.unmap(this.slot, first, count) === HCALL_RETURN.H_SUCCESS;
  }
  /** Clears entries (tce_iommu_clear). */
  *clear(first: number, count: number): Task {
    const { ops } = this.#host;
    for (let at = first; at < first + count; at += CLEAR_CHUNK) {
      if (at > first) yield* preempt();
      at = ops.skipEmpty(this.slot, at);
      const chunk = Math.min(CLEAR_CHUNK, first + count - at);
      // An entry that another task or vCPU holds locked is free in a moment.
      while (ops.unmap(this.slot, at, chunk) !== HCALL_RETURN.H_SUCCESS) yield* preempt();
    }
  }

  /** The entry: HPA and permission bits. */
  entry(index: number): number {
    return this.#host.ops.entry(this.slot, index);
  }
  /** User page that an entry maps, in pages; 0 for none. */
  userPage(index: number): number {
    return this.#host.ops.userPage(this.slot, index);
  }
  /** Whether the table's pages are pinned one by one, so that no entry names a region. */
  get pins(): boolean {
    return this.#host.kernel.memory.load(this.slot + IOMMU_TABLE.offset.pins) !== 0;
  }
}

function userspacePages(entries: number): number {
  return Math.ceil((entries * USERSPACE_SIZE) / PAGE_SIZE);
}

function freeSlot({ kernel: { memory }, map }: TceContext): number | undefined {
  for (let i = 0; i < IOMMU_TABLES; i++) {
    const slot = map.kvm + KVM_AREA.table + i * IOMMU_TABLE.size;
    if (memory.load(slot + IOMMU_TABLE.offset.table) === 0) return slot;
  }
  return undefined;
}
