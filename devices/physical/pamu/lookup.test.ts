import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GUTS } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  OME_SIZE,
  PAACE_IA,
  PAACE_OTM,
  PAMU,
  PAMU_PC,
  PPAACE_AF,
  SPAACE_AF,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import { AT, type TestGeometry, TestSoc } from '../elo/test_soc.ts';
import { lookup, type PamuGranted, type PamuRefused } from './lookup.ts';
import { SocArea } from './soc_area.ts';

const LIODN = 0x40;
const M = 0x10_0000;
const READ = false;
const WRITE = true;

/** Eight windows of 1 MiB: 0 and 2 all mapped, 1 its first 64 KiB, 3 read only, 4 write only, 5 to 7 not. */
const GEOMETRY: TestGeometry = {
  base: 0x1000_0000,
  size: 8 * M,
  fspi: 20,
  stash: 0x2a,
  windows: [
    { physical: 0x20_0000, size: M },
    { physical: 0x3_0000, size: 0x1_0000 },
    { physical: 0xf_fe00_0000, size: M },
    { physical: 0, size: M, ap: 1 },
    { physical: M, size: M, ap: 2 },
    undefined,
    undefined,
    undefined,
  ],
};

function look(soc: TestSoc, address: number, write = READ, length = 4, liodn = LIODN): PamuGranted | PamuRefused {
  return lookup(new SocArea(soc.memory, AT.soc), 0, { liodn, address, length, write });
}
/** The physical address, or what refused. */
function answer(...args: Parameters<typeof look>): number | string {
  const found = look(...args);
  return 'physical' in found ? found.physical : found.violation;
}

interface Row {
  readonly what: string;
  readonly address?: number;
  readonly write?: boolean;
  readonly length?: number;
  readonly liodn?: number;
  readonly change?: (soc: TestSoc) => void;
  readonly is: number | string;
}

const BASE = 0x1000_0000;
const primary =
  (field: keyof typeof PPAACE_AF.mask, value: number) =>
  (soc: TestSoc): void => {
    const entry = soc.primary(LIODN);
    entry.addr_bitfields = PPAACE_AF.set(entry.addr_bitfields, field, value);
  };
const attributes =
  (entry: 'primary' | 'secondary', field: keyof typeof PAACE_IA.mask, value: number) =>
  (soc: TestSoc): void => {
    const at = entry === 'primary' ? soc.primary(LIODN) : soc.secondary(20);
    at.impl_attr = PAACE_IA.set(at.impl_attr, field, value);
  };
/** Indexed operations through row 1 of the table, of which `valid` are. */
const operations =
  (valid: readonly number[], omi = 1) =>
  (soc: TestSoc): void => {
    attributes('primary', 'OTM', PAACE_OTM.INDEXED)(soc);
    soc.primary(LIODN).op_encode = omi;
    for (const operation of valid) soc.memory.u8[AT.omt + OME_SIZE + operation] = 0x80 | 0x16;
  };

