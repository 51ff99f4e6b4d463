/** Measurements that the guest reports by H_MINIVISOR_MARK: series of batches, bounded in memory. */
import type { MarkSeries, WorkCounters } from '../config.ts';

/** Series numbers a guest may use. */
const SERIES = 32;
/** Batches kept of a series; later ones replace them in turn, so that a long run still ends with its own distribution. */
const KEPT = 65536;
/** Nanoseconds in a TOD unit (SA22-7832 chapter 4: 4096 units are a microsecond). */
const NS_PER_UNIT = 1000 / 4096;

interface Series {
  calls: number;
  count: number;
  readonly batches: Float64Array;
  readonly first: WorkCounters | undefined;
  last: WorkCounters | undefined;
}

export class Marks {
  readonly #series = new Map<number, Series>();
  readonly #work: () => WorkCounters | undefined;

  /** @param work what the machine has done so far, for the series that count it too */
  constructor(work: () => WorkCounters | undefined = () => undefined) {
    this.#work = work;
  }

  /** Adds a batch of `calls` calls that took `units` TOD units; false when the numbers make no sense. */
  add(series: number, calls: number, units: number): boolean {
    if (!(series >= 0 && series < SERIES && calls > 0 && calls <= 0xffff_ffff)) return false;
    const work = this.#work();
    let entry = this.#series.get(series);
    if (entry === undefined) {
      entry = { calls: 0, count: 0, batches: new Float64Array(KEPT), first: work, last: work };
      this.#series.set(series, entry);
    }
    entry.last = work;
    entry.calls += calls;
    entry.batches[entry.count++ % KEPT] = (units * NS_PER_UNIT) / calls;
    return true;
  }

  /** All series as plain data. */
  result(): Record<number, MarkSeries> {
    return Object.fromEntries(
      [...this.#series].map(([n, { calls, count, batches, first, last }]) => [
        n,
        {
          calls,
          batches: [...batches.subarray(0, Math.min(count, KEPT))],
          ...(first !== undefined && last !== undefined ? { work: { first, last } } : {}),
        },
      ]),
    );
  }
}
