import { expect, test } from 'vitest';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { Simulation } from '../../../kernel/lib/simulated.ts';
import { dmaTranslate } from './dma.ts';
import { DMA_PORT, DMA_PORT_ID, spawnDmaEngine } from './dma_port.ts';
import { EEH_PE_STATE, EEH_UNFREEZE, HostBridge, installHostBridge } from './host_bridge.ts';
import { PHB_AREA_SIZE } from './pe.ts';
import { tceCacheEntries } from './tce_cache.ts';
import { AT, testBridge } from './test_bridge.ts';

const ONES = 0xffffffff;
const id = (bridge: HostBridge, pe = 0) => bridge.mmioRead(pe, 0, DMA_PORT.ID, 4);

test('PEs exist from power-on, in 128 KiB, with requester IDs', () => {
  expect(PHB_AREA_SIZE).toBe(128 * 1024);
  const { bridge } = testBridge(['dma_port', 'none', 'dma_port']);
  expect(bridge.pes()).toEqual([0, 1, 2]);
  expect(bridge.inspect(2)).toMatchObject({ rid: 0x110, device: 'dma_port', windows: [undefined, undefined] });
  expect(bridge.inspect(1).device).toBe('none');
  expect(bridge.peOf(0x110)).toBe(2);
  expect(bridge.peOf(0x118)).toBeUndefined();
  expect(bridge.inspect(0).windows[0]).toEqual({ tableHpa: AT.table, entries: 16, pageShift: 12 });
});

test('sixteen PEs fit, seventeen do not', () => {
  const memory = new HostMemory(createMemory(AT.size));
  const pes = (count: number) => Array.from({ length: count }, () => ({ device: 'dma_port' as const }));
  installHostBridge(memory, AT.phb, { firstFrame: AT.firstFrame, pes: pes(16) });
  expect(() => installHostBridge(memory, AT.phb, { firstFrame: AT.firstFrame, pes: pes(17) })).toThrow('17 PEs');
});

test('a thread that was given another first frame is told so', () => {
  const { memory } = testBridge();
  const options = { memory, phbBase: AT.phb, firstFrame: 4096, pe: 0 };
  expect(() => new HostBridge(memory, AT.phb, { firstFrame: 4096, doorbells: [] })).toThrow('first frame 4096');
  expect(() => spawnDmaEngine(new Simulation(1).actor('dma0'), options)).toThrow('first frame 4096');
});

const GOOD = { pe: 0, window: 0, tableHpa: AT.table, entries: 16, pageShift: 12 };
test.each([
  ['a PE that is not there', { pe: 2 }],
  ['a PE number the bridge does not have', { pe: 16 }],
  ['a third window', { window: 2 }],
  ['a page size between two', { pageShift: 13 }],
  ['no entries', { entries: 0 }],
  ['half an entry', { entries: 1.5 }],
  ['a table across the end of memory', { tableHpa: AT.size - 4096, entries: 513 }],
  ['a table among the machine areas', { tableHpa: AT.firstFrame - 4096 }],
  ['a table off a page boundary', { tableHpa: AT.table + 8 }],
  ['no number', { tableHpa: Number.NaN }],
])('a window is refused for %s, and nothing changes', (_, change) => {
  const { bridge } = testBridge();
  const { pe, window, ...next } = { ...GOOD, tableHpa: AT.table2, ...change };
  expect(bridge.setWindow(pe, window, next)).toBe(false);
  expect(bridge.inspect(0).windows[0]).toEqual({ tableHpa: AT.table, entries: 16, pageShift: 12 });
});

test('a table may end with memory', () => {
  const { bridge } = testBridge();
  expect(bridge.setWindow(0, 0, { ...GOOD, tableHpa: AT.size - 4096, entries: 512 })).toBe(true);
});

// Configuration space

