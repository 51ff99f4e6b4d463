/** Measurements that the guest reports by H_MINIVISOR_MARK: series of batches, bounded in memory. */
import type { MarkSeries, SeriesWork, WorkCounters } from '../config.ts';

/** Series numbers a guest may use. */
const SERIES = 32;
/** Batches kept of a series; later ones replace them in turn, so that a long run still ends with its own distribution. */
const KEPT = 65536;
/** Calls of a batch at most, and operations a guest may speak of. */
const MOST = 2 ** 32 - 1;
/** Nanoseconds in a TOD unit (SA22-7832 chapter 4: 4096 units are a microsecond). */
const NS_PER_UNIT = 1000 / 4096;

/** What the machine had done when so many operations, and so many reports of the series, had been. */
interface Reading {
  readonly work: WorkCounters;
  readonly operations: number;
  readonly reports: number;
}

/** The readings at the ends of what is counted. */
interface Counted {
  readonly first: Reading;
  last: Reading;
}

interface Series {
  calls: number;
  count: number;
  readonly batches: Float64Array;
  /** At the first and the last batch. */
  reported: Counted | undefined;
  /** Where the guest has said that its counting begins and ends. */
  noted: Counted | undefined;
}

export class Marks {
  readonly #series = new Map<number, Series>();
  readonly #work: () => WorkCounters | undefined;

  /** @param work what the machine has done so far, for the series that count it too */
  constructor(work: () => WorkCounters | undefined = () => undefined) {
    this.#work = work;
  }

  /**
   * Adds a batch of `calls` calls that took `units` TOD units; false when the numbers make no sense. Of 0 calls: `units`
   * operations have been done, between the first and the last such note their work is counted. A guest that reports its
   * batches afterwards says so while it measures.
   */
  add(series: number, calls: number, units: number): boolean {
    if (!(series >= 0 && series < SERIES && calls >= 0 && calls <= MOST)) return false;
    if (calls === 0) return this.#note(series, units);
    const entry = this.#entry(series);
    entry.calls += calls;
    entry.batches[entry.count++ % KEPT] = (units * NS_PER_UNIT) / calls;
    entry.reported = counted(entry.reported, this.#work(), { operations: entry.calls, reports: entry.count });
    return true;
  }

  #note(series: number, operations: number): boolean {
    if (!(operations <= MOST)) return false;
    const entry = this.#entry(series);
    entry.noted = counted(entry.noted, this.#work(), { operations, reports: (entry.noted?.last.reports ?? 0) + 1 });
    return true;
  }

  #entry(series: number): Series {
    let entry = this.#series.get(series);
    if (entry === undefined) {
      const batches = new Float64Array(KEPT);
      entry = { calls: 0, count: 0, batches, reported: undefined, noted: undefined };
      this.#series.set(series, entry);
    }
    return entry;
  }

  /** All series that have batches, as plain data. */
  result(): Record<number, MarkSeries> {
    return Object.fromEntries(
      [...this.#series].flatMap(([n, { calls, count, batches, reported, noted }]) => {
        const kept = [...batches.subarray(0, Math.min(count, KEPT))];
        const work = workOf(noted ?? reported);
        return count === 0 ? [] : [[n, { calls, batches: kept, ...(work === undefined ? {} : { work }) }]];
      }),
    );
  }
}

function counted(
  before: Counted | undefined,
  work: WorkCounters | undefined,
  at: Omit<Reading, 'work'>,
): Counted | undefined {
  if (work === undefined) return undefined;
  const last = { work, ...at };
  return { first: before?.first ?? last, last };
}

/** What lies between two readings; undefined without operations in between. */
function workOf(readings: Counted | undefined): SeriesWork | undefined {
  if (readings === undefined) return undefined;
  const { first, last } = readings;
  const operations = last.operations - first.operations;
  if (!(operations > 0)) return undefined;
  return { first: first.work, last: last.work, operations, reports: last.reports - first.reports };
}
