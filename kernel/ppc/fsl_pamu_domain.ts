/**
 * A DMA domain behind PAMUs (drivers/iommu/fsl_pamu_domain.c): the rules of the hardware on top of `windowed_domain.ts`, and
 * the LIODNs that are attached. States and transitions: vfio-pamu facts 5.3.
 *
 * Where it differs from Linux of 2013: geometry and windows change only while nothing is mapped, not while DMA is off; a
 * LIODN that a violation has stopped stays so until DMA is enabled explicitly.
 */

import { PHYSICAL_ADDRESS_LIMIT } from '../include/arch/ppc/fsl_soc.ts';
import { PAACE_NUMBER_ENTRIES, PAMU_PAGE_SIZE } from '../include/arch/ppc/pamu.ts';
import { Errno } from '../include/uapi/errno.ts';
import type { FslPamu } from './fsl_pamu.ts';
import type { PamuGeometry } from './fsl_pamu_tables.ts';
import { stashId } from './fsl_stash.ts';
import { type MappedWindow, WindowedDomain } from './windowed_domain.ts';

/** An attached LIODN. */
interface Attached {
  /** First secondary entry; meaningless for a single window. */
  fspi: number;
  /** A violation has stopped it. */
  faulted: boolean;
}

/** Where DMA data is stashed. */
export interface Stash {
  readonly cpu: number;
  readonly cache: number;
}

export class FslPamuDomain<Window extends MappedWindow = MappedWindow> {
  readonly #pamu: FslPamu;
  readonly #core = new WindowedDomain<Window>();
  readonly #liodns = new Map<number, Attached>();
  readonly #stopListening: () => void;
  #stash: Stash = { cpu: 0, cache: 0 };
  #enabled = false;
  /** User space has switched DMA off: mapping does not switch it on. */
  #hold = false;

