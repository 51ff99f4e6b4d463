import { expect, test } from 'vitest';
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { eventsOf, Follower, type Moment, type Plot, type Tale, tookOf } from './plot.ts';
import type { Role } from './story.ts';
import { median, momentTimes, WHOLE } from './times.ts';

const moment = (id: string, role: Role, event: TraceEvent, more: Partial<Moment<object>> = {}): Moment<object> => ({
  id,
  role,
  event,
  title: id,
  text: '',
  ...more,
});
const record = (time: number, actor: string, event: TraceEvent, ...args: number[]): TraceRecord => ({
  time,
  actor,
  event,
  args,
});

const PLOT: Plot<object> = {
  notes: () => ({}),
  moments: [
    moment('begin', 'vmm', 'vfio_ccw_Q3'),
    moment('hardware', 'iop', 'iop_start'),
    moment('answer', 'vmm', 'vfio_ccw_Q5', { is: ([, cc]) => cc === 0 }),
    moment('end', 'kernel', 'vfio_ccw_K5', { after: 'hardware' }),
  ],
};

function follow(plot: Plot<object>, records: readonly TraceRecord[]): Tale[] {
  const tales: Tale[] = [];
  const follower = new Follower(plot, (tale) => tales.push(tale));
  for (const one of records) follower.take(one);
  return tales;
}
const timesOf = (tale: Tale) => [...tale].map(([id, { time }]) => [id, time]);

test('moments are found in any order after the first, by actor, event and arguments', () => {
  const [tale, ...more] = follow(PLOT, [
    record(1, 'iop0', 'iop_start', 0, 0),
    record(2, 'vmm', 'vfio_ccw_Q3', 0, 0),
    record(3, 'vmm', 'vfio_ccw_Q5', 0, 3),
    record(4, 'kernel', 'iop_start', 0, 0),
    record(5, 'vmm', 'vfio_ccw_Q5', 0, 0),
    record(6, 'kernel', 'vfio_ccw_K5', 0, 7, 12, 0),
    record(7, 'iop12', 'iop_start', 0, 0),
    record(8, 'kernel', 'vfio_ccw_K5', 0, 7, 12, 0),
  ]);
  expect(more).toEqual([]);
  expect(timesOf(tale)).toEqual([
    ['begin', 2],
    ['answer', 5],
    ['hardware', 7],
    ['end', 8],
  ]);
});

test('the first moment begins anew, unless one to keep has come', () => {
  const records = [
    record(1, 'vmm', 'vfio_ccw_Q3', 0, 0),
    record(2, 'iop0', 'iop_start', 0, 0),
    record(3, 'vmm', 'vfio_ccw_Q3', 0, 0),
    record(4, 'vmm', 'vfio_ccw_Q5', 0, 0),
    record(5, 'kernel', 'vfio_ccw_K5', 0, 7, 12, 0),
  ];
  expect(follow(PLOT, records)).toEqual([]);
  expect(follow({ ...PLOT, keep: 'hardware' }, records).map(timesOf)).toEqual([
    [
      ['begin', 1],
      ['hardware', 2],
      ['answer', 4],
      ['end', 5],
    ],
  ]);
});

test('a step that came before one above it took no time of its own', () => {
  const [tale] = follow(PLOT, [
    record(100, 'vmm', 'vfio_ccw_Q3', 0, 0),
    record(130, 'vmm', 'vfio_ccw_Q5', 0, 0),
    record(150, 'iop0', 'iop_start', 0, 0),
    record(175, 'kernel', 'vfio_ccw_K5', 0, 7, 12, 0),
  ]);
  expect(tookOf(PLOT, tale)).toEqual([undefined, 50, 0, 25]);
});

test('a plot names the events that it needs, each once', () => {
  const watches = [{ event: 'mm_pin', role: 'kernel', note: () => {} }] as const;
  expect(eventsOf({ ...PLOT, watches })).toEqual(['vfio_ccw_Q3', 'iop_start', 'vfio_ccw_Q5', 'vfio_ccw_K5', 'mm_pin']);
});

test('times are medians, whatever their order: of each moment, and of the whole', () => {
  const io = (at: number, hardware: number) => [
    record(at, 'vmm', 'vfio_ccw_Q3', 0, 0),
    record(at + hardware, 'iop0', 'iop_start', 0, 0),
    record(at + hardware + 2, 'vmm', 'vfio_ccw_Q5', 0, 0),
    record(at + hardware + 5, 'kernel', 'vfio_ccw_K5', 0, 7, 12, 0),
  ];
  const tales = follow(PLOT, [...io(0, 30), ...io(100, 10), ...io(200, 20), ...io(300, 90), ...io(500, 15)]);
  expect([...momentTimes(PLOT, tales)]).toEqual([
    ['hardware', { ns: 20, samples: 5 }],
    ['answer', { ns: 2, samples: 5 }],
    ['end', { ns: 3, samples: 5 }],
    [WHOLE, { ns: 25, samples: 5 }],
  ]);
  expect(median([])).toBe(undefined);
  expect(momentTimes(PLOT, []).size).toBe(0);
});
