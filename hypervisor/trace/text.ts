/** Trace records as text, one event a line: time in ns, actor, event. */
import { printTrace, type TraceRecord } from '../../kernel/lib/trace.ts';

function line(record: TraceRecord): string {
  return `${record.time.toFixed(0).padStart(12)} ${record.actor.padEnd(7)} ${printTrace(record)}\n`;
}

/** The trace as text: of a simulated run equal for equal seeds, byte for byte. */
export function traceText(trace: readonly TraceRecord[]): string {
  return trace.map(line).join('');
}

/** Writes records as text while they come in, actor by actor; what is written is in the order of time. */
export class TraceText {
  readonly #write: (text: string) => void;
  readonly #place: ReadonlyMap<string, number>;
  #waiting: TraceRecord[] = [];

  /** @param actors in the order of records of the same time */
  constructor(actors: readonly string[], write: (text: string) => void) {
    this.#place = new Map(actors.map((actor, i) => [actor, i]));
    this.#write = write;
  }

  add(record: TraceRecord): void {
    this.#waiting.push(record);
  }
  /** Writes the records from before `complete` ns: none of that time is still to come. */
  flush(complete = Number.POSITIVE_INFINITY): void {
    const due = this.#waiting.filter(({ time }) => time < complete);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter(({ time }) => time >= complete);
    const place = ({ actor }: TraceRecord) => this.#place.get(actor) as number;
    this.#write(traceText(due.sort((a, b) => a.time - b.time || place(a) - place(b))));
  }
}
