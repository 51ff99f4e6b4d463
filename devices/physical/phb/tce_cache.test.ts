import { expect, test } from 'vitest';
import { createMemory, type HostMemory } from '../../../kernel/lib/host_memory.ts';
import { dmaTranslate } from './dma.ts';
import { PE } from './pe.ts';
import { ALL_ENTRIES, TCE_CACHE_SLOTS, tceCacheEntries, tceKillRm } from './tce_cache.ts';
import { exchangeTce, readTce } from './tce_table.ts';
import { AT, InterleavedMemory, pageAt, READ, RW, testBridge, WINDOW1 } from './test_bridge.ts';

const hpaOf = (memory: HostMemory, entry: number, pe = 0) =>
  dmaTranslate(memory, AT.phb, pe, BigInt(entry * 4096), 4, false)?.[0].hpa;

test('an entry is big-endian in memory, and an exchange gives the old one', () => {
  const { memory } = testBridge();
  expect(exchangeTce(memory, AT.table, 1, 0x89abc003)).toBe(0);
  expect([...memory.bytes(AT.table + 8, 8)]).toEqual([0, 0, 0, 0, 0x89, 0xab, 0xc0, 0x03]);
  expect(readTce(memory, AT.table, 1)).toBe(0x89abc003);
  expect(exchangeTce(memory, AT.table, 1, 0)).toBe(0x89abc003);
});

test('without a kill the PE goes on with the old entry: another page, or none', () => {
  const { memory, bridge, map } = testBridge();
  map(1, 1);
  map(2, 2);
  expect([hpaOf(memory, 1), hpaOf(memory, 2)]).toEqual([pageAt(1), pageAt(2)]);
  map(1, 9);
  map(2, 0, 0);
  expect([hpaOf(memory, 1), hpaOf(memory, 2)]).toEqual([pageAt(1), pageAt(2)]);
  bridge.tceKill(0, 1, 1);
  expect([hpaOf(memory, 1), hpaOf(memory, 2)]).toEqual([pageAt(9), pageAt(2)]);
  bridge.tceKill(0, 2, 1);
  expect(hpaOf(memory, 2)).toBeUndefined();
});

test('a stale entry keeps its permission too', () => {
  const { memory, bridge, map } = testBridge();
  map(1, 1, READ);
  hpaOf(memory, 1);
  map(1, 1, RW);
  expect(dmaTranslate(memory, AT.phb, 0, 0x1000n, 4, true)).toBeUndefined();
  expect(bridge.eehError(0).reason).toBe('NO_PERMISSION');
});

test('entries without permission are not kept: mapping one needs no kill', () => {
  const { memory, bridge, map } = testBridge();
  expect(hpaOf(memory, 1)).toBeUndefined();
  bridge.eehUnfreeze(0);
  map(1, 1);
  expect(hpaOf(memory, 1)).toBe(pageAt(1));
});

test('a kill is of one PE: the other keeps its stale entry', () => {
  const { memory, bridge, map } = testBridge();
  bridge.setWindow(1, 0, { tableHpa: AT.table, entries: 16, pageShift: 12 });
  map(1, 1);
  expect([hpaOf(memory, 1, 0), hpaOf(memory, 1, 1)]).toEqual([pageAt(1), pageAt(1)]);
  map(1, 2);
  tceKillRm(memory, AT.phb, 0, 1, 1);
  expect([hpaOf(memory, 1, 0), hpaOf(memory, 1, 1)]).toEqual([pageAt(2), pageAt(1)]);
});

test('a kill takes exactly its range, in the named window or in both', () => {
  const { memory, bridge } = testBridge();
  const killed = (first: number, count: number, window?: number) => {
    bridge.setWindow(0, 0, { tableHpa: AT.table, entries: 512, pageShift: 12 });
    bridge.setWindow(0, 1, { tableHpa: AT.table, entries: 512, pageShift: 12 });
    for (let entry = 0; entry < 40; entry++) {
      exchangeTce(memory, AT.table, entry, pageAt(entry) + RW);
      const address = BigInt(entry * 4096) + (entry % 2 === 1 ? WINDOW1 : 0n);
      expect(dmaTranslate(memory, AT.phb, 0, address, 1, false)).toHaveLength(1);
    }
    bridge.tceKill(0, first, count, window);
    const left = tceCacheEntries(memory, AT.phb, 0).map(({ entry }) => entry);
    return Array.from({ length: 40 }, (_, entry) => entry).filter((entry) => !left.includes(entry));
  };
  expect(killed(3, 4)).toEqual([3, 4, 5, 6]);
  expect(killed(3, 4, 0)).toEqual([4, 6]);
  expect(killed(3, 4, 1)).toEqual([3, 5]);
  expect(killed(0, 0)).toEqual([]);
  expect(killed(38, 300)).toEqual([38, 39]);
  expect(killed(64 + 3, 4)).toEqual([]); // same slots, other entries
  expect(killed(0, ALL_ENTRIES)).toHaveLength(40);
});

