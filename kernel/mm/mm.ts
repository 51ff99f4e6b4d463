/**
 * mm_struct's role: the mappings of a VMM process, its locked-memory account, and pinning. Kernel only.
 */
import { Errno } from '../include/uapi/errno.ts';
import { AddressSpace, BUSY, FAULT, frameMapping, MMAP_BASE, PTE } from '../lib/address_space.ts';
import { Doorbell } from '../lib/doorbell.ts';
import { PG } from '../lib/frames.ts';
import { type HostMemory, offsetInPage, PAGE_SIZE } from '../lib/host_memory.ts';
import { KernelWork } from '../lib/kernel_work.ts';
import type { SharedMap } from '../lib/shared_map.ts';
import { preempt, type Task, until } from '../lib/task.ts';
import type { PageAllocator } from './page.ts';

/** One mapping: a range of virtual pages. */
export interface Vma {
  readonly start: number;
  readonly size: number;
  readonly name: string;
  /** Frames belong to the mapping (anonymous memory) and are freed with it; else they are a table's. */
  readonly anonymous: boolean;
  /** It maps a part of a device's BAR. */
  readonly device?: BarRange;
}

/** A part of a device's BAR, as its mapping knows it. */
export interface BarRange {
  readonly pe: number;
  readonly bar: number;
  /** Bytes from the BAR's beginning. */
  readonly offset: number;
}

/** Frames given back before other tasks of the kernel get a turn. */
const RELEASE_CHUNK = 1024;

/** Runs before a page moves: drops every cached translation of `va` and returns once nobody uses one. */
export type MmuNotifier = (va: number) => Task;

export class Mm {
  readonly space: AddressSpace;
  /** The host's frames. */
  readonly pages: PageAllocator;
  /** Number of its process. */
  readonly process: number;
  readonly vmas: Vma[] = [];
  /** Mappings removed so far: whoever has cached what {@link vmas} said looks again when it changes. */
  unmapped = 0;
  readonly notifiers = new Set<MmuNotifier>();
  /** RLIMIT_MEMLOCK in pages. */
  lockLimit: number;
  /** Pages charged against it (mm->locked_vm). */
  lockedVm = 0;
  readonly #memory: HostMemory;
  readonly #work: KernelWork;
  readonly #waiters: readonly Doorbell[];
  #next = MMAP_BASE;
  readonly #end: number;

