/**
 * A timeline as Chrome's JSON trace events, the form that ui.perfetto.dev opens: processes are kinds of tracks, threads
 * are tracks. Times are microseconds with three decimals. What Perfetto needs beyond the format's words (its importer,
 * src/trace_processor/importers/json): thread numbers are unique over all processes; an end closes the innermost slice
 * that is open on its thread; an arrow holds on to the slice that is innermost when its event comes, so that is written
 * right after the beginning of its slice, or right before its end, and never before the event it comes from.
 */
import { lanes } from './lanes.ts';
import type { Slice, Timeline, Track, TrackKind } from './timeline.ts';

/** Processes by kind of track: Perfetto shows them in the order of their numbers. */
const PROCESSES: Readonly<Record<TrackKind, { readonly pid: number; readonly name: string }>> = {
  thread: { pid: 1, name: 'minivisor' },
  waiting: { pid: 2, name: 'system calls that wait' },
  subchannel: { pid: 3, name: 'subchannels' },
  pe: { pid: 4, name: 'partitionable endpoints' },
};
/** The thread of the command line, which Perfetto takes for the process's main one: their numbers are the same. */
const MAIN = PROCESSES.thread.pid;
/** First number of the other tracks. */
const FIRST_TID = 10;

/** Arguments that people count with; the others are addresses, codes and bits, in hexadecimal. */
const DECIMAL: ReadonlySet<string> = new Set(
  'arg cc ccws count cpu descriptors errno first frames id idaws isc length levels nargs nr nret npages pages ret size slot tier vectors windows'.split(
    ' ',
  ),
);

interface Written {
  /** ns */
  readonly ts: number;
  /** Number of the record. */
  readonly order: number;
  readonly kind: 'B' | 'E' | 'flow';
  readonly slice: Slice;
  /** Index into the slice's arrows. */
  readonly flow: number;
}

interface Lane {
  readonly pid: number;
  readonly tid: number;
  readonly name: string;
  readonly events: readonly Written[];
}

/** ns as microseconds; the same time always gives the same text. */
function microseconds(ns: number): string {
  const whole = Math.round(ns);
  return `${Math.floor(whole / 1000)}.${(whole % 1000).toString().padStart(3, '0')}`;
}

function argsText(args: Readonly<Record<string, number>>): string {
  const shown = Object.entries(args).map(([name, value]) => {
    const plain = DECIMAL.has(name) || !Number.isInteger(value);
    return [name, plain ? value : `${value < 0 ? '-' : ''}0x${Math.abs(value).toString(16)}`];
  });
  return JSON.stringify(Object.fromEntries(shown));
}

/** Beginnings, ends and arrows of a lane, in order: the lane's slices are, and nest. */
function laneEvents(slices: readonly Slice[]): Written[] {
  const events: Written[] = [];
  const open: Slice[] = [];
  const arrows = (slice: Slice, at: 'begin' | 'end', ts: number, order: number) => {
    for (const [flow, point] of (slice.flows ?? []).entries())
      if (point.at === at) events.push({ ts, order, kind: 'flow', slice, flow });
  };
  const close = (before: number) => {
    for (let top = open.at(-1); top !== undefined && top.endOrder <= before; top = open.at(-1)) {
      open.pop();
      arrows(top, 'end', top.end, top.endOrder);
      events.push({ ts: top.end, order: top.endOrder, kind: 'E', slice: top, flow: 0 });
    }
  };
  for (const slice of slices) {
    close(slice.order);
    events.push({ ts: slice.begin, order: slice.order, kind: 'B', slice, flow: 0 });
    arrows(slice, 'begin', slice.begin, slice.order);
    open.push(slice);
  }
  close(Number.POSITIVE_INFINITY);
  return events;
}

/** `kernel`, and `kernel (2)` for what happened meanwhile on the same thread. */
function laneName({ name }: Track, number: number): string {
  return number === 0 ? name : `${name} (${number + 1})`;
}

