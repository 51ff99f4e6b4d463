/**
 * The core of a windowed IOMMU, of which PAMU is one: an aperture of bus addresses, divided into equal windows, each with
 * at most one translation to memory in one piece or to a page of message doorbells. Knows nothing of hardware.
 */

/** One window that is mapped. */
export interface MappedWindow {
  readonly index: number;
  /** Start of the window. */
  readonly iova: number;
  /** Bytes mapped from the start on; the rest of the window is not. */
  readonly length: number;
  /** Host-physical address. */
  readonly physical: number;
  /** What devices may do: bit 0 read, bit 1 write. */
  readonly access: number;
  /** Memory of the process, or message doorbells, which have no memory of anybody's behind them. */
  readonly kind: 'dma' | 'msi';
}

export interface Aperture {
  readonly start: number;
  readonly size: number;
}

export class WindowedDomain<Window extends MappedWindow> {
  /** Set first. */
  aperture: Aperture | undefined;
  /** Windows in the aperture; undefined until they are set. */
  count: number | undefined;
  readonly #mapped = new Map<number, Window>();

  /** Bytes of each window; 0 while aperture or count are not set. */
  get windowSize(): number {
    return this.aperture === undefined || this.count === undefined ? 0 : this.aperture.size / this.count;
  }
  /** Mapped windows, lowest first. */
  get windows(): Window[] {
    return [...this.#mapped.values()].sort((a, b) => a.index - b.index);
  }
  /** How many are mapped, of one kind or of both. */
  mapped(kind?: MappedWindow['kind']): number {
    if (kind === undefined) return this.#mapped.size;
    let count = 0;
    for (const window of this.#mapped.values()) if (window.kind === kind) count++;
    return count;
  }

  at(index: number): Window | undefined {
    return this.#mapped.get(index);
  }
  /** The window that starts at a bus address; undefined when none does. */
  indexOf(iova: number): number | undefined {
    const { aperture, windowSize } = this;
    if (aperture === undefined || windowSize === 0) return undefined;
    const offset = iova - aperture.start;
    return offset >= 0 && offset < aperture.size && offset % windowSize === 0 ? offset / windowSize : undefined;
  }

  add(window: Window): void {
    this.#mapped.set(window.index, window);
  }
  remove(index: number): void {
    this.#mapped.delete(index);
  }
}
