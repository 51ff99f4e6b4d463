import { expect, test } from 'vitest';
import { PAMU_VIOLATION } from '../../kernel/include/arch/ppc/pamu.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import { isolationTimes } from './pamu.ts';

const { WAV, LAV } = PAMU_VIOLATION;
const violation = (time: number, liodn: number, address: number, code: number): TraceRecord => ({
  time,
  actor: 'elo0',
  event: 'pamu_violation',
  args: [liodn, address, code, 0],
});
const isolated = (time: number, liodn: number, address: number): TraceRecord => ({
  time,
  actor: 'kernel',
  event: 'fsl_pamu_isolated',
  args: [liodn, address],
});

test('each violation is paired with the isolation of its LIODN, whichever thread’s records come first', () => {
  const records = [isolated(150, 1, 0x10), isolated(400, 2, 0x10), violation(100, 1, 0x10, WAV)];
  expect(isolationTimes([...records, violation(300, 2, 0x10, WAV)])).toEqual([50, 100]);
});

test('an access of a LIODN that is off already isolates nobody, and an isolation without a violation is none', () => {
  expect(isolationTimes([violation(100, 1, 0x10, LAV), isolated(120, 1, 0x10)])).toEqual([]);
  expect(isolationTimes([isolated(120, 1, 0x10)])).toEqual([]);
});

test('a second violation before the first is handled: the time is that of the captured address', () => {
  const records = [violation(100, 1, 0x10, WAV), violation(110, 1, 0x20, WAV), isolated(150, 1, 0x10)];
  expect(isolationTimes(records)).toEqual([50]);
});
