import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Random } from './random.ts';

const first = (seed: number) => {
  const random = new Random(seed);
  return Array.from({ length: 4 }, () => random.next()).join();
};

test('a seed gives its own sequence, always the same', () => {
  // The last two are the ones whose first word of state is 1 and 0.
  const seeds = [...Array.from({ length: 200 }, (_, i) => i), 0xffffffff, 123456788, 123456789];
  expect(new Set(seeds.map(first)).size).toBe(seeds.length);
  for (const seed of seeds) expect(first(seed)).toBe(first(seed));
});

test('numbers stay in their range and use all of it', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 50 }), (seed, bound) => {
      const random = new Random(seed);
      const seen = new Set(Array.from({ length: bound * 30 }, () => random.below(bound)));
      expect(Math.min(...seen)).toBe(0);
      expect(Math.max(...seen)).toBe(bound - 1);
      expect(seen.size).toBe(bound);
    }),
    { numRuns: 20, seed: 1 },
  );
});
