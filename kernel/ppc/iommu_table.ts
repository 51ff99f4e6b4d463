/**
 * Hardware TCE tables as kernel objects: memory, references, life and death (arch/powerpc/kernel/iommu.c and
 * arch/powerpc/platforms/powernv/pci-ioda-tce.c). The changing of entries is in `tce_ops.ts`.
 */
import { clearTceTable, exchangeTce, readTce } from '../../devices/physical/phb/tce_table.ts';
import { HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { DMA_WINDOW_START, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { Errno } from '../include/uapi/errno.ts';
import { IOMMU_TABLE, IOMMU_TABLES, KVM_AREA } from '../kvm/kvm_area.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { preempt, type Task } from '../lib/task.ts';
import type { Powernv } from './powernv.ts';

/** Bytes of an `it_userspace` word. */
const USERSPACE_SIZE = 4;
/** Entries cleared before other tasks of the kernel get a turn. */
const CLEAR_CHUNK = 4096;

/** Geometry of a DMA window. */
export interface WindowGeometry {
  /** Number of the window in a PE: 0 at bus address 0, 1 at 1 << 59. */
  readonly window: number;
  readonly pageShift: number;
  readonly entries: number;
}

/** Host pages that a table takes, once for the entries and once more for `it_userspace` (iommu_table_create, tce_iommu_create_table). */
export function tablePages(entries: number): number {
  return 2 * Math.ceil((entries * TCE_SIZE) / PAGE_SIZE);
}

export class IommuTable {
  readonly window: number;
  readonly pageShift: number;
  readonly entries: number;
  /** HPA of the entries. */
  readonly hpa: number;
  /** The slot in shared memory. */
  readonly slot: number;
  readonly #host: Powernv;
  #references = 1;
  #userspace = 0;

  /** A cleared table, with one reference. @throws Errno ENOMEM */
  constructor(host: Powernv, { window, pageShift, entries }: WindowGeometry) {
    const { memory, mm } = host.kernel;
    const slot = freeSlot(host);
    const hpa = slot === undefined ? undefined : mm.pages.allocPages(Math.ceil((entries * TCE_SIZE) / PAGE_SIZE));
    if (slot === undefined || hpa === undefined) throw new Errno('ENOMEM', `TCE table of ${entries} entries`);
    this.#host = host;
    this.window = window;
    this.pageShift = pageShift;
    this.entries = entries;
    this.hpa = hpa;
    this.slot = slot;
    clearTceTable(memory, hpa, entries);
    memory.bytes(slot, IOMMU_TABLE.size).fill(0);
    const words = IOMMU_TABLE.at(memory.dv, slot);
    words.table = hpa;
    words.entries = entries;
    words.pageShift = pageShift;
    words.window = window;
    memory.store(slot + IOMMU_TABLE.offset.live, 1);
  }

  /** Bus address of the first entry; exact, being 0 or a power of two. */
  get startAddress(): number {
    return Number(DMA_WINDOW_START[this.window]);
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
    const { memory, mm } = this.#host.kernel;
    mm.pages.freePages(this.hpa, Math.ceil((this.entries * TCE_SIZE) / PAGE_SIZE));
    if (this.#userspace !== 0) mm.pages.freePages(this.#userspace, userspacePages(this.entries));
    memory.store(this.slot + IOMMU_TABLE.offset.table, 0);
  }

  /** Allocates `it_userspace` unless it is there; until then hypercalls cannot map. @throws Errno ENOMEM */
  allocUserspace(): void {
    if (this.#userspace !== 0) return;
    const { memory, mm } = this.#host.kernel;
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

  /** Clears entries (tce_iommu_clear). */
  *clear(first: number, count: number): Task {
    for (let done = 0; done < count; done += CLEAR_CHUNK) {
      if (done > 0) yield* preempt();
      const chunk = Math.min(CLEAR_CHUNK, count - done);
      // An entry that another task or vCPU holds locked is free in a moment.
      while (this.#host.ops.unmap(this.slot, first + done, chunk) !== HCALL_RETURN.H_SUCCESS) yield* preempt();
    }
  }

  /** The entry: HPA and permission bits. */
  entry(index: number): number {
    return readTce(this.#host.kernel.memory, this.hpa, index);
  }
  /** Exchanges an entry without `it_userspace`, for a v1 container, whose pages have no region. @returns the old one */
  exchange(index: number, tce: number): number {
    return exchangeTce(this.#host.kernel.memory, this.hpa, index, tce);
  }
  /** User page that an entry maps, in pages; 0 for none. */
  userPage(index: number): number {
    return this.#userspace === 0 ? 0 : this.#host.kernel.memory.load(this.#userspace + index * USERSPACE_SIZE);
  }
}

function userspacePages(entries: number): number {
  return Math.ceil((entries * USERSPACE_SIZE) / PAGE_SIZE);
}

function freeSlot({ kernel: { memory, map } }: Powernv): number | undefined {
  for (let i = 0; i < IOMMU_TABLES; i++) {
    const slot = map.kvm + KVM_AREA.table + i * IOMMU_TABLE.size;
    if (memory.load(slot + IOMMU_TABLE.offset.table) === 0) return slot;
  }
  return undefined;
}
