import { expect, test } from 'vitest';
import { smallMachine } from '../../test/support/small_machine.ts';
import { TRACE_EVENTS } from '../include/trace_events.ts';
import { createMemory, HostMemory } from './host_memory.ts';
import {
  disableTrace,
  EVENT,
  enableTrace,
  matchTrace,
  printTrace,
  setTraceCapacity,
  TRACE_ENABLE_SIZE,
  TRACE_FOR,
  TRACE_RECORD,
  TRACE_RECORDS,
  TRACE_RING,
  Tracer,
  traceEnabled,
  traceRingSize,
} from './trace.ts';
import { readTrace, TraceReader } from './trace_reader.ts';

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
  const { tracer, read } = tracing('sys*');
  tracer(1).point(EVENT.sys_enter, 54, 3, 0x3b64, 63);
  tracer(1).point(EVENT.mm_migrate, 1, 2, 3);
  tracer(0).point(EVENT.syscall_ret, 54, 63, -22);
  expect(read()).toEqual([
    { time: 1, actor: 'kernel', event: 'sys_enter', args: [54, 3, 0x3b64, 63] },
    { time: 2, actor: 'vmm', event: 'syscall_ret', args: [54, 63, -22] },
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

test('what the actor overwrites while the reader copies is lost, and nothing that was overwritten is told', () => {
  const { tracer, memory, rings } = tracing('tce_kill');
  const vmm = tracer(0);
  for (let i = 0; i < TRACE_RECORDS + 100; i++) vmm.point(EVENT.tce_kill, i);
  const reader = new TraceReader(memory, rings);
  // The ring's count is looked at, everything copied, and the count looked at again: 50 records came in between.
  const { load } = memory;
  let looks = 0;
  memory.load = (hpa) => {
    if (hpa === rings[0].hpa && ++looks === 3) for (let i = 0; i < 50; i++) vmm.point(EVENT.tce_kill, 9999);
    return load.call(memory, hpa);
  };
  reader.drain();
  memory.load = load;
  const told = reader.records().map(({ args }) => args[0]);
  expect(looks).toBeGreaterThan(2);
  expect(reader.lost).toBe(150);
  expect(told).toEqual([...Array.from({ length: TRACE_RECORDS - 50 }, (_, i) => i + 150), ...Array(50).fill(9999)]);
});

test('a record half written over is not told, though its actor has not counted the new one yet', () => {
  const { tracer, memory, rings } = tracing('tce_kill');
  const vmm = tracer(0);
  for (let i = 0; i < TRACE_RECORDS; i++) vmm.point(EVENT.tce_kill, i);
  // The next record's number and time are there, the count is not.
  memory.dv.setUint32(rings[0].hpa + TRACE_RING.header + TRACE_RECORD.number, TRACE_RECORDS, true);
  memory.dv.setFloat64(rings[0].hpa + TRACE_RING.header + TRACE_RECORD.time, 1e9, true);
  const reader = new TraceReader(memory, rings);
  expect(reader.records().map(({ args }) => args[0])).toEqual(
    Array.from({ length: TRACE_RECORDS - 1 }, (_, i) => i + 1),
  );
  expect(reader.lost).toBe(1);
});

test('a ring may have more room; a reader keeps no more than its limit and counts the others', () => {
  const room = 2 * TRACE_RECORDS;
  const [enable, ring] = [0, 4096];
  const memory = new HostMemory(createMemory(ring + traceRingSize(room)));
  enableTrace(memory, enable, 'tce_kill');
  setTraceCapacity(memory, ring, room);
  const tracer = new Tracer(memory, enable, ring, () => 0);
  for (let i = 0; i < room + 5; i++) tracer.point(EVENT.tce_kill, i);
  const rings = [{ actor: 'test', hpa: ring }];
  expect(readTrace(memory, rings).map(({ args }) => args[0])).toEqual(Array.from({ length: room }, (_, i) => i + 5));
  const reader = new TraceReader(memory, rings, { limit: 10 });
  expect(reader.records().map(({ args }) => args[0])).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  expect([reader.lost, reader.beyond]).toEqual([5, room - 10]);
  expect(() => setTraceCapacity(memory, ring, 5000)).toThrow(/5000 records/);
});

test('an event is recorded for its purposes, which each reader chooses from', () => {
  const { memory, map, rings, tracer } = tracing('pe_freeze');
  const { RUN, TEXT, OUT } = TRACE_FOR;
  enableTrace(memory, map.traceEnable, 'tce_kill', TEXT);
  enableTrace(memory, map.traceEnable, '*', OUT);
  disableTrace(memory, map.traceEnable, 'e1000_*', OUT);
  disableTrace(memory, map.traceEnable, 'pe_freeze', TEXT);
  const told: string[] = [];
  const tell = ({ event }: { event: string }) => void told.push(event);
  const reader = new TraceReader(memory, rings, { keep: RUN | OUT, tell, tellFor: TEXT });
  for (const name of ['pe_freeze', 'tce_kill', 'css_crw', 'e1000_tx'] as const) tracer(0).point(EVENT[name]);
  const kept = (purpose?: number) => reader.records(purpose).map(({ event }) => event);
  expect(kept()).toEqual(['pe_freeze', 'tce_kill', 'css_crw']);
  expect(kept(RUN)).toEqual(['pe_freeze']);
  expect(told).toEqual(['tce_kill']);
  expect(traceEnabled(memory, map.traceEnable, 'pe_freeze', TEXT)).toBe(false);
  expect(traceEnabled(memory, map.traceEnable, 'pe_freeze')).toBe(true);
  expect([tracer(0).on(EVENT.e1000_tx), tracer(0).on(EVENT.css_crw)]).toEqual([false, true]);
});

test('a record is printed with the names of its arguments, in hexadecimal with sign', () => {
  const record = { time: 0, actor: 'kernel', event: 'sys_exit', args: [54, -22, 63] } as const;
  expect(printTrace(record)).toBe('sys_exit nr=0x36 ret=-0x16 slot=0x3f');
  expect(printTrace({ ...record, event: 'vfio_ccw_K6', args: [255] })).toBe('vfio_ccw_K6 schid=0xff');
});

test('there are at most four arguments an event, and a byte of the enable table for each event', () => {
  for (const args of Object.values(TRACE_EVENTS)) expect(args.length).toBeLessThanOrEqual(4);
  expect(Object.keys(TRACE_EVENTS).length).toBeLessThanOrEqual(TRACE_ENABLE_SIZE);
});