test('the header says what the device is', () => {
  const { bridge } = testBridge();
  const expected: [number, number, number][] = [
    [0x00, 4, 0x4d561234],
    [0x02, 2, 0x4d56],
    [0x03, 1, 0x4d],
    [0x08, 4, 0x08800001],
    [0x0e, 1, 0],
    [0x2c, 4, 0x4d561234],
    // A capability list: MSI-X of two vectors, its structures in BAR 0; and the pin INTA#.
    [0x06, 2, 0x10],
    [0x34, 1, 0x80],
    [0x3c, 4, 0x0100],
    [0x80, 4, 0x0001_0011],
    [0x84, 4, DMA_PORT.MSIX_TABLE],
    [0x88, 4, DMA_PORT.MSIX_PENDING],
    [0xfc, 4, 0],
  ];
  for (const [at, size, value] of expected) expect(bridge.configRead(0, at, size)).toBe(value);
});

test('BAR 0 tells its size, 16 KiB, and takes addresses', () => {
  const { bridge } = testBridge();
  bridge.configWrite(0, 0x10, 4, ONES);
  expect(bridge.configRead(0, 0x10, 4)).toBe(0xffffc000);
  bridge.configWrite(0, 0x13, 1, 0x80);
  bridge.configWrite(0, 0x10, 2, 0x4fff);
  expect(bridge.configRead(0, 0x10, 4)).toBe(0x80ff4000);
  for (const bar of [0x14, 0x18, 0x1c, 0x20, 0x24, 0x30]) {
    bridge.configWrite(0, bar, 4, ONES);
    expect(bridge.configRead(0, bar, 4)).toBe(0);
  }
});

test('only writable bits change, by any access size', () => {
  const { bridge } = testBridge();
  bridge.configWrite(0, 0x00, 4, 0);
  bridge.configWrite(0, 0x04, 4, ONES);
  expect(bridge.configRead(0, 0x00, 4)).toBe(0x4d561234);
  expect(bridge.configRead(0, 0x04, 2)).toBe(0x0546);
  bridge.configWrite(0, 0x05, 1, 0);
  expect(bridge.configRead(0, 0x04, 2)).toBe(0x0046);
  bridge.configWrite(0, 0x3c, 1, 0x2a);
  expect(bridge.configRead(0, 0x3c, 4)).toBe(0x012a);
});

test.each([
  ['unaligned', 0, 0x01, 2],
  ['of three bytes', 0, 0x00, 3],
  ['beyond the end', 0, 0x100, 4],
  ['before the start', 0, -4, 4],
  ['of an empty slot', 1, 0x00, 4],
  ['of a PE that is not there', 7, 0x00, 4],
  ['of a PE the bridge cannot have', 99, 0x00, 4],
])('configuration access %s reads all ones and writes nothing', (_, pe, at, size) => {
  const { bridge } = testBridge(['dma_port', 'none']);
  expect(bridge.configRead(pe, at, size)).toBe(2 ** (8 * size) - 1);
  bridge.configWrite(pe, at, size, 0);
  expect(bridge.configRead(0, 0, 4)).toBe(0x4d561234);
});

// MMIO

