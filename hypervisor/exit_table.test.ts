import { expect, test } from 'vitest';
import { exitSummary, exitTable } from './exit_table.ts';

const row = (name: string, ...times: readonly number[]) => ({
  name,
  samples: times.length,
  sum: times.reduce((a, b) => a + b, 0),
  squares: times.reduce((a, b) => a + b * b, 0),
  min: Math.min(...times),
  max: Math.max(...times),
});
const inKernel = { real: 12, virtual: 34 };

test('the columns are those of perf kvm stat; the last one is the standard error against the mean', () => {
  // 1, 2, 3, 4, 5 us: standard deviation sqrt(2.5), of the mean sqrt(0.5); against 3 us that is 23.57 %.
  const text = exitTable({ rows: [row('SSCH', 1000, 2000, 3000, 4000, 5000), row('Wait state', 45_000)], inKernel });
  const [head, , ssch, wait, total, kernel] = text.split('\n');
  expect(head.trim().split(/ {2,}/)).toEqual([
    'VM-EXIT',
    'Samples',
    'Samples%',
    'Time%',
    'Min Time',
    'Max Time',
    'Avg time',
  ]);
  expect(ssch.trim().split(/ {2,}/)).toEqual([
    'SSCH',
    '5',
    '83.33%',
    '25.00%',
    '1.00us',
    '5.00us',
    '3.00us ( +-',
    '23.57% )',
  ]);
  expect(wait).toMatch(/Wait state +1 +16\.67% +75\.00% +45\.00us +45\.00us +45\.00us \( \+- +0\.00% \)$/);
  expect(total).toBe('  Total Samples:6, Total events handled time:60.00us.');
  expect(kernel).toBe('  hypercalls handled in the kernel without an exit: 12 real mode, 34 virtual mode');
});

test('equal times have no error, whatever rounding makes of their squares', () => {
  const times = Array.from({ length: 1000 }, () => 1234.567);
  expect(exitTable({ rows: [row('TPI', ...times)], inKernel })).toContain('1.23us ( +-   0.00% )');
});

test('a guest that never left is told in a sentence', () => {
  const text = exitTable({ rows: [], inKernel });
  expect(text).toContain('no exit that the guest came back from\n  Total Samples:0, Total events handled time:0.00us.');
});

test('the summary says whose time it is; without statistics there is none', () => {
  expect(exitSummary({ rows: [], inKernel }, true)).toMatch(/^\nExits of all CPUs .*; virtual time\):\n/);
  expect(exitSummary({ rows: [], inKernel }, false)).not.toContain('virtual time');
  expect(exitSummary(undefined, true)).toBe('');
});
