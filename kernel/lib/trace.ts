/**
 * Trace points: a record of time and four numbers in a ring of the calling actor, in shared memory. Off costs one
 * byte load. Ring layout: word 0 count of records ever written, records from offset 64; the oldest are overwritten.
 */
import { TRACE_EVENTS, type TraceEvent } from '../include/trace_events.ts';
import type { HostMemory } from './host_memory.ts';

/** Records each actor's ring keeps. */
export const TRACE_RECORDS = 4096;
/** Bytes of a record: time f64, event u32, sequence u32, four f64. */
const RECORD = 48;
const HEADER = 64;
/** Bytes of one actor's ring. */
export const TRACE_RING_SIZE = HEADER + TRACE_RECORDS * RECORD;
/** Bytes of the table that says which events are on, one each. */
export const TRACE_ENABLE_SIZE = 256;

const NAMES = Object.keys(TRACE_EVENTS) as TraceEvent[];
/** Numbers of the events by name: what {@link Tracer.point} takes, so that a point that is off costs one byte load. */
export const EVENT = Object.fromEntries(NAMES.map((name, number) => [name, number])) as Record<TraceEvent, number>;
if (NAMES.length > TRACE_ENABLE_SIZE) throw new Error('more trace events than the enable table has bytes');

/** One record, read back. */
export interface TraceRecord {
  /** Nanoseconds since the machine was switched on. */
  readonly time: number;
  readonly actor: string;
  readonly event: TraceEvent;
  readonly args: readonly number[];
}

export class Tracer {
  readonly #memory: HostMemory;
  readonly #enable: number;
  readonly #ring: number;
  readonly #now: () => number;

  /** @param enable HPA of the enable table. @param ring HPA of this actor's ring. */
  constructor(memory: HostMemory, enable: number, ring: number, now: () => number) {
    this.#memory = memory;
    this.#enable = enable;
    this.#ring = ring;
    this.#now = now;
  }

  /** Records an event, a number of {@link EVENT}, if it is on. */
  point(event: number, a = 0, b = 0, c = 0, d = 0): void {
    if (this.#memory.u8[this.#enable + event] === 0) return;
    const { dv } = this.#memory;
    const count = dv.getUint32(this.#ring, true);
    const at = this.#ring + HEADER + (count % TRACE_RECORDS) * RECORD;
    dv.setFloat64(at, this.#now(), true);
    dv.setUint32(at + 8, event, true);
    dv.setUint32(at + 12, count, true);
    dv.setFloat64(at + 16, a, true);
    dv.setFloat64(at + 24, b, true);
    dv.setFloat64(at + 32, c, true);
    dv.setFloat64(at + 40, d, true);
    dv.setUint32(this.#ring, count + 1, true);
  }
}

/**
 * Names of the events that a glob (`*` and `?`, QEMU's `-trace` habit, and `[...]`) matches. An opening bracket without
 * a closing one stands for itself.
 */
export function matchTrace(pattern: string): TraceEvent[] {
  const source = pattern.replace(/\[([^\]]+)\]|[\s\S]/g, (part, set?: string) => {
    if (set !== undefined) return `(?:${alternatives(set)})`;
    return part === '*' ? '.*' : part === '?' ? '.' : part.replace(/[.+^${}()|[\]\\]/, '\\$&');
  });
  const matches = new RegExp(`^${source}$`);
  return NAMES.filter((name) => matches.test(name));
}

/** The characters of a bracket expression: single ones and ranges; event names have only word characters. */
function alternatives(set: string): string {
  const negated = /^[!^]/.test(set);
  const wanted = new Set<string>();
  for (const [, from, to] of set.slice(negated ? 1 : 0).matchAll(/(\w)(?:-(\w))?/g))
    for (let code = from.charCodeAt(0); code <= (to ?? from).charCodeAt(0); code++)
      wanted.add(String.fromCharCode(code));
  const word = [...wanted].filter((character) => /\w/.test(character)).join('');
  if (word === '') return negated ? '.' : '(?!)';
  return `[${negated ? '^' : ''}${word}]`;
}

/** Switches every event that matches the glob on. */
export function enableTrace(memory: HostMemory, enable: number, pattern: string): void {
  for (const name of matchTrace(pattern)) memory.u8[enable + EVENT[name]] = 1;
}
/** Switches every event that matches the glob off. */
export function disableTrace(memory: HostMemory, enable: number, pattern: string): void {
  for (const name of matchTrace(pattern)) memory.u8[enable + EVENT[name]] = 0;
}
/** Whether an event is on. */
export function traceEnabled(memory: HostMemory, enable: number, name: TraceEvent): boolean {
  return memory.u8[enable + EVENT[name]] !== 0;
}

/** Rings to read: whose, and where. */
export type TraceRings = readonly { readonly actor: string; readonly hpa: number }[];

/** Empties the rings of all actors, at the end of a run or now and then; knows what was overwritten before it came. */
export class TraceReader {
  readonly #memory: HostMemory;
  readonly #rings: TraceRings;
  /** Records ever written to each ring, as far as they were looked at. */
  readonly #seen: Uint32Array;
  readonly #records: TraceRecord[] = [];
  /** Records that were overwritten before they were read. */
  lost = 0;

  constructor(memory: HostMemory, rings: TraceRings) {
    this.#memory = memory;
    this.#rings = rings;
    this.#seen = new Uint32Array(rings.length);
  }

  /** Reads when some ring is half full: to be called often, by whoever can read while the actors stand still. */
  keepUp(): void {
    const { dv } = this.#memory;
    for (let i = 0; i < this.#rings.length; i++) {
      const unread = dv.getUint32(this.#rings[i].hpa, true) - this.#seen[i];
      if (unread >= TRACE_RECORDS / 2) this.#drain();
    }
  }

  /** Everything since the beginning, oldest record first; equal times keep the actors' order. */
  records(): TraceRecord[] {
    this.#drain();
    const order = new Map(this.#rings.map(({ actor }, i) => [actor, i]));
    const place = (record: TraceRecord) => order.get(record.actor) as number;
    return this.#records.sort((a, b) => a.time - b.time || place(a) - place(b));
  }

  #drain(): void {
    const { dv } = this.#memory;
    for (const [i, { actor, hpa }] of this.#rings.entries()) {
      const count = dv.getUint32(hpa, true);
      const first = Math.max(this.#seen[i], count - TRACE_RECORDS);
      this.lost += first - this.#seen[i];
      for (let n = first; n < count; n++) this.#records.push(this.#record(actor, hpa, n));
      this.#seen[i] = count;
    }
  }

  #record(actor: string, hpa: number, n: number): TraceRecord {
    const { dv } = this.#memory;
    const at = hpa + HEADER + (n % TRACE_RECORDS) * RECORD;
    const event = NAMES[dv.getUint32(at + 8, true)];
    const args = TRACE_EVENTS[event].map((_, i) => dv.getFloat64(at + 16 + 8 * i, true));
    return { time: dv.getFloat64(at, true), actor, event, args };
  }
}

/** What the rings hold now, oldest record first. */
export function readTrace(memory: HostMemory, rings: TraceRings): TraceRecord[] {
  return new TraceReader(memory, rings).records();
}

/** `name arg=0x.. arg=0x..`, as QEMU's log backend prints an event. */
export function printTrace(record: TraceRecord): string {
  const names = TRACE_EVENTS[record.event];
  const hex = (value: number) => `${value < 0 ? '-' : ''}0x${Math.abs(value).toString(16)}`;
  return [record.event, ...record.args.map((value, i) => `${names[i]}=${hex(value)}`)].join(' ');
}
