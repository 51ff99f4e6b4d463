import fc from 'fast-check';
import { expect, test } from 'vitest';
import { high32, join64, low32 } from './words64.ts';

const MASK = 0xffff_ffffn;

test('halves are those of the value modulo 2^64, and make it again', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 70n), max: 1n << 70n }), (value) => {
      const bits = BigInt.asUintN(64, value);
      expect([high32(value), low32(value)]).toEqual([Number(bits >> 32n), Number(bits & MASK)]);
      expect(join64(high32(value), low32(value))).toBe(bits);
      // Signed words are the same bits.
      expect(join64(high32(value) | 0, low32(value) | 0)).toBe(bits);
    }),
  );
});
