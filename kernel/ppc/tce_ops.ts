/**
 * Changing hardware TCE tables (iommu_tce_xchg, iommu_tce_kill of arch/powerpc/kernel/iommu.c and the map and unmap
 * steps of arch/powerpc/kvm/book3s_64_vio.c and _hv.c). The same code serves real mode, virtual mode and VFIO's ioctls:
 * it uses shared memory only, allocates nothing and waits for nobody.
 *
 * An entry consists of the word the hardware reads and the `it_userspace` word: the user page that is mapped, which
 * names the preregistered region to count in, plus a lock bit. Linux keeps a full address there and has no lock, so
 * two CPUs that change one entry can leave it naming another page than the hardware uses, whose region then may be
 * unpinned under DMA; here the two words change together.
 *
 * Order of each change: exchange the entry, kill it in the TCE caches, release the old page. A page may be unpinned
 * once its region's count has dropped, so the count drops after the kill.
 */

import { tceKillRm } from '../../devices/physical/phb/tce_cache.ts';
import { exchangeTce, readTce } from '../../devices/physical/phb/tce_table.ts';
import { HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { TCE_PCI_READ, TCE_PCI_WRITE, TCE_PERMISSION_MASK } from '../include/arch/ppc/tce.ts';
import { IOMMU_TABLE } from '../kvm/kvm_area.ts';
import { type HostMemory, PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { EVENT, type Tracer } from '../lib/trace.ts';
import { MmIommuMemory } from './mm_iommu.ts';

const { H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;
// Constants, not properties: an optimised handler then has plain numbers.
const {
  pageShift: PAGE_SHIFT_AT,
  pes: PES_AT,
  table: TABLE_AT,
  userspace: USERSPACE_AT,
  window: WINDOW_AT,
} = IOMMU_TABLE.offset;

/** Most hardware entries changed between two kills. */
export const TCE_BATCH = 64;
/** The lock bit of an `it_userspace` word. */
export const LOCKED = -0x8000_0000;
/** Turns a locked entry is waited for: its holder needs some ten instructions, unless it lost its processor. */
const LOCK_TURNS = 10_000;

/** What an entry must let the device do beside the asked: the bridge is given READ wherever there is WRITE (Linux pnv_tce_build). */
const HARDWARE_PERMISSION = [0, TCE_PCI_READ, TCE_PCI_READ | TCE_PCI_WRITE, TCE_PCI_READ | TCE_PCI_WRITE] as const;

export interface TceOpsOptions {
  /** A device may have written the frame `hpa`, mapped at user address `va` (AddressSpace.written). */
  readonly written: (va: number, hpa: number) => void;
  readonly tracer?: Tracer;
}

export class TceOps {
  readonly regions: MmIommuMemory;
  readonly #memory: HostMemory;
  readonly #i32: Int32Array;
  readonly #phbBase: number;
  readonly #written: TceOpsOptions['written'];
  readonly #tracer: Tracer | undefined;
  /** User pages and entries replaced since the last kill; made once, as real mode cannot allocate. */
  readonly #oldPage = new Int32Array(2 * TCE_BATCH);
  readonly #oldTce = new Int32Array(2 * TCE_BATCH);
  #replaced = 0;

  /** @param area `map.kvm`. @param phbBase the host bridge's area. */
  constructor(memory: HostMemory, area: number, phbBase: number, options: TceOpsOptions) {
    this.regions = new MmIommuMemory(memory, area);
    this.#memory = memory;
    this.#i32 = memory.i32;
    this.#phbBase = phbBase;
    this.#written = options.written;
    this.#tracer = options.tracer;
  }

  /** Whether `count` entries could map the user pages from `page` on: nothing is changed. */
  mappable(table: number, page: number, count: number): boolean {
    const shift = this.#i32[(table + PAGE_SHIFT_AT) >>> 2];
    for (let i = 0; i < count; i++)
      if (this.regions.lookupShift(page + i * (1 << (shift - PAGE_SHIFT)), shift) === 0) return false;
    return true;
  }

  /**
   * Maps `count` entries from `first` on to the user pages from `page` on, until one cannot be: its memory is not
   * registered (any more), `it_userspace` does not exist yet, or the entry stayed locked.
   * @param permission TCE bits, not 0. @returns how many were mapped.
   */
  map(table: number, first: number, page: number, count: number, permission: number): number {
    const pagesPerEntry = 1 << (this.#i32[(table + PAGE_SHIFT_AT) >>> 2] - PAGE_SHIFT);
    let done = 0;
    while (done < count) {
      const batch = Math.min(count - done, TCE_BATCH);
      const mapped = this.#mapBatch(table, first + done, page + done * pagesPerEntry, batch, permission);
      done += mapped;
      if (mapped < batch) break;
    }
    return done;
  }

  #mapBatch(table: number, first: number, page: number, count: number, permission: number): number {
    const memory = this.#memory;
    const userspace = this.#i32[(table + USERSPACE_AT) >>> 2];
    if (userspace === 0) return 0;
    const shift = this.#i32[(table + PAGE_SHIFT_AT) >>> 2];
    const hardware = this.#i32[(table + TABLE_AT) >>> 2];
    const bits = HARDWARE_PERMISSION[permission];
    let mapped = 0;
    for (; mapped < count; mapped++) {
      const user = page + (mapped << (shift - PAGE_SHIFT));
      const region = this.regions.take(user, shift);
      if (region === 0) break;
      const cell = userspace + (first + mapped) * 4;
      const old = this.#lockEntry(cell);
      if (old < 0) {
        this.regions.mappedDec(region);
        break;
      }
      const before = exchangeTce(memory, hardware, first + mapped, this.regions.hpa(region, user) | bits);
      memory.store(cell, user);
      if (old !== 0) this.#remember(old, before);
    }
    this.#killAndRelease(table, first, count);
    return mapped;
  }

  /**
   * Clears `count` entries; those that are clear stay so.
   * @returns H_SUCCESS; H_TOO_HARD when entries stayed locked, which are left, or were mapped by someone who keeps no
   *   `it_userspace` (a v1 container).
   */
  unmap(table: number, first: number, count: number): number {
    const memory = this.#memory;
    const hardware = this.#i32[(table + TABLE_AT) >>> 2];
    const userspace = this.#i32[(table + USERSPACE_AT) >>> 2];
    if (userspace === 0) return this.#allClear(hardware, first, count) ? H_SUCCESS : H_TOO_HARD;
    let result: number = H_SUCCESS;
    for (let done = 0; done < count; done += TCE_BATCH) {
      const batch = Math.min(count - done, TCE_BATCH);
      for (let entry = first + done; entry < first + done + batch; entry++) {
        const cell = userspace + entry * 4;
        if (this.#i32[cell >>> 2] === 0) continue;
        const old = this.#lockEntry(cell);
        if (old < 0) {
          result = H_TOO_HARD;
          continue;
        }
        const before = old === 0 ? 0 : exchangeTce(memory, hardware, entry, 0);
        memory.store(cell, 0);
        if (old !== 0) this.#remember(old, before);
      }
      if (this.#replaced > 0) this.#killAndRelease(table, first + done, batch);
    }
    return result;
  }

  #allClear(hardware: number, first: number, count: number): boolean {
    for (let i = 0; i < count; i++)
      if ((readTce(this.#memory, hardware, first + i) & TCE_PERMISSION_MASK) !== 0) return false;
    return true;
  }

  /** Locks an entry: its user page, 0 when it has none, or -1 when it stayed locked. */
  #lockEntry(cell: number): number {
    for (let turns = 0; turns < LOCK_TURNS; turns++) {
      const old = this.#memory.or(cell, LOCKED);
      if (old >= 0) return old;
    }
    return -1;
  }

  #remember(page: number, tce: number): void {
    this.#oldPage[this.#replaced] = page;
    this.#oldTce[this.#replaced++] = tce;
  }

  #killAndRelease(table: number, first: number, count: number): void {
    this.kill(table, first, count);
    for (let i = 0; i < this.#replaced; i++) {
      const page = this.#oldPage[i];
      const tce = this.#oldTce[i];
      if ((tce & TCE_PCI_WRITE) !== 0) this.#markWritten(table, page, tce);
      const region = this.regions.lookup(page, 1);
      if (region !== 0) this.regions.mappedDec(region);
    }
    this.#replaced = 0;
  }

  #markWritten(table: number, page: number, tce: number): void {
    const pages = 1 << (this.#i32[(table + PAGE_SHIFT_AT) >>> 2] - PAGE_SHIFT);
    const hpa = (tce & ~(PAGE_SIZE - 1)) >>> 0;
    for (let i = 0; i < pages; i++) this.#written((page + i) * PAGE_SIZE, hpa + i * PAGE_SIZE);
  }

  /** TCE kill in every PE that uses the table: nothing that was cached or under way is left on return. */
  kill(table: number, first: number, count: number): void {
    const window = this.#i32[(table + WINDOW_AT) >>> 2];
    for (let pes = this.#i32[(table + PES_AT) >>> 2]; pes !== 0; pes &= pes - 1) {
      const pe = 31 - Math.clz32(pes & -pes);
      tceKillRm(this.#memory, this.#phbBase, pe, first, count, window);
      this.#tracer?.point(EVENT.tce_kill, pe, first, count);
    }
  }
}
