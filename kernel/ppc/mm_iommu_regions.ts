/**
 * Preregistering memory for DMA: pin once, then map without pinning (arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_new,
 * mm_iommu_get, mm_iommu_put). A region is known by its exact start and length; a process has one list of them,
 * shared by all its containers.
 */

import { TCE_PAGE_SHIFTS } from '../include/arch/ppc/tce.ts';
import { Errno } from '../include/uapi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { IOMMU_MEM, IOMMU_MEMS, KVM_AREA } from '../kvm/kvm_area.ts';
import type { VcpuRequests } from '../kvm/vcpu_requests.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../lib/host_memory.ts';
import { Mutex, type Task } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import type { Process } from '../process.ts';

/** A registered region. */
export interface MmIommuRegion {
  /** User address and pages. */
  readonly ua: number;
  readonly pages: number;
  /** log2 of the largest IOMMU page that may map a part of it. */
  readonly pageShift: number;
  readonly slot: number;
  /** HPA of the array of page HPAs. */
  readonly hpas: number;
  /** Registrations of exactly this region. */
  used: number;
}

export class MmIommuRegions {
  readonly #kernel: Kernel;
  readonly #process: Process;
  readonly #requests: VcpuRequests;
  readonly #regions: MmIommuRegion[] = [];
  /** Registrations whose container is gone, while another one has the memory mapped. */
  readonly #abandoned: MmIommuRegion[] = [];
  readonly #mutex = new Mutex('mem_list');

  constructor(kernel: Kernel, process: Process, requests: VcpuRequests) {
    this.#kernel = kernel;
    this.#process = process;
    this.#requests = requests;
  }

  /** All regions, for inspection. */
  list(): readonly MmIommuRegion[] {
    return this.#regions;
  }

  /** The region with exactly this start and length. */
  find(ua: number, pages: number): MmIommuRegion | undefined {
    return this.#regions.find((region) => region.ua === ua && region.pages === pages);
  }

  /** Live hardware entries that name the region, plus 1. */
  mapped(region: MmIommuRegion): number {
    return this.#kernel.memory.load(region.slot + IOMMU_MEM.offset.mapped);
  }

  /**
   * Registers `pages` pages from `ua` on, or counts one more use of a region that is registered already.
   * @throws Errno EINVAL when it overlaps another, ENOMEM over the locked-memory limit, EFAULT where nothing is mapped
   */
  *get(ua: number, pages: number): Task<MmIommuRegion> {
    yield* this.#mutex.lock();
    try {
      const known = this.find(ua, pages);
      if (known !== undefined) {
        known.used++;
        return known;
      }
      const overlap = this.#regions.find((r) => ua < r.ua + r.pages * PAGE_SIZE && r.ua < ua + pages * PAGE_SIZE);
      if (overlap !== undefined)
        throw new Errno('EINVAL', `0x${ua.toString(16)} overlaps the region at 0x${overlap.ua.toString(16)}`);
      return yield* this.#create(ua, pages);
    } finally {
      this.#mutex.unlock();
    }
  }

