/**
 * The PCI host bridge as the kernel drives it: windows, TCE kill, MMIO, configuration space, freeze and reset of each
 * PE (Linux arch/powerpc/platforms/powernv/pci-ioda.c and eeh-powernv.c; the firmware under them is part of this).
 * Every method runs on the kernel's thread; only `tceKillRm` (`tce_cache.ts`), `exchangeTce` (`tce_table.ts`) and
 * `MmioPort` (`mmio.ts`) may run elsewhere.
 */

import { DMA_WINDOW_START, DMA_WINDOWS, TCE_PAGE_SHIFTS, TCE_SIZE } from '../../../kernel/include/arch/ppc/tce.ts';
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import { type HostMemory, PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { allOnes, ConfigSpace } from './config_space.ts';
import { deviceNumbered, PCI_DEVICE, type PciDevice, type PciDeviceName } from './device.ts';
import { deviceBehind, lockMmio, MmioPort, unlockMmio } from './mmio.ts';
import {
  checkFirstFrame,
  FREEZE,
  FREEZE_BOTH,
  freezePe,
  freezeState,
  INJECT,
  lockDma,
  PE,
  PE_ERROR,
  PES,
  type PeErrorName,
  PHB_AREA_SIZE,
  peBlock,
  peErrorName,
  thawPe,
  tveAt,
  unlockDma,
} from './pe.ts';
import { ALL_ENTRIES, type CachedTce, invalidateTces, MOST_ENTRIES, tceCacheEntries, tceKillRm } from './tce_cache.ts';
import { MAX_TCE_LEVELS } from './tce_table.ts';

/** A DMA window to be set. */
export interface DmaWindow {
  /** HPA of the TCE table, page-aligned, inside allocatable memory. */
  readonly tableHpa: number;
  readonly entries: number;
  /** log2 of the IOMMU page: one of TCE_PAGE_SHIFTS. */
  readonly pageShift: number;
  /** Levels of the table; 1 when omitted. */
  readonly levels?: number;
  /** log2 of the entries in each level of a table of several. */
  readonly levelShift?: number;
}

/** State of a PE (include/uapi/linux/vfio.h, VFIO_EEH_PE_STATE_*). */
export const EEH_PE_STATE = { NORMAL: 0, RESET: 1, STOPPED: 2, STOPPED_DMA: 4, UNAVAIL: 5 } as const;
export type EehPeState = (typeof EEH_PE_STATE)[keyof typeof EEH_PE_STATE];

/** State by the stopped bits: none, MMIO, DMA, both. DMA running without MMIO is no state software can use. */
const STATE_OF = [EEH_PE_STATE.NORMAL, EEH_PE_STATE.UNAVAIL, EEH_PE_STATE.STOPPED_DMA, EEH_PE_STATE.STOPPED] as const;

/** What {@link HostBridge.eehUnfreeze} lets go on (VFIO_EEH_PE_UNFREEZE_IO, _DMA, or both). */
export const EEH_UNFREEZE = { IO: FREEZE.MMIO_STOPPED, DMA: FREEZE.DMA_STOPPED, ALL: FREEZE_BOTH } as const;

/** The last error of a PE. */
export interface PeError {
  readonly reason: PeErrorName;
  /** Bus address and bytes of the refused transaction. */
  readonly address: bigint;
  readonly length: number;
  /** Freezes since power-on. */
  readonly count: number;
}

/** A PE for people and tests. */
export interface PeInspection {
  readonly rid: number;
  readonly device: PciDeviceName;
  readonly state: EehPeState;
  readonly windows: readonly (DmaWindow | undefined)[];
  readonly error: PeError;
  /** Kills since power-on, those by window changes included. */
  readonly kills: number;
  readonly cache: readonly CachedTce[];
}

/** What the bridge is built with. */
export interface HostBridgeConfig {
  /** First HPA that devices may reach: `SharedMap.firstFrame`. */
  readonly firstFrame: number;
  /** The PEs from 0 on, at most 16. */
  readonly pes: readonly {
    readonly device: PciDeviceName /** Requester ID; bus 1, device = PE when omitted. */;
    readonly rid?: number;
  }[];
}

const CONFIG_SPACES = new Map<PciDevice, ConfigSpace>();

function configSpace(device: PciDevice): ConfigSpace {
  const known = CONFIG_SPACES.get(device);
  if (known !== undefined) return known;
  const space = new ConfigSpace(device.identity);
  CONFIG_SPACES.set(device, space);
  return space;
}

/**
 * Power-on: called once, before any other thread uses the area. Every device starts with a command register of zero:
 * MMIO answers only after MEMORY, DMA works only after MASTER is set in it.
 * @param phbBase HPA of {@link PHB_AREA_SIZE} bytes, 64-aligned. @throws RangeError for more PEs than there are.
 */
export function installHostBridge(memory: HostMemory, phbBase: number, config: HostBridgeConfig): void {
  if (config.pes.length > PES) throw new RangeError(`${config.pes.length} PEs configured: the host bridge has ${PES}`);
  memory.bytes(phbBase, PHB_AREA_SIZE).fill(0);
  for (let pe = 0; pe < PES; pe++) memory.store(peBlock(phbBase, pe) + PE.offset.firstFrame, config.firstFrame);
  config.pes.forEach(({ device, rid }, number) => {
    const block = peBlock(phbBase, number);
    const pe = PE.at(memory.dv, block);
    pe.rid = rid ?? (1 << 8) | (number << 3);
    pe.device = PCI_DEVICE[device];
    const model = deviceNumbered(pe.device);
    if (model !== undefined) configSpace(model).reset(memory, block);
    pe.present = 1;
  });
}

export class HostBridge {
  readonly #memory: HostMemory;
  readonly #base: number;
  readonly #firstFrame: number;
  readonly #doorbells: readonly (Doorbell | undefined)[];
  readonly #tracer: Tracer | undefined;
  readonly #mmio: MmioPort;

  /**
   * @param phbBase as installed.
   * @param options `doorbells`: by PE, of the actor that runs the device's engine.
   */
  constructor(
    memory: HostMemory,
    phbBase: number,
    options: {
      readonly firstFrame: number;
      readonly doorbells: readonly (Doorbell | undefined)[];
      readonly tracer?: Tracer;
    },
  ) {
    checkFirstFrame(memory, phbBase, options.firstFrame);
    this.#memory = memory;
    this.#base = phbBase;
    this.#firstFrame = options.firstFrame;
    this.#doorbells = options.doorbells;
    this.#tracer = options.tracer;
    this.#mmio = new MmioPort(memory, phbBase, options.doorbells, options.tracer);
  }

  /** Numbers of the PEs that exist. */
  pes(): number[] {
    return Array.from({ length: PES }, (_, pe) => pe).filter((pe) => this.#pe(pe).present !== 0);
  }

  /** The PE a requester ID belongs to; undefined when none. */
  peOf(rid: number): number | undefined {
    return this.pes().find((pe) => this.#pe(pe).rid === rid);
  }

  // Windows and TCE kill

  /**
   * Sets a DMA window and empties the PE's TCE cache; window 0 starts at bus address 0, window 1 at 1 << 59.
   * @returns false, with nothing changed, for a window the hardware cannot have: no such PE or window, page size not
   *   supported, no entries, more than fit below bit 59 or than the cache can tell apart, levels that do not hold them,
   *   or a table that is not page-aligned in allocatable memory.
   */
  setWindow(pe: number, window: number, next: DmaWindow): boolean {
    const { tableHpa, entries, pageShift, levels = 1, levelShift = 0 } = next;
    const firstLevel = levels === 1 ? entries : 2 ** levelShift;
    const possible =
      this.#exists(pe) &&
      (window === 0 || window === 1) &&
      TCE_PAGE_SHIFTS.some((shift) => shift === pageShift) &&
      Number.isInteger(entries) &&
      entries >= 1 &&
      entries <= MOST_ENTRIES &&
      levels >= 1 &&
      levels <= MAX_TCE_LEVELS &&
      entries <= firstLevel ** levels &&
      entries * 2 ** pageShift <= Number(DMA_WINDOW_START[1]) &&
      tableHpa % PAGE_SIZE === 0 &&
      tableHpa >= this.#firstFrame &&
      tableHpa + firstLevel * TCE_SIZE <= this.#memory.size;
    if (possible) this.#changeTve(pe, window, next);
    return possible;
  }

  /** Empties a window: DMA to it freezes the PE. When it returns, the device has stopped reading the table. */
  unsetWindow(pe: number, window: number): void {
    this.#changeTve(pe, window, { tableHpa: 0, entries: 0, pageShift: 0 });
  }

  /** The cache is emptied under the same lock: an entry of the old table must not be read with the new page size. */
  #changeTve(pe: number, window: number, next: DmaWindow): void {
    const block = peBlock(this.#base, pe);
    const tve = tveAt(this.#memory, block, window);
    lockDma(this.#memory, block);
    tve.tableHpa = next.tableHpa;
    tve.entries = next.entries;
    tve.pageShift = next.pageShift;
    tve.levels = next.entries === 0 ? 0 : (next.levels ?? 1);
    tve.levelShift = next.levelShift ?? 0;
    tve.busOffset = DMA_WINDOW_START[window];
    invalidateTces(this.#memory, block, 0, ALL_ENTRIES);
    unlockDma(this.#memory, block);
  }

  /** TCE kill after entries of a table were changed: see {@link tceKillRm}. Entries of both windows when none is named. */
  tceKill(pe: number, firstEntry: number, count: number, window?: number): void {
    tceKillRm(this.#memory, this.#base, pe, firstEntry, count, window);
    this.#tracer?.point(EVENT.tce_kill, pe, firstEntry, count, window ?? -1);
  }

  /** Kills everything the PE has cached. */
  tceKillPe(pe: number): void {
    this.tceKill(pe, 0, ALL_ENTRIES);
  }

  // MMIO and configuration space

  /**
   * Loads from a BAR. @param offset in the BAR. @param size 1, 2 or 4. @returns the little-endian value; all ones when
   * nobody answers: PE frozen or absent, no such BAR, memory decoding off, access unaligned or outside.
   */
  mmioRead(pe: number, bar: number, offset: number, size: number): number {
    if (!this.#exists(pe)) return allOnes(size);
    return this.#atRegisters(pe, () => this.#mmio.load(pe, bar, offset, size));
  }

  /** Stores to a BAR; dropped where {@link mmioRead} gives all ones, but see the DMA port's CONTROL. */
  mmioWrite(pe: number, bar: number, offset: number, size: number, value: number): void {
    if (this.#exists(pe)) this.#atRegisters(pe, () => this.#mmio.store(pe, bar, offset, size, value));
  }

  /** Holds `mmioLock` meanwhile. */
  #atRegisters<T>(pe: number, action: () => T): T {
    const block = peBlock(this.#base, pe);
    lockMmio(this.#memory, block);
    try {
      return action();
    } finally {
      unlockMmio(this.#memory, block);
    }
  }

  /** What of a BAR is plain memory: offset in the BAR, bytes, HPA; undefined for none. */
  barMemory(
    pe: number,
    bar: number,
  ): { readonly offset: number; readonly size: number; readonly hpa: number } | undefined {
    const memory = bar === 0 ? this.#device(pe)?.memory : undefined;
    return memory && { offset: memory.offset, size: memory.size, hpa: peBlock(this.#base, pe) + memory.at };
  }

  /** What of a BAR software may map, whole pages from its beginning: bytes; 0 for none. Registers are mapped as such. */
  barMappable(pe: number, bar: number): number {
    const device = bar === 0 ? this.#device(pe) : undefined;
    return device === undefined ? 0 : (device.mappable ?? device.identity.bar0Size);
  }

  /** True when loads and stores of a BAR reach the device: memory space is on, the PE is not frozen or in reset. */
  mmioEnabled(pe: number): boolean {
    return this.#mmio.enabled(pe);
  }

  /** Reads configuration space, little-endian; all ones when there is no device or the PE is held in reset. */
  configRead(pe: number, offset: number, size: number): number {
    const device = this.#device(pe);
    if (device === undefined || this.#frozen(pe, FREEZE.RESET_ACTIVE)) return allOnes(size);
    if (this.#mmio.fails(pe, INJECT.CONFIG_LOAD, offset, size)) return allOnes(size);
    return configSpace(device).read(this.#memory, peBlock(this.#base, pe), offset, size);
  }

  /** Writes configuration space; dropped where {@link configRead} gives all ones. */
  configWrite(pe: number, offset: number, size: number, value: number): void {
    const device = this.#device(pe);
    if (device === undefined || this.#frozen(pe, FREEZE.RESET_ACTIVE)) return;
    if (this.#mmio.fails(pe, INJECT.CONFIG_STORE, offset, size)) return;
    configSpace(device).write(this.#memory, peBlock(this.#base, pe), offset, size, value);
    this.#doorbells[pe]?.ring(); // it may wait for bus mastering
  }

  // Freeze and reset

  /** State of a PE; UNAVAIL for one that does not exist. */
  eehState(pe: number): EehPeState {
    if (!this.#exists(pe)) return EEH_PE_STATE.UNAVAIL;
    const freeze = freezeState(this.#memory, peBlock(this.#base, pe));
    if ((freeze & FREEZE.RESET_ACTIVE) !== 0) return EEH_PE_STATE.RESET;
    return STATE_OF[freeze & FREEZE_BOTH];
  }

  /** The last error of a PE; reason NONE when there was none since power-on. */
  eehError(pe: number): PeError {
    const { errorReason, errorAddress, errorLength, errorCount } = this.#pe(pe);
    return { reason: peErrorName(errorReason), address: errorAddress, length: errorLength, count: errorCount };
  }

  /** Freezes a PE, for error injection; returns when its DMA has stopped. */
  eehFreeze(pe: number): void {
    const block = peBlock(this.#base, pe);
    lockDma(this.#memory, block);
    freezePe(this.#memory, this.#base, pe, { reason: PE_ERROR.REQUESTED, address: 0n, length: 0 }, this.#tracer);
    unlockDma(this.#memory, block);
  }

  /**
   * The next access of a kind whose address agrees with `address` in the bits of `mask` fails and freezes the PE
   * (opal_pci_err_inject). @param kind a value of {@link INJECT}; an error of before that nothing has met is forgotten.
   */
  injectError(pe: number, kind: number, address: bigint, mask: bigint): void {
    const block = peBlock(this.#base, pe);
    lockDma(this.#memory, block);
    this.#memory.store(block + PE.offset.inject, 0);
    Object.assign(this.#pe(pe), { injectAddress: address, injectMask: mask });
    this.#memory.store(block + PE.offset.inject, kind + 1);
    unlockDma(this.#memory, block);
  }

  /** Lets MMIO, DMA or both go on. @param what a value of {@link EEH_UNFREEZE}. No effect on a PE held in reset. */
  eehUnfreeze(pe: number, what: number = EEH_UNFREEZE.ALL): void {
    if (this.#frozen(pe, FREEZE.RESET_ACTIVE)) return;
    thawPe(this.#memory, peBlock(this.#base, pe), what & FREEZE_BOTH);
  }

  /** Asserts reset: the PE is frozen, its device and configuration space are as after power-on. DMA has stopped on return. */
  assertReset(pe: number): void {
    this.eehFreeze(pe);
    const block = peBlock(this.#base, pe);
    this.#memory.or(block + PE.offset.freeze, FREEZE.RESET_ACTIVE);
    this.#memory.store(block + PE.offset.inject, 0);
    const device = this.#device(pe);
    if (device === undefined) return;
    // What was at the registers before has seen no reset, and has left them.
    this.#atRegisters(pe, () => device.reset(this.#memory, block));
    configSpace(device).reset(this.#memory, block);
  }

  /** Deasserts reset and thaws the PE. Windows are the bridge's and stay; the command register and BARs are for software to restore. */
  deassertReset(pe: number): void {
    thawPe(this.#memory, peBlock(this.#base, pe), FREEZE_BOTH | FREEZE.RESET_ACTIVE);
  }

  /** A whole reset. */
  reset(pe: number): void {
    this.assertReset(pe);
    this.deassertReset(pe);
  }

  /** Everything about a PE. */
  inspect(pe: number): PeInspection {
    const { rid, killSequence } = this.#pe(pe);
    const windows = Array.from({ length: DMA_WINDOWS }, (_, window) => {
      const tve = tveAt(this.#memory, peBlock(this.#base, pe), window);
      const { tableHpa, entries, pageShift, levels, levelShift } = tve;
      if (entries === 0) return undefined;
      return { tableHpa, entries, pageShift, ...(levels > 1 ? { levels, levelShift } : {}) };
    });
    const cache = tceCacheEntries(this.#memory, this.#base, pe);
    const device = (this.#device(pe)?.name ?? 'none') as PciDeviceName;
    return { rid, device, state: this.eehState(pe), windows, error: this.eehError(pe), kills: killSequence, cache };
  }

  #pe(pe: number) {
    return PE.at(this.#memory.dv, peBlock(this.#base, pe));
  }

  #exists(pe: number): boolean {
    return Number.isInteger(pe) && pe >= 0 && pe < PES && this.#pe(pe).present !== 0;
  }

  #device(pe: number): PciDevice | undefined {
    return deviceBehind(this.#memory, this.#base, pe);
  }

  #frozen(pe: number, bit: number): boolean {
    return (freezeState(this.#memory, peBlock(this.#base, pe)) & bit) !== 0;
  }
}