const ROWS: readonly Row[] = [
  { what: 'the first byte of the aperture', address: BASE, is: 0x20_0000 },
  { what: 'the last byte of window 0', address: BASE + M - 1, length: 1, is: 0x2f_ffff },
  { what: 'before the aperture', address: BASE - 4, is: 'WAV' },
  { what: 'behind the aperture', address: BASE + 8 * M, is: 'WAV' },
  { what: 'far behind it', address: 0xf_ffff_fff0, is: 'WAV' },
  { what: 'across its end', address: BASE + 8 * M - 2, is: 'WAV' },
  { what: 'the end of what window 1 maps', address: BASE + M + 0xfffc, is: 0x3_fffc },
  { what: 'behind what window 1 maps', address: BASE + M + 0x1_0000, is: 'WAV' },
  { what: 'across the end of what it maps', address: BASE + M + 0xfffe, is: 'WAV' },
  { what: 'registers', address: BASE + 2 * M + 0x4_4148, write: WRITE, is: 0xf_fe04_4148 },
  { what: 'a read of the read-only window', address: BASE + 3 * M, is: 0 },
  { what: 'a write of the read-only window', address: BASE + 3 * M, write: WRITE, is: 'APV' },
  { what: 'a read of the write-only window', address: BASE + 4 * M, is: 'APV' },
  { what: 'a write of the write-only window', address: BASE + 4 * M, write: WRITE, is: M },
  { what: 'a window that is not mapped', address: BASE + 5 * M, is: 'WAV' },
  { what: 'window 0 not mapped: permission denied', address: BASE, change: primary('AP', 0), is: 'APV' },
  { what: 'and the others go on', address: BASE + M, change: primary('AP', 0), is: 0x3_0000 },
  { what: 'the LIODN switched off', address: BASE, change: primary('V', 0), is: 'LAV' },
  { what: 'another LIODN', address: BASE, liodn: 0x41, is: 'LAV' },
  { what: 'the first LIODN behind the table', address: BASE, liodn: 0x500, is: 'LAV' },
  { what: 'the gate closed', address: BASE, change: (s) => s.pamu(PAMU.PC, PAMU_PC.PE | PAMU_PC.PGC), is: 'GCV' },
  {
    what: 'the gate closed on a LIODN that is off',
    address: BASE,
    liodn: 0x41,
    change: (s) => s.pamu(PAMU.PC, PAMU_PC.PE | PAMU_PC.PGC),
    is: 'GCV',
  },
  { what: 'the PAMU off', address: 0x1234, liodn: 0x41, change: (s) => s.pamu(PAMU.PC, PAMU_PC.PGC), is: 0x1234 },
  { what: 'bypassed', address: 0x1234, change: (s) => s.soc.write32(GUTS.PAMUBYPENR, 0x8000_0000), is: 0x1234 },
  {
    what: "another PAMU's bypass",
    address: 0x1234,
    change: (s) => s.soc.write32(GUTS.PAMUBYPENR, 0x4000_0000),
    is: 'WAV',
  },
  {
    what: 'a primary table that ends before the LIODN',
    address: BASE,
    change: (s) => s.pamu(PAMU.PPLAL, AT.ppaact + LIODN * 64),
    is: 'LAV',
  },
  {
    what: 'one that just has it',
    address: BASE,
    change: (s) => s.pamu(PAMU.PPLAL, AT.ppaact + LIODN * 64 + 64),
    is: 0x20_0000,
  },
  {
    what: 'a secondary table that ends before window 1',
    address: BASE + M,
    change: (s) => s.pamu(PAMU.SPLAL, AT.spaact + 20 * 64),
    is: 'WAV',
  },
  {
    what: 'a secondary index behind the table',
    address: BASE + M,
    change: (s) => {
      s.primary(LIODN).fspi = 0xffff_ffff;
    },
    is: 'WAV',
  },
  { what: 'more windows than there may be', address: BASE, change: attributes('primary', 'WCE', 8), is: 'WAV' },
  {
    what: 'windows below 4 KiB',
    address: BASE,
    length: 1,
    change: (s) => {
      primary('WSE', 0x0b)(s);
      attributes('primary', 'WCE', 0)(s);
    },
    is: 'WAV',
  },
  {
    what: 'no address translation in window 1',
    address: BASE + M,
    change: attributes('secondary', 'ATM', 0),
    is: BASE + M,
  },
  { what: 'page translation only', address: BASE + M, change: attributes('secondary', 'ATM', 2), is: BASE + M },
  { what: 'a reserved operation mode', address: BASE, change: attributes('primary', 'OTM', 3), is: 'OTV' },
  { what: 'immediate operations', address: BASE, change: attributes('primary', 'OTM', 1), is: 0x20_0000 },
  { what: 'a mapped operation', address: BASE, change: operations([0]), is: 0x20_0000 },
  { what: 'a write where only reads are mapped', address: BASE, write: WRITE, change: operations([0]), is: 'OTV' },
  { what: 'a mapped write', address: BASE, write: WRITE, change: operations([1]), is: 0x20_0000 },
  { what: 'an operation index behind the table', address: BASE, change: operations([0, 1], 16), is: 'OTV' },
  {
    what: 'permission before operation',
    address: BASE,
    change: (s) => {
      operations([])(s);
      primary('AP', 0)(s);
    },
    is: 'APV',
  },
];

test.each(ROWS.map((row) => [row.what, row] as const))('%s', (_, row) => {
  const soc = new TestSoc();
  soc.map(LIODN, GEOMETRY);
  row.change?.(soc);
  expect(answer(soc, row.address ?? BASE, row.write, row.length, row.liodn)).toBe(row.is);
});