test('MMIO answers only while memory decoding is on; off is no freeze', () => {
  const { bridge } = testBridge();
  expect(id(bridge)).toBe(DMA_PORT_ID);
  bridge.configWrite(0, 4, 2, 0x0004);
  bridge.mmioWrite(0, 0, DMA_PORT.LENGTH, 4, 77);
  expect(id(bridge)).toBe(ONES);
  expect(bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
  bridge.configWrite(0, 4, 2, 0x0006);
  expect(bridge.mmioRead(0, 0, DMA_PORT.LENGTH, 4)).toBe(0);
});

test.each([
  ['another BAR', 0, 1, 0, 4],
  ['beyond the BAR', 0, 0, 0x4000, 4],
  ['across its end', 0, 0, 0x3ffe, 4],
  ['before it', 0, 0, -4, 4],
  ['unaligned', 0, 0, 0x1001, 2],
  ['of eight bytes', 0, 0, 0x1000, 8],
  ['of a register, two bytes', 0, 0, 0, 2],
  ['of an empty slot', 1, 0, 0, 4],
  ['of a PE that is not there', 9, 0, 0, 4],
  ['of a PE the bridge cannot have', -1, 0, 0, 4],
])('MMIO %s reads all ones and writes nothing', (_, pe, bar, offset, size) => {
  const { memory, bridge } = testBridge(['dma_port', 'none']);
  const before = memory.u8.slice();
  bridge.mmioWrite(pe, bar, offset, size, 0x5a5a5a5a);
  expect(bridge.mmioRead(pe, bar, offset, size)).toBe(2 ** (8 * size) - 1);
  expect(Buffer.compare(memory.u8, before)).toBe(0);
});

// Freeze and reset

test('a frozen PE reads all ones and drops stores; the other goes on', () => {
  const { bridge } = testBridge();
  bridge.mmioWrite(0, 0, 0x1000, 4, 1);
  bridge.eehFreeze(0);
  bridge.mmioWrite(0, 0, 0x1000, 4, 2);
  expect([id(bridge, 0), id(bridge, 1)]).toEqual([ONES, DMA_PORT_ID]);
  expect([bridge.eehState(0), bridge.eehState(1)]).toEqual([EEH_PE_STATE.STOPPED, EEH_PE_STATE.NORMAL]);
  expect(bridge.configRead(0, 0, 2)).toBe(0x1234);
  bridge.eehUnfreeze(0);
  expect(bridge.mmioRead(0, 0, 0x1000, 4)).toBe(1);
  expect(bridge.eehError(0)).toMatchObject({ reason: 'REQUESTED', count: 1 });
});

test('MMIO and DMA are unfrozen one by one, and the state tells', () => {
  const { memory, bridge, map } = testBridge();
  map(1, 1);
  const dma = () => dmaTranslate(memory, AT.phb, 0, 0x1000n, 1, false) !== undefined;
  bridge.eehFreeze(0);
  bridge.eehUnfreeze(0, EEH_UNFREEZE.IO);
  expect([bridge.eehState(0), id(bridge), dma()]).toEqual([EEH_PE_STATE.STOPPED_DMA, DMA_PORT_ID, false]);
  bridge.eehUnfreeze(0, EEH_UNFREEZE.DMA);
  expect([bridge.eehState(0), id(bridge), dma()]).toEqual([EEH_PE_STATE.NORMAL, DMA_PORT_ID, true]);
  bridge.eehFreeze(0);
  bridge.eehUnfreeze(0, EEH_UNFREEZE.DMA);
  expect([bridge.eehState(0), id(bridge), dma()]).toEqual([EEH_PE_STATE.UNAVAIL, ONES, true]);
  expect(bridge.eehState(5)).toBe(EEH_PE_STATE.UNAVAIL);
});

test('reset is held until it is deasserted, and leaves the device as after power-on but the windows set', () => {
  const { memory, bridge, map } = testBridge();
  map(1, 1);
  bridge.mmioWrite(0, 0, DMA_PORT.LENGTH, 4, 8);
  bridge.mmioWrite(0, 0, 0x1000, 4, 0x1234);
  bridge.configWrite(0, 0x10, 4, 0x80000000);
  bridge.assertReset(0);
  bridge.eehUnfreeze(0);
  bridge.mmioWrite(0, 0, DMA_PORT.CONTROL, 4, 4);
  expect(bridge.eehState(0)).toBe(EEH_PE_STATE.RESET);
  expect([id(bridge), bridge.configRead(0, 0, 4)]).toEqual([ONES, ONES]);
  bridge.configWrite(0, 4, 2, 6);
  expect(dmaTranslate(memory, AT.phb, 0, 0x1000n, 1, false)).toBeUndefined();
  bridge.deassertReset(0);
  expect(bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
  expect([bridge.configRead(0, 4, 2), bridge.configRead(0, 0x10, 4), id(bridge)]).toEqual([0, 0, ONES]);
  bridge.configWrite(0, 4, 2, 6);
  expect([bridge.mmioRead(0, 0, DMA_PORT.LENGTH, 4), bridge.mmioRead(0, 0, 0x1000, 4)]).toEqual([0, 0]);
  expect(dmaTranslate(memory, AT.phb, 0, 0x1000n, 1, false)).toHaveLength(1);
  bridge.reset(0);
  expect(bridge.eehState(0)).toBe(EEH_PE_STATE.NORMAL);
  expect(tceCacheEntries(memory, AT.phb, 0)).toHaveLength(1);
});
