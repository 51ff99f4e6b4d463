/**
 * Recording a run: which events are on for what, and the rings emptied while the machine runs, so that practically
 * nothing is lost. On threads the main thread does that, which has nothing else to do during a run.
 */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';
import { disableTrace, enableTrace, TRACE_FOR, TRACE_FOR_ANY, type TraceRecord } from '../../kernel/lib/trace.ts';
import { TraceReader } from '../../kernel/lib/trace_reader.ts';
import type { MachineConfig } from '../config.ts';
import { TraceText } from './text.ts';

/** Most records that are kept in memory, 48 bytes each: as many as a trace viewer still opens in seconds. */
export const TRACE_KEPT = 1_000_000;
/**
 * Records a ring has room for while somebody reads along: at one record a microsecond, which is more than any actor
 * writes for long, the main thread may be kept from its CPU for 65 ms.
 */
export const READ_ALONG_RECORDS = 1 << 16;
/** Milliseconds between two looks at the rings. */
export const READ_ALONG_MS = 2;

/** Where records go while the machine runs. */
export interface TraceSinks {
  /** Gets the lines of the events that the user chose, in the order of time. */
  readonly text: (lines: string) => void;
}

/** Switches on what the configuration asks for. */
export function enableTracing(memory: HostMemory, { traceEnable }: SharedMap, config: MachineConfig): void {
  const { trace, tracing } = config;
  for (const glob of trace) enableTrace(memory, traceEnable, glob);
  for (const pattern of tracing?.events ?? [])
    if (pattern.startsWith('-')) disableTrace(memory, traceEnable, pattern.slice(1), TRACE_FOR.TEXT);
    else enableTrace(memory, traceEnable, pattern, TRACE_FOR.TEXT);
  if (tracing?.out === true) enableTrace(memory, traceEnable, '*', TRACE_FOR.OUT);
}

export class TraceRecorder {
  /** Names of the actors, in the order of the map. */
  readonly actors: readonly string[];
  readonly #reader: TraceReader;
  readonly #text: TraceText | undefined;

  /** @param sinks without any everything is kept, and the rings are read when they are full or at the end */
  constructor(memory: HostMemory, { actors }: SharedMap, sinks?: TraceSinks) {
    this.actors = actors.map(({ name }) => name);
    const rings = actors.map(({ name, trace: hpa }) => ({ actor: name, hpa }));
    if (sinks === undefined) {
      this.#reader = new TraceReader(memory, rings);
      return;
    }
    const text = new TraceText(this.actors, sinks.text);
    this.#text = text;
    this.#reader = new TraceReader(memory, rings, {
      keep: TRACE_FOR.RUN | TRACE_FOR.OUT,
      limit: TRACE_KEPT,
      tell: (record) => text.add(record),
      tellFor: TRACE_FOR.TEXT,
    });
  }

  /** Reads rings that are half full: before every step of a simulated run. */
  keepUp(): void {
    this.#reader.keepUp();
  }
  /** Reads all rings, and writes the text of what happened before `complete` ns: all of that has been recorded. */
  drain(complete: number): void {
    this.#reader.drain();
    this.#text?.flush(complete);
  }
  /** The machine has ended: reads and writes the rest. */
  end(): void {
    this.drain(Number.POSITIVE_INFINITY);
  }

  /** What was kept for some purposes, in the order of time. */
  records(purposes: number = TRACE_FOR_ANY): TraceRecord[] {
    return this.#reader.records(purposes);
  }
  /** The same, one by one. */
  each(purposes: number): Iterable<TraceRecord> {
    return this.#reader.each(purposes);
  }
  /** Records overwritten before they were read, and records that were too many to keep. */
  get lost(): number {
    return this.#reader.lost;
  }
  get beyond(): number {
    return this.#reader.beyond;
  }
}
