import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dmaTranslate } from './dma.ts';
import { EEH_PE_STATE } from './host_bridge.ts';
import { peErrorName } from './pe.ts';
import { clearTceTable, exchangeTce } from './tce_table.ts';
import { AT, pageAt, READ, RW, testBridge, WINDOW1, WRITE } from './test_bridge.ts';

test('a range is translated page by page, in order', () => {
  const { memory, map } = testBridge();
  map(1, 7);
  map(2, 3);
  expect(dmaTranslate(memory, AT.phb, 0, 0x1ffcn, 8, true)).toEqual([
    { hpa: pageAt(7) + 0xffc, length: 4 },
    { hpa: pageAt(3), length: 4 },
  ]);
  expect(dmaTranslate(memory, AT.phb, 0, 0x1000n, 4096, false)).toEqual([{ hpa: pageAt(7), length: 4096 }]);
});

/** What is refused: bus address, length, write, reason, address logged. */
const REFUSALS: [what: string, address: bigint, length: number, write: boolean, reason: string, logged?: bigint][] = [
  ['a write by a read-only entry', 0x3000n, 4, true, 'NO_PERMISSION'],
  ['a read by a write-only entry', 0x4000n, 4, false, 'NO_PERMISSION'],
  ['an empty entry', 0x5000n, 1, false, 'NO_PERMISSION'],
  ['an address without permission', 0x6000n, 1, false, 'NO_PERMISSION'],
  ['the first byte after the window', 0x10000n, 1, false, 'OUT_OF_RANGE'],
  ['the second page of a range', 0x2fffn, 2, true, 'NO_PERMISSION', 0x3000n],
  ['a range that leaves the window', 0xffffn, 2, true, 'OUT_OF_RANGE', 0x10000n],
  ['a window that is not set', WINDOW1, 1, false, 'NO_WINDOW'],
  ['bit 60', 1n << 60n, 1, false, 'OUT_OF_RANGE'],
  ['bit 63', 1n << 63n, 1, false, 'OUT_OF_RANGE'],
  ['the last bus address', (1n << 64n) - 1n, 1, false, 'NO_WINDOW'],
  ['memory below the first frame', 0x7000n, 1, true, 'BAD_ADDRESS'],
  ['memory the host does not have', 0x8000n, 1, true, 'BAD_ADDRESS'],
  ['memory beyond 4 GiB', 0x9000n, 1, true, 'BAD_ADDRESS'],
];

test.each(REFUSALS)('%s is refused, freezes the PE and is logged', (_, address, length, write, reason, logged) => {
  const { memory, bridge, map, events } = testBridge();
  for (const entry of [2, 15]) map(entry, 0);
  map(3, 0, READ);
  map(4, 0, WRITE);
  exchangeTce(memory, AT.table, 6, 0xdead000);
  exchangeTce(memory, AT.table, 7, AT.firstFrame - 4096 + RW);
  exchangeTce(memory, AT.table, 8, AT.size + RW);
  map(9, 0);
  memory.store(AT.table + 9 * 8, 0x0100_0000); // bit 32 of a big-endian entry
  expect(dmaTranslate(memory, AT.phb, 0, address, length, write)).toBeUndefined();
  expect(bridge.eehState(0)).toBe(EEH_PE_STATE.STOPPED);
  expect(bridge.eehError(0)).toMatchObject({ reason, address: logged ?? address, count: 1 });
  expect(events()).toEqual([]); // no tracer was given
});

test('a freeze is traced with PE, address and reason', () => {
  const { memory, tracer, events } = testBridge();
  dmaTranslate(memory, AT.phb, 0, 0x5000n, 1, false, tracer);
  expect(events()).toEqual([['pe_freeze', 0, 0x5000, 3]]);
  expect(peErrorName(3)).toBe('NO_PERMISSION');
});

test('the last byte of the window and of memory can be reached', () => {
  const { memory } = testBridge();
  exchangeTce(memory, AT.table, 15, AT.size - 4096 + RW);
  expect(dmaTranslate(memory, AT.phb, 0, 0xffffn, 1, true)).toEqual([{ hpa: AT.size - 1, length: 1 }]);
});

test('a large IOMMU page may end beyond memory, but DMA may not', () => {
  const { memory, bridge } = testBridge();
  bridge.setWindow(0, 0, { tableHpa: AT.table, entries: 1, pageShift: 24 });
  exchangeTce(memory, AT.table, 0, RW); // host page 0 of 16 MiB: begins below the first frame, ends beyond memory
  expect(dmaTranslate(memory, AT.phb, 0, BigInt(AT.size - 4), 4, true)).toEqual([{ hpa: AT.size - 4, length: 4 }]);
  expect(dmaTranslate(memory, AT.phb, 0, BigInt(AT.size - 4), 5, true)).toBeUndefined();
  expect(bridge.eehError(0).reason).toBe('BAD_ADDRESS');
});

test('bit 59 selects the other window, with its own table and page size', () => {
  const { memory, bridge, map } = testBridge();
  bridge.setWindow(0, 1, { tableHpa: AT.table2, entries: 4, pageShift: 16 });
  map(2, 1);
  exchangeTce(memory, AT.table2, 2, 0x110000 + RW);
  expect(dmaTranslate(memory, AT.phb, 0, 0x2abcn, 4, true)).toEqual([{ hpa: pageAt(1) + 0xabc, length: 4 }]);
  expect(dmaTranslate(memory, AT.phb, 0, WINDOW1 + 0x2abcdn, 4, true)).toEqual([{ hpa: 0x11abcd, length: 4 }]);
  bridge.unsetWindow(0, 1);
  expect(dmaTranslate(memory, AT.phb, 0, WINDOW1 + 0x2abcdn, 4, true)).toBeUndefined();
  expect(bridge.eehError(0).reason).toBe('NO_WINDOW');
});

