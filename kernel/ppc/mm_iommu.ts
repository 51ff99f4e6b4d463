/**
 * Preregistered memory as every thread sees it: looking a region up and counting the hardware entries that name it
 * (arch/powerpc/mm/book3s64/iommu_api.c, mm_iommu_lookup_rm and its neighbours). Real-mode safe: shared memory only.
 */
import { IOMMU_MEM, IOMMU_MEMS, KVM_AREA } from '../kvm/kvm_area.ts';
import { type HostMemory, PAGE_SHIFT } from '../lib/host_memory.ts';

const { entries, uaPage, pageShift, hpas, mapped } = IOMMU_MEM.offset;

export class MmIommuMemory {
  readonly #memory: HostMemory;
  readonly #i32: Int32Array;
  readonly #first: number;
  readonly #end: number;

  /** @param area `map.kvm`. */
  constructor(memory: HostMemory, area: number) {
    this.#memory = memory;
    this.#i32 = memory.i32;
    this.#first = area + KVM_AREA.mem;
    this.#end = this.#first + IOMMU_MEMS * IOMMU_MEM.size;
  }

  /** The region that holds all of `[page, page + pages)`, or 0. @param page user address in pages. */
  lookup(page: number, pages: number): number {
    for (let at = this.#first; at < this.#end; at += IOMMU_MEM.size) if (this.#holds(at, page, pages)) return at;
    return 0;
  }

  #holds(region: number, page: number, pages: number): boolean {
    const size = this.#i32[(region + entries) >>> 2];
    if (size === 0) return false;
    const offset = page - this.#i32[(region + uaPage) >>> 2];
    return offset >= 0 && offset + pages <= size;
  }

  /** The region that may be mapped with an IOMMU page of `1 << shift` bytes at `page`, or 0. */
  lookupShift(page: number, shift: number): number {
    const region = this.lookup(page, 1 << (shift - PAGE_SHIFT));
    return region !== 0 && this.#i32[(region + pageShift) >>> 2] >= shift ? region : 0;
  }

  /** HPA of a page of the region, as a signed word. */
  hpa(region: number, page: number): number {
    const first = this.#i32[(region + hpas) >>> 2];
    return this.#i32[(first + (page - this.#i32[(region + uaPage) >>> 2]) * 4) >>> 2];
  }

  /**
   * Finds the region for an IOMMU page of `1 << shift` bytes at `page` and counts one more hardware entry in it.
   * @returns the region; 0 when there is none, its pages are too small, or it is being unregistered.
   */
  take(page: number, shift: number): number {
    const region = this.lookupShift(page, shift);
    if (region === 0 || !this.#mappedInc(region)) return 0;
    // Counted, it cannot change any more; it may have changed between the look-up and the count.
    if (this.#holds(region, page, 1 << (shift - PAGE_SHIFT)) && this.#i32[(region + pageShift) >>> 2] >= shift)
      return region;
    this.mappedDec(region);
    return 0;
  }

  #mappedInc(region: number): boolean {
    // Each turn that fails is one in which another thread succeeded.
    for (let old = this.#i32[(region + mapped) >>> 2]; old !== 0; ) {
      const seen = this.#memory.cas(region + mapped, old, old + 1);
      if (seen === old) return true;
      old = seen;
    }
    return false;
  }

  /** Counts one hardware entry less; the registration's own count stays. */
  mappedDec(region: number): void {
    for (let old = this.#i32[(region + mapped) >>> 2]; old > 1; ) {
      const seen = this.#memory.cas(region + mapped, old, old - 1);
      if (seen === old) return;
      old = seen;
    }
  }
}
