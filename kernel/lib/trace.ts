/**
 * Trace points: a record of time and four numbers in a ring of the calling actor, in shared memory. Off costs one
 * byte load. Each actor writes its own ring and waits for nobody: the oldest records are overwritten.
 *
 * | word of a ring | written | by |
 * |---|---|---|
 * | 0: count of records ever written | after the record, atomic | the actor |
 * | 1: records the ring has room for, a power of two; 0: {@link TRACE_RECORDS} | before the actors start | who switches the machine on |
 * | of a record: time f64, event and purposes u32, number u32, four f64 | number first, then the others | the actor |
 *
 * A reader (`trace_reader.ts`) copies while the actor writes on: it loads count, copies what is new, loads count again,
 * and looks again at the numbers of records that may have been overwritten meanwhile.
 */
import { TRACE_EVENTS, type TraceEvent } from '../include/trace_events.ts';
import { constants } from './constants.ts';
import type { HostMemory } from './host_memory.ts';

/** Records a ring has room for unless its header says otherwise. */
export const TRACE_RECORDS = 4096;
/** Where the parts of a ring and of a record lie, in bytes. */
export const TRACE_RING = { count: 0, records: 4, header: 64, record: 48 } as const;
/** The same in a record: time, event with purposes, number, arguments. */
export const TRACE_RECORD = { time: 0, event: 8, number: 12, args: 16 } as const;
/** Bytes of a ring with room for `records`. */
export function traceRingSize(records: number): number {
  return TRACE_RING.header + records * TRACE_RING.record;
}
/** Bytes of one actor's ring of the usual size. */
export const TRACE_RING_SIZE = traceRingSize(TRACE_RECORDS);
/** Bytes of the table that says which events are on, one each. */
export const TRACE_ENABLE_SIZE = 256;

/** What an event is recorded for: bits of its byte in the enable table, kept with each record. */
export const TRACE_FOR = {
  /** Whoever runs the machine: reports, benches, tests. */
  RUN: 1,
  /** The user's text: `--trace`, the monitor's `trace-event`. */
  TEXT: 2,
  /** The file for Perfetto: `--trace-out`. */
  OUT: 4,
} as const;
/** Every purpose. */
export const TRACE_FOR_ANY = 0xff;
/** Event and purposes in one word of a record. */
export const TRACE_PURPOSE_SHIFT = 8;

const NAMES = Object.keys(TRACE_EVENTS) as TraceEvent[];
/** Names of the events by number. */
export const TRACE_NAMES: readonly TraceEvent[] = NAMES;
/** Numbers of the events by name: what {@link Tracer.point} takes, so that a point that is off costs one byte load. */
export const EVENT = constants(
  Object.fromEntries(NAMES.map((name, number) => [name, number])) as Record<TraceEvent, number>,
);
if (NAMES.length > TRACE_ENABLE_SIZE) throw new Error('more trace events than the enable table has bytes');

/** One record, read back. */
export interface TraceRecord {
  /** Nanoseconds since the machine was switched on. */
  readonly time: number;
  readonly actor: string;
  readonly event: TraceEvent;
  readonly args: readonly number[];
}

/** Room of a ring, in records. */
export function traceCapacity(memory: HostMemory, ring: number): number {
  return memory.dv.getUint32(ring + TRACE_RING.records, true) || TRACE_RECORDS;
}
/** Gives a ring room for `records`, a power of two; before its actor starts. */
export function setTraceCapacity(memory: HostMemory, ring: number, records: number): void {
  if (records < 1 || (records & (records - 1)) !== 0) throw new RangeError(`a trace ring of ${records} records`);
  memory.dv.setUint32(ring + TRACE_RING.records, records, true);
}

/** Told of every record of a machine at the moment it is written: see {@link observeTrace}. */
export type TraceObserver = (ring: number, event: TraceEvent, time: number, args: readonly number[]) => void;
const OBSERVERS = new WeakMap<WebAssembly.Memory, TraceObserver>();

/**
 * Has `observer` called whenever a tracer of this memory writes a record, before the traced code goes on: what the record
 * is about can be looked at. For simulated machines, whose actors share a thread; to be called before they are started.
 */
