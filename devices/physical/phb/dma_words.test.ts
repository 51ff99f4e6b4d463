import fc from 'fast-check';
import { expect, test } from 'vitest';
import { translateHeld } from './dma.ts';
import { translateWords } from './dma_words.ts';
import { exchangeTce } from './tce_table.ts';
import { AT, testBridge } from './test_bridge.ts';

/** Entries worth trying: good pages, the machine's own areas, the end of memory and beyond, every permission. */
const entry = fc
  .tuple(
    fc.constantFrom(
      0,
      AT.phb & ~0xfff,
      AT.firstFrame - 0x1000,
      AT.firstFrame,
      AT.page,
      AT.size - 0x1000,
      AT.size,
      0xfffff000,
    ),
    fc.integer({ min: 0, max: 3 }),
  )
  .map(([page, permission]) => page + permission);

const address = fc.tuple(
  fc.constantFrom(0, 0, 0, 1, 0xfffff, 0x100000, 1 << 27, (1 << 27) + 1, 0xf8000000, 0xffffffff),
  fc.oneof(fc.integer({ min: 0, max: 0x12fff }), fc.integer({ min: 0, max: 0xffffffff })),
);

test('an address in two words is translated, or refused with the same error, as the one bigint is', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { minLength: 16, maxLength: 16 }),
      fc.constantFrom(12, 16),
      fc.array(fc.tuple(address, fc.integer({ min: 1, max: 4096 }), fc.boolean()), { maxLength: 20 }),
      (entries, pageShift, accesses) => {
        const [words, bigints] = [testBridge(['dma_port']), testBridge(['dma_port'])];
        for (const { memory, bridge } of [words, bigints]) {
          entries.forEach((tce, i) => {
            exchangeTce(memory, AT.table, i, tce >>> 0);
          });
          bridge.setWindow(0, 0, { tableHpa: AT.table, entries: 16, pageShift });
          bridge.setWindow(0, 1, { tableHpa: AT.table, entries: 8, pageShift: 12 });
        }
        for (const [[high, low], most, write] of accesses) {
          const length = Math.min(most, 4096 - (low & 4095));
          const bus = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
          const found = translateWords(words.memory, AT.phb, 0, high, low, length, write, words.tracer);
          expect(found).toBe(translateHeld(bigints.memory, AT.phb, 0, bus, length, write, bigints.tracer) ?? -1);
          expect(words.bridge.inspect(0)).toEqual(bigints.bridge.inspect(0));
          expect(words.events()).toEqual(bigints.events());
          for (const { bridge } of [words, bigints]) if (accesses.length % 2 === 0) bridge.eehUnfreeze(0);
        }
      },
    ),
    { numRuns: 200 },
  );
});
