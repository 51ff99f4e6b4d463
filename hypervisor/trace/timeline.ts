/**
 * From trace records to a timeline: slices on tracks, and the arrows that lead through them. Tracks are threads,
 * subchannels and partitionable endpoints; slices of one track may overlap here (`lanes.ts` tells them apart).
 */
import { TRACE_EVENTS } from '../../kernel/include/trace_events.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { Arrows, type Flow } from './arrows.ts';
import { subchannelName } from './event_names.ts';
import { HandledCalls, type HandlerEnd, type Moment } from './handled_calls.ts';
import { type Begin, type End, type Family, POINT, SHAPES, type StepShape } from './shapes.ts';

/** What a track shows. `waiting`: calls of a thread that sleep while it does other things. */
export type TrackKind = 'thread' | 'waiting' | 'subchannel' | 'pe';

/** A track: its kind and which one. */
export interface Track {
  readonly kind: TrackKind;
  readonly name: string;
  readonly slices: Slice[];
}

/** A slice; of a point in time begin and end are equal. Times in ns. */
export interface Slice {
  readonly name: string;
  /** Trace event it comes from. */
  readonly event: string;
  readonly begin: number;
  end: number;
  readonly args: Readonly<Record<string, number>>;
  /** What its end added. */
  endArgs?: Readonly<Record<string, number>>;
  /** Numbers, in the order of time, of the record that begins it and of the one that ends it. */
  readonly order: number;
  endOrder: number;
  /** Arrows through it: they hold on at its begin or at its end. */
  flows?: { readonly flow: Flow; readonly at: 'begin' | 'end' }[];
}

export interface Timeline {
  readonly tracks: readonly Track[];
  readonly flows: readonly Flow[];
  /** First and last moment, ns. */
  readonly from: number;
  readonly to: number;
}

/** Arguments by name. */
function named({ event, args }: Pick<TraceRecord, 'event' | 'args'>): Record<string, number> {
  return Object.fromEntries(TRACE_EVENTS[event].map((name, i) => [name, args[i]]));
}
/** The argument of that name, if the event has it. */
function argument({ event, args }: TraceRecord, name: string): number | undefined {
  const index = (TRACE_EVENTS[event] as readonly string[]).indexOf(name);
  return index < 0 ? undefined : args[index];
}

/** Events with the guest's number of a subchannel, not the host's. */
const GUEST_SUBCHANNEL: ReadonlySet<string> = new Set(['css_io_interrupt', 'ioinst_sch_id', 's390_ioinst']);
/** Families that are shown with their subchannel too. */
const ON_SUBCHANNEL: ReadonlySet<Family> = new Set(['program', 'ccw']);
/** What the hardware does with a subchannel: on a track of its own, for it begins and ends in the middle of steps. */
const OF_HARDWARE: ReadonlySet<string> = new Set(['iop_start', 'iop_status', 'ccw_execute', 'ccw_fault']);

const later = (a: Moment, b: Moment | undefined): Moment => (b === undefined || b.order < a.order ? a : b);

/** Open slices, with their copies on other tracks. */
type Opened = readonly Slice[];

/** Builds a timeline record by record. */
export class TimelineBuilder {
  readonly #tracks = new Map<string, Track>();
  readonly #open = new Map<string, Opened>();
  /** When each thread last began, ended or reached something. */
  readonly #activity = new Map<string, Moment>();
  /** The last step on the track of each subchannel where another one is to come. */
  readonly #reached = new Map<Track, Moment>();
  readonly #arrows = new Arrows();
  readonly #calls = new HandledCalls();
  #order = 0;
  #from = Number.POSITIVE_INFINITY;
  #to = 0;

  /** @param threads names of the threads, in the order of their tracks */
  constructor(threads: readonly string[]) {
    for (const name of threads) this.#track('thread', name);
  }

