/**
 * PAMU's tables in host memory and the changes drivers make to them (drivers/iommu/fsl_pamu.c: pamu_config_ppaace,
 * pamu_config_spaace, pamu_update_paace_stash, pamu_disable_spaace). Devices read the tables at every access, while they
 * change: the word with the valid bit and the permissions is stored last when an entry is made, first when it goes.
 */
import { readPaaceWord, writePaaceWord } from '../../devices/physical/pamu/paact.ts';
import {
  OME_NUMBER_ENTRIES,
  OME_SIZE,
  PAACE,
  PAACE_AP,
  PAACE_ATM,
  PAACE_DA_HOST_CR,
  PAACE_IA,
  PAACE_NUMBER_ENTRIES,
  PAACE_OP_INDEX,
  PAACE_OTM,
  PAACE_PT,
  PAACE_WIN,
  PPAACE_AF,
  SPAACE_AF,
  SPAACE_NUMBER_ENTRIES,
  windowCountCode,
  windowSizeCode,
} from '../include/arch/ppc/pamu.ts';
import { type HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import type { PageAllocator } from '../mm/page.ts';
import { type LiodnAttributes, setUpOmt } from './fsl_pamu_omt.ts';

type Word = Exclude<keyof typeof PAACE.offset, 'reserved'>;
const U32 = 2 ** 32;
/** Low 12 bits of an address are not kept. */
const ADDRESS_LOW = 0xffff_f000;

/** What the host uses before a driver or user space says otherwise: all of the address space, untranslated. */
const IDENTITY_SIZE = 2 ** 36;

/** The DMA window of a LIODN. */
export interface PamuGeometry {
  readonly start: number;
  readonly size: number;
  /** Sub-windows; 1 for none. */
  readonly windows: number;
  /** First secondary entry of windows 1 and up. */
  readonly fspi: number;
  /** Undefined: the field stays zero, as in Linux while the id is ~0. */
  readonly stashId: number | undefined;
  /** Row of the operation mapping table; undefined: operations stay as they are. */
  readonly omi?: number;
}

/** What a window translates to. */
export interface PamuTranslation {
  readonly physical: number;
  /** A power of two, at most the window's size; `physical` is aligned to it. */
  readonly length: number;
  /** {@link PAACE_AP}. */
  readonly permissions: number;
}

export class PamuTables {
  /** Addresses of the three tables. */
  readonly ppaact: number;
  readonly spaact: number;
  readonly omt: number;
  readonly #memory: HostMemory;
  readonly #drain: () => void;
  /** Secondary entries in use. */
  readonly #slots = new Uint8Array(SPAACE_NUMBER_ENTRIES);

  /**
   * @param drain returns when no transaction uses an entry as it was before. @throws Error when there is no memory for the
   *   tables
   */
  constructor(memory: HostMemory, pages: PageAllocator, drain: () => void) {
    this.#memory = memory;
    this.#drain = drain;
    const size = (PAACE_NUMBER_ENTRIES + SPAACE_NUMBER_ENTRIES) * PAACE.size + OME_NUMBER_ENTRIES * OME_SIZE;
    // One block, naturally aligned, as the PAMUs want it.
    const count = 2 ** Math.ceil(Math.log2(size / PAGE_SIZE));
    const block = pages.allocPages(count, count);
    if (block === undefined) throw new Error(`PAMU: no ${count} pages in one piece for the tables`);
    this.ppaact = block;
    this.spaact = this.ppaact + PAACE_NUMBER_ENTRIES * PAACE.size;
    this.omt = this.spaact + SPAACE_NUMBER_ENTRIES * PAACE.size;
    setUpOmt(memory, this.omt);
  }

  // Entries

  /** Address of the primary entry of a LIODN; undefined for one that the table does not have. */
  primary(liodn: number): number | undefined {
    return liodn < PAACE_NUMBER_ENTRIES ? this.ppaact + liodn * PAACE.size : undefined;
  }
  /** Address of a secondary entry. */
  secondary(index: number): number {
    return this.spaact + index * PAACE.size;
  }
  #read(entry: number, word: Word): number {
    return readPaaceWord(this.#memory, entry, PAACE.offset[word]);
  }
  #write(entry: number, word: Word, value: number): void {
    writePaaceWord(this.#memory, entry, PAACE.offset[word], value);
  }

  // Secondary entries

  /** Takes `count` consecutive secondary entries: the first one's index, or undefined when there is no such run. */
  allocate(count: number): number | undefined {
    let run = 0;
    for (let i = 0; i < SPAACE_NUMBER_ENTRIES; i++) {
      run = this.#slots[i] === 0 ? run + 1 : 0;
      if (run < count) continue;
      this.reserve(i - count + 1, count);
      return i - count + 1;
    }
    return undefined;
  }
  /** Takes entries that are known to be free. */
  reserve(first: number, count: number): void {
    this.#slots.fill(1, first, first + count);
  }
  free(first: number, count: number): void {
    this.#slots.fill(0, first, first + count);
  }
  /** Secondary entries in use. */
  get allocated(): number {
    return this.#slots.reduce((sum, used) => sum + used, 0);
  }

  // LIODNs

  /** Whether devices with this LIODN get anywhere. */
  isValid(liodn: number): boolean {
    const entry = this.primary(liodn);
    return entry !== undefined && PPAACE_AF.get(this.#read(entry, 'addr_bitfields'), 'V') === 1;
  }
  /** When it returns with `valid` false, no device with the LIODN reaches memory any more. */
  setValid(liodn: number, valid: boolean): void {
    const entry = this.primary(liodn);
    if (entry === undefined) return;
    this.#write(entry, 'addr_bitfields', PPAACE_AF.set(this.#read(entry, 'addr_bitfields'), 'V', valid ? 1 : 0));
    if (!valid) this.#drain();
  }

  /** The host's entry: every address, as it is. The LIODN must not be valid. */
  configureIdentity(liodn: number, { omi, stashId, incoherent = false }: LiodnAttributes = {}): void {
    const entry = this.primary(liodn);
    if (entry === undefined) return;
    this.#write(entry, 'wbah', 0);
    this.#write(entry, 'domain_attr', incoherent ? 0 : PAACE_DA_HOST_CR);
    this.#write(entry, 'impl_attr', attributes(PAACE_ATM.NO_XLATE, stashId, omi));
    this.#write(entry, 'twbah', 0);
    this.#write(entry, 'win_bitfields', PAACE_WIN.set(0, 'SWSE', windowSizeCode(IDENTITY_SIZE)));
    this.#write(entry, 'fspi', 0);
    this.#write(entry, 'op_encode', operations(omi));
    let af = PPAACE_AF.set(0, 'WSE', windowSizeCode(IDENTITY_SIZE));
    af = PPAACE_AF.set(af, 'AP', PAACE_AP.ALL);
    this.#write(entry, 'addr_bitfields', af);
  }

  /** A geometry, with every window unmapped. The LIODN must not be valid. */
  configure(liodn: number, { start, size, windows, fspi, stashId, omi }: PamuGeometry): void {
    const entry = this.primary(liodn);
    if (entry === undefined) return;
    const window = PAACE_WIN.set(0, 'SWSE', windowSizeCode(size / windows));
    const multiple = windows > 1;
    const ia = attributes(PAACE_ATM.WINDOW_XLATE, stashId, omi);
    this.#write(entry, 'wbah', Math.floor(start / U32));
    this.#write(entry, 'domain_attr', PAACE_DA_HOST_CR);
    this.#write(entry, 'impl_attr', multiple ? PAACE_IA.set(ia, 'WCE', windowCountCode(windows)) : ia);
    this.#write(entry, 'twbah', 0);
    this.#write(entry, 'win_bitfields', window);
    this.#write(entry, 'fspi', multiple ? fspi : 0);
    this.#write(entry, 'op_encode', operations(omi));
    let af = (start & ADDRESS_LOW) >>> 0;
    af = PPAACE_AF.set(af, 'WSE', windowSizeCode(size));
    this.#write(entry, 'addr_bitfields', PPAACE_AF.set(af, 'MW', multiple ? 1 : 0));
    for (let i = 1; i < windows; i++) {
      const secondary = this.secondary(fspi + i - 1);
      this.#write(
        secondary,
        'addr_bitfields',
        SPAACE_AF.set(SPAACE_AF.set(0, 'LIODN', liodn), 'PT', PAACE_PT.SECONDARY),
      );
      this.#write(secondary, 'wbah', 0);
      this.#write(secondary, 'domain_attr', PAACE_DA_HOST_CR);
      this.#write(secondary, 'impl_attr', ia);
      this.#write(secondary, 'twbah', 0);
      this.#write(secondary, 'win_bitfields', window);
      this.#write(secondary, 'fspi', 0);
      this.#write(secondary, 'op_encode', operations(omi));
    }
  }

  // Windows. Window 0 is in the primary entry, whose V is the whole LIODN's: without a mapping it permits nothing.

  /** Maps a window that is not mapped. */
  map(liodn: number, geometry: PamuGeometry, index: number, to: PamuTranslation): void {
    const entry = this.#window(liodn, geometry, index);
    const code = windowSizeCode(to.length);
    this.#write(entry, 'twbah', Math.floor(to.physical / U32));
    this.#write(entry, 'win_bitfields', PAACE_WIN.set((to.physical & ADDRESS_LOW) >>> 0, 'SWSE', code));
    // The entry of window 0 may be valid, for the other windows: who has read the old words must not see these permissions.
    if (index === 0) this.#drain();
    let af = this.#read(entry, 'addr_bitfields');
    if (index > 0) af = SPAACE_AF.set(SPAACE_AF.set(af, 'AP', to.permissions), 'V', 1);
    else af = PPAACE_AF.set(af, 'AP', to.permissions);
    // The only window of a LIODN is as long as what it maps.
    if (geometry.windows === 1) af = PPAACE_AF.set(af, 'WSE', code);
    this.#write(entry, 'addr_bitfields', af);
  }

  /** Takes a window's mapping away. When it returns, no device uses it any more. */
  unmap(liodn: number, geometry: PamuGeometry, index: number): void {
    const entry = this.#window(liodn, geometry, index);
    let af = this.#read(entry, 'addr_bitfields');
    if (index > 0) af = SPAACE_AF.set(SPAACE_AF.set(af, 'AP', PAACE_AP.DENIED), 'V', 0);
    else af = PPAACE_AF.set(af, 'AP', PAACE_AP.DENIED);
    if (geometry.windows === 1) af = PPAACE_AF.set(PPAACE_AF.set(af, 'WSE', windowSizeCode(geometry.size)), 'V', 0);
    this.#write(entry, 'addr_bitfields', af);
    // Whoever has read the old permissions may still read the other words: they change after that.
    this.#drain();
    this.#write(entry, 'twbah', 0);
    // As long as the window again, so that an access to it is refused for its permissions, wherever it is.
    this.#write(entry, 'win_bitfields', PAACE_WIN.set(0, 'SWSE', windowSizeCode(geometry.size / geometry.windows)));
  }

  /** The stash id of every window. */
  setStash(liodn: number, { windows, fspi }: PamuGeometry, stashId: number): void {
    const primary = this.primary(liodn);
    if (primary === undefined) return;
    const entries = [primary, ...Array.from({ length: windows - 1 }, (_, i) => this.secondary(fspi + i))];
    for (const entry of entries)
      this.#write(entry, 'impl_attr', PAACE_IA.set(this.#read(entry, 'impl_attr'), 'CID', stashId));
  }

  #window(liodn: number, { fspi }: PamuGeometry, index: number): number {
    return index === 0 ? this.ppaact + liodn * PAACE.size : this.secondary(fspi + index - 1);
  }
}

function attributes(translation: number, stashId: number | undefined, omi: number | undefined): number {
  const mode = omi === undefined ? PAACE_OTM.NO_XLATE : PAACE_OTM.INDEXED;
  return PAACE_IA.set(PAACE_IA.set(PAACE_IA.set(0, 'ATM', translation), 'CID', stashId ?? 0), 'OTM', mode);
}
function operations(omi: number | undefined): number {
  return omi === undefined ? 0 : PAACE_OP_INDEX.set(0, 'OMI', omi);
}
