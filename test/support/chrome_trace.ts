/**
 * Reads a file of Chrome's JSON trace events the way Perfetto's importer does
 * (src/trace_processor/importers/json/json_trace_parser_impl.cc, importers/common/slice_tracker.cc, flow_tracker.cc), and
 * says what it would reject, repair or drop without a word.
 */

/** A slice as the importer would have it. */
export interface ImportedSlice {
  readonly track: string;
  readonly name: string;
  readonly category: string;
  /** Microseconds. */
  readonly ts: number;
  end: number;
  readonly depth: number;
  readonly args: Record<string, unknown>;
}

export interface ImportedTrace {
  readonly slices: readonly ImportedSlice[];
  /** Slices that each arrow goes through, in order, by its number. */
  readonly flows: ReadonlyMap<number, { readonly name: string; readonly through: readonly ImportedSlice[] }>;
  /** Tracks as `process/thread`. */
  readonly tracks: readonly string[];
  readonly problems: readonly string[];
}

interface Event {
  readonly ph?: unknown;
  readonly pid?: unknown;
  readonly tid?: unknown;
  readonly ts?: unknown;
  readonly name?: unknown;
  readonly cat?: unknown;
  readonly id?: unknown;
  readonly bp?: unknown;
  readonly args?: Record<string, unknown>;
}

/** slice_tracker.cc, kMaxDepth */
const MAX_DEPTH = 512;
/** Numbers the importer takes for thread and process: uint32, and 0 is the idle task's. */
const isNumber = (value: unknown) => Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 32;

/** Why an event is not imported as it is meant. */
class Problem extends Error {}

class Importer {
  readonly problems: string[] = [];
  readonly slices: ImportedSlice[] = [];
  readonly flows = new Map<number, { name: string; through: ImportedSlice[]; ended: boolean; ts: number }>();
  readonly #processes = new Map<number, string>();
  readonly #threads = new Map<number, { pid: number; name: string }>();
  readonly #stacks = new Map<number, ImportedSlice[]>();
  readonly #last = new Map<number, number>();

  add(event: Event, n: number): void {
    try {
      this.#import(event);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problems.push(`event ${n}: ${error.message}: ${JSON.stringify(event)}`);
    }
  }

  #import(event: Event): void {
    const { ph, pid, tid, ts } = event;
    if (!isNumber(pid) || !isNumber(tid)) throw new Problem('no process or thread');
    if (ph === 'M') {
      this.#metadata(event);
      return;
    }
    const thread = this.#threads.get(tid as number);
    if (thread === undefined) throw new Problem('thread without a name');
    if (thread.pid !== pid) throw new Problem('thread of another process');
    if (typeof ts !== 'number' || !(ts >= 0) || !/^\d+(\.\d{1,3})?$/.test(`${ts}`)) throw new Problem('bad time');
    if (ts < (this.#last.get(tid as number) ?? 0)) throw new Problem('time runs backwards on its thread');
    this.#last.set(tid as number, ts);
    const stack = this.#stacks.get(tid as number) ?? [];
    this.#stacks.set(tid as number, stack);
    if (ph === 'B') this.#begin(event, stack);
    else if (ph === 'E') this.#end(event, stack);
    else if (ph === 's' || ph === 't' || ph === 'f') this.#flow(event, stack);
    else throw new Problem('phase nobody asked for');
  }

  finish(): void {
    for (const [tid, stack] of this.#stacks)
      for (const { name } of stack) this.problems.push(`thread ${tid}: ${name} has no end`);
    for (const [id, flow] of this.flows) if (!flow.ended) this.problems.push(`arrow ${id} has no end`);
  }
  tracks(): string[] {
    return [...this.#threads.keys()].map((tid) => this.#track(tid));
  }

  #track(tid: number): string {
    const { pid, name } = this.#threads.get(tid) as { pid: number; name: string };
    return `${this.#processes.get(pid)}/${name}`;
  }
  #metadata({ name, pid, tid, args = {} }: Event): void {
    if (name === 'process_name') this.#processes.set(pid as number, args.name as string);
    else if (name === 'thread_name') {
      if (!this.#processes.has(pid as number)) throw new Problem('process without a name');
      // Names go by the thread's number alone.
      if (this.#threads.has(tid as number)) throw new Problem('two threads with one number');
      this.#threads.set(tid as number, { pid: pid as number, name: args.name as string });
    } else if (name !== 'process_sort_index' && name !== 'thread_sort_index') throw new Problem('unknown metadata');
  }
  #begin({ tid, ts, name, cat, args = {} }: Event, stack: ImportedSlice[]): void {
    if (typeof name !== 'string' || name === '' || typeof cat !== 'string') throw new Problem('slice without a name');
    if (stack.length >= MAX_DEPTH) throw new Problem('too deep');
    const slice = {
      track: this.#track(tid as number),
      name: name as string,
      category: cat as string,
      ts: ts as number,
      end: Number.NaN,
      depth: stack.length,
      args: { ...args },
    };
    this.slices.push(slice);
    stack.push(slice);
  }
  #end({ ts, args = {} }: Event, stack: ImportedSlice[]): void {
    const slice = stack.pop();
    if (slice === undefined) throw new Problem('end of nothing');
    slice.end = ts as number;
    Object.assign(slice.args, args);
  }
  #flow({ ph, id, name, cat, bp, ts }: Event, stack: readonly ImportedSlice[]): void {
    const slice = stack.at(-1);
    if (slice === undefined) throw new Problem('arrow without an enclosing slice');
    if (!isNumber(id) || cat !== 'flow' || typeof name !== 'string') throw new Problem('arrow without a number');
    const flow = this.flows.get(id as number);
    if (ph === 's') {
      if (flow !== undefined) throw new Problem('arrow begins twice');
      this.flows.set(id as number, { name, through: [slice], ended: false, ts: ts as number });
      return;
    }
    if (flow === undefined || flow.ended) throw new Problem('arrow goes on that did not begin, or ended');
    if (flow.name !== name) throw new Problem('arrow changes its name');
    if ((ts as number) < flow.ts) throw new Problem('arrow goes back in time');
    // Without it the arrow would hold on to the next slice.
    if (ph === 'f' && bp !== 'e') throw new Problem('arrow ends unbound');
    flow.through.push(slice);
    flow.ts = ts as number;
    flow.ended = ph === 'f';
  }
}

/** Imports the text of a file. @throws SyntaxError when it is no JSON */
export function importChromeTrace(text: string): ImportedTrace {
  const { traceEvents } = JSON.parse(text) as { traceEvents: Event[] };
  const importer = new Importer();
  for (const [n, event] of traceEvents.entries()) importer.add(event, n);
  importer.finish();
  const { slices, flows, problems } = importer;
  return { slices, flows, tracks: importer.tracks(), problems };
}
