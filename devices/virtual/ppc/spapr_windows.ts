/**
 * The DMA windows of a sPAPR host bridge (QEMU hw/ppc/spapr_pci.c, spapr_rtas_ddw.c; vfio-tce facts 3.3 to 3.5): up to two
 * LIOBN tables, the default one below 4 GiB and a dynamic one. The container of the bridge's VFIO devices has the same
 * windows at every time.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { DMA_WINDOW_SIZE, DMA_WINDOW_START, DMA_WINDOWS, pciLiobn } from '../../../kernel/include/arch/ppc/tce.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { VFIOContainer } from '../vfio/container.ts';
import type { VFIOGroup } from '../vfio/group.ts';
import { type AttachedTable, attachTable, bindGroup, detachTable, type TceBind } from '../vfio/spapr.ts';
import { SpaprTceTable } from './spapr_iommu.ts';
import type { SpaprTceHcalls } from './spapr_tce_hcalls.ts';

/** log2 of the default window's pages (SPAPR_TCE_PAGE_SHIFT). */
const DEFAULT_PAGE_SHIFT = 12;
/** Entries of a table at most: 128 MiB of them. What a guest asks beyond that is refused before memory is sought for it. */
const MOST_ENTRIES = 2 ** 24;

export interface SpaprWindowsOptions {
  /** Number of the host bridge. */
  readonly phb: number;
  readonly tce: SpaprTceHcalls;
  /** HPA of a VMM address. */
  readonly mapped: (va: number) => number;
  /** What KVM is told; `group` when omitted. */
  readonly bind?: TceBind;
}

/** A window that is set. */
interface Window {
  readonly table: SpaprTceTable;
  attached: AttachedTable | undefined;
}

export class SpaprWindows {
  readonly #machine: Machine;
  readonly #options: SpaprWindowsOptions;
  readonly #windows: (Window | undefined)[] = Array.from({ length: DMA_WINDOWS }, () => undefined);
  #container: VFIOContainer | undefined;
  readonly #groups = new Set<VFIOGroup>();

  constructor(machine: Machine, options: SpaprWindowsOptions) {
    this.#machine = machine;
    this.#options = options;
  }

  /** Windows that are set. */
  get active(): number {
    return this.#windows.filter((window) => window !== undefined).length;
  }
  /** The table of a window; undefined when it is not set. */
  table(window: number): SpaprTceTable | undefined {
    return this.#windows[window]?.table;
  }
  /** The window with a LIOBN; undefined when it is another bridge's, or not set. */
  windowOf(liobn: number): number | undefined {
    const window = this.#windows.findIndex((one) => one?.table.liobn === liobn);
    return window < 0 ? undefined : window;
  }
  /** The lowest window that is not set (spapr_phb_get_free_liobn); undefined when both are. */
  get free(): number | undefined {
    const window = this.#windows.indexOf(undefined);
    return window < 0 ? undefined : window;
  }

  /** The default window, as a reset leaves it. @throws Errno; Error */
  *setDefault(): Task {
    yield* this.set(0, { pageShift: DEFAULT_PAGE_SHIFT, nbTable: DMA_WINDOW_SIZE / 2 ** DEFAULT_PAGE_SHIFT });
  }

  /**
   * Sets a window. It begins where the default one does when no other is set, else above bit 59.
   * @throws Errno; Error, and nothing is set
   */
  *set(window: number, { pageShift, nbTable }: { readonly pageShift: number; readonly nbTable: number }): Task {
    const { phb, tce, mapped, bind } = this.#options;
    if (nbTable > MOST_ENTRIES) throw new Errno('ENOMEM', `DMA window of ${nbTable} pages`);
    const table = yield* SpaprTceTable.create(this.#machine, {
      liobn: pciLiobn(phb, window),
      busOffset: Number(DMA_WINDOW_START[this.active === 0 ? 0 : 1]),
      pageShift,
      nbTable,
      needVfio: this.#container !== undefined,
      mapped,
    });
    try {
      const container = this.#container;
      const attached =
        container && (yield* attachTable(this.#machine, container, [...this.#groups], table, bind, true));
      this.#windows[window] = { table, attached };
      tce.add(table);
    } catch (error) {
      yield* table.release(this.#machine);
      throw error;
    }
  }

  /** Takes a window away, and all that is mapped through it. */
  *unset(window: number): Task {
    const found = this.#windows[window];
    if (found === undefined) return;
    const { table, attached } = found;
    this.#windows[window] = undefined;
    this.#options.tce.remove(table);
    if (attached !== undefined) yield* this.#detach(attached);
    yield* table.release(this.#machine);
  }
  /** What the kernel says against it is told, and the rest is done all the same. */
  *#detach(attached: AttachedTable): Task {
    try {
      yield* detachTable(this.#machine, attached);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.#machine.log(`vfio: LIOBN 0x${attached.table.liobn.toString(16)}: ${error.message}`);
    }
  }

  /** Machine reset: the default window only, and it is empty (spapr_phb_dma_reset). @throws Errno; Error */
  *reset(): Task {
    if (this.#windows[1] === undefined && this.#windows[0] !== undefined && this.#isDefault(this.#windows[0].table))
      return yield* this.#windows[0].table.reset();
    for (let window = 0; window < DMA_WINDOWS; window++) yield* this.unset(window);
    yield* this.setDefault();
  }
  #isDefault({ busOffset, pageShift, nbTable }: SpaprTceTable): boolean {
    return busOffset === 0 && pageShift === DEFAULT_PAGE_SHIFT && nbTable * 2 ** pageShift === DMA_WINDOW_SIZE;
  }

  // VFIO

  /** A group has joined the container, which the first one makes the bridge's. @throws Errno; Error, and it is not counted */
  *groupJoined(container: VFIOContainer, group: VFIOGroup): Task {
    if (this.#container === undefined) return yield* this.#firstGroup(container, group);
    for (const window of this.#windows)
      if (window?.attached !== undefined) yield* bindGroup(this.#machine, window.attached, group);
    this.#groups.add(group);
  }
  /** The container gets the windows that are set; KVM's tables may have to move out of its way. */
  *#firstGroup(container: VFIOContainer, group: VFIOGroup): Task {
    const set = this.#windows.filter((window) => window !== undefined);
    try {
      for (const window of set) {
        if (!window.table.needVfio) yield* window.table.setNeedVfio(this.#machine, true);
        window.attached = yield* attachTable(this.#machine, container, [group], window.table, this.#options.bind);
      }
    } catch (error) {
      yield* this.#detachAll();
      throw error;
    }
    this.#container = container;
    this.#groups.add(group);
  }
  /** A group is about to leave; with the last one the windows are the bridge's alone again. */
  *groupLeaves(group: VFIOGroup): Task {
    if (!this.#groups.delete(group) || this.#groups.size > 0) return;
    this.#container = undefined;
    yield* this.#detachAll();
  }
  *#detachAll(): Task {
    for (const window of this.#windows) {
      if (window === undefined) continue;
      if (window.attached !== undefined) yield* this.#detach(window.attached);
      window.attached = undefined;
      if (window.table.needVfio) yield* window.table.setNeedVfio(this.#machine, false);
    }
  }
}
