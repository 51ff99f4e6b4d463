import { expect, test } from 'vitest';
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import type { MachineResult, MarkSeries } from '../config.ts';
import { bootReport } from './report.ts';
import { table } from './table.ts';

/** Hypercalls by tier of a machine whose kernel does its part. */
const KERNEL = [1e6, 1e6, 1e6];

const STEPS = ['Q3', 'Q4', 'K1', 'K2', 'K3', 'K4', 'Q5', 'K5', 'K6', 'Q6', 'Q7'];
const record = (step: string, time: number, schid = 0): TraceRecord => ({
  time,
  actor: step.startsWith('Q') ? 'vmm' : 'kernel',
  event: `vfio_ccw_${step}` as TraceEvent,
  args: [schid, 0, 0],
});
const io = (start: number, each: number, schid = 0) => STEPS.map((step, i) => record(step, start + i * each, schid));
const result = (marks: Record<number, MarkSeries>): MachineResult => ({
  status: 0,
  reason: '',
  endedNs: 0,
  marks,
  systemCalls: 0,
  exits: {},
});
const byTime = (records: TraceRecord[]) => records.sort((a, b) => a.time - b.time);

/** The lines of the table of steps: step and time since Q3. */
const steps = (trace: TraceRecord[]) =>
  [...bootReport(result({}), byTime(trace), KERNEL).matchAll(/^ {2}([QK]\d) +\S+ +([\d.-]+) +(\+?[\d.-]+) /gm)].map(
    (m) => m.slice(1),
  );

test('a table’s columns are as wide as their widest cell, aligned as wanted, without blanks at the ends', () => {
  expect(table(['a', 'long'], [['xyz', '1']], '<>')).toBe('  a    long\n  ---  ----\n  xyz     1\n');
  expect(table(['a', 'b'], [], '<<')).toBe('  a  b\n  -  -\n');
});

test('the steps of an I/O are shown with the time since SSCH and since the step before', () => {
  expect(steps(io(5000, 1500))).toEqual(STEPS.map((s, i) => [s, (i * 1.5).toFixed(1), i === 0 ? '+0.0' : '+1.5']));
});

test('I/Os of two subchannels at the same time are not mixed', () => {
  const shown = steps([...io(0, 1000, 1), ...io(300, 1000, 2)]);
  expect(shown.map(([, at]) => at)).toEqual(STEPS.map((_, i) => i.toFixed(1)));
});

test('an I/O that was halted is passed over for the next complete one', () => {
  const halted = io(0, 100).filter(({ event }) => !['vfio_ccw_K5', 'vfio_ccw_K6'].includes(event));
  expect(steps([...halted, ...io(50_000, 2000)])[1]).toEqual(['Q4', '2.0', '+2.0']);
  expect(bootReport(result({}), halted, KERNEL)).toBe('');
});

test('a step that overtakes another ran beside it, and the next counts from the later of the two', () => {
  const trace = io(0, 1000).map((r) => (r.event === 'vfio_ccw_K5' ? { ...r, time: 5500 } : r));
  expect(steps(trace).slice(6, 9)).toEqual([
    ['Q5', '6.0', '+1.0'],
    ['K5', '5.5', '-'],
    ['K6', '8.0', '+2.0'],
  ]);
  expect(bootReport(result({}), byTime(trace), KERNEL)).toMatch(/\n {2}- side by side with the step above\n$/);
  expect(bootReport(result({}), io(0, 1000), KERNEL)).not.toContain('side by side');
});

test('of several I/Os the one of median duration is shown', () => {
  expect(steps([...io(0, 9000), ...io(200_000, 1000), ...io(400_000, 2000)])[1]).toEqual(['Q4', '2.0', '+2.0']);
});

const RFC_STEPS = ['Q1', 'Q2', 'Q3', 'K1', 'K2', 'K3', 'K4', 'K5', 'K6', 'Q4'];
const rfcIo = (start: number, each: number, schid = 0): TraceRecord[] =>
  RFC_STEPS.map((step, i) => ({ ...record(step, start + i * each, schid), event: `ccw_rfc_${step}` as TraceEvent }));

test('the steps of the 2016 proposal are shown when it ran, with what it cost and could not do', () => {
  const lost: TraceRecord = { time: 1, actor: 'kernel', event: 'ccw_rfc_lost', args: [0, 0x11, 0x80, 0] };
  const pretended: TraceRecord = { time: 2, actor: 'vmm', event: 'ccw_rfc_pretend', args: [0, 2] };
  const trace = [...rfcIo(0, 1000), ...rfcIo(500, 2000, 1), ...rfcIo(30_000, 3000), lost, pretended];
  expect(steps(trace)).toEqual(RFC_STEPS.map((s, i) => [s, (i * 2).toFixed(1), i === 0 ? '+0.0' : '+2.0']));
  const report = bootReport(result({}), byTime(trace), KERNEL);
  expect(report).toContain('One SSCH of the 2016 proposal, step by step; the CPU stands still from Q1 to Q4');
  expect(report).toMatch(/CPU stood still in SSCH +54\.00 us in 3 I\/Os, at most 27\.00 us/);
  expect(report).toMatch(/HSCH and CSCH only pretended +1\n +status lost: nobody waited for it +1\n/);
  expect(bootReport(result({}), io(0, 100), KERNEL)).not.toContain('CMD_REQUEST');
});

test('the three paths are compared with the exit; a series without batches is left out', () => {
  const series = (...batches: number[]): MarkSeries => ({ calls: batches.length * 10, batches });
  const report = bootReport(
    result({ 0: series(100, 90, 110), 1: series(1000), 2: series(10_000, 9000, 11_000) }),
    [],
    KERNEL,
  );
  const lines = report.split('\n').filter((line) => /real|virtual|exit/.test(line));
  expect(lines.map((line) => line.trim().split(/ {2,}/))).toEqual([
    ['path', 'p50', 'p99', 'calls', 'faster than the exit'],
    ['exit to the VMM', '10.00 us', '11.00 us', '30', '1.0x'],
    ['kernel, virtual mode', '1.00 us', '1.00 us', '10', '10.0x'],
    ['kernel, real mode', '100 ns', '110 ns', '30', '100.0x'],
  ]);
  expect(report).toContain('H_PUT_TCE, the three paths (');
  const two = result({ 1: series(1000), 2: series(10_000) });
  expect(bootReport(two, [], KERNEL)).toContain('H_PUT_TCE, two paths (');
  expect(bootReport(result({ 2: series(10_000) }), [], KERNEL)).toContain('H_PUT_TCE, one path (');
  expect(bootReport(result({ 2: series() }), [], KERNEL)).toBe('');
  expect(bootReport(result({ 1: series(5), 2: series() }), [], KERNEL)).toContain('5.0 ns');
});

test('without preregistered memory the table would compare the VMM with itself: it says so instead', () => {
  const each = { calls: 100, batches: [1000] };
  const marks = { 0: each, 1: each, 2: each };
  expect(bootReport(result(marks), [], [0, 0, 5000])).toMatch(/every call ended in the VMM.*--memory-pressure/);
});
