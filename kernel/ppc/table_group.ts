/**
 * The table group of a PE: its DMA windows and who owns them (struct iommu_table_group and its ops; the IODA2 ones of
 * arch/powerpc/platforms/powernv/pci-ioda.c).
 */
import { DMA_WINDOWS, TCE_PAGE_SHIFTS } from '../include/arch/ppc/tce.ts';
import { Errno } from '../include/uapi/errno.ts';
import { EehPe } from './eeh.ts';
import type { IommuTable } from './iommu_table.ts';
import type { Powernv } from './powernv.ts';

/** Bytes of the default 32-bit window, at bus address 0. */
export const TCE32_SIZE = 0x4000_0000;
/** Page shift of the default window (IOMMU_PAGE_SHIFT_4K). */
export const TCE32_PAGE_SHIFT = 12;
/** Page sizes that windows may have, as a mask of their byte sizes. */
export const PAGE_SIZES = TCE_PAGE_SHIFTS.reduce((mask, shift) => mask + 2 ** shift, 0);

export class TableGroup {
  readonly pe: number;
  /** Tables of the windows that are set. */
  readonly tables: (IommuTable | undefined)[] = Array.from({ length: DMA_WINDOWS }, () => undefined);
  /** Its error handling. */
  readonly eeh: EehPe;
  readonly #host: Powernv;
  #owned = false;

  constructor(host: Powernv, pe: number) {
    this.#host = host;
    this.pe = pe;
    this.eeh = new EehPe(host.bridge, pe);
  }

  /** VFIO takes the PE from the host, whose own window and bypass are off from then on. @throws Errno EBUSY */
  takeOwnership(): void {
    if (this.#owned) throw new Errno('EBUSY', `PE ${this.pe} belongs to another container`);
    this.#owned = true;
    for (let window = 0; window < DMA_WINDOWS; window++) this.#host.bridge.unsetWindow(this.pe, window);
  }

  /** The host has the PE back; no window is set. This host does no DMA of its own through it, so it sets none. */
  releaseOwnership(): void {
    for (let window = 0; window < DMA_WINDOWS; window++) this.unsetWindow(window);
    this.#owned = false;
  }

  /** Programs a window with a table. @throws Errno EINVAL when the bridge cannot have such a window */
  setWindow(table: IommuTable): void {
    // Linked first: a translation that the device caches at once must be reached by the next kill.
    table.link(this.pe);
    const { window, hpa, entries, pageShift, levels, levelShift } = table;
    const next = { tableHpa: hpa, entries, pageShift, levels, levelShift };
    if (!this.#host.bridge.setWindow(this.pe, window, next)) {
      table.unlink(this.pe);
      throw new Errno('EINVAL', `PE ${this.pe}: DMA window ${window} of ${entries} pages of 2^${pageShift} bytes`);
    }
    this.tables[window] = table;
  }

  /** Empties a window: when it returns, the device no longer translates with its table. */
  unsetWindow(window: number): void {
    const table = this.tables[window];
    if (table === undefined) return;
    this.#host.bridge.unsetWindow(this.pe, window);
    this.tables[window] = undefined;
    table.unlink(this.pe);
  }
}
