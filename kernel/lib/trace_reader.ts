/** Reading the trace rings of all actors, at the end of a run or while it goes on. See `trace.ts` for the rings. */
import { TRACE_EVENTS } from '../include/trace_events.ts';
import type { HostMemory } from './host_memory.ts';
import {
  TRACE_FOR_ANY,
  TRACE_NAMES,
  TRACE_PURPOSE_SHIFT,
  TRACE_RECORD,
  TRACE_RING,
  type TraceRecord,
  traceCapacity,
} from './trace.ts';

/** Rings to read: whose, and where. */
export type TraceRings = readonly { readonly actor: string; readonly hpa: number }[];

/** Records in a chunk of what is kept. */
const CHUNK = 4096;
/** 64-bit words of a record. */
const WORDS = TRACE_RING.record / 8;
/**
 * Records next to the one being overwritten whose numbers are looked at again. The actor stores a record's number before
 * the rest of it; a CPU that lets others see its stores out of order has a few records under way at most.
 */
const MARGIN = 64;

const EVENT_MASK = (1 << TRACE_PURPOSE_SHIFT) - 1;

/** Records as they were in a ring, oldest first. */
class Kept {
  readonly #chunks: Float64Array[] = [];
  length = 0;

  /** @param record index in `words` of the first word */
  add(words: Float64Array, record: number): void {
    const place = this.length % CHUNK;
    if (place === 0) this.#chunks.push(new Float64Array(CHUNK * WORDS));
    const chunk = this.#chunks[this.#chunks.length - 1];
    for (let i = 0; i < WORDS; i++) chunk[place * WORDS + i] = words[record + i];
    this.length++;
  }
  /** The chunk of a record, and the index of its first word there. */
  chunk(n: number): Float64Array {
    return this.#chunks[Math.floor(n / CHUNK)];
  }
  at(n: number): number {
    return (n % CHUNK) * WORDS;
  }
}

interface RingState {
  readonly actor: string;
  readonly hpa: number;
  readonly capacity: number;
  /** Records ever written, as far as they were looked at. */
  seen: number;
  readonly kept: Kept;
}

/** Event number and purposes of a record. */
function eventWord(words: Float64Array, record: number): number {
  return new Uint32Array(words.buffer, words.byteOffset + record * 8 + TRACE_RECORD.event, 1)[0];
}
function decode(actor: string, words: Float64Array, record: number): TraceRecord {
  const event = TRACE_NAMES[eventWord(words, record) & EVENT_MASK];
  const first = record + TRACE_RECORD.args / 8;
  return {
    time: words[record],
    actor,
    event,
    args: Array.from(words.subarray(first, first + TRACE_EVENTS[event].length)),
  };
}

/** What a reader does with records. */
export interface TraceReaderOptions {
  /** Records are kept for these purposes ({@link TRACE_FOR} bits); all when omitted. */
  readonly keep?: number;
  /** Most records that are kept. */
  readonly limit?: number;
  /** Told of each record with one of the purposes `tellFor`, when it is read: in order only within an actor. */
  readonly tell?: (record: TraceRecord) => void;
  readonly tellFor?: number;
}

/** Empties the rings of all actors, at the end of a run or now and then; knows what was overwritten before it came. */
export class TraceReader {
  readonly #memory: HostMemory;
  readonly #words: Float64Array;
  readonly #rings: readonly RingState[];
  readonly #options: TraceReaderOptions;
  readonly #copy: Float64Array;
  #kept = 0;
  /** Records that were overwritten before they were read. */
  lost = 0;
  /** Records that were not kept because there were too many. */
  beyond = 0;

