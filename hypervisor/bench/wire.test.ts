import { expect, test } from 'vitest';
import type { MarkSeries } from '../config.ts';
import { figureKey } from './figure_key.ts';
import type { Figure } from './figures.ts';
import { type WireRound, wireFigures } from './wire.ts';

const SIZES = [1514, 9014];
const WAYS = ['exit to the VMM', 'kernel, virtual mode', 'kernel, real mode', 'big window'];

/** A series whose second half goes at this rate on the whole, in batches as uneven as a CPU that is shared makes them. */
function series(frameBytes: number, rate: number): MarkSeries {
  const ns = (frameBytes * 1000) / rate;
  return { calls: 80, batches: [9e9, 9e9, 9e9, 9e9, 0.1 * ns, 0.1 * ns, 0.1 * ns, 3.7 * ns] };
}

/** A round in which machine 0 received at these rates, one for each way, and machine 1 at twice them. */
function round(rates: readonly number[]): WireRound {
  return [1, 2].map((factor) =>
    Object.fromEntries(
      rates.flatMap((rate, way) =>
        SIZES.map((frameBytes, size) => [16 + 2 * way + size, series(frameBytes, factor * rate)] as const),
      ),
    ),
  );
}

const named = (figures: readonly Figure[], name: string, column?: string) =>
  figures.find((figure) => figure.name === name && figure.column === column) as Figure;

test('each direction is what its receiver saw, in a column of its own, and both together are a figure too', () => {
  const figures = wireFigures([round([1, 10, 20, 40])]);
  for (const payload of [1500, 9000])
    for (const [way, rate] of [1, 10, 20, 40].entries()) {
      const name = `${payload}-byte packets, ${WAYS[way]}`;
      expect(named(figures, name, 'vm1 to vm0').p50, name).toBeCloseTo(rate);
      expect(named(figures, name, 'vm0 to vm1').p50, name).toBeCloseTo(2 * rate);
      expect(named(figures, name).p50, name).toBeCloseTo(3 * rate);
      expect(named(figures, name)).toMatchObject({ unit: 'MB/s', operations: 80, parameters: { mode: WAYS[way] } });
    }
  expect(figures).toHaveLength(2 * 4 * 3);
  expect(new Set(figures.map(figureKey)).size).toBe(figures.length);
});

test('the ways of mapping are multiples of the big window of their round, and have their gain over the exit path', () => {
  const figures = wireFigures([round([1, 10, 20, 40]), round([2, 6, 10, 30]), round([1, 4, 20, 50])]);
  const exit = named(figures, '1500-byte packets, exit to the VMM');
  const window = named(figures, '1500-byte packets, big window');
  const virtual = named(figures, '1500-byte packets, kernel, virtual mode');
  expect(exit.floor).toBe(window.name);
  expect(exit.ratio).toBeCloseTo(40); // Of 40, 15 and 50.
  expect([exit.target, window.floor]).toEqual([undefined, undefined]);
  expect(window.target).toBe('40.0x the exit path, 15.0..50.0x over the rounds (published: 3.4x to 4.6x); at least 5x');
  expect(window.parameters?.timesExitPath).toBeCloseTo(40);
  expect([window.reached, virtual.reached]).toEqual([true, false]); // 4 is the median of 10, 3 and 4.
});

test('one round has no spread', () => {
  const window = named(wireFigures([round([1, 10, 20, 40])]), '9000-byte packets, big window');
  expect(window.target).toBe('40.0x the exit path (published: 3.4x to 4.6x); at least 5x');
});

test('a machine that reported no such stream is named, with the round', () => {
  const missing: WireRound = [round([1, 2, 3, 4])[0], { ...round([1, 2, 3, 4])[1], 19: { calls: 0, batches: [] } }];
  expect(() => wireFigures([round([1, 2, 3, 4]), missing])).toThrow(
    'wire: vm1 measured nothing in round 2 (kernel, virtual mode, frames of 9014 bytes); run it again',
  );
  expect(() => wireFigures([[round([1, 2, 3, 4])[0]]])).toThrow('wire: vm1 measured nothing in round 1');
});
