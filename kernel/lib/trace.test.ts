import { expect, test } from 'vitest';
import { smallMachine } from '../../test/support/small_machine.ts';
import { TRACE_EVENTS } from '../include/trace_events.ts';
import {
  EVENT,
  enableTrace,
  matchTrace,
  printTrace,
  readTrace,
  TRACE_ENABLE_SIZE,
  TRACE_RECORDS,
  TraceReader,
  Tracer,
} from './trace.ts';

function tracing(...globs: string[]) {
  const { memory, map } = smallMachine(1);
  for (const glob of globs) enableTrace(memory, map.traceEnable, glob);
  let now = 0;
  const rings = map.actors.map(({ name, trace }) => ({ actor: name, hpa: trace }));
  const tracer = (actor: number) => new Tracer(memory, map.traceEnable, rings[actor].hpa, () => ++now);
  return { memory, map, rings, tracer, read: () => readTrace(memory, rings) };
}

test('globs choose events as QEMU’s -trace does', () => {
  expect(matchTrace('vfio_ccw_Q?')).toEqual(['Q1', 'Q2', 'Q3', 'Q4', 'Q5', 'Q6', 'Q7'].map((q) => `vfio_ccw_${q}`));
  expect(matchTrace('*')).toEqual(Object.keys(TRACE_EVENTS));
  expect(matchTrace('vfio_ccw_[QK]1')).toEqual(['vfio_ccw_Q1', 'vfio_ccw_K1']);
  expect(matchTrace('vfio_ccw_[A-M][2-4]')).toEqual(['vfio_ccw_K2', 'vfio_ccw_K3', 'vfio_ccw_K4']);
  expect(matchTrace('vfio_ccw_[!K]1')).toEqual(['vfio_ccw_Q1']);
  expect(matchTrace('syscall')).toEqual(['syscall']);
  expect(matchTrace('sys')).toEqual([]);
});

test.each(['[', 'a]', '[]', '[z-a]', '(', ')', '\\', '.*', '+', '{2}', 'a|b', '^', '$', '[[', '[\\]', '[^]', '?['])(
  'the glob %s matches nothing and breaks nothing',
  (glob) => {
    expect(matchTrace(glob)).toEqual([]);
  },
);

test('an event that is off leaves nothing, one that is on leaves time, actor and its arguments', () => {
  const { tracer, read } = tracing('syscall*');
  tracer(1).point(EVENT.syscall, 54, 3, 0x3b64, 0);
  tracer(1).point(EVENT.mm_migrate, 1, 2, 3);
  tracer(0).point(EVENT.syscall_ret, 54, -22);
  expect(read()).toEqual([
    { time: 1, actor: 'kernel', event: 'syscall', args: [54, 3, 0x3b64, 0] },
    { time: 2, actor: 'vmm', event: 'syscall_ret', args: [54, -22] },
  ]);
});

test('the ring keeps the newest records and forgets the oldest, without touching its neighbours', () => {
  const { tracer, read, memory, map } = tracing('pe_freeze', 'tce_kill');
  const before = memory.u8.slice(map.actors[1].trace, map.actors[1].trace + 64);
  const vmm = tracer(0);
  for (let i = 0; i < TRACE_RECORDS + 10; i++) vmm.point(EVENT.tce_kill, i);
  const records = read();
  expect(records.length).toBe(TRACE_RECORDS);
  expect(records[0].args[0]).toBe(10);
  expect(records.at(-1)?.args[0]).toBe(TRACE_RECORDS + 9);
  expect(memory.u8.slice(map.actors[1].trace, map.actors[1].trace + 64)).toEqual(before);
});

test('a reader says how many records were overwritten before it came', () => {
  const { tracer, memory, rings } = tracing('tce_kill');
  const [vmm, kernel] = [tracer(0), tracer(1)];
  for (let i = 0; i < TRACE_RECORDS + 10; i++) vmm.point(EVENT.tce_kill, i);
  for (let i = 0; i < 5; i++) kernel.point(EVENT.tce_kill, i);
  const reader = new TraceReader(memory, rings);
  expect(reader.records().length).toBe(TRACE_RECORDS + 5);
  expect(reader.lost).toBe(10);
});

test('a reader that keeps up loses nothing, however many records there are', () => {
  const { tracer, memory, rings } = tracing('tce_kill');
  const actors = [tracer(0), tracer(1)];
  const reader = new TraceReader(memory, rings);
  for (let i = 0; i < 3 * TRACE_RECORDS; i++) {
    actors[i % 3 === 0 ? 1 : 0].point(EVENT.tce_kill, i);
    reader.keepUp();
  }
  expect(reader.records().map(({ args }) => args[0])).toEqual(Array.from({ length: 3 * TRACE_RECORDS }, (_, i) => i));
  expect(reader.records()).toHaveLength(3 * TRACE_RECORDS);
  expect(reader.lost).toBe(0);
});

test('a record is printed with the names of its arguments, in hexadecimal with sign', () => {
  const record = { time: 0, actor: 'kernel', event: 'syscall_ret', args: [54, -22] } as const;
  expect(printTrace(record)).toBe('syscall_ret nr=0x36 ret=-0x16');
  expect(printTrace({ ...record, event: 'vfio_ccw_K6', args: [255] })).toBe('vfio_ccw_K6 schid=0xff');
});

test('there are at most four arguments an event, and a byte of the enable table for each event', () => {
  for (const args of Object.values(TRACE_EVENTS)) expect(args.length).toBeLessThanOrEqual(4);
  expect(Object.keys(TRACE_EVENTS).length).toBeLessThanOrEqual(TRACE_ENABLE_SIZE);
});
