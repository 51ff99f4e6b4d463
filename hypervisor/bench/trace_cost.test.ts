import { expect, test } from 'vitest';
import type { TraceEvent } from '../../kernel/include/trace_events.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { pointsOfIo, pointsOfPut } from './trace_cost.ts';

const trace = (...rows: readonly (readonly [TraceEvent, ...number[]])[]): TraceRecord[] =>
  rows.map(([event, ...args], time) => ({ time, actor: 'any', event, args }));

test('an I/O’s points go from the exit at SSCH to the return from the TSCH that took its status', () => {
  const io = [
    ['kvm_userspace_exit', 0, 13, 0xb233],
    ['vfio_ccw_Q3', 0, 0],
    ['kvm_userspace_enter', 0, 1],
    ['kvm_userspace_exit', 0, 22, 0xb235],
    ['s390_ioinst', 0xb235, 0, 1, 0],
    ['kvm_userspace_enter', 0, 1],
    ['kvm_userspace_exit', 0, 22, 0xb235],
    ['s390_ioinst', 0xb235, 0, 0, 0],
    ['kvm_userspace_enter', 0, 1],
  ] as const;
  expect(pointsOfIo(trace(['css_crw', 3, 4, 0, 0], ...io, ['css_crw', 3, 4, 0, 0], ...io))).toBe(9);
  expect(pointsOfIo(trace(['css_crw', 3, 4, 0, 0]))).toBe(0);
});

test('a hypercall’s points are counted for the tier that finished it, other calls are not', () => {
  const records = trace(
    ['kvm_hcall_enter', 0, 0x20, 0, 0],
    ['tce_kill', 0, 0, 1, 0],
    ['kvm_hcall_exit', 0, 0x20, 0, 0],
    ['kvm_hcall_enter', 0, 0x20, 0, 0],
    ['hypercall', 0x20, 0, 0, 0],
    ['tce_kill', 0, 0, 1, 0],
    ['hypercall_ret', 0x20, 0, 1],
    ['kvm_hcall_exit', 0, 0x20, 0, 1],
    ['kvm_hcall_enter', 0, 0x1c, 0, 0],
    ['kvm_hcall_exit', 0, 0x1c, 0, 1],
  );
  expect([0, 1, 2].map((tier) => pointsOfPut(records, tier))).toEqual([3, 5, 0]);
});
