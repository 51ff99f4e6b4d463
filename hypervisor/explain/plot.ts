/**
 * A plot: the moments of one I/O in the order of cause and effect, each a trace event. Followed through the records of a
 * simulated machine, whose memory each moment looks into, and through those of a threaded one for the times.
 */
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import type { Peek } from './peek.ts';
import type { Role, Shown } from './story.ts';

/** What a moment sees. */
export interface Scene<N> {
  readonly args: readonly number[];
  readonly peek: Peek;
  /** What earlier moments of the same I/O have noted. */
  readonly notes: N;
}

/** Something that happens on the way. */
export interface Moment<N> {
  readonly id: string;
  readonly role: Role;
  readonly event: TraceEvent;
  /** Whether this record is it; every record of the event when omitted. */
  readonly is?: (args: readonly number[]) => boolean;
  /** Only after this other moment. */
  readonly after?: string;
  readonly title: string;
  readonly text: string | ((scene: Scene<N>) => string);
  readonly show?: (scene: Scene<N>) => readonly Shown[];
}

/** Something to be noted between moments. */
export interface Watch<N> {
  readonly event: TraceEvent;
  readonly role: Role;
  readonly note: (scene: Scene<N>) => void;
}

export interface Plot<N> {
  /** Notes of an I/O that begins. */
  readonly notes: () => N;
  /** The first one begins an I/O, and begins it anew when it comes again; the others may come in any order after it. */
  readonly moments: readonly Moment<N>[];
  readonly watches?: readonly Watch<N>[];
  /** From this moment on the first one begins nothing anew. */
  readonly keep?: string;
  /** Whether the I/O that begins is one to be told of; asked at the first moment. All when omitted. */
  readonly wanted?: (scene: Scene<N>) => boolean;
}

/** What was told at a moment, and when. */
export interface Told {
  readonly time: number;
  readonly text: string;
  readonly shown: readonly Shown[];
}

/** An I/O from its first moment to its last, by the moments' ids. */
export type Tale = ReadonlyMap<string, Told>;

/** Takes records one by one. */
export class Follower<N> {
  readonly #plot: Plot<N>;
  readonly #ended: (tale: Tale) => void;
  #tale: Map<string, Told> | undefined;
  #notes: N;

  /** @param ended told of every I/O that had all of its moments */
  constructor(plot: Plot<N>, ended: (tale: Tale) => void) {
    this.#plot = plot;
    this.#ended = ended;
    this.#notes = plot.notes();
  }

  /** @param peek the machine's memory at this moment; without it only times are taken */
  take(record: TraceRecord, peek?: Peek): void {
    const { moments, watches, wanted, keep } = this.#plot;
    const role = record.actor.replace(/\d+$/, '');
    const matches = ({ event, role: by, is }: Moment<N>) =>
      event === record.event && by === role && is?.(record.args) !== false;
    const kept = keep !== undefined && this.#tale?.has(keep) === true;
    if (!kept && matches(moments[0])) {
      this.#notes = this.#plot.notes();
      const scene = peek && { args: record.args, peek, notes: this.#notes };
      const begins = scene === undefined || wanted === undefined || wanted(scene);
      this.#tale = begins ? new Map([[moments[0].id, told(moments[0], record, scene)]]) : undefined;
      return;
    }
    const tale = this.#tale;
    if (tale === undefined) return;
    const scene = peek && { args: record.args, peek, notes: this.#notes };
    if (scene !== undefined)
      for (const watch of watches ?? []) if (watch.event === record.event && watch.role === role) watch.note(scene);
    const due = ({ id, after }: Moment<N>) => !tale.has(id) && (after === undefined || tale.has(after));
    const moment = moments.find((one) => due(one) && matches(one));
    if (moment === undefined) return;
    tale.set(moment.id, told(moment, record, scene));
    if (tale.size < moments.length) return;
    this.#tale = undefined;
    this.#ended(tale);
  }
}

function told<N>({ text, show }: Moment<N>, { time }: TraceRecord, scene: Scene<N> | undefined): Told {
  if (scene === undefined) return { time, text: '', shown: [] };
  return { time, text: typeof text === 'string' ? text : text(scene), shown: show?.(scene) ?? [] };
}

/** The trace events that a plot needs. */
export function eventsOf<N>({ moments, watches = [] }: Plot<N>): TraceEvent[] {
  return [...new Set([...moments, ...watches].map(({ event }) => event))];
}

/**
 * How long each moment took in a tale, ns: from the last of those above it in the plot. Threads run side by side: what came
 * before one above it took no time of its own. Undefined for the first.
 */
export function tookOf<N>({ moments }: Plot<N>, tale: Tale): (number | undefined)[] {
  let last: number | undefined;
  return moments.map(({ id }) => {
    const { time } = tale.get(id) as Told;
    const took = last === undefined ? undefined : Math.max(0, time - last);
    last = Math.max(last ?? time, time);
    return took;
  });
}
