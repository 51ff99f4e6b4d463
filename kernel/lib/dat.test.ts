import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PGM } from '../include/arch/s390/pgm.ts';
import { type EnhancedDat, enhancedDat, realToAbsolute, translate } from './dat.ts';

/** Doublewords of real storage. */
class Tables {
  readonly words = new Map<bigint, bigint>();
  readonly fetch = (real: bigint) => this.words.get(real) ?? 0x20n;
  set(table: bigint, index: bigint, value: bigint): void {
    this.words.set(table + index * 8n, value);
  }
  walk(address: bigint, asce: bigint, enhanced: EnhancedDat = 0) {
    return translate(address, asce, enhanced, this.fetch);
  }
}
/** Table of each level: region first to third, segment, page; ASCE that designates it, with length 3. */
const TABLE = { first: 0x10000n, second: 0x20000n, third: 0x30000n, segment: 0x40000n, page: 0x50000n } as const;
const ASCE = { first: 0x1000fn, second: 0x2000bn, third: 0x30007n, segment: 0x40003n } as const;

/** All five levels to `page` for `address`. */
function mapped(address: bigint, page: bigint): Tables {
  const t = new Tables();
  t.set(TABLE.first, (address >> 53n) & 0x7ffn, TABLE.second | 0xfn);
  t.set(TABLE.second, (address >> 42n) & 0x7ffn, TABLE.third | 0xbn);
  t.set(TABLE.third, (address >> 31n) & 0x7ffn, TABLE.segment | 7n);
  t.set(TABLE.segment, (address >> 20n) & 0x7ffn, TABLE.page);
  t.set(TABLE.page, (address >> 12n) & 0xffn, page);
  return t;
}

test('an address is found through every number of levels that is enough for it', () => {
  const asces = [
    [ASCE.first, 64n],
    [ASCE.second, 53n],
    [ASCE.third, 42n],
    [ASCE.segment, 31n],
  ] as const;
  fc.assert(
    fc.property(fc.bigInt(0n, (1n << 64n) - 1n), fc.bigInt(0n, 0xffffn), fc.constantFrom(...asces), (any, n, row) => {
      const [asce, bits] = row;
      const address = any & ((1n << bits) - 1n);
      expect(mapped(address, n << 12n).walk(address, asce)).toEqual({ page: n << 12n, protected: false });
      if (bits < 64n) expect(mapped(address, 0n).walk(address | (1n << bits), asce)).toBe(PGM.ASCE_TYPE);
    }),
  );
});

const ADDRESS = 0x0123_4567_89ab_cdefn;
const index = {
  first: (ADDRESS >> 53n) & 0x7ffn,
  second: (ADDRESS >> 42n) & 0x7ffn,
  third: (ADDRESS >> 31n) & 0x7ffn,
  segment: (ADDRESS >> 20n) & 0x7ffn,
  page: (ADDRESS >> 12n) & 0xffn,
};
type Level = keyof typeof TABLE;
const entry = (t: Tables, level: Level) => t.fetch(TABLE[level] + index[level] * 8n);

// Level, bits exclusive-ored into its entry, exception.
test.each<[Level, bigint, number]>([
  ['first', 0x20n, PGM.REGION_FIRST],
  ['second', 0x20n, PGM.REGION_SECOND],
  ['third', 0x20n, PGM.REGION_THIRD],
  ['segment', 0x20n, PGM.SEGMENT],
  ['page', 0x400n, PGM.PAGE],
  ['first', 0x4n, PGM.TRANSLATION_SPECIFICATION],
  ['second', 0x8n, PGM.TRANSLATION_SPECIFICATION],
  ['third', 0x8n, PGM.TRANSLATION_SPECIFICATION],
  ['segment', 0x4n, PGM.TRANSLATION_SPECIFICATION],
  ['page', 0x800n, PGM.TRANSLATION_SPECIFICATION],
  ['page', 0x100n, PGM.TRANSLATION_SPECIFICATION],
  // The table begins behind the entry, or ends before it: the next level's exception.
  ['first', 0xc0n, PGM.REGION_SECOND],
  ['second', 0x3n, PGM.REGION_THIRD],
  ['second', 0xc0n, PGM.REGION_THIRD],
  ['third', 0xc0n, PGM.SEGMENT],
])('entry of table %s changed by %s: exception %i', (level, change, code) => {
  const t = mapped(ADDRESS, 0x77000n);
  t.set(TABLE[level], index[level], entry(t, level) ^ change);
  expect(t.walk(ADDRESS, ASCE.first)).toBe(code);
});

test('a common segment in a private space is a translation-specification exception', () => {
  const t = mapped(ADDRESS, 0x77000n);
  t.set(TABLE.segment, index.segment, TABLE.page | 0x10n);
  expect(t.walk(ADDRESS, ASCE.first)).toMatchObject({ page: 0x77000n });
  expect(t.walk(ADDRESS, ASCE.first | 0x100n)).toBe(PGM.TRANSLATION_SPECIFICATION);
});

test.each<[Level, EnhancedDat, boolean]>([
  ['page', 0, true],
  ['segment', 0, true],
  ['third', 0, false],
  ['third', 1, true],
  ['first', 1, true],
])('the protection bit of table %s with enhanced DAT %i protects: %s', (level, enhanced, expected) => {
  const t = mapped(ADDRESS, 0x77000n);
  t.set(TABLE[level], index[level], entry(t, level) | 0x200n);
  expect(t.walk(ADDRESS, ASCE.first, enhanced)).toEqual({ page: 0x77000n, protected: expected });
});

test('large frames: one mebibyte with enhanced DAT 1, two gibibytes with 2, tables without', () => {
  const t = mapped(ADDRESS, 0x77000n);
  t.set(TABLE.segment, index.segment, 0x12_3000_0000n | 0x600n);
  expect(t.walk(ADDRESS, ASCE.first, 1)).toEqual({
    page: 0x12_3000_0000n | (ADDRESS & 0xf_f000n),
    protected: true,
  });
  t.set(TABLE.third, index.third, 0x80_0000_0000n | 0x400n | 7n);
  expect(t.walk(ADDRESS, ASCE.first, 2)).toEqual({
    page: 0x80_0000_0000n | (ADDRESS & 0x7fff_f000n),
    protected: false,
  });
  // The entry is one of a table then: its length 3 and origin 0x8000000400 rounded down hold nothing.
  expect(t.walk(ADDRESS, ASCE.first, 1)).toBe(PGM.SEGMENT);
});

test('a real-space designation translates nothing', () => {
  expect(new Tables().walk(ADDRESS, 0x20n)).toEqual({ page: ADDRESS & ~0xfffn, protected: false });
});

test('enhanced DAT needs its facility and bit 40 of control register 0', () => {
  const on = 0x80_0000n;
  expect([enhancedDat([8, 78], 0n), enhancedDat([78], on), enhancedDat([8], on), enhancedDat([8, 78], on)]).toEqual([
    0, 0, 1, 2,
  ]);
});

test('prefixing exchanges two areas', () => {
  fc.assert(
    fc.property(
      fc.nat(0x7fff).map((n) => n * 8192),
      fc.nat(0x1000_0000),
      (prefix, real) => {
        const absolute = realToAbsolute(real, prefix);
        expect(realToAbsolute(absolute, prefix)).toBe(real);
        expect(absolute % 8192).toBe(real % 8192);
      },
    ),
  );
});