  constructor(memory: HostMemory, rings: TraceRings, options: TraceReaderOptions = {}) {
    this.#memory = memory;
    this.#words = new Float64Array(memory.memory.buffer);
    this.#options = options;
    this.#rings = rings.map(({ actor, hpa }) => {
      return { actor, hpa, capacity: traceCapacity(memory, hpa), seen: 0, kept: new Kept() };
    });
    this.#copy = new Float64Array(Math.max(0, ...this.#rings.map(({ capacity }) => capacity)) * WORDS);
  }

  /** Reads when some ring is half full: to be called often, by whoever can read while the actors stand still. */
  keepUp(): void {
    for (const ring of this.#rings) if (this.#unread(ring) >= ring.capacity / 2) this.#drain(ring);
  }
  /** Reads everything that is there. */
  drain(): void {
    for (const ring of this.#rings) if (this.#unread(ring) > 0) this.#drain(ring);
  }

  /** What was kept since the beginning, oldest record first; equal times keep the actors' order. */
  records(purposes = TRACE_FOR_ANY): TraceRecord[] {
    return [...this.each(purposes)];
  }
  /** The same, one by one: each is made when it is asked for. */
  *each(purposes = TRACE_FOR_ANY): Generator<TraceRecord> {
    this.drain();
    const next = this.#rings.map(() => 0);
    const time = this.#rings.map(({ kept }) => (kept.length === 0 ? Number.POSITIVE_INFINITY : kept.chunk(0)[0]));
    for (let left = this.#kept; left > 0; left--) {
      let first = -1;
      for (let i = 0; i < next.length; i++)
        if (next[i] < this.#rings[i].kept.length && (first < 0 || time[i] < time[first])) first = i;
      const { actor, kept } = this.#rings[first];
      const n = next[first]++;
      if (n + 1 < kept.length) time[first] = kept.chunk(n + 1)[kept.at(n + 1)];
      const wanted = eventWord(kept.chunk(n), kept.at(n)) >>> TRACE_PURPOSE_SHIFT;
      if ((wanted & purposes) !== 0) yield decode(actor, kept.chunk(n), kept.at(n));
    }
  }

  #unread({ hpa, seen }: RingState): number {
    return (this.#memory.load(hpa) - seen) >>> 0;
  }

  /** The actor may go on writing meanwhile. */
  #drain(ring: RingState): void {
    const { capacity, seen } = ring;
    const { keep = TRACE_FOR_ANY, limit = Number.POSITIVE_INFINITY, tell, tellFor = TRACE_FOR_ANY } = this.#options;
    const unread = this.#unread(ring);
    const count = seen + unread;
    const first = Math.max(seen, count - capacity);
    this.#copyOut(ring, first, count - first);
    const valid = this.#firstValid(ring, first, count);
    this.lost += valid - seen;
    ring.seen = count;
    for (let n = valid; n < count; n++) {
      const record = (n - first) * WORDS;
      const wanted = eventWord(this.#copy, record) >>> TRACE_PURPOSE_SHIFT;
      if ((wanted & keep) !== 0) {
        if (this.#kept < limit) {
          ring.kept.add(this.#copy, record);
          this.#kept++;
        } else this.beyond++;
      }
      if (tell !== undefined && (wanted & tellFor) !== 0) tell(decode(ring.actor, this.#copy, record));
    }
  }
  #slot({ hpa, capacity }: RingState, n: number): number {
    return hpa + TRACE_RING.header + (n % capacity) * TRACE_RING.record;
  }
  #copyOut(ring: RingState, first: number, length: number): void {
    const straight = Math.min(length, ring.capacity - (first % ring.capacity));
    const part = (n: number, records: number) => {
      const from = this.#slot(ring, n) / 8;
      return this.#words.subarray(from, from + records * WORDS);
    };
    this.#copy.set(part(first, straight));
    if (straight < length) this.#copy.set(part(first + straight, length - straight), straight * WORDS);
  }
  /** The first of the records copied that was not overwritten before it had been copied: they are overwritten in order. */
  #firstValid(ring: RingState, first: number, count: number): number {
    const written = count + ((this.#memory.load(ring.hpa) - count) >>> 0);
    const safe = Math.min(count, written - ring.capacity + MARGIN);
    let valid = Math.min(count, Math.max(first, written - ring.capacity));
    for (let n = safe - 1; n >= valid; n--)
      if (this.#memory.load(this.#slot(ring, n) + TRACE_RECORD.number) !== (n | 0)) valid = n + 1;
    return valid;
  }
}

/** What the rings hold now, oldest record first. */
export function readTrace(memory: HostMemory, rings: TraceRings): TraceRecord[] {
  return new TraceReader(memory, rings).records();
}