export function observeTrace(memory: WebAssembly.Memory, observer: TraceObserver): void {
  OBSERVERS.set(memory, observer);
}

export class Tracer {
  readonly #observer: TraceObserver | undefined;
  readonly #memory: HostMemory;
  /** The enable table alone: a look is one load with the fewest before it. */
  readonly #purposes: Uint8Array;
  readonly #ring: number;
  readonly #mask: number;
  readonly #now: () => number;

  /** @param enable HPA of the enable table. @param ring HPA of this actor's ring. */
  constructor(memory: HostMemory, enable: number, ring: number, now: () => number) {
    this.#memory = memory;
    this.#observer = OBSERVERS.get(memory.memory);
    this.#purposes = memory.u8.subarray(enable, enable + TRACE_ENABLE_SIZE);
    this.#ring = ring;
    this.#mask = traceCapacity(memory, ring) - 1;
    this.#now = now;
  }

  /** Whether an event is recorded: for points whose arguments take more than a load each. */
  on(event: number): boolean {
    return this.#purposes[event] !== 0;
  }

  /** Records an event, a number of {@link EVENT}, if it is on. */
  point(event: number, a = 0, b = 0, c = 0, d = 0): void {
    const purposes = this.#purposes[event];
    if (purposes !== 0) this.#record(event, purposes, a, b, c, d);
  }

  #record(event: number, purposes: number, a: number, b: number, c: number, d: number): void {
    const { dv } = this.#memory;
    const time = this.#now();
    const count = dv.getUint32(this.#ring, true);
    const at = this.#ring + TRACE_RING.header + (count & this.#mask) * TRACE_RING.record;
    dv.setUint32(at + TRACE_RECORD.number, count, true);
    dv.setUint32(at + TRACE_RECORD.event, event | (purposes << TRACE_PURPOSE_SHIFT), true);
    dv.setFloat64(at + TRACE_RECORD.time, time, true);
    dv.setFloat64(at + TRACE_RECORD.args, a, true);
    dv.setFloat64(at + TRACE_RECORD.args + 8, b, true);
    dv.setFloat64(at + TRACE_RECORD.args + 16, c, true);
    dv.setFloat64(at + TRACE_RECORD.args + 24, d, true);
    // Not by the memory's method: tests count its operations to let others run between them.
    Atomics.store(this.#memory.i32, this.#ring >>> 2, (count + 1) | 0);
    if (this.#observer !== undefined) this.#observe(event, time, [a, b, c, d]);
  }
  #observe(number: number, time: number, args: readonly number[]): void {
    const event = NAMES[number];
    this.#observer?.(this.#ring, event, time, args.slice(0, TRACE_EVENTS[event].length));
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

/** Has every event that matches the glob recorded for a purpose of {@link TRACE_FOR}. */
export function enableTrace(
  memory: HostMemory,
  enable: number,
  pattern: string,
  purpose: number = TRACE_FOR.RUN,
): void {
  for (const name of matchTrace(pattern)) memory.u8[enable + EVENT[name]] |= purpose;
}
/** Has every event that matches the glob no longer recorded for a purpose, or for any. */
export function disableTrace(
  memory: HostMemory,
  enable: number,
  pattern: string,
  purpose: number = TRACE_FOR_ANY,
): void {
  for (const name of matchTrace(pattern)) memory.u8[enable + EVENT[name]] &= ~purpose;
}
/** Whether an event is recorded, or recorded for a purpose. */
export function traceEnabled(
  memory: HostMemory,
  enable: number,
  name: TraceEvent,
  purpose: number = TRACE_FOR_ANY,
): boolean {
  return (memory.u8[enable + EVENT[name]] & purpose) !== 0;
}

/** `name arg=0x.. arg=0x..`, as QEMU's log backend prints an event. */
export function printTrace(record: TraceRecord): string {
  const names = TRACE_EVENTS[record.event];
  const hex = (value: number) => `${value < 0 ? '-' : ''}0x${Math.abs(value).toString(16)}`;
  return [record.event, ...record.args.map((value, i) => `${names[i]}=${hex(value)}`)].join(' ');
}