function allLanes(timeline: Timeline): Lane[] {
  let tid = FIRST_TID;
  return timeline.tracks.flatMap((track) =>
    lanes(track.slices).map((slices, number) => {
      const { pid } = PROCESSES[track.kind];
      return { pid, tid: tid++, name: laneName(track, number), events: laneEvents(slices) };
    }),
  );
}

/** Every lane's events in one order, that of the records they come from. */
function* merged(all: readonly Lane[]): Generator<{ lane: Lane; event: Written }> {
  const next = all.map(() => 0);
  for (;;) {
    let best: Written | undefined;
    let from = -1;
    for (let i = 0; i < all.length; i++) {
      const event = all[i].events[next[i]];
      if (event === undefined) continue;
      if (best === undefined || event.order < best.order) {
        best = event;
        from = i;
      }
    }
    if (best === undefined) return;
    next[from]++;
    yield { lane: all[from], event: best };
  }
}

function metadata(name: string, pid: number, tid: number, args: Readonly<Record<string, string | number>>): string {
  return `{"name":"${name}","ph":"M","pid":${pid},"tid":${tid},"args":${JSON.stringify(args)}}`;
}

/** What the page about the trace tells. */
export type OtherData = Readonly<Record<string, string | number>>;

/**
 * The lines of the file, without their line ends.
 * @param about shown with the trace: seed, clock, events lost
 */
export function* chromeJson(timeline: Timeline, about: OtherData): Generator<string> {
  const all = allLanes(timeline);
  yield `{"displayTimeUnit":"ns","otherData":${JSON.stringify(about)},"traceEvents":[`;
  for (const { pid, name } of Object.values(PROCESSES)) {
    if (pid !== PROCESSES.thread.pid && !all.some((lane) => lane.pid === pid)) continue;
    yield `${metadata('process_name', pid, pid, { name })},`;
    yield `${metadata('process_sort_index', pid, pid, { sort_index: pid })},`;
  }
  yield `${metadata('thread_name', MAIN, MAIN, { name: 'main' })},`;
  for (const { pid, tid, name } of all) {
    yield `${metadata('thread_name', pid, tid, { name })},`;
    yield `${metadata('thread_sort_index', pid, tid, { sort_index: tid })},`;
  }
  const main = `"pid":${MAIN},"tid":${MAIN}`;
  yield `{"name":"run","cat":"run","ph":"B",${main},"ts":${microseconds(timeline.from)},"args":${JSON.stringify(about)}},`;
  const written = new Map<number, number>();
  for (const { lane, event } of merged(all)) {
    const text = eventText(lane, event, written);
    if (text !== undefined) yield `${text},`;
  }
  yield `{"ph":"E",${main},"ts":${microseconds(timeline.to)}}`;
  yield ']}';
}

/** @param written points written so far, by arrow */
function eventText({ pid, tid }: Lane, event: Written, written: Map<number, number>): string | undefined {
  const { kind, slice, ts } = event;
  const at = `"pid":${pid},"tid":${tid},"ts":${microseconds(ts)}`;
  if (kind === 'B')
    return `{"name":${JSON.stringify(slice.name)},"cat":"${slice.event}","ph":"B",${at},"args":${argsText(slice.args)}}`;
  if (kind === 'E') {
    const { endArgs = {} } = slice;
    return Object.keys(endArgs).length === 0 ? `{"ph":"E",${at}}` : `{"ph":"E",${at},"args":${argsText(endArgs)}}`;
  }
  const { flow } = (slice.flows as NonNullable<Slice['flows']>)[event.flow];
  // An arrow to nowhere is none.
  if (flow.points < 2) return undefined;
  const before = written.get(flow.id) ?? 0;
  written.set(flow.id, before + 1);
  const phase = before === 0 ? '"s"' : before + 1 === flow.points ? '"f","bp":"e"' : '"t"';
  return `{"name":${JSON.stringify(flow.name)},"cat":"flow","ph":${phase},"id":${flow.id},${at}}`;
}
