import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Interval, lanes } from './lanes.ts';

const interval = fc
  .tuple(fc.nat(60), fc.nat(20))
  .map(([order, length]): Interval => ({ order, endOrder: order + length }));

test('in a lane any two intervals are apart or one is inside the other, and none is lost', () => {
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 40 }), (intervals) => {
      const all = lanes(intervals);
      expect(new Set(all.flat())).toEqual(new Set(intervals));
      for (const lane of all)
        for (const [i, a] of lane.entries())
          for (const b of lane.slice(i + 1)) {
            expect(b.order).toBeGreaterThanOrEqual(a.order);
            expect(b.order >= a.endOrder || b.endOrder <= a.endOrder).toBe(true);
          }
    }),
  );
});

test('slices that nest share a lane; one that outlives what it began in gets another', () => {
  const [outer, inner, point, crossing] = [
    { order: 0, endOrder: 10 },
    { order: 2, endOrder: 10 },
    { order: 3, endOrder: 3 },
    { order: 4, endOrder: 11 },
  ];
  expect(lanes([crossing, point, inner, outer])).toEqual([[outer, inner, point], [crossing]]);
});