  /** Takes the next record: they come in order of time. */
  add(record: TraceRecord): void {
    const { time, actor, event, args } = record;
    this.#order++;
    this.#from = Math.min(this.#from, time);
    this.#to = Math.max(this.#to, time);
    this.#hypercalls(record);
    const shape = SHAPES.get(event) ?? POINT;
    let slice: Slice | undefined;
    if (shape.kind === 'begin') slice = this.#begin(record, shape);
    else if (shape.kind === 'end') slice = this.#end(record, shape);
    else if (shape.kind === 'step') slice = this.#step(record, shape);
    slice ??= this.#point(record);
    if (shape.kind !== 'point' || event === 's390_cio_interrupt')
      this.#activity.set(actor, { time, order: this.#order });
    this.#elsewhere(record, shape.kind === 'begin' || shape.kind === 'end' ? shape.family : undefined);
    this.#arrows.add(record, slice, (thread, family, key) => this.#open.get(openKey(thread, family, key))?.[0]);
    if (event === 's390_ioinst' && this.#arrows.endsIo(args)) this.#endIo(record);
  }

  /** What has been built; slices that are open end with the last record. */
  end(): Timeline {
    this.#endHandlers(this.#calls.rest());
    for (const key of [...this.#open.keys()]) this.#close(key, this.#to, {});
    const from = this.#to === 0 && this.#from === Number.POSITIVE_INFINITY ? 0 : this.#from;
    return { tracks: [...this.#tracks.values()], flows: this.#arrows.end(), from, to: this.#to };
  }

  #track(kind: TrackKind, name: string): Track {
    const key = `${kind} ${name}`;
    let track = this.#tracks.get(key);
    if (track === undefined) {
      track = { kind, name, slices: [] };
      this.#tracks.set(key, track);
    }
    return track;
  }
  #slice(track: Track, record: TraceRecord, name: string, from: Moment = this.#now(record)): Slice {
    const { time: begin, order } = from;
    const { event, time: end } = record;
    const slice = { name, event, begin, end, args: named(record), order, endOrder: this.#order };
    track.slices.push(slice);
    return slice;
  }

  #now({ time }: TraceRecord): Moment {
    return { time, order: this.#order };
  }

  #begin(record: TraceRecord, shape: Begin): Slice {
    const { actor, args, time } = record;
    const key = openKey(actor, shape.family, this.#keyOf(record, shape));
    // Its end was not recorded, or a channel command ends with the next one.
    this.#close(key, time, {});
    const name = shape.name(args);
    const slice = this.#slice(this.#track(shape.waits?.(args) === true ? 'waiting' : 'thread', actor), record, name);
    const subchannel = ON_SUBCHANNEL.has(shape.family) ? this.#subchannel(record) : undefined;
    this.#open.set(key, subchannel === undefined ? [slice] : [slice, this.#slice(subchannel, record, name)]);
    if (shape.family === 'port') this.#open.set(key, [slice, this.#slice(this.#pe(args[0]), record, name)]);
    return slice;
  }

  /** A handler is told from others by its CPU. */
  #keyOf({ actor, args }: TraceRecord, { family, key }: Begin): number {
    return family === 'handler' ? this.#calls.begin(actor, args) : key(args);
  }

  /** @returns the slice that ends; undefined when none does */
  #end(record: TraceRecord, { family, key, inner = [], ends }: End): Slice | undefined {
    const { actor, args, time } = record;
    if (ends?.(args) === false) return undefined;
    if (family === 'handler') return this.#endHandler(record);
    for (const each of inner) this.#close(openKey(actor, each, key(args)), time, {});
    return this.#close(openKey(actor, family, key(args)), time, named(record));
  }
  #close(key: string, time: number, args: Readonly<Record<string, number>>, order = this.#order): Slice | undefined {
    const opened = this.#open.get(key);
    if (opened === undefined) return undefined;
    this.#open.delete(key);
    for (const slice of opened) {
      slice.end = time;
      slice.endOrder = order;
      slice.endArgs = args;
    }
    return opened[0];
  }

  /** What a record tells of hypercalls, beside what it shows itself. */
  #hypercalls({ event, args }: TraceRecord): void {
    if (event === 'kvm_hcall_enter') this.#calls.enter(args);
    else if (event === 'kvm_hcall_exit') this.#endHandlers(this.#calls.exit(args));
    else if (event === 'kvm_userspace_exit' || event === 'kvm_vcpu_ioctl')
      this.#endHandlers(this.#calls.goesOn(args[0]));
  }
  #endHandler(record: TraceRecord): Slice | undefined {
    const { actor, args } = record;
    const cpu = this.#calls.end(actor, args, this.#now(record));
    // It is no point in time: which of the slices it ends shows when a CPU goes on.
    if (cpu === 'later') return this.#track('thread', actor).slices.at(-1);
    if (cpu === undefined) return undefined;
    return this.#close(openKey(actor, 'handler', cpu), record.time, named(record));
  }
  #endHandlers(ended: readonly HandlerEnd[]): void {
    for (const { thread, cpu, args, at } of ended)
      this.#close(openKey(thread, 'handler', cpu), at.time, named({ event: 'hypercall_ret', args }), at.order);
  }

  #step(record: TraceRecord, { name, place }: StepShape): Slice {
    const activity = this.#activity.get(record.actor) ?? this.#now(record);
    const subchannel = this.#subchannel(record);
    if (subchannel !== undefined) this.#stepOfIo(record, subchannel, name, place, activity);
    return this.#slice(this.#track('thread', record.actor), record, name, activity);
  }
  /**
   * A step on the track of its subchannel lasts from the step before it, whatever thread that was on; the first one of
   * an I/O, or of an interruption without one, from what its own thread did last.
   */
  #stepOfIo(record: TraceRecord, track: Track, name: string, place: StepShape['place'], activity: Moment): void {
    if (place === 'setup') {
      this.#slice(track, record, name);
      return;
    }
    const key = ioKey(track);
    const reached = this.#reached.get(track);
    const from = place === 'first' ? later(activity, reached) : (reached ?? activity);
    if (place === 'first') {
      this.#close(key, from.time, {}, from.order);
      this.#open.set(key, [this.#slice(track, record, 'I/O', from)]);
    }
    this.#slice(track, record, name, from);
    // Of an interruption without an I/O nothing comes after the last step.
    if (place === 'last' && !this.#open.has(key)) this.#reached.delete(track);
    else this.#reached.set(track, this.#now(record));
  }
  #point(record: TraceRecord): Slice {
    return this.#slice(this.#track('thread', record.actor), record, record.event);
  }

  /** Points on the tracks of the subchannel or the endpoint that the record is about. */
  #elsewhere(record: TraceRecord, family: Family | undefined): void {
    const kind = SHAPES.get(record.event)?.kind;
    const pe = argument(record, 'pe');
    if (pe !== undefined && family !== 'port') this.#slice(this.#pe(pe), record, record.event);
    if (kind === 'step' || (family !== undefined && ON_SUBCHANNEL.has(family) && kind === 'begin')) return;
    const subchannel = this.#subchannel(record);
    if (subchannel !== undefined) this.#slice(subchannel, record, record.event);
  }
  #subchannel(record: TraceRecord): Track | undefined {
    const schid = argument(record, 'schid');
    if (schid === undefined) return undefined;
    const number = schid & 0xffff;
    const host = GUEST_SUBCHANNEL.has(record.event) ? this.#arrows.hostSubchannel(number) : number;
    const name = subchannelName(host);
    // Both at once, so that they are beside each other.
    const [track, hardware] = [this.#track('subchannel', name), this.#track('subchannel', `${name} hardware`)];
    return OF_HARDWARE.has(record.event) ? hardware : track;
  }
  #pe(pe: number): Track {
    return this.#track('pe', `PE#${pe.toString(16)}`);
  }
  #endIo(record: TraceRecord): void {
    const subchannel = this.#subchannel(record);
    if (subchannel === undefined) return;
    this.#close(ioKey(subchannel), record.time, {});
    this.#reached.delete(subchannel);
  }
}

function openKey(thread: string, family: Family, key: number): string {
  return `${thread} ${family} ${key}`;
}
function ioKey(track: Track): string {
  return `I/O ${track.name}`;
}
