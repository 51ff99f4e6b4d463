import fc from 'fast-check';
import { expect, test } from 'vitest';
import { apart } from './apart.ts';

test('labels that are far enough from each other stay', () => {
  expect(apart([0, 20, 60], 16)).toEqual([0, 0, 0]);
  expect(apart([], 16)).toEqual([]);
});

test('two on one place part to both sides', () => {
  expect(apart([50, 50], 16)).toEqual([-8, 8]);
});

test('none lies on another, and their order is that of the lines', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { maxLength: 7 }), (ends) => {
      const placed = apart(ends, 16).map((moved, i) => ends[i] + moved);
      const order = ends.map((_, i) => i).sort((a, b) => ends[a] - ends[b] || a - b);
      for (let k = 1; k < order.length; k++) expect(placed[order[k]] - placed[order[k - 1]]).toBeGreaterThanOrEqual(15);
    }),
  );
});