  /** @param map the shared map as the process sees it */
  constructor(memory: HostMemory, map: SharedMap, lockLimit: number, pages: PageAllocator, process = 0) {
    this.#memory = memory;
    this.#work = new KernelWork(memory, map.work);
    this.space = new AddressSpace(memory, map, this.#work);
    this.pages = pages;
    this.process = process;
    this.lockLimit = lockLimit;
    this.#waiters = map.actors.filter((a) => a.name !== 'kernel').map((a) => new Doorbell(memory, a.doorbell));
    this.#end = MMAP_BASE + map.pageTableEntries * PAGE_SIZE;
  }

  /** Anonymous memory: `movable` frames are scattered and may move; others follow each other and stay. @throws Errno ENOMEM, EINVAL */
  mmapAnonymous(name: string, size: number, movable: boolean): Vma {
    if (size <= 0 || size % PAGE_SIZE !== 0) throw new Errno('EINVAL', `mmap ${name}: size 0x${size.toString(16)}`);
    const vma = this.#reserve(name, size, true);
    const block = movable ? undefined : this.pages.allocPages(size / PAGE_SIZE);
    for (let offset = 0; offset < size; offset += PAGE_SIZE) {
      const hpa = movable ? this.pages.allocPage() : block === undefined ? undefined : block + offset;
      if (hpa === undefined) {
        this.munmap(vma.start);
        throw new Errno('ENOMEM', `mmap ${name}`);
      }
      if (!movable) this.space.frames.setFlags(hpa, PG.UNMOVABLE);
      this.#enter(vma.start + offset, hpa);
    }
    return vma;
  }

  /**
   * Anonymous memory of huge pages (hugetlbfs): each is one piece of host memory, aligned to its size, and stays where it
   * is. @param hugePage bytes of each. @throws Errno ENOMEM, EINVAL
   */
  mmapHuge(name: string, size: number, hugePage: number): Vma {
    if (size <= 0 || size % hugePage !== 0)
      throw new Errno('EINVAL', `mmap ${name}: size 0x${size.toString(16)} in pages of 0x${hugePage.toString(16)}`);
    const frames = hugePage / PAGE_SIZE;
    const blocks: number[] = [];
    try {
      while (blocks.length < size / hugePage) {
        const block = this.pages.allocPages(frames, frames);
        if (block === undefined) throw new Errno('ENOMEM', `mmap ${name}: no huge page of 0x${hugePage.toString(16)}`);
        blocks.push(block);
      }
      // Addresses are not given back, so they are taken last.
      const vma = this.#reserve(name, size, true);
      for (const [i, block] of blocks.entries())
        for (let at = 0; at < hugePage; at += PAGE_SIZE) {
          this.space.frames.setFlags(block + at, PG.UNMOVABLE);
          this.#enter(vma.start + i * hugePage + at, block + at);
        }
      return vma;
    } catch (error) {
      for (const block of blocks) this.pages.freePages(block, frames);
      throw error;
    }
  }

  /** Maps frames that somebody else owns (a table, a device page) at a new address. */
  mmapFrames(name: string, hpa: number, size: number): Vma {
    const vma = this.#reserve(name, size, false);
    for (let offset = 0; offset < size; offset += PAGE_SIZE) {
      this.space.frames.setFlags(hpa + offset, PG.UNMOVABLE);
      this.#enter(vma.start + offset, hpa + offset);
    }
    return vma;
  }

  /** Maps a part of a device's BAR (remap_pfn_range): the entries of its pages are the caller's to make. */
  mmapDevice(name: string, device: BarRange, size: number): Vma {
    return this.#reserve(name, size, false, device);
  }

  /** The mapping that `[start, start + size)` lies in; undefined when it is in none, or in more than one. */
  vma(start: number, size: number): Vma | undefined {
    return this.vmas.find((vma) => start >= vma.start && start + size <= vma.start + vma.size);
  }

  #takeVma(start: number): Vma {
    const index = this.vmas.findIndex((vma) => vma.start === start);
    if (index < 0) throw new Errno('EINVAL', `munmap 0x${start.toString(16)}`);
    this.unmapped++;
    return this.vmas.splice(index, 1)[0];
  }

  /**
   * munmap(2): removes the mapping that starts at `start`. Whoever has cached one of its translations drops it, and
   * references that are being used end, before a frame is free for something else (unmap_region, tlb_finish_mmu).
   * Pinned frames of anonymous memory stay allocated until unpinned. @throws Errno EINVAL
   */
  *unmap(start: number): Task {
    const vma = this.#takeVma(start);
    const frames: number[] = [];
    for (let va = vma.start; va < vma.start + vma.size; va += PAGE_SIZE) {
      const entry = this.#memory.exchange(this.space.entryAddress(va), 0) >>> 0;
      if ((entry & PTE.PRESENT) !== 0 && vma.anonymous) frames.push(entry - (entry % PAGE_SIZE));
    }
    this.settled();
    // A notifier drops all that is cached, not one page's: once for the whole mapping.
    for (const notify of this.notifiers) yield* notify(vma.start);
    for (const [i, hpa] of frames.entries()) {
      // Held for the length of a copy, by threads that ring nobody when they are done.
      while (this.space.frames.refs(hpa) !== 0) yield* preempt();
      this.#release(hpa);
      if ((i + 1) % RELEASE_CHUNK === 0) yield* preempt();
    }
  }

  /** exit_mmap: every mapping goes. */
  *exit(): Task {
    for (const { start } of [...this.vmas]) yield* this.unmap(start);
  }

