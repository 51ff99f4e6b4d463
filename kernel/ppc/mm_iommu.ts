/**
 * Preregistered memory as every thread sees it: looking a region up and counting the hardware entries that name it
 * (arch/powerpc/mm/book3s64/iommu_api.c, mm_iommu_lookup_rm and its neighbours). Real-mode safe: shared memory only.
 */
import { IOMMU_MEM, IOMMU_MEMS, KVM_AREA } from '../kvm/kvm_area.ts';
import { type HostMemory, PAGE_SHIFT } from '../lib/host_memory.ts';

const { entries, uaPage, pageShift, hpas, mapped } = IOMMU_MEM.offset;

export class MmIommuMemory {
  readonly #memory: HostMemory;
  readonly #first: number;
  readonly #end: number;

  /** @param area `map.kvm`. */
  constructor(memory: HostMemory, area: number) {
    this.#memory = memory;
    this.#first = area + KVM_AREA.mem;
    this.#end = this.#first + IOMMU_MEMS * IOMMU_MEM.size;
  }

  /** The region that holds all of `[page, page + pages)`, or 0. @param page user address in pages. */
  lookup(page: number, pages: number): number {
    const memory = this.#memory;
    for (let at = this.#first; at < this.#end; at += IOMMU_MEM.size) {
      const size = memory.load(at + entries);
      if (size === 0) continue;
      const offset = page - memory.load(at + uaPage);
      if (offset >= 0 && offset + pages <= size) return at;
    }
    return 0;
  }

  /** The region that may be mapped with an IOMMU page of `1 << shift` bytes at `page`, or 0. */
  lookupShift(page: number, shift: number): number {
    const region = this.lookup(page, 1 << (shift - PAGE_SHIFT));
    return region !== 0 && this.#memory.load(region + pageShift) >= shift ? region : 0;
  }

  /** HPA of a page of the region, as a signed word. */
  hpa(region: number, page: number): number {
    const memory = this.#memory;
    return memory.load(memory.load(region + hpas) + (page - memory.load(region + uaPage)) * 4);
  }

  /** Counts one more hardware entry; false when the region is being unregistered. */
  mappedInc(region: number): boolean {
    const memory = this.#memory;
    // Each turn that fails is one in which another thread succeeded.
    for (let old = memory.load(region + mapped); old !== 0; ) {
      const seen = memory.cas(region + mapped, old, old + 1);
      if (seen === old) return true;
      old = seen;
    }
    return false;
  }

  /** Counts one hardware entry less; the registration's own count stays. */
  mappedDec(region: number): void {
    const memory = this.#memory;
    for (let old = memory.load(region + mapped); old > 1; ) {
      const seen = memory.cas(region + mapped, old, old - 1);
      if (seen === old) return;
      old = seen;
    }
  }
}
