/**
 * Changing hardware TCE tables (iommu_tce_xchg, iommu_tce_kill of arch/powerpc/kernel/iommu.c and the map and unmap
 * steps of arch/powerpc/kvm/book3s_64_vio.c and _hv.c). The same code serves real mode, virtual mode and VFIO's ioctls:
 * it uses shared memory only, allocates nothing and waits for nobody. What only the kernel's thread can do is in
 * `powernv_tce.ts`.
 *
 * An entry consists of the word the hardware reads and the `it_userspace` word: the user page that is mapped, which
 * names the preregistered region to count in, plus a lock bit. Linux keeps a full address there and has no lock, so
 * two CPUs that change one entry can leave it naming another page than the hardware uses, whose region then may be
 * unpinned under DMA; here the two words change together.
 *
 * Order of each change: exchange the entry, kill it in the TCE caches, release the old page. A page may be unpinned
 * once its region's count has dropped, so the count drops after the kill. Many entries have one kill: what was replaced
 * is remembered until then.
 */

import { tceKillRm } from '../../devices/physical/phb/tce_cache.ts';
import { exchangeTce, readTce, tceLevel } from '../../devices/physical/phb/tce_table.ts';
import { HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { TCE_PCI_READ, TCE_PCI_WRITE, TCE_PERMISSION_MASK, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { IOMMU_TABLE } from '../kvm/kvm_area.ts';
import { type HostMemory, PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { EVENT, type Tracer } from '../lib/trace.ts';
import { MmIommuMemory } from './mm_iommu.ts';

const { H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;
// Constants, not properties: an optimised handler then has plain numbers.
const {
  levelShift: LEVEL_SHIFT_AT,
  levels: LEVELS_AT,
  pageShift: PAGE_SHIFT_AT,
  pes: PES_AT,
  table: TABLE_AT,
  userspace: USERSPACE_AT,
  window: WINDOW_AT,
} = IOMMU_TABLE.offset;

/** Most hardware entries changed between two kills by a call of {@link TceOps.map} or {@link TceOps.unmap}. */
export const TCE_BATCH = 64;
/** Entries that may be remembered; whoever puts kills off settles before there are more. */
export const TCE_REMEMBERED = 512;
/** Bytes of an `it_userspace` word. */
export const USERSPACE_SIZE = 4;
/** The lock bit of an `it_userspace` word. */
export const LOCKED = -0x8000_0000;
/** Turns a locked entry is waited for: its holder needs some ten instructions, unless it lost its processor. */
const LOCK_TURNS = 10_000;

/** What an entry must let the device do beside the asked: the bridge is given READ wherever there is WRITE (Linux pnv_tce_build). */
export const HARDWARE_PERMISSION = [
  0,
  TCE_PCI_READ,
  TCE_PCI_READ | TCE_PCI_WRITE,
  TCE_PCI_READ | TCE_PCI_WRITE,
] as const;

export interface TceOpsOptions {
  /** A device may have written the frame `hpa`, mapped at user address `va` (AddressSpace.written). */
  readonly written: (va: number, hpa: number) => void;
  readonly tracer?: Tracer;
}

export class TceOps {
  readonly regions: MmIommuMemory;
  protected readonly memory: HostMemory;
  readonly #i32: Int32Array;
  readonly #phbBase: number;
  readonly #written: TceOpsOptions['written'];
  readonly #tracer: Tracer | undefined;
  /** User pages and entries replaced since the last kill, and their sizes; made once, as real mode cannot allocate. */
  readonly #oldPage = new Int32Array(TCE_REMEMBERED);
  readonly #oldTce = new Int32Array(TCE_REMEMBERED);
  readonly #oldShift = new Int32Array(TCE_REMEMBERED);
  #replaced = 0;
  /** What {@link #locate} found: HPA of the entry, and of its `it_userspace` word. */
  #at = 0;
  #cell = 0;

  /** @param area `map.kvm`. @param phbBase the host bridge's area. */
  constructor(memory: HostMemory, area: number, phbBase: number, options: TceOpsOptions) {
    this.regions = new MmIommuMemory(memory, area);
    this.memory = memory;
    this.#i32 = memory.i32;
    this.#phbBase = phbBase;
    this.#written = options.written;
    this.#tracer = options.tracer;
  }

  /** Entries that may still be remembered before {@link release}. */
  get room(): number {
    return TCE_REMEMBERED - this.#replaced;
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
   * registered (any more), it has no `it_userspace` word yet, or the entry stayed locked.
   * @param permission TCE bits, not 0. @param later no kill and no release: the caller does both, and there is
   *   {@link room} for `count`. @returns how many were mapped.
   */
  map(table: number, first: number, page: number, count: number, permission: number, later = false): number {
    const pagesPerEntry = 1 << (this.#i32[(table + PAGE_SHIFT_AT) >>> 2] - PAGE_SHIFT);
    let done = 0;
    while (done < count) {
      const batch = Math.min(count - done, TCE_BATCH);
      const mapped = this.#mapBatch(table, first + done, page + done * pagesPerEntry, batch, permission);
      if (!later && mapped > 0) this.#killAndRelease(table, first + done, batch);
      done += mapped;
      if (mapped < batch) break;
    }
    return done;
  }

  #mapBatch(table: number, first: number, page: number, count: number, permission: number): number {
    const memory = this.memory;
    const shift = this.#i32[(table + PAGE_SHIFT_AT) >>> 2];
    const bits = HARDWARE_PERMISSION[permission];
    for (let mapped = 0; mapped < count; mapped++) {
      if (!this.#locate(table, first + mapped, true)) return mapped;
      const user = page + (mapped << (shift - PAGE_SHIFT));
      const region = this.regions.take(user, shift);
      if (region === 0) return mapped;
      const old = this.#lockEntry(this.#cell);
      if (old < 0) {
        this.regions.mappedDec(region);
        return mapped;
      }
      const before = exchangeTce(memory, this.#at, 0, this.regions.hpa(region, user) | bits);
      memory.store(this.#cell, user);
      if (old !== 0) this.#remember(old, before, shift);
    }
    return count;
  }

  /**
   * Clears `count` entries; those that are clear stay so.
   * @param later as in {@link map}. @returns H_SUCCESS; H_TOO_HARD when entries stayed locked, which are left, or were
   *   mapped by someone who keeps no `it_userspace` (a v1 container).
   */
  unmap(table: number, first: number, count: number, later = false): number {
    let result: number = H_SUCCESS;
    const end = first + count;
    if (this.#i32[(table + LEVELS_AT) >>> 2] === 1 && this.#i32[(table + USERSPACE_AT) >>> 2] === 0)
      return this.#allClear(table, first, end) ? H_SUCCESS : H_TOO_HARD;
    for (let done = this.skipEmpty(table, first); done < end; done = this.skipEmpty(table, done)) {
      const next = Math.min(done + TCE_BATCH, end);
      for (let entry = done; entry < next; entry++)
        if (this.#locate(table, entry, false) && !this.#unmapOne(table)) result = H_TOO_HARD;
      if (!later && this.#replaced > 0) this.#killAndRelease(table, done, next - done);
      done = next;
    }
    return result;
  }

  /** Clears the entry that was located; false when it stayed locked. */
  #unmapOne(table: number): boolean {
    if (this.#i32[this.#cell >>> 2] === 0) return true;
    const old = this.#lockEntry(this.#cell);
    if (old < 0) return false;
    const before = old === 0 ? 0 : exchangeTce(this.memory, this.#at, 0, 0);
    this.memory.store(this.#cell, 0);
    if (old !== 0) this.#remember(old, before, this.#i32[(table + PAGE_SHIFT_AT) >>> 2]);
    return true;
  }

  #allClear(table: number, first: number, end: number): boolean {
    const hardware = this.#i32[(table + TABLE_AT) >>> 2];
    for (let entry = first; entry < end; entry++)
      if ((readTce(this.memory, hardware, entry) & TCE_PERMISSION_MASK) !== 0) return false;
    return true;
  }

  /** Finds the words of an entry. @param grow makes levels that are missing, where that can be done. @returns whether both exist */
  #locate(table: number, entry: number, grow: boolean): boolean {
    if (this.#i32[(table + LEVELS_AT) >>> 2] > 1) return this.#locateInLevels(table, entry, grow);
    const userspace = this.#i32[(table + USERSPACE_AT) >>> 2];
    if (userspace === 0) return false;
    this.#at = this.#i32[(table + TABLE_AT) >>> 2] + entry * TCE_SIZE;
    this.#cell = userspace + entry * USERSPACE_SIZE;
    return true;
  }

  #locateInLevels(table: number, entry: number, grow: boolean): boolean {
    const shift = this.#i32[(table + LEVEL_SHIFT_AT) >>> 2];
    let lowest = this.#lowestLevel(table, entry);
    if (lowest <= 0 && grow && this.grow(table, entry)) lowest = this.#lowestLevel(table, entry);
    if (lowest <= 0) return false;
    const index = entry & ((1 << shift) - 1);
    this.#at = lowest + index * TCE_SIZE;
    this.#cell = lowest + (TCE_SIZE << shift) + index * USERSPACE_SIZE;
    return true;
  }

  #lowestLevel(table: number, entry: number): number {
    const levels = this.#i32[(table + LEVELS_AT) >>> 2];
    return tceLevel(
      this.memory,
      this.#i32[(table + TABLE_AT) >>> 2],
      levels,
      this.#i32[(table + LEVEL_SHIFT_AT) >>> 2],
      entry,
    );
  }

  /** Adds the levels that lead to an entry. Real mode cannot: it has no memory to give. @returns whether they exist now */
  protected grow(_table: number, _entry: number): boolean {
    return false;
  }

  /** `entry`, or the first entry behind the missing level that would hold it: no entry in between is mapped. */
  skipEmpty(table: number, entry: number): number {
    const i32 = this.#i32;
    const root = i32[(table + TABLE_AT) >>> 2];
    const shift = i32[(table + LEVEL_SHIFT_AT) >>> 2];
    const levels = i32[(table + LEVELS_AT) >>> 2];
    for (let level = levels - 2; level >= 0; level--) {
      if (tceLevel(this.memory, root, levels, shift, entry, 0, level) !== 0) continue;
      const size = 2 ** (shift * (level + 1));
      return (Math.floor(entry / size) + 1) * size;
    }
    return entry;
  }

  /** Whether an entry has its words, or could be given them now. */
  has(table: number, entry: number): boolean {
    return this.#locate(table, entry, true);
  }
  /** What the hardware has in an entry: HPA and permission bits. */
  entry(table: number, entry: number): number {
    if (this.#i32[(table + LEVELS_AT) >>> 2] === 1)
      return readTce(this.memory, this.#i32[(table + TABLE_AT) >>> 2], entry);
    return this.#locate(table, entry, false) ? readTce(this.memory, this.#at, 0) : 0;
  }
  /** User page that an entry maps, in pages; 0 for none. */
  userPage(table: number, entry: number): number {
    return this.#locate(table, entry, false) ? this.memory.load(this.#cell) : 0;
  }

  /** Locks an entry: its user page, 0 when it has none, or -1 when it stayed locked. */
  #lockEntry(cell: number): number {
    for (let turns = 0; turns < LOCK_TURNS; turns++) {
      const old = this.memory.or(cell, LOCKED);
      if (old >= 0) return old;
    }
    return -1;
  }

  #remember(page: number, tce: number, shift: number): void {
    this.#oldPage[this.#replaced] = page;
    this.#oldShift[this.#replaced] = shift;
    this.#oldTce[this.#replaced++] = tce;
  }

  #killAndRelease(table: number, first: number, count: number): void {
    this.kill(table, first, count);
    this.release();
  }

  /** Gives the pages of replaced entries back, all of which were killed. */
  release(): void {
    for (let i = 0; i < this.#replaced; i++) {
      const page = this.#oldPage[i];
      const tce = this.#oldTce[i];
      if ((tce & TCE_PCI_WRITE) !== 0) this.#markWritten(page, tce, this.#oldShift[i]);
      const region = this.regions.lookup(page, 1);
      if (region !== 0) this.regions.mappedDec(region);
    }
    this.#replaced = 0;
  }

  #markWritten(page: number, tce: number, shift: number): void {
    const hpa = (tce & ~(PAGE_SIZE - 1)) >>> 0;
    for (let i = 0; i < 1 << (shift - PAGE_SHIFT); i++) this.#written((page + i) * PAGE_SIZE, hpa + i * PAGE_SIZE);
  }

  /** TCE kill in every PE that uses the table: nothing that was cached or under way is left on return. */
  kill(table: number, first: number, count: number): void {
    const window = this.#i32[(table + WINDOW_AT) >>> 2];
    for (let pes = this.#i32[(table + PES_AT) >>> 2]; pes !== 0; pes &= pes - 1) {
      const pe = 31 - Math.clz32(pes & -pes);
      tceKillRm(this.memory, this.#phbBase, pe, first, count, window);
      this.#tracer?.point(EVENT.tce_kill, pe, first, count, window);
    }
  }
}
