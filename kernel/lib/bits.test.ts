import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bitfield } from './bits.ts';

const WORD = bitfield('word', 32, { top: [0, 1], key: [4, 4], low: [16, 16] });

test('bit 0 is the most significant bit', () => {
  expect(WORD.mask).toEqual({ top: 0x80000000, key: 0x0f000000, low: 0xffff });
  expect(bitfield('byte', 8, { first: [0, 1], rest: [1, 7] }).mask).toEqual({ first: 0x80, rest: 0x7f });
  expect(bitfield('half', 16, { last: [15, 1] }).mask).toEqual({ last: 1 });
  expect(bitfield('all', 32, { all: [0, 32] }).mask).toEqual({ all: 0xffffffff });
});

test('a field is set and read without touching the others', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.constantFrom('top' as const, 'key' as const, 'low' as const),
      fc.integer({ min: 0, max: 0xffffffff }),
      (word, field, value) => {
        const { mask } = WORD;
        const after = WORD.set(word, field, value);
        const all = 2 ** { top: 1, key: 4, low: 16 }[field];
        expect(WORD.get(after, field)).toBe(value % all);
        expect((after & ~mask[field]) >>> 0).toBe((word & ~mask[field]) >>> 0);
        expect(after).toBeGreaterThanOrEqual(0);
      },
    ),
  );
});

test('only fields that are not zero are printed, single bits by name alone', () => {
  expect(WORD.print(0x83000010)).toBe('top key=3 low=10');
  expect(WORD.print(0)).toBe('');
});

test('a table with overlapping fields or bits outside the word is refused', () => {
  expect(() => bitfield('x', 16, { a: [0, 4], b: [3, 2] })).toThrow('x.b: overlaps another field');
  expect(() => bitfield('x', 32, { a: [0, 32], b: [0, 1] })).toThrow('x.b: overlaps');
  expect(() => bitfield('x', 16, { a: [12, 5] })).toThrow('x.a: bits outside the word');
  expect(() => bitfield('x', 16, { a: [-1, 2] })).toThrow('outside');
  expect(() => bitfield('x', 16, { a: [1, 0] })).toThrow('outside');
});
