import { expect, test } from 'vitest';
import type { MarkSeries } from '../config.ts';
import { againstFloor, floorFigure, subject, warm, workPerOperation } from './series.ts';

const floor = floorFigure('s', 'chain', [Float64Array.of(10, 20, 30)]);

test('a floor is the median of its rounds, and counts every sample', () => {
  expect(
    floorFigure('s', 'chain', [
      [1, 1],
      [5, 5],
      [9, 900],
    ]),
  ).toEqual({
    scenario: 's',
    name: 'floor: chain',
    unit: 'ns',
    p50: 5,
    p99: 5,
    samples: 6,
    operations: 6,
  });
});

test('the first half of a series is warm-up', () => {
  expect(warm([9, 9, 1, 2, 3])).toEqual([1, 2, 3]);
  expect(subject('s', 'x', [{ calls: 40, batches: [900, 900, 50, 60] }], floor)).toMatchObject({
    p50: 50,
    samples: 4,
    operations: 40,
    ratio: 2.5,
    floor: 'floor: chain',
  });
});

test('a limit is a target that is reached or missed', () => {
  expect(againstFloor(40, floor, 2)).toMatchObject({ ratio: 2, reached: true });
  expect(againstFloor(41, floor, 2)).toMatchObject({ target: 'p50 at most 2x the floor', reached: false });
  expect(againstFloor(41, floor).target).toBeUndefined();
  expect(againstFloor(41, undefined)).toEqual({});
});

test('work per operation is what lies between the first and the last report, without the reports themselves', () => {
  const series: MarkSeries = {
    calls: 40,
    batches: [1, 1, 1, 1, 1],
    work: {
      first: { exits: 100, systemCalls: 50, handOffs: 30 },
      // four batches of eight: 3 exits, 2 system calls and 5 hand-offs each, and four reports
      last: { exits: 100 + 96 + 4, systemCalls: 50 + 64, handOffs: 30 + 160 + 8 },
    },
  };
  expect(workPerOperation(series)).toEqual({ exits: 3, systemCalls: 2, handOffs: 5 });
  expect(workPerOperation({ calls: 8, batches: [1], work: series.work })).toBeUndefined();
  expect(workPerOperation({ calls: 8, batches: [1, 1] })).toBeUndefined();
});