test('stash id and mapped operation come with the translation', () => {
  const soc = new TestSoc();
  soc.map(LIODN, { ...GEOMETRY, otm: PAACE_OTM.INDEXED, omi: 1 });
  soc.memory.u8[AT.omt + OME_SIZE] = 0x96;
  expect(look(soc, BASE)).toEqual({ physical: 0x20_0000, stash: 0x2a, operation: 0x16 });
  expect(look(soc, BASE + M)).toEqual({ physical: 0x3_0000, stash: 0x2a, operation: 0x16 });
});

test('the entry that refuses is named', () => {
  const soc = new TestSoc();
  soc.map(LIODN, GEOMETRY);
  const entry = (address: number, write = READ, liodn = LIODN) => {
    const found = look(soc, address, write, 4, liodn);
    return 'entry' in found ? found.entry : undefined;
  };
  expect(entry(0)).toBe(AT.ppaact + LIODN * 64);
  expect(entry(BASE + 3 * M, WRITE)).toBe(AT.spaact + 22 * 64);
  expect(entry(BASE + 6 * M)).toBe(AT.spaact + 25 * 64);
  expect(entry(BASE, READ, 0x41)).toBe(AT.ppaact + 0x41 * 64);
  expect(entry(BASE, READ, 0x500)).toBe(0);
});

test('a single window: WSE alone bounds it, and a size in SWSE bounds it too', () => {
  const soc = new TestSoc();
  soc.map(LIODN, { size: M, windows: [{ physical: 0x20_0000, size: 0x1000 }] });
  expect([answer(soc, 0xffc), answer(soc, 0x1000)]).toEqual([0x20_0ffc, 'WAV']);
  const entry = soc.primary(LIODN);
  entry.win_bitfields = 0x20_0000;
  expect([answer(soc, 0x1000), answer(soc, M - 4), answer(soc, M)]).toEqual([0x20_1000, 0x2f_fffc, 'WAV']);
});

test('identity: all 36 bits pass as they are', () => {
  const soc = new TestSoc();
  soc.identity(LIODN);
  expect([0, 0xf_fe04_4148, 2 ** 36 - 4].map((address) => answer(soc, address))).toEqual([
    0,
    0xf_fe04_4148,
    2 ** 36 - 4,
  ]);
});

test('all PAMUs have registers of their own', () => {
  const soc = new TestSoc();
  soc.map(LIODN, GEOMETRY);
  const area = new SocArea(soc.memory, AT.soc);
  // The second one was never enabled.
  expect(lookup(area, 1, { liodn: LIODN, address: 4, length: 4, write: false })).toEqual({ physical: 4 });
});

/** The plain translation: what the geometry says, without entries, codes or order of tables. */
function plainly({ base = 0, size, windows }: TestGeometry, address: number, length: number, write: boolean) {
  const window = size / windows.length;
  if (address < base || address + length > base + size) return 'blocked';
  const number = Math.floor((address - base) / window);
  const mapped = windows[number];
  if (mapped === undefined) return 'blocked';
  const offset = address - base - number * window;
  if (offset + length > mapped.size || ((mapped.ap ?? 3) & (write ? 2 : 1)) === 0) return 'blocked';
  return mapped.physical + offset;
}

/** A geometry that follows the rules: all powers of two, everything aligned. */
const geometries = fc
  .record({ sizeLog: fc.integer({ min: 12, max: 36 }), countLog: fc.integer({ min: 0, max: 8 }), seed: fc.nat() })
  .filter(({ sizeLog, countLog }) => sizeLog - countLog >= 12)
  .chain(({ sizeLog, countLog }) => {
    const windowLog = sizeLog - countLog;
    const window = fc.option(
      fc.record({ log: fc.integer({ min: 12, max: windowLog }), page: fc.nat(), ap: fc.integer({ min: 0, max: 3 }) }),
      { nil: undefined, freq: 4 },
    );
    const bases = 2 ** (36 - sizeLog);
    return fc
      .record({
        slot: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fspi: fc.integer({ min: 0, max: 0x800 - 2 ** countLog + 1 }),
        windows: fc.array(window, { minLength: 2 ** countLog, maxLength: 2 ** countLog }),
      })
      .map(({ slot, fspi, windows }) => ({
        base: Math.floor(slot * bases) * 2 ** sizeLog,
        size: 2 ** sizeLog,
        fspi,
        windows: windows.map((row) => {
          if (row === undefined) return undefined;
          const size = 2 ** row.log;
          return { physical: (row.page % Math.ceil(2 ** 36 / size)) * size, size, ap: row.ap };
        }),
      }));
  });

