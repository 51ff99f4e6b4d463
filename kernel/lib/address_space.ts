/**
 * A VMM process's address space as every thread sees it: the page table in shared memory and short-term references.
 *
 * An entry is `HPA | flags`. Frames move at any time, so reading an entry is not enough to use the frame: a user
 * takes a transient reference (get_user_pages_fast): read entry, add 1 to the frame's references, read the entry
 * again; if it changed, drop the reference and start over. The mover sets MIGRATING first and then reads the
 * references: by the total order of these atomic operations either the user sees MIGRATING in its second read, or
 * the mover sees the reference and gives up.
 */
import { Errno } from '../include/uapi/errno.ts';
import { Frames, PG } from './frames.ts';
import { type HostMemory, offsetInPage, PAGE_SHIFT, PAGE_SIZE } from './host_memory.ts';
import type { KernelWork } from './kernel_work.ts';
import type { SharedMap } from './shared_map.ts';
import { StorageKeys } from './storage_keys.ts';
import { type Task, until } from './task.ts';

/** Where the VMM's mappings begin; guest-physical, VMM-virtual and host-physical numbers never look alike. */
export const MMAP_BASE = 0x3ff_8000_0000;

/**
 * Flags of a page-table entry. IO: a page of a device's registers (VM_PFNMAP); no frame is behind it, and loads
 * and stores are accesses on the device's bus.
 */
export const PTE = { PRESENT: 1, WRITE: 2, MIGRATING: 4, IO: 8 } as const;

/** Bits of a frame's reverse mapping that number the page; the process is above them. */
const MAPPING_PAGE_BITS = 24;

/** A frame's reverse mapping (rmap): which process maps it, and at which address. Never 0. */
export function frameMapping(process: number, va: number): number {
  return (process << MAPPING_PAGE_BITS) | ((va - MMAP_BASE) / PAGE_SIZE + 1);
}
/** The user address in a reverse mapping that is not 0. */
export function mappedAddress(mapping: number): number {
  return MMAP_BASE + ((mapping & ((1 << MAPPING_PAGE_BITS) - 1)) - 1) * PAGE_SIZE;
}
/** The process in a reverse mapping that is not 0. */
export function mappingProcess(mapping: number): number {
  return mapping >>> MAPPING_PAGE_BITS;
}

/** Results of a lookup that found no usable page. */
export const FAULT = -1;
export const BUSY = -2;

export class AddressSpace {
  readonly memory: HostMemory;
  readonly frames: Frames;
  /** Storage keys of the frames: `copy` records reference and change, as every access to a host's storage does. */
  readonly keys: StorageKeys;
  readonly #table: number;
  readonly #entries: number;
  readonly #work: KernelWork | undefined;
  /** Told of writes to frames that hold translated code; set by whoever runs vCPUs. Argument: virtual page address. */
  onCodeWritten: (va: number) => void = () => {};

  /** @param work counts copies: the kernel's own space has it, for what the process copies itself is no copy_from_user */
  constructor(memory: HostMemory, map: SharedMap, work?: KernelWork) {
    this.memory = memory;
    this.#work = work;
    this.frames = new Frames(memory, map);
    this.keys = new StorageKeys(memory, map.storageKeys);
    this.#table = map.pageTable;
    this.#entries = map.pageTableEntries;
  }

  /** Address of the entry of `va`, or FAULT outside the table. */
  entryAddress(va: number): number {
    const index = Math.floor((va - MMAP_BASE) / PAGE_SIZE);
    return index >= 0 && index < this.#entries ? this.#table + index * 4 : FAULT;
  }

  /** HPA of the frame under `va` (page start) at this moment, FAULT, or BUSY while it is being moved. */
  lookup(va: number, write: boolean): number {
    const at = this.entryAddress(va);
    if (at === FAULT) return FAULT;
    const entry = this.memory.load(at);
    if ((entry & PTE.MIGRATING) !== 0) return BUSY;
    if ((entry & (PTE.PRESENT | PTE.IO)) !== PTE.PRESENT || (write && (entry & PTE.WRITE) === 0)) return FAULT;
    return (entry & ~(PAGE_SIZE - 1)) >>> 0;
  }

  /** Takes a transient reference on the frame under `va`: HPA of the page, FAULT or BUSY. */
  getPage(va: number, write: boolean): number {
    for (;;) {
      const hpa = this.lookup(va, write);
      if (hpa < 0) return hpa;
      this.frames.get(hpa);
      const again = this.lookup(va, write);
      if (again === hpa) return hpa;
      this.frames.put(hpa);
      if (again < 0) return again;
    }
  }

  /** Drops the reference; `written` says the page's bytes were changed. */
  putPage(va: number, hpa: number, written: boolean): void {
    if (written) this.written(va, hpa);
    this.frames.put(hpa);
  }

  /** Notes that somebody other than a vCPU changed the frame `hpa` mapped at `va`. */
  written(va: number, hpa: number): void {
    const flags = this.frames.flags(hpa);
    if ((flags & PG.DIRTY) === 0) this.frames.setFlags(hpa, PG.DIRTY);
    if ((flags & PG.CODE) !== 0) this.onCodeWritten(va - offsetInPage(va));
  }

  /** {@link copy} of what lies in one page that is there and stays: false, and nothing was done, for anything else. */
  tryCopy(va: number, bytes: Uint8Array, write: boolean): boolean {
    const { length } = bytes;
    if (offsetInPage(va) + length > PAGE_SIZE) return false;
    const hpa = this.getPage(va, write);
    if (hpa < 0) return false;
    this.#copyPart(va, hpa, bytes, 0, length, write);
    this.#work?.copied(length);
    return true;
  }
  /** Copies `bytes[done...]` from or to one page, on which a reference was taken: it is dropped. */
  #copyPart(va: number, hpa: number, bytes: Uint8Array, done: number, length: number, write: boolean): void {
    const at = hpa + offsetInPage(va);
    if (write) this.memory.copyTo(at, bytes, done, length);
    else this.memory.copyFrom(at, bytes, done, length);
    this.keys.touched(hpa, write);
    this.putPage(va, hpa, write);
  }

  /**
   * Copies between `[va, va + bytes.length)` and `bytes`, page by page, waiting for pages that are being moved.
   * @throws Errno EFAULT at the first page that is not mapped or not writable; earlier pages have been copied.
   */
  *copy(va: number, bytes: Uint8Array, write: boolean): Task {
    for (let done = 0; done < bytes.length; ) {
      const at = va + done;
      const length = Math.min(bytes.length - done, PAGE_SIZE - offsetInPage(at));
      let hpa = this.getPage(at, write);
      while (hpa === BUSY) {
        yield* until('page being moved', () => this.lookup(at, write) !== BUSY);
        hpa = this.getPage(at, write);
      }
      if (hpa === FAULT) throw new Errno('EFAULT', `address 0x${at.toString(16)}`);
      this.#copyPart(at, hpa, bytes, done, length, write);
      done += length;
    }
    this.#work?.copied(bytes.length);
  }

  /** copy_from_user: a fresh copy of `length` bytes at `va`. @throws Errno EFAULT */
  *copyIn(va: number, length: number): Task<Uint8Array> {
    const bytes = new Uint8Array(length);
    yield* this.copy(va, bytes, false);
    return bytes;
  }
}

/** Number of pages that `[va, va + length)` touches. */
export function pagesSpanned(va: number, length: number): number {
  return Math.ceil((offsetInPage(va) + length) / 2 ** PAGE_SHIFT);
}