test('the cache is direct-mapped: an entry 64 further takes the slot', () => {
  const { memory, bridge } = testBridge();
  bridge.setWindow(0, 0, { tableHpa: AT.table, entries: 512, pageShift: 12 });
  for (const entry of [5, 5 + TCE_CACHE_SLOTS]) {
    exchangeTce(memory, AT.table, entry, pageAt(1) + RW);
    hpaOf(memory, entry);
    expect(tceCacheEntries(memory, AT.phb, 0)).toEqual([{ window: 0, entry, tce: pageAt(1) + RW }]);
  }
});

test('setting a window empties the cache', () => {
  const { memory, bridge, map } = testBridge();
  map(1, 1);
  hpaOf(memory, 1);
  bridge.setWindow(0, 0, { tableHpa: AT.table2, entries: 16, pageShift: 12 });
  expect(tceCacheEntries(memory, AT.phb, 0)).toEqual([]);
});

test('kills are counted and traced, and a PE that is not there is named', () => {
  const { memory, bridge, events } = testBridge();
  const before = bridge.inspect(0).kills;
  bridge.tceKill(0, 3, 2);
  bridge.tceKillPe(0);
  expect(bridge.inspect(0).kills - before).toBe(2);
  expect(events()).toEqual([
    ['tce_kill', 0, 3, 2, -1],
    ['tce_kill', 0, 0, ALL_ENTRIES, -1],
  ]);
  expect(() => tceKillRm(memory, AT.phb, 16, 0, 1)).toThrow('PE 16');
});

/** Runs `first` with `other` inside it, before its first operation, its second, and so on; `check` after each run. */
function interleave(
  first: (m: InterleavedMemory) => void,
  other: (m: InterleavedMemory) => void,
  check: (m: InterleavedMemory, at: number) => void,
) {
  const memory = new InterleavedMemory(createMemory(AT.size));
  let runs = 0;
  for (let at = 0; ; at++, runs++) {
    memory.stopAt = -1;
    const { map } = testBridge(['dma_port'], memory);
    map(1, 1);
    let ran = false;
    memory.drained = false;
    memory.other = () => {
      ran = true;
      other(memory);
    };
    memory.operations = 0;
    memory.stopAt = at;
    first(memory);
    memory.stopAt = -1;
    if (!ran) return runs;
    check(memory, at);
  }
}

test('a change and kill at any point of a translation leaves nothing stale, and waits for the DMA that read the old entry', () => {
  let translated: number | undefined;
  const sawOld: boolean[] = [];
  const runs = interleave(
    (memory) => {
      translated = hpaOf(memory, 1);
    },
    (memory) => {
      exchangeTce(memory, AT.table, 1, pageAt(2) + RW);
      tceKillRm(memory, AT.phb, 0, 1, 1);
    },
    (memory) => {
      const old = translated === pageAt(1);
      sawOld.push(old);
      if (old) expect(memory.drained).toBe(true);
      else expect(translated).toBe(pageAt(2));
      for (const { tce } of tceCacheEntries(memory, AT.phb, 0)) expect(tce).toBe(pageAt(2) + RW);
      expect(hpaOf(memory, 1)).toBe(pageAt(2));
    },
  );
  // The points lie on both sides of the read of the entry, and inside the installing.
  expect(runs).toBeGreaterThan(8);
  expect(new Set(sawOld).size).toBe(2);
});

test('a translation at any point of a change and kill leaves nothing stale', () => {
  const runs = interleave(
    (memory) => {
      exchangeTce(memory, AT.table, 1, pageAt(2) + RW);
      tceKillRm(memory, AT.phb, 0, 1, 1);
    },
    (memory) => {
      hpaOf(memory, 1);
    },
    (memory) => {
      for (const { tce } of tceCacheEntries(memory, AT.phb, 0)) expect(tce).toBe(pageAt(2) + RW);
    },
  );
  expect(runs).toBeGreaterThan(3);
});

test('the second fill and kill of a slot shared by two entries leave neither of them stale', () => {
  const shared = 1 + TCE_CACHE_SLOTS;
  interleave(
    (memory) => {
      PE.at(memory.dv, AT.phb).tve0.entries = 512;
      exchangeTce(memory, AT.table, shared, pageAt(3) + RW);
      hpaOf(memory, 1);
      hpaOf(memory, shared);
    },
    (memory) => {
      exchangeTce(memory, AT.table, 1, pageAt(2) + RW);
      tceKillRm(memory, AT.phb, 0, 1, 1);
    },
    (memory) => {
      for (const { entry, tce } of tceCacheEntries(memory, AT.phb, 0)) {
        expect(tce).toBe(readTce(memory, AT.table, entry));
      }
    },
  );
});