  constructor(pamu: FslPamu) {
    this.#pamu = pamu;
    this.#stopListening = pamu.onFault((liodn) => {
      const attached = this.#liodns.get(liodn);
      if (attached !== undefined) attached.faulted = true;
    });
  }

  // Attributes

  /** First and last bus address; all there are until it is set. */
  get geometry(): { readonly start: number; readonly end: number } {
    const { aperture } = this.#core;
    if (aperture === undefined) return { start: 0, end: PHYSICAL_ADDRESS_LIMIT - 1 };
    return { start: aperture.start, end: aperture.start + aperture.size - 1 };
  }
  /** @throws Errno EBUSY while something is mapped, EINVAL */
  setGeometry(start: number, end: number): void {
    this.#refuseMapped('GEOMETRY');
    const size = end - start + 1;
    const good = end >= start && end < PHYSICAL_ADDRESS_LIMIT && size >= PAMU_PAGE_SIZE && isPowerOfTwo(size);
    if (!good || start % size !== 0)
      throw new Errno('EINVAL', `PAMU aperture ${hex(start)} to ${hex(end)}: a power of two, aligned to its size`);
    this.#freeSlots();
    this.#core.aperture = { start, size };
    this.#core.count = undefined;
  }

  /** Windows; the most there may be until they are set. */
  get windows(): number {
    return this.#core.count ?? this.#pamu.maxWindows;
  }
  /** Whether windows were set, so that there is something to map. */
  get configured(): boolean {
    return this.#core.count !== undefined;
  }
  /** @throws Errno EBUSY while something is mapped, EINVAL, ENOSPC without room in the secondary table: nothing changed then */
  setWindows(count: number): void {
    this.#refuseMapped('WINDOWS');
    const { aperture } = this.#core;
    if (aperture === undefined) throw new Errno('EINVAL', 'PAMU windows: the geometry is not set');
    if (!isPowerOfTwo(count) || count > this.#pamu.maxWindows || aperture.size / count < PAMU_PAGE_SIZE)
      throw new Errno(
        'EINVAL',
        `PAMU windows: ${count} of ${hex(aperture.size)} bytes, at most ${this.#pamu.maxWindows}`,
      );
    const before = this.#core.count;
    const places = [...this.#liodns.values()].map((attached) => ({ attached, fspi: attached.fspi }));
    this.#freeSlots();
    this.#core.count = count;
    try {
      this.#allocateSlots();
    } catch (error) {
      this.#core.count = before;
      for (const { attached, fspi } of places) {
        attached.fspi = fspi;
        if (this.#slots > 0) this.#pamu.tables.reserve(fspi, this.#slots);
      }
      throw error;
    }
    for (const liodn of this.#liodns.keys()) this.#configure(liodn);
  }

  get stash(): Stash {
    return this.#stash;
  }
  /** @throws Errno EINVAL while windows are not set, and for a cache there is not */
  setStash(stash: Stash): void {
    if (!this.configured) throw new Errno('EINVAL', 'PAMU stash: windows are not set');
    const id = stashId(stash.cpu, stash.cache);
    if (id === undefined)
      throw new Errno('EINVAL', `PAMU stash: cpu ${stash.cpu} has no cache of level ${stash.cache}`);
    this.#stash = stash;
    for (const [liodn, { fspi }] of this.#liodns)
      this.#pamu.tables.setStash(liodn, this.#tableGeometry(liodn, fspi), id);
  }

  get enabled(): boolean {
    return this.#enabled;
  }
  /** LIODNs that violations have stopped. */
  get faulted(): number {
    return [...this.#liodns.values()].filter(({ faulted }) => faulted).length;
  }
  /** ENABLE 1: DMA on, for those too that a violation has stopped. @throws Errno ENODEV while nothing is mapped */
  enable(): void {
    if (this.#core.mapped() === 0) throw new Errno('ENODEV', 'PAMU enable: nothing is mapped');
    this.#hold = false;
    this.#pamu.settle();
    for (const attached of this.#liodns.values()) attached.faulted = false;
    this.#start();
  }
  /** ENABLE 0: DMA off, and no mapping switches it on. */
  disable(): void {
    this.#hold = true;
    this.#stop();
  }

  // Windows

  get mappedWindows(): Window[] {
    return this.#core.windows;
  }
  get windowSize(): number {
    return this.#core.windowSize;
  }
  windowAt(index: number): Window | undefined {
    return this.#core.at(index);
  }
  /** The window that starts at a bus address. */
  indexOf(iova: number): number | undefined {
    return this.#core.indexOf(iova);
  }

  /** Maps windows that are not mapped. Memory switches DMA on, unless user space holds it; doorbells do not. */
  map(windows: readonly Window[]): void {
    for (const window of windows) {
      this.#core.add(window);
      for (const [liodn, { fspi }] of this.#liodns) this.#enter(liodn, fspi, window);
    }
    if (!this.#hold && windows.some(({ kind }) => kind === 'dma')) this.#start();
  }

  /** Unmaps: when it returns, no device uses the windows. With the last memory DMA goes off. */
  unmap(windows: readonly Window[]): void {
    for (const { index } of windows) this.#core.remove(index);
    const ends = this.#core.mapped() === 0 || (windows.some(isDma) && this.#core.mapped('dma') === 0);
    if (ends) this.#stop();
    for (const { index } of windows)
      for (const [liodn, { fspi }] of this.#liodns)
        this.#pamu.tables.unmap(liodn, this.#tableGeometry(liodn, fspi), index);
  }

  // LIODNs

  /**
   * The same windows for one more LIODN, which from now on does no DMA but through them. @throws Errno EINVAL for a LIODN
   * that the table does not have; ENOSPC without room in the secondary table: it is as before then
   */
  attach(liodn: number): void {
    if (liodn >= PAACE_NUMBER_ENTRIES) throw new Errno('EINVAL', `LIODN ${hex(liodn)}: the table has none`);
    const attached: Attached = { fspi: this.configured ? this.#allocate() : 0, faulted: false };
    this.#pamu.tables.setValid(liodn, false);
    this.#liodns.set(liodn, attached);
    if (!this.configured) return;
    this.#configure(liodn);
    for (const window of this.#core.windows) this.#enter(liodn, attached.fspi, window);
    if (this.#enabled) this.#pamu.allow(liodn);
  }

  /** When it returns, the LIODN does no DMA at all: it is blocked, not as the host left it. */
  detach(liodn: number): void {
    const attached = this.#liodns.get(liodn);
    if (attached === undefined) return;
    this.#pamu.tables.setValid(liodn, false);
    this.#free(attached);
    this.#liodns.delete(liodn);
  }

  /** The domain is gone; nothing is attached. */
  release(): void {
    this.#stopListening();
  }

  // Inside

  #refuseMapped(what: string): void {
    if (this.#core.mapped() > 0) throw new Errno('EBUSY', `PAMU ${what}: ${this.#core.mapped()} windows are mapped`);
  }

  #start(): void {
    this.#enabled = true;
    for (const [liodn, { faulted }] of this.#liodns) if (!faulted) this.#pamu.allow(liodn);
  }
  #stop(): void {
    this.#enabled = false;
    for (const liodn of this.#liodns.keys()) this.#pamu.tables.setValid(liodn, false);
  }

  #tableGeometry(liodn: number, fspi: number): PamuGeometry {
    const { aperture, count } = this.#core;
    if (aperture === undefined || count === undefined) throw new Error('PAMU domain without windows');
    const stash = stashId(this.#stash.cpu, this.#stash.cache);
    return { ...aperture, windows: count, fspi, stashId: stash, omi: this.#pamu.omiOf(liodn) };
  }
  #configure(liodn: number): void {
    this.#pamu.tables.configure(liodn, this.#tableGeometry(liodn, (this.#liodns.get(liodn) as Attached).fspi));
  }
  #enter(liodn: number, fspi: number, { index, physical, length, access }: Window): void {
    this.#pamu.tables.map(liodn, this.#tableGeometry(liodn, fspi), index, { physical, length, permissions: access });
  }

  /** Secondary entries that each LIODN takes. */
  get #slots(): number {
    return (this.#core.count ?? 1) - 1;
  }
  /** @throws Errno ENOSPC */
  #allocate(): number {
    if (this.#slots === 0) return 0;
    const fspi = this.#pamu.tables.allocate(this.#slots);
    if (fspi === undefined) throw new Errno('ENOSPC', `PAMU: no ${this.#slots} secondary entries in a row are free`);
    return fspi;
  }
  #free({ fspi }: Attached): void {
    if (this.#slots > 0) this.#pamu.tables.free(fspi, this.#slots);
  }
  #freeSlots(): void {
    for (const attached of this.#liodns.values()) this.#free(attached);
  }
  /** For every LIODN or for none. @throws Errno ENOSPC */
  #allocateSlots(): void {
    const done: Attached[] = [];
    try {
      for (const attached of this.#liodns.values()) {
        attached.fspi = this.#allocate();
        done.push(attached);
      }
    } catch (error) {
      for (const attached of done) this.#free(attached);
      throw error;
    }
  }
}

function isDma({ kind }: MappedWindow): boolean {
  return kind === 'dma';
}

function isPowerOfTwo(value: number): boolean {
  return value >= 1 && 2 ** Math.floor(Math.log2(value)) === value;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
