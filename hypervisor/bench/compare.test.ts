import { expect, test } from 'vitest';
import { exampleDocument, exampleFigures } from '../../test/support/bench_document.ts';
import { compareFigures, holm, machineDifferences, surelyWorseBy } from './compare.ts';
import type { Figure } from './figures.ts';
import { floorFigure, measured } from './series.ts';

const figure = (more: Partial<Parameters<typeof measured>[0]>, ...rounds: number[]): Figure =>
  measured({ scenario: 's', name: 'x', ...more, rounds: rounds.map((value) => [value]) });
const of = (a: Figure, b: Figure) => compareFigures([a], [b]).comparisons[0];

test('times that are smaller are better, rates that are smaller are worse', () => {
  const before = [100, 101, 102, 103, 104];
  const after = [50, 51, 52, 53, 54];
  expect(of(figure({}, ...before), figure({}, ...after))).toMatchObject({ basis: 'values', verdict: 'better' });
  const rate = { unit: 'MB/s' } as const;
  expect(of(figure(rate, ...before), figure(rate, ...after)).verdict).toBe('worse');
});

test('a change has an estimate and bounds, and how sure they are', () => {
  const { change, low, high, confidence, p } = of(figure({}, 100, 101, 102, 103), figure({}, 200, 202, 204, 206));
  expect(change).toBeCloseTo(2, 2);
  expect(low).toBeCloseTo(200 / 103, 6);
  expect(high).toBeCloseTo(2.06, 6);
  expect(confidence).toBeCloseTo(1 - 2 / 70, 9);
  expect(p).toBeCloseTo(2 / 70, 9);
});

test('a machine that was slower all the time is no change where there is a floor', () => {
  const run = (speed: number) => {
    const floor = floorFigure('s', 'chain', [[100 * speed], [104 * speed], [102 * speed], [101 * speed]]);
    return [floor, figure({ floor }, 300 * speed, 310 * speed, 309 * speed, 301 * speed)];
  };
  const [floor, subject] = compareFigures(run(1), run(3)).comparisons;
  expect(subject).toMatchObject({ basis: 'floors', verdict: 'unsure', change: expect.closeTo(1, 9) });
  expect(floor).toMatchObject({ basis: 'values', verdict: 'worse', isFloor: true, change: expect.closeTo(3, 1) });
  // The machine's fault is nobody's.
  expect(surelyWorseBy(floor)).toBe(1);
});

test('three rounds each say nothing, and what they could say at best', () => {
  const one = of(figure({}, 1, 2, 3), figure({}, 100, 200, 300));
  expect(one).toMatchObject({ verdict: 'too few rounds', confidence: expect.closeTo(0.9, 9) });
  expect(one.low).toBeUndefined();
  expect(surelyWorseBy(one)).toBe(1);
});

test('counts have no noise: one round is enough, and the same is the same', () => {
  const count = (...rounds: number[]) => figure({ unit: 'ioctls' }, ...rounds);
  expect(of(count(7), count(7)).verdict).toBe('same');
  expect(of(count(4), count(5))).toMatchObject({ basis: 'counts', verdict: 'worse', change: 1.25, confidence: 1 });
  expect(surelyWorseBy(of(count(4), count(5)))).toBe(1.25);
  expect(of(count(5), count(4)).verdict).toBe('better');
});

test('a count that was 0 has no multiple, and is worse than by any factor', () => {
  const count = (n: number) => figure({ unit: 'ioctls' }, n);
  const one = of(count(0), count(5));
  expect(one).toMatchObject({ basis: 'counts', verdict: 'worse', confidence: 1 });
  expect([one.change, one.low, one.high]).toEqual([undefined, undefined, undefined]);
  expect(surelyWorseBy(one)).toBe(Number.POSITIVE_INFINITY);
  expect(of(count(5), count(0))).toMatchObject({ verdict: 'better', change: 0 });
  expect(of(count(0), count(0))).toMatchObject({ verdict: 'same', change: 1 });
});

test('values of nothing, or less, are compared by their difference', () => {
  const bytes = { unit: 'bytes/op' } as const;
  const one = of(figure(bytes, -1, 0, 1, 2), figure(bytes, 49, 50, 51, 52));
  expect(one).toMatchObject({ basis: 'differences', verdict: 'worse', change: 50, low: 47, high: 53 });
});

test('figures are of the same thing by scenario, name, side, unit and case; results among the parameters do not count', () => {
  const a = figure({ parameters: { devices: 1, api: 'region', timesExitPath: 4.2 } }, 1);
  const b = figure({ parameters: { api: 'region', timesExitPath: 5.1, devices: 1 } }, 2);
  const other = figure({ parameters: { api: 'region', devices: 4 } }, 3);
  const { comparisons, onlyA, onlyB } = compareFigures([a], [other, b]);
  expect(comparisons.map(({ b: found }) => found.p50)).toEqual([2]);
  expect([onlyA, onlyB]).toEqual([[], [other]]);
  expect(compareFigures([a], [figure({ column: 'PAMU' }, 1)]).onlyA).toEqual([a]);
});

test('several figures of one name are compared in their order', () => {
  const { comparisons } = compareFigures([figure({}, 1), figure({}, 10)], [figure({}, 1), figure({}, 10)]);
  expect(comparisons.map(({ change }) => change)).toEqual([1, 1]);
});

test('what would be sure by chance is told: as much as each figure is unsure', () => {
  const many = Array.from({ length: 20 }, (_, i) => figure({ name: `${i}` }, 100, 101, 102, 103));
  expect(compareFigures(many, many).byChance).toBeCloseTo((20 * 2) / 70, 9);
  expect(compareFigures([figure({ unit: 'ioctls' }, 1)], [figure({ unit: 'ioctls' }, 1)]).byChance).toBe(0);
});

test('a rate that is surely slower is so by the multiple of the time it takes', () => {
  const rate = (...rounds: number[]) => figure({ unit: 'I/O/s' }, ...rounds);
  expect(surelyWorseBy(of(rate(100, 100, 100, 100), rate(50, 50, 50, 50)))).toBeCloseTo(2, 9);
});

test('Holm: the smallest p of n must be below a n-th of the level, the next below an (n-1)-th, until one is not', () => {
  expect(holm([0.01, 0.2, 0.02], 0.05)).toEqual([true, false, true]);
  expect(holm([0.02, 0.02, 0.02], 0.05)).toEqual([false, false, false]);
  expect(holm([0.012, 0.026, 0.013], 0.05)).toEqual([true, true, true]);
  expect(holm([], 0.05)).toEqual([]);
});

test('with enough rounds a clear change is sure even among all figures', () => {
  const { comparisons } = compareFigures(exampleFigures({ rounds: 10 }), exampleFigures({ rounds: 10, scale: 1.5 }));
  const virtual = comparisons.find(({ a }) => a.name.startsWith('H_PUT_TCE'));
  expect(virtual).toMatchObject({ verdict: 'worse', sureAmongAll: true, change: expect.closeTo(1.5, 2) });
});

test('machines differ in what figures depend on, not in their load', () => {
  const { machine } = exampleDocument();
  expect(machineDifferences(machine, { ...machine, loadAverage: 7 })).toEqual([]);
  expect(machineDifferences(machine, { ...machine, node: 'v22.1.0', cpus: 4 })).toEqual([
    'number of CPUs: 2 and 4',
    'Node version: v20.20.2 and v22.1.0',
  ]);
});