  /**
   * Drops one use; the last one unregisters. @throws Errno ENOENT when it is not registered, EBUSY while hardware
   * entries name it: nothing changes then
   */
  *put(region: MmIommuRegion): Task {
    yield* this.#mutex.lock();
    try {
      if (!this.#regions.includes(region)) throw new Errno('ENOENT', `region 0x${region.ua.toString(16)}`);
      if (region.used > 1) {
        region.used--;
        return;
      }
      const { memory } = this.#kernel;
      // From 1 to 0: from here on nobody can count up, so nothing new is mapped.
      const mapped = memory.cas(region.slot + IOMMU_MEM.offset.mapped, 1, 0);
      if (mapped !== 1)
        throw new Errno('EBUSY', `region 0x${region.ua.toString(16)}: ${mapped - 1} TCEs are still mapped`);
      memory.store(region.slot + IOMMU_MEM.offset.entries, 0);
      yield* this.#requests.flushAll('preregistered memory in use');
      this.#regions.splice(this.#regions.indexOf(region), 1);
      this.#unpin(region.ua, region.hpas, region.pages);
      this.#free(region.hpas, region.pages);
      memory.store(region.slot + IOMMU_MEM.offset.hpas, 0);
    } finally {
      this.#mutex.unlock();
    }
  }

  /**
   * The container of a registration goes. Another one of the process may have mapped the memory: then it stays
   * registered until that has let go of it. Linux leaves it so until the process ends (tce_iommu_release, a warning).
   * @returns whether it is gone now
   */
  *abandon(region: MmIommuRegion): Task<boolean> {
    this.#abandoned.push(region);
    yield* this.reap();
    return !this.#abandoned.includes(region);
  }

  /** Whether {@link reap} has anything to end. */
  get abandoned(): boolean {
    return this.#abandoned.length > 0;
  }
  /** Ends abandoned registrations that nothing is mapped from any more; called when a container has let go of memory. */
  *reap(): Task {
    // Taken out first: each is one registration, and nobody else may end it too.
    for (const region of this.#abandoned.splice(0)) {
      try {
        yield* this.put(region);
      } catch (error) {
        if (!(error instanceof Errno) || error.code !== 'EBUSY') throw error;
        this.#abandoned.push(region);
      }
    }
  }

  *#create(ua: number, pages: number): Task<MmIommuRegion> {
    const { memory } = this.#kernel;
    const { mm } = this.#process;
    mm.account(pages);
    const slot = this.#freeSlot();
    const hpas = slot === undefined ? undefined : mm.pages.allocPages(arrayPages(pages));
    if (slot === undefined || hpas === undefined) {
      mm.unaccount(pages);
      throw new Errno('ENOMEM', 'preregistered memory');
    }
    for (let i = 0; i < pages; i++) {
      try {
        memory.store(hpas + i * 4, yield* mm.pinPage(ua + i * PAGE_SIZE, true));
      } catch (error) {
        this.#unpin(ua, hpas, i);
        this.#free(hpas, pages);
        throw error;
      }
    }
    const region = { ua, pages, pageShift: this.#pageShift(ua, hpas, pages), slot, hpas, used: 1 };
    const words = IOMMU_MEM.at(memory.dv, slot);
    words.uaPage = ua / PAGE_SIZE;
    words.pageShift = region.pageShift;
    words.hpas = hpas;
    memory.store(slot + IOMMU_MEM.offset.mapped, 1);
    memory.store(slot + IOMMU_MEM.offset.entries, pages);
    this.#regions.push(region);
    this.#kernel.tracer.point(EVENT.mm_pin, ua, pages);
    return region;
  }

  /** Largest IOMMU page of which every aligned piece of the region is one piece of host memory, aligned as well. */
  #pageShift(ua: number, hpas: number, pages: number): number {
    const fits = (shift: number) => {
      const step = 2 ** (shift - PAGE_SHIFT);
      if (ua % 2 ** shift !== 0 || pages % step !== 0) return false;
      for (let i = 0; i < pages; i++) {
        const hpa = this.#hpa(hpas, i);
        if (i % step === 0 ? hpa % 2 ** shift !== 0 : hpa !== this.#hpa(hpas, i - 1) + PAGE_SIZE) return false;
      }
      return true;
    };
    return TCE_PAGE_SHIFTS.findLast(fits) ?? PAGE_SHIFT;
  }

  #hpa(hpas: number, i: number): number {
    return this.#kernel.memory.load(hpas + i * 4) >>> 0;
  }

  /** Pages that devices wrote were marked when their entries were cleared. */
  #unpin(ua: number, hpas: number, pages: number): void {
    for (let i = 0; i < pages; i++) this.#process.mm.unpinPage(ua + i * PAGE_SIZE, this.#hpa(hpas, i), false);
    this.#kernel.tracer.point(EVENT.mm_unpin, ua, pages);
  }

  #free(hpas: number, pages: number): void {
    this.#process.mm.pages.freePages(hpas, arrayPages(pages));
    this.#process.mm.unaccount(pages);
  }

  #freeSlot(): number | undefined {
    const { memory } = this.#kernel;
    const { map } = this.#process;
    for (let i = 0; i < IOMMU_MEMS; i++) {
      const slot = map.kvm + KVM_AREA.mem + i * IOMMU_MEM.size;
      if (memory.load(slot + IOMMU_MEM.offset.hpas) === 0) return slot;
    }
    return undefined;
  }
}

/** Pages of the array of page HPAs. */
function arrayPages(pages: number): number {
  return Math.ceil((pages * 4) / PAGE_SIZE);
}
