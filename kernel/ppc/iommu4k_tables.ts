/** Page tables of the 4K-page IOMMU: three levels in host memory, with pages of 2 MiB where memory is in one piece. */
import {
  IOMMU4K_ADDRESS_LIMIT,
  IOMMU4K_ENTRY,
  IOMMU4K_LEVELS,
  IOMMU4K_MESSAGES,
  IOMMU4K_PAGE,
  IOMMU4K_TABLE,
} from '../include/arch/ppc/iommu4k.ts';
import { Errno } from '../include/uapi/errno.ts';
import { type HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import type { PageAllocator } from '../mm/page.ts';

const [ROOT_SPAN, MIDDLE_SPAN] = IOMMU4K_LEVELS;
/** 4K pages of a large one. */
const LARGE_PAGES = MIDDLE_SPAN / PAGE_SIZE;
const ACCESS = IOMMU4K_PAGE.READ | IOMMU4K_PAGE.WRITE;

export class Iommu4kTables {
  /** HPA of the root table. */
  readonly root: number;
  readonly #memory: HostMemory;
  readonly #pages: PageAllocator;
  readonly #drain: () => void;
  readonly #tables: number[] = [];

  /** @param drain as of the unit. @throws Errno ENOMEM */
  constructor(memory: HostMemory, pages: PageAllocator, drain: () => void) {
    this.#memory = memory;
    this.#pages = pages;
    this.#drain = drain;
    this.root = this.#table();
  }

  #table(): number {
    const page = this.#pages.allocPage();
    if (page === undefined) throw new Errno('ENOMEM', 'I/O page table');
    this.#tables.push(page);
    return page;
  }

  /** Frees every table; no device uses them any more. */
  release(): void {
    for (const table of this.#tables.splice(0)) this.#pages.freePages(table);
  }

  /**
   * Maps one frame for each page from `iova` on. @param access bits of IOMMU4K_PAGE. @throws Errno EINVAL beyond the address
   * space and over the message window, ENOMEM: nothing stays mapped
   */
  map(iova: number, hpas: readonly number[], access: number): void {
    const size = hpas.length * PAGE_SIZE;
    const { start, size: window } = IOMMU4K_MESSAGES;
    if (iova + size > IOMMU4K_ADDRESS_LIMIT || (iova < start + window && start < iova + size))
      throw new Errno('EINVAL', `I/O page table: 0x${iova.toString(16)}, 0x${size.toString(16)} bytes`);
    let done = 0;
    try {
      while (done < hpas.length) {
        const at = iova + done * PAGE_SIZE;
        const large = at % MIDDLE_SPAN === 0 && inOnePiece(hpas, done);
        const entry = this.#entry(at, large ? MIDDLE_SPAN : PAGE_SIZE);
        this.#memory.store(entry, hpas[done] | access | (large ? IOMMU4K_PAGE.LARGE : 0));
        done += large ? LARGE_PAGES : 1;
      }
    } catch (error) {
      this.unmap(iova, done * PAGE_SIZE);
      throw error;
    }
  }

  /** No device uses the pages any more when it returns. */
  unmap(iova: number, size: number): void {
    for (let at = iova; at < iova + size; ) {
      const middle = this.#find(at, ROOT_SPAN);
      const entry =
        middle === undefined ? undefined : middle + Math.floor((at % ROOT_SPAN) / MIDDLE_SPAN) * IOMMU4K_ENTRY.PAGE;
      const value = entry === undefined ? 0 : this.#memory.load(entry);
      if (entry === undefined || (value & ACCESS) === 0) at = nextMultiple(at, MIDDLE_SPAN);
      else if ((value & IOMMU4K_PAGE.LARGE) !== 0) {
        this.#memory.store(entry, 0);
        at = nextMultiple(at, MIDDLE_SPAN);
      } else {
        const leaf =
          (value >>> 0) - ((value >>> 0) % PAGE_SIZE) + Math.floor((at % MIDDLE_SPAN) / PAGE_SIZE) * IOMMU4K_ENTRY.PAGE;
        this.#memory.store(leaf, 0);
        at += PAGE_SIZE;
      }
    }
    this.#drain();
  }

  /** The table that the entry for `address` of a level points to. @param span bytes of an entry of that level */
  #find(address: number, span: number): number | undefined {
    const value = this.#memory.load(this.root + Math.floor(address / span) * IOMMU4K_ENTRY.PAGE) >>> 0;
    return (value & ACCESS) === 0 ? undefined : value - (value % PAGE_SIZE);
  }

  /** Address of the entry that stands for `span` bytes at `address`; tables above it are made. @throws Errno ENOMEM */
  #entry(address: number, span: number): number {
    let table = this.root;
    let left = address;
    for (const size of IOMMU4K_LEVELS) {
      const at = table + Math.floor(left / size) * IOMMU4K_ENTRY.PAGE;
      left %= size;
      if (size === span) {
        const old = this.#memory.load(at) >>> 0;
        // A table of 4K pages that are all unmapped, where a large page comes now.
        if (size === MIDDLE_SPAN && (old & ACCESS) !== 0) this.#drop(at, old - (old % PAGE_SIZE));
        return at;
      }
      const value = this.#memory.load(at) >>> 0;
      if ((value & ACCESS) === 0) {
        table = this.#table();
        // Permissions are those of the leaf.
        this.#memory.store(at, table | ACCESS);
      } else table = value - (value % PAGE_SIZE);
    }
    throw new Error(`no level of I/O page tables has entries of ${span} bytes`);
  }

  #drop(at: number, table: number): void {
    this.#memory.store(at, 0);
    this.#drain();
    this.#tables.splice(this.#tables.indexOf(table), 1);
    this.#pages.freePages(table);
  }

  /** Entries that are there, for inspection: [4K, 2M]. */
  count(): [number, number] {
    let [small, large] = [0, 0];
    for (let i = 0; i < IOMMU4K_ADDRESS_LIMIT / ROOT_SPAN; i++) {
      const middle = this.#find(i * ROOT_SPAN, ROOT_SPAN);
      if (middle === undefined) continue;
      for (let j = 0; j < IOMMU4K_TABLE; j++) {
        const value = this.#memory.load(middle + j * IOMMU4K_ENTRY.PAGE) >>> 0;
        if ((value & ACCESS) === 0) continue;
        if ((value & IOMMU4K_PAGE.LARGE) !== 0) large++;
        else
          for (let k = 0; k < IOMMU4K_TABLE; k++)
            if ((this.#memory.load(value - (value % PAGE_SIZE) + k * IOMMU4K_ENTRY.PAGE) & ACCESS) !== 0) small++;
      }
    }
    return [small, large];
  }
}

/** Whether the frames from `first` on are a large page. */
function inOnePiece(hpas: readonly number[], first: number): boolean {
  if (first + LARGE_PAGES > hpas.length || hpas[first] % MIDDLE_SPAN !== 0) return false;
  for (let i = 1; i < LARGE_PAGES; i++) if (hpas[first + i] !== hpas[first] + i * PAGE_SIZE) return false;
  return true;
}

function nextMultiple(value: number, of: number): number {
  return (Math.floor(value / of) + 1) * of;
}
