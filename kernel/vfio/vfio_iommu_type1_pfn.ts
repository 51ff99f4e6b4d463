/**
 * The pages of one mapping that in-kernel users hold (struct vfio_pfn and its tree): frame and references of each, by the
 * page's number in the mapping. An I/O pins and unpins each of its pages once, so nothing is allocated for a page: tables
 * of {@link TABLE_PAGES} pages stay, as Linux's page tables do, until the mapping goes.
 */
import { PAGE_SHIFT } from '../lib/host_memory.ts';

/** Pages of a table: what one page-table page maps. */
const TABLE_SHIFT = 9;
const TABLE_PAGES = 1 << TABLE_SHIFT;

/** Words of a page: number of its frame, and references; 0 of these when it is not pinned. */
const FRAME = 0;
const REFERENCES = 1;
const WORDS = 2;

export class PinnedPages {
  readonly #tables = new Map<number, Int32Array>();
  /** The table used last, and its number. */
  #last: Int32Array = new Int32Array(0);
  #lastNumber = -1;
  #size = 0;

  /** Pages that are pinned. */
  get size(): number {
    return this.#size;
  }

  #table(page: number): Int32Array | undefined {
    const number = Math.floor(page / TABLE_PAGES);
    if (number === this.#lastNumber) return this.#last;
    const table = this.#tables.get(number);
    if (table === undefined) return undefined;
    this.#last = table;
    this.#lastNumber = number;
    return table;
  }

  /** One reference more: HPA of the page's frame, or -1 when it is not pinned. */
  reference(page: number): number {
    const table = this.#table(page);
    if (table === undefined) return -1;
    const at = (page & (TABLE_PAGES - 1)) * WORDS;
    if (table[at + REFERENCES] === 0) return -1;
    table[at + REFERENCES]++;
    return (table[at + FRAME] << PAGE_SHIFT) >>> 0;
  }

  /** A page that was not pinned is now, with one reference. */
  add(page: number, hpa: number): void {
    let table = this.#table(page);
    if (table === undefined) {
      table = new Int32Array(TABLE_PAGES * WORDS);
      this.#tables.set(Math.floor(page / TABLE_PAGES), table);
    }
    const at = (page & (TABLE_PAGES - 1)) * WORDS;
    table[at + FRAME] = hpa >>> PAGE_SHIFT;
    table[at + REFERENCES] = 1;
    this.#size++;
  }

  /** One reference less, if it has any: HPA of the frame when that was the last one, else -1. */
  unreference(page: number): number {
    const table = this.#table(page);
    if (table === undefined) return -1;
    const at = (page & (TABLE_PAGES - 1)) * WORDS;
    if (table[at + REFERENCES] === 0 || --table[at + REFERENCES] > 0) return -1;
    this.#size--;
    return (table[at + FRAME] << PAGE_SHIFT) >>> 0;
  }

  /** Numbers of the pinned pages. */
  pages(): number[] {
    const pages: number[] = [];
    for (const [number, table] of this.#tables)
      for (let i = 0; i < TABLE_PAGES; i++)
        if (table[i * WORDS + REFERENCES] !== 0) pages.push(number * TABLE_PAGES + i);
    return pages;
  }

  /** Forgets every reference to a page: HPA of its frame, or -1. */
  drop(page: number): number {
    const table = this.#table(page);
    if (table !== undefined && table[(page & (TABLE_PAGES - 1)) * WORDS + REFERENCES] > 1)
      table[(page & (TABLE_PAGES - 1)) * WORDS + REFERENCES] = 1;
    return this.unreference(page);
  }
}