test('a PE without a window refuses everything', () => {
  const { memory, bridge } = testBridge();
  expect(dmaTranslate(memory, AT.phb, 1, 0n, 1, false)).toBeUndefined();
  expect(bridge.eehError(1).reason).toBe('NO_WINDOW');
});

test('a frozen PE refuses DMA that was allowed before, keeps its first error, and leaves the other PE alone', () => {
  const { memory, bridge, map } = testBridge();
  bridge.setWindow(1, 0, { tableHpa: AT.table, entries: 16, pageShift: 12 });
  map(1, 1);
  expect(dmaTranslate(memory, AT.phb, 0, 0x5000n, 1, false)).toBeUndefined();
  expect(dmaTranslate(memory, AT.phb, 0, 0x1000n, 1, false)).toBeUndefined();
  expect(dmaTranslate(memory, AT.phb, 0, WINDOW1, 1, false)).toBeUndefined();
  expect(bridge.eehError(0)).toMatchObject({ reason: 'NO_PERMISSION', address: 0x5000n, count: 1 });
  expect(dmaTranslate(memory, AT.phb, 1, 0x1000n, 1, false)).toHaveLength(1);
  expect(bridge.eehState(1)).toBe(EEH_PE_STATE.NORMAL);
  bridge.eehUnfreeze(0);
  expect(dmaTranslate(memory, AT.phb, 0, 0x1000n, 1, false)).toHaveLength(1);
});

test('DMA without a byte is a mistake of the device model', () => {
  const { memory } = testBridge();
  expect(() => dmaTranslate(memory, AT.phb, 0, 0n, 0, false)).toThrow(RangeError);
  expect(() => dmaTranslate(memory, AT.phb, 16, 0n, 1, false)).toThrow('PE 16');
});

// Random tables against a translation written the other way round: byte by byte, from the definition.

const ENTRIES = 8;
const pageOrJunk = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: AT.firstFrame / 4096, max: AT.size / 4096 - 1 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xfffff }) },
);
const entryArb = fc
  .tuple(pageOrJunk, fc.constantFrom(0, READ, WRITE, RW, RW, RW))
  .map(([page, permission]) => page * 4096 + permission);
const tableArb = fc.array(entryArb, { minLength: ENTRIES, maxLength: ENTRIES });
const accessArb = fc.record({
  window: fc.constantFrom(0, 0, 1),
  offset: fc.integer({ min: 0, max: ENTRIES * 4096 + 100 }),
  length: fc.integer({ min: 1, max: 3 * 4096 }),
  write: fc.boolean(),
});

/** HPA of each byte by plain lookup; undefined when one byte has none. */
function reference(table: number[], shift: number, offset: number, length: number, write: boolean) {
  const result: number[] = [];
  for (let byte = offset; byte < offset + length; byte++) {
    const entry = Math.floor(byte / 2 ** shift);
    if (entry >= table.length) return undefined;
    if ((table[entry] & (write ? WRITE : READ)) === 0) return undefined;
    const hpa = Math.floor(table[entry] / 2 ** shift) * 2 ** shift + (byte % 2 ** shift);
    if (hpa < AT.firstFrame || hpa >= AT.size) return undefined;
    result.push(hpa);
  }
  return result;
}

test('random tables translate as the definition says, also from the cache', () => {
  const shared = testBridge(['dma_port']);
  const { memory, bridge } = shared;
  fc.assert(
    fc.property(
      tableArb,
      tableArb,
      fc.constantFrom(12, 16),
      fc.array(accessArb, { maxLength: 12 }),
      (t0, t1, shift1, accesses) => {
        const tables = [t0, t1];
        const shifts = [12, shift1];
        for (const window of [0, 1]) {
          const tableHpa = window === 0 ? AT.table : AT.table2;
          clearTceTable(memory, tableHpa, ENTRIES);
          tables[window].forEach((tce, entry) => {
            exchangeTce(memory, tableHpa, entry, tce);
          });
          expect(bridge.setWindow(0, window, { tableHpa, entries: ENTRIES, pageShift: shifts[window] })).toBe(true);
        }
        for (const { window, offset, length, write } of accesses) {
          bridge.eehUnfreeze(0);
          const found = dmaTranslate(memory, AT.phb, 0, (window === 1 ? WINDOW1 : 0n) + BigInt(offset), length, write);
          const expected = reference(tables[window], shifts[window], offset, length, write);
          expect(bridge.eehState(0)).toBe(expected === undefined ? EEH_PE_STATE.STOPPED : EEH_PE_STATE.NORMAL);
          const flat = found?.flatMap((segment) => Array.from({ length: segment.length }, (_, i) => segment.hpa + i));
          // Compared as text: the runner's deep comparison of 12288 numbers is slow.
          expect(flat?.join() ?? 'refused').toBe(expected?.join() ?? 'refused');
        }
      },
    ),
    { numRuns: 60 },
  );
});
