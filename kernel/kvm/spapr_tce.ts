/**
 * H_PUT_TCE, H_PUT_TCE_INDIRECT, H_STUFF_TCE and H_GET_TCE on guest tables in shared memory: what real mode and virtual
 * mode have in common (PAPR, "TCE hypervisor calls"; Linux arch/powerpc/kvm/book3s_64_vio.c and book3s_64_vio_hv.c hold it twice).
 * No allocation, no bigint, no waiting. A 64-bit value is two 32-bit words, signed or unsigned; words that come from
 * an Int32Array are cheapest.
 *
 * Where this differs from Linux, on purpose (the tiers must be observationally equal, and a guest must not harm):
 * - a TCE whose address is not aligned to the guest's page is H_TOO_HARD in both modes, not H_PARAMETER in real mode;
 * - the whole range of a call is checked against the table, not its first entry;
 * - all subpages are validated before one is changed;
 * - a list of TCEs is read once, so that what was validated is what is mapped; Linux reads it twice. An entry of it
 *   without permissions unmaps, as in H_PUT_TCE; Linux counts it as mapped and never gives the count back;
 * - an entry that is cleared because a call failed half-way gives its page back; Linux forgets the count.
 */
import { HCALL_RETURN, TCE_INDIRECT_MAX } from '../include/arch/ppc/hcall.ts';
import { TCE_PERMISSION_MASK, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { type HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import { Memslots } from '../lib/memslots.ts';
import type { SharedMap } from '../lib/shared_map.ts';
import { TCE_BATCH, type TceOps } from '../ppc/tce_ops.ts';
import { IOMMU_TABLE, KVM_AREA, KVM_STT, KVM_STTS } from './kvm_area.ts';

const { H_SUCCESS, H_PARAMETER, H_TOO_HARD } = HCALL_RETURN;
// Constants, not properties: an optimised handler then has plain numbers.
const {
  liobn: LIOBN_AT,
  offsetHi: OFFSET_HI_AT,
  offsetLo: OFFSET_LO_AT,
  pageShift: PAGE_SHIFT_AT,
  size: SIZE_AT,
  subpages: SUBPAGES_AT,
  tables: TABLES_AT,
  tablesEnd: TABLES_END_AT,
  view: VIEW_AT,
} = KVM_STT.offset;
const TABLE_LIVE = IOMMU_TABLE.offset.live;
const TABLE_SHIFT = IOMMU_TABLE.offset.pageShift;

/** 2^32: the weight of a high word. */
const WORD = 0x1_0000_0000;
/** 2^(32 - shift), the pages a high word is worth, by page shift below 32. */
const PAGES_PER_WORD = Float64Array.from({ length: 33 }, (_, shift) => 2 ** (32 - shift));

export class SpaprTce {
  /** What the last successful {@link get} found. */
  outHi = 0;
  outLo = 0;
  readonly #i32: Int32Array;
  readonly #memslots: Memslots;
  readonly #ops: TceOps;
  /** User pages of a list; made once, as real mode cannot allocate. */
  readonly #pages = new Int32Array(TCE_INDIRECT_MAX);
  /** Word numbers of the pointers to guest tables. */
  readonly #first: number;
  readonly #end: number;

  constructor(memory: HostMemory, map: SharedMap, ops: TceOps) {
    this.#i32 = memory.i32;
    this.#memslots = new Memslots(memory, map.memslots);
    this.#ops = ops;
    this.#first = (map.kvm + KVM_AREA.sttPointer) >>> 2;
    this.#end = this.#first + KVM_STTS;
  }

  /** The table of a LIOBN (kvmppc_find_table), or 0. LIOBNs have 32 bits. */
  find(liobnHi: number, liobnLo: number): number {
    if (liobnHi !== 0) return 0;
    for (let at = this.#first; at < this.#end; at++) {
      const stt = this.#i32[at];
      if (stt !== 0 && this.#i32[(stt + LIOBN_AT) >>> 2] === (liobnLo | 0)) return stt;
    }
    return 0;
  }

  /** Entries of a table. */
  size(stt: number): number {
    return this.#i32[(stt + SIZE_AT) >>> 2];
  }

  /** Number of the entry for a bus address, or -1 when it is not page-aligned or outside the window. */
  index(stt: number, iobaHi: number, iobaLo: number): number {
    const shift = this.#i32[(stt + PAGE_SHIFT_AT) >>> 2];
    let page: number;
    if (shift < 32) {
      if ((iobaLo & ((1 << shift) - 1)) !== 0) return -1;
      page = (iobaHi >>> 0) * PAGES_PER_WORD[shift] + (iobaLo >>> shift);
    } else {
      if (iobaLo !== 0 || (iobaHi & ((1 << (shift - 32)) - 1)) !== 0) return -1;
      page = iobaHi >>> (shift - 32);
    }
    // Page numbers have at most 52 bits: exact.
    const start = (this.#i32[(stt + OFFSET_HI_AT) >>> 2] >>> 0) * WORD + (this.#i32[(stt + OFFSET_LO_AT) >>> 2] >>> 0);
    const index = page - start;
    return index >= 0 && index < this.#i32[(stt + SIZE_AT) >>> 2] ? index | 0 : -1;
  }

  /** Hardware entries per guest entry in the attached table with the smallest pages: how much work an entry is. */
  subpages(stt: number): number {
    return this.#i32[(stt + SUBPAGES_AT) >>> 2];
  }

  /** H_GET_TCE: the guest's own value, also where no page is mapped. */
  get(stt: number, index: number): number {
    const at = (this.#i32[(stt + VIEW_AT) >>> 2] + index * TCE_SIZE) >>> 2;
    this.outLo = this.#i32[at];
    this.outHi = this.#i32[at + 1];
    return H_SUCCESS;
  }

  /** H_PUT_TCE for an entry: validate, map or unmap in every hardware table, then the guest view. */
  put(stt: number, index: number, tceHi: number, tceLo: number): number {
    const permission = tceLo & TCE_PERMISSION_MASK;
    const page = permission === 0 ? 0 : this.validate(stt, tceHi, tceLo);
    if (page < 0) return H_TOO_HARD;
    const result = this.#change(stt, index, page, permission, false);
    if (result === H_SUCCESS) this.#store(stt, index, tceHi, tceLo);
    return result;
  }

  /** Maps or unmaps an entry in every hardware table. @param later the caller kills and releases */
  #change(stt: number, index: number, page: number, permission: number, later: boolean): number {
    return permission === 0 ? this.#unmap(stt, index, 1, later) : this.#map(stt, index, page, permission, later);
  }

  /**
   * Checks a TCE with permissions against memory slots and preregistered memory.
   * @returns the user page to map (its number), or -1: the VMM must decide.
   */
  validate(stt: number, tceHi: number, tceLo: number): number {
    const shift = this.#i32[(stt + PAGE_SHIFT_AT) >>> 2];
    const address = tceLo & ~TCE_PERMISSION_MASK;
    if (shift < 32 ? (address & ((1 << shift) - 1)) !== 0 : address !== 0 || (tceHi & ((1 << (shift - 32)) - 1)) !== 0)
      return -1;
    const hva = this.#memslots.hva((tceHi >>> 0) * WORD + (address >>> 0));
    if (hva < 0) return -1;
    const page = hva / PAGE_SIZE;
    for (let link = stt + TABLES_AT, end = this.#linksEnd(stt); link < end; link += 4) {
      const table = this.#i32[link >>> 2];
      if (table === 0 || this.#i32[(table + TABLE_LIVE) >>> 2] === 0) continue;
      if (!this.#ops.mappable(table, page, 1 << (shift - this.#i32[(table + TABLE_SHIFT) >>> 2]))) return -1;
    }
    return page;
  }

  /**
   * H_PUT_TCE_INDIRECT for `count` entries from `index` on, which are inside the table: all are validated before one
   * changes. When one cannot be mapped after all, those before it stay, and it is cleared.
   * @param list high and low word of each entry.
   */
  putList(stt: number, index: number, list: Int32Array, count: number): number {
    for (let i = 0; i < count; i++) {
      const lo = list[2 * i + 1];
      const page = (lo & TCE_PERMISSION_MASK) === 0 ? 0 : this.validate(stt, list[2 * i], lo);
      if (page < 0) return H_TOO_HARD;
      this.#pages[i] = page;
    }
    const each = this.#hardwareEntries(stt);
    // A guest page of that many entries has a kill of its own; smaller ones share one.
    if (each > TCE_BATCH) return this.#putEach(stt, index, list, count);
    let killed = 0;
    let result: number = H_SUCCESS;
    for (let i = 0; i < count && result === H_SUCCESS; i++) {
      // When an entry fails, what it had begun is cleared: twice its work.
      if (this.#ops.room < 2 * each) {
        this.#killAndRelease(stt, index + killed, i - killed);
        killed = i;
      }
      result = this.#change(stt, index + i, this.#pages[i], list[2 * i + 1] & TCE_PERMISSION_MASK, true);
      if (result === H_SUCCESS) this.#store(stt, index + i, list[2 * i], list[2 * i + 1]);
      else count = i + 1;
    }
    this.#killAndRelease(stt, index + killed, count - killed);
    return result;
  }

  #putEach(stt: number, index: number, list: Int32Array, count: number): number {
    for (let i = 0; i < count; i++) {
      const result = this.put(stt, index + i, list[2 * i], list[2 * i + 1]);
      if (result !== H_SUCCESS) return result;
    }
    return H_SUCCESS;
  }

  /** Hardware entries per guest entry, in all attached tables together. */
  #hardwareEntries(stt: number): number {
    const shift = this.#i32[(stt + PAGE_SHIFT_AT) >>> 2];
    let entries = 0;
    for (let link = stt + TABLES_AT, end = this.#linksEnd(stt); link < end; link += 4) {
      const table = this.#i32[link >>> 2];
      if (table !== 0) entries += 1 << (shift - this.#i32[(table + TABLE_SHIFT) >>> 2]);
    }
    return entries;
  }

  #killAndRelease(stt: number, index: number, count: number): void {
    if (count === 0) return;
    const shift = this.#i32[(stt + PAGE_SHIFT_AT) >>> 2];
    for (let link = stt + TABLES_AT, end = this.#linksEnd(stt); link < end; link += 4) {
      const table = this.#i32[link >>> 2];
      if (table === 0) continue;
      const subpages = 1 << (shift - this.#i32[(table + TABLE_SHIFT) >>> 2]);
      this.#ops.kill(table, index * subpages, count * subpages);
    }
    this.#ops.release();
  }

  /**
   * H_STUFF_TCE for `count` entries from `index` on, which are inside the table: unmaps them in every hardware table,
   * then writes the value, which has no permission bits, to the guest view.
   */
  stuff(stt: number, index: number, valueHi: number, valueLo: number, count: number): number {
    const result = this.#unmap(stt, index, count, false);
    if (result !== H_SUCCESS) return result;
    for (let i = index; i < index + count; i++) this.#store(stt, i, valueHi, valueLo);
    return H_SUCCESS;
  }

  #store(stt: number, index: number, hi: number, lo: number): void {
    const at = (this.#i32[(stt + VIEW_AT) >>> 2] + index * TCE_SIZE) >>> 2;
    this.#i32[at] = lo;
    this.#i32[at + 1] = hi;
  }

  /** End of the words in the slot that may name attached tables. */
  #linksEnd(stt: number): number {
    return stt + TABLES_AT + this.#i32[(stt + TABLES_END_AT) >>> 2];
  }

  #map(stt: number, index: number, page: number, permission: number, later: boolean): number {
    const shift = this.#i32[(stt + PAGE_SHIFT_AT) >>> 2];
    for (let link = stt + TABLES_AT, end = this.#linksEnd(stt); link < end; link += 4) {
      const table = this.#i32[link >>> 2];
      // A table whose window was removed is dead: no device can see it, and it takes no more pages.
      if (table === 0 || this.#i32[(table + TABLE_LIVE) >>> 2] === 0) continue;
      const subpages = 1 << (shift - this.#i32[(table + TABLE_SHIFT) >>> 2]);
      const first = index * subpages;
      if (this.#ops.map(table, first, page, subpages, permission, later) < subpages) {
        this.#ops.unmap(table, first, subpages, later);
        return H_TOO_HARD;
      }
    }
    return H_SUCCESS;
  }

  #unmap(stt: number, index: number, count: number, later: boolean): number {
    const shift = this.#i32[(stt + PAGE_SHIFT_AT) >>> 2];
    for (let link = stt + TABLES_AT, end = this.#linksEnd(stt); link < end; link += 4) {
      const table = this.#i32[link >>> 2];
      if (table === 0 || this.#i32[(table + TABLE_LIVE) >>> 2] === 0) continue;
      const subpages = 1 << (shift - this.#i32[(table + TABLE_SHIFT) >>> 2]);
      const result = this.#ops.unmap(table, index * subpages, count * subpages, later);
      if (result !== H_SUCCESS) return result;
    }
    return H_SUCCESS;
  }
}

/** A guest's count of entries: a number, or -1 when it does not fit what a table can have. */
export function entryCount(hi: number, lo: number): number {
  return hi === 0 && lo >= 0 ? lo : -1;
}

/** Whether `count` entries from `index` on lie inside a table of `size`. */
export function rangeFits(index: number, count: number, size: number): boolean {
  return count >= 0 && count <= size - index;
}

/**
 * What is wrong with the arguments of H_PUT_TCE_INDIRECT beside its table; H_SUCCESS when nothing is.
 * @param listLo low word of the list's address. @param index of the first entry, -1 when there is none
 */
export function checkIndirect(index: number, listLo: number, count: number, size: number): number {
  if (count < 0 || count > TCE_INDIRECT_MAX || (listLo & (PAGE_SIZE - 1)) !== 0) return H_PARAMETER;
  return index >= 0 && rangeFits(index, count, size) ? H_SUCCESS : H_PARAMETER;
}

/** What is wrong with the arguments of H_STUFF_TCE after its bus address; H_SUCCESS when nothing is. */
export function checkStuff(index: number, valueLo: number, count: number, size: number): number {
  if ((valueLo & TCE_PERMISSION_MASK) !== 0) return H_PARAMETER;
  return rangeFits(index, count, size) ? H_SUCCESS : H_PARAMETER;
}