test('any geometry translates as the plain reference does, at all its boundaries', () => {
  const soc = new TestSoc();
  fc.assert(
    fc.property(geometries, fc.infiniteStream(fc.nat()), (geometry, random) => {
      soc.memory.bytes(AT.ppaact, AT.data - AT.ppaact).fill(0);
      soc.map(LIODN, geometry);
      const { base, size, windows } = geometry;
      const step = size / windows.length;
      const edges = [base, base + size];
      for (const number of [0, 1, windows.length >> 1, windows.length - 1, random.next().value % windows.length]) {
        const start = base + number * step;
        const mapped = windows[number]?.size ?? step;
        edges.push(start, start + mapped, start + step, start + (random.next().value % mapped));
      }
      for (const edge of edges)
        for (const address of [edge - 4096, edge - 4, edge - 1, edge, edge + 1, edge + 4096]) {
          if (address < 0 || address >= 2 ** 36) continue;
          for (const wanted of [1, 4, 1 + (random.next().value % 4096)]) {
            const length = Math.min(wanted, 4096 - (address % 4096));
            for (const write of [READ, WRITE]) {
              const found = look(soc, address, write, length);
              expect('physical' in found ? found.physical : 'blocked').toBe(plainly(geometry, address, length, write));
            }
          }
        }
    }),
    { numRuns: 150 },
  );
});

test('hostile tables: any words, anywhere, give an answer', () => {
  const soc = new TestSoc();
  const word = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constantFrom(0, 1, 0xffff_ffff, 0x8000_0000));
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 16, maxLength: 16 }),
      fc.array(word, { minLength: 12, maxLength: 12 }),
      fc.integer({ min: 0, max: 2 ** 36 - 4096 }),
      fc.boolean(),
      (entry, registers, address, trusted) => {
        const { dv } = soc.memory;
        for (let at = AT.ppaact; at < AT.data; at += 64)
          for (let i = 0; i < 8; i++) dv.setUint32(at + 4 * i, entry[(at / 64) % 2 === 0 ? i : 8 + i]);
        if (!trusted) for (const [i, value] of registers.entries()) soc.pamu(4 * i, value);
        else {
          soc.table(PAMU.PPBAH, AT.ppaact, 0x500 * 64);
          soc.table(PAMU.SPBAH, AT.spaact, 0x800 * 64);
          soc.table(PAMU.OBAH, AT.omt, 2048);
        }
        for (const liodn of [0, 1, 0x4ff, 0xfff]) {
          const found = look(soc, address - (address % 4096), WRITE, 4096, liodn);
          if ('physical' in found) expect(found.physical).toBeGreaterThanOrEqual(0);
          else expect(['LAV', 'WAV', 'APV', 'OTV']).toContain(found.violation);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('tables outside of memory, or where the machine keeps its own state, are as good as none', () => {
  const soc = new TestSoc();
  soc.map(LIODN, GEOMETRY);
  for (const base of [0, 0x2000, AT.size, 0xffff_f000, 0xf_fe00_0000]) {
    soc.table(PAMU.PPBAH, base, 0x500 * 64);
    expect(look(soc, BASE)).toEqual({ violation: 'LAV', entry: 0, fetchFailed: true });
  }
  soc.table(PAMU.PPBAH, AT.ppaact, 0x500 * 64);
  soc.table(PAMU.SPBAH, AT.size - 0x1000, 0x800 * 64);
  soc.primary(LIODN).fspi = 64;
  expect(look(soc, BASE + M)).toMatchObject({ violation: 'WAV', fetchFailed: true });
  soc.primary(LIODN).impl_attr |= 2;
  soc.table(PAMU.OBAH, AT.size, 2048);
  expect(answer(soc, BASE)).toBe('OTV');
});

test('a secondary entry made invalid blocks its window only', () => {
  const soc = new TestSoc();
  soc.map(LIODN, GEOMETRY);
  const entry = soc.secondary(20);
  entry.addr_bitfields = SPAACE_AF.set(entry.addr_bitfields, 'V', 0);
  expect([answer(soc, BASE), answer(soc, BASE + M), answer(soc, BASE + 3 * M)]).toEqual([0x20_0000, 'WAV', 0]);
});