  /** A frame loses its mapping, and is free unless it is pinned. */
  #release(hpa: number): void {
    const { frames } = this.space;
    frames.setMapping(hpa, 0);
    if (frames.pins(hpa) === 0) this.pages.freePages(hpa);
    // Without a mapping nothing moves it; with the flag the last unpin would take it for a table's and keep it.
    else frames.clearFlags(hpa, PG.UNMOVABLE);
  }

  /** {@link unmap} of memory that no vCPU has used and nobody is using: without a pause. @throws Errno EINVAL */
  munmap(start: number): void {
    const vma = this.#takeVma(start);
    for (let va = vma.start; va < vma.start + vma.size; va += PAGE_SIZE) {
      const at = this.space.entryAddress(va);
      const entry = this.#memory.exchange(at, 0) >>> 0;
      if ((entry & PTE.PRESENT) === 0 || !vma.anonymous) continue;
      this.#release(entry - (entry % PAGE_SIZE));
    }
    this.settled();
  }

  /** Called after an entry is no longer MIGRATING: those who wait for the page may sleep in other threads. */
  settled(): void {
    for (const waiter of this.#waiters) waiter.ring();
  }

  #reserve(name: string, size: number, anonymous: boolean, device?: BarRange): Vma {
    if (this.#next + size > this.#end) throw new Errno('ENOMEM', `mmap ${name}: address space exhausted`);
    const vma: Vma = { start: this.#next, size, name, anonymous, ...(device === undefined ? {} : { device }) };
    this.#next += size;
    this.vmas.push(vma);
    return vma;
  }

  #enter(va: number, hpa: number): void {
    this.#memory.store(this.space.entryAddress(va), hpa | PTE.PRESENT | PTE.WRITE);
    this.space.frames.setMapping(hpa, frameMapping(this.process, va));
  }

  /**
   * Charges `pages` against the locked-memory limit (account_locked_vm).
   * @param bypass counts them all the same, but asks for no limit: the caller has CAP_IPC_LOCK.
   * @throws Errno ENOMEM when the limit would be exceeded
   */
  account(pages: number, bypass = false): void {
    if (!bypass && this.lockedVm + pages > this.lockLimit)
      throw new Errno('ENOMEM', `RLIMIT_MEMLOCK (${this.lockLimit} pages)`);
    this.lockedVm += pages;
  }
  /** Takes a charge back. */
  unaccount(pages: number): void {
    this.lockedVm -= pages;
  }

  /** pin_user_pages for one page: returns the HPA of its frame, which stays until {@link unpinPage}. @throws Errno EFAULT */
  *pinPage(va: number, write: boolean): Task<number> {
    for (;;) {
      const hpa = this.tryPinPage(va, write);
      if (hpa === FAULT) throw new Errno('EFAULT', `pin 0x${va.toString(16)}`);
      if (hpa !== BUSY) return hpa;
      yield* this.settle(va);
    }
  }

  /** Sleeps while the page at `va` is being moved. */
  *settle(va: number): Task {
    yield* until('page being moved', () => this.space.lookup(va, false) !== BUSY);
  }

  /**
   * {@link pinPage} without sleeping: HPA, FAULT, or BUSY while the page is being moved. Entries are changed by tasks of
   * the kernel only, and the mover counts pins after it has marked the entry: between look-up and pin nobody comes.
   */
  tryPinPage(va: number, write: boolean): number {
    const hpa = this.space.lookup(va, write);
    if (hpa < 0) return hpa;
    this.space.frames.pin(hpa);
    this.#work.pinned();
    return hpa;
  }

  /** copy_from_user without sleeping: 0, FAULT, or BUSY; then a part may have been copied. */
  tryCopyIn(va: number, bytes: Uint8Array): number {
    for (let done = 0; done < bytes.length; ) {
      const at = va + done;
      const inPage = offsetInPage(at);
      const length = Math.min(bytes.length - done, PAGE_SIZE - inPage);
      const page = this.space.lookup(at, false);
      if (page < 0) return page;
      this.#memory.copyFrom(page + inPage, bytes, done, length);
      done += length;
    }
    this.#work.copied(bytes.length);
    return 0;
  }

  /** Undoes one {@link pinPage}; `dirty` when the device may have written. */
  unpinPage(va: number, hpa: number, dirty: boolean): void {
    const { frames } = this.space;
    if (dirty) this.space.written(va, hpa);
    if (frames.unpin(hpa) > 0) return;
    if (frames.mapping(hpa) === 0 && (frames.flags(hpa) & PG.UNMOVABLE) === 0) this.pages.freePages(hpa);
  }
}
