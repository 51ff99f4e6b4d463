import fc from 'fast-check';
import { expect, test } from 'vitest';
import { msiData, msiDoorbell, msir, msirSource } from '../../../kernel/include/arch/ppc/fsl_msi.ts';
import { CCSR_BASE, DMA_CHANNELS } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA_DGSR, FSL_DMA_LD, FSL_DMA_MR, FSL_DMA_SR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import { PAMU, PPAACE_AF } from '../../../kernel/include/arch/ppc/pamu.ts';
import { createMemory, type HostMemory } from '../../../kernel/lib/host_memory.ts';
import { preempt } from '../../../kernel/lib/task.ts';
import { InterleavedMemory } from '../phb/test_bridge.ts';
import { AT, TestSoc } from './test_soc.ts';

const M = 0x10_0000;
const { CS, CA, CTM, EIE, EOLNIE, EOSIE } = FSL_DMA_MR;
const { TE, PE, CB, CH, EOLNI, EOSI } = FSL_DMA_SR;
/** Bus addresses: three windows of 1 MiB, the third is the message page of bank 0. */
const [SOURCE, TARGET, MESSAGE] = [0, M, 2 * M];
const SEEDS = Array.from({ length: 30 }, (_, i) => i + 1);

/** All channels see the same three windows; source and target are far apart in memory, in the other order. */
function machine(seed = 1): TestSoc {
  return withWindows(new TestSoc('v4.3', seed));
}
function machineIn(memory: HostMemory): TestSoc {
  return withWindows(new TestSoc('v4.3', 1, memory));
}
function withWindows(soc: TestSoc): TestSoc {
  const page = CCSR_BASE + (msiDoorbell(soc.model, 0) & ~0xfff);
  for (const [i, liodn] of [0x40, 0x41, 0x42].entries())
    soc.map(liodn, {
      size: 4 * M,
      fspi: 3 * i,
      windows: [
        { physical: 2 * M, size: M },
        { physical: M, size: M },
        { physical: page, size: 4096, ap: 2 },
        undefined,
      ],
    });
  return soc;
}
const source = (soc: TestSoc, at: number, length: number) => soc.memory.bytes(2 * M + at, length);
const target = (soc: TestSoc, at: number, length: number) => soc.memory.bytes(M + at, length);
const pattern = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);

test.each([
  ['a byte', 0, 0, 1],
  ['a page', 0, 0, 4096],
  ['both sides unaligned, over several pages', 0xffd, 0x2801, 0x3333],
  ['all of a window', 0, 0, M],
])('direct mode copies %s, and nothing beside it', (_, from, to, length) => {
  const soc = machine();
  const data = pattern(length, 3);
  source(soc, from, length).set(data);
  const before = target(soc, 0, M).slice();
  expect(soc.copy(0, SOURCE + from, TARGET + to, length)).toBe(0);
  before.set(data, to);
  expect(Buffer.compare(target(soc, 0, M), before)).toBe(0);
  expect([soc.dma(0, 'SAR'), soc.dma(0, 'DAR'), soc.dma(0, 'BCR')]).toEqual([from + length, TARGET + to + length, 0]);
});

test('any chain copies each of its segments', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ from: fc.nat(0x7fff), to: fc.nat(0x3fff), count: fc.integer({ min: 1, max: 0x2000 }) }), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.integer({ min: 1, max: 1000 }),
      (segments, seed) => {
        const soc = machine(seed);
        const data = pattern(0xa000, seed);
        source(soc, 0, data.length).set(data);
        const expected = new Uint8Array(0x8000 * segments.length);
        segments.forEach(({ from, to, count }, i) => {
          const next = i === segments.length - 1 ? 1 : 0xf_0000 + 32 * (i + 1);
          expected.set(data.subarray(from, from + count), 0x8000 * i + to);
          soc.descriptor(2 * M + 0xf_0000 + 32 * i, SOURCE + from, TARGET + 0x8000 * i + to, count, next);
        });
        soc.chain(1, SOURCE + 0xf_0000, EOLNIE);
        expect(soc.run(soc.idle(1))).toBe(EOLNI);
        expect(Buffer.compare(target(soc, 0, expected.length), expected)).toBe(0);
        expect(soc.sources()).toEqual([DMA_CHANNELS[1].source]);
      },
    ),
    { numRuns: 25 },
  );
});

test('addresses above 4 GiB are in the attribute words and the extended registers', () => {
  const soc = machine();
  const base = 0xc_0000_0000;
  soc.map(0x40, { base, size: M, windows: [{ physical: 2 * M, size: M }] });
  source(soc, 0, 16).set(pattern(16, 9));
  soc.descriptor(2 * M + 0x100, base, base + 0x800, 8, base + 0x120);
  soc.descriptor(2 * M + 0x120, base + 8, base + 0x808, 8);
  soc.chain(0, base + 0x100);
  expect(soc.run(soc.idle(0))).toBe(0);
  expect(source(soc, 0x800, 16)).toEqual(pattern(16, 9));
  expect([soc.dma(0, 'ECLNDAR'), soc.dma(0, 'CLNDAR')]).toEqual([0xc, 0x120]);
});

interface Ending {
  readonly what: string;
  readonly mode: number;
  readonly status: number;
  readonly interrupts: number;
  readonly start: (soc: TestSoc, mode: number) => void;
}
const good = (soc: TestSoc, mode: number) => soc.direct(0, SOURCE, TARGET, 64, mode);
const bad = (soc: TestSoc, mode: number) => soc.direct(0, 3 * M, TARGET, 64, mode);
const empty = (soc: TestSoc, mode: number) => soc.direct(0, SOURCE, TARGET, 0, mode);
/** Two segments, the flags of the links given. */
const pair = (first: number, second: number) => (soc: TestSoc, mode: number) => {
  soc.descriptor(2 * M + 0x100, SOURCE, TARGET, 8, 0x120 | first);
  soc.descriptor(2 * M + 0x120, SOURCE, TARGET, 8, second);
  soc.chain(0, 0x100, mode);
};
const ENDINGS: readonly Ending[] = [
  { what: 'direct', mode: 0, status: 0, interrupts: 0, start: good },
  { what: 'direct, EOSIE', mode: EOSIE, status: EOSI, interrupts: 1, start: good },
  { what: 'direct, EOLNIE means nothing', mode: EOLNIE, status: 0, interrupts: 0, start: good },
  { what: 'refused', mode: 0, status: TE, interrupts: 0, start: bad },
  { what: 'refused, EIE', mode: EIE | EOSIE, status: TE, interrupts: 1, start: bad },
  { what: 'no bytes', mode: EOSIE, status: PE, interrupts: 0, start: empty },
  { what: 'no bytes, EIE', mode: EIE, status: PE, interrupts: 1, start: empty },
  { what: 'chain', mode: 0, status: 0, interrupts: 0, start: pair(0, 1) },
  { what: 'chain, EOLNIE', mode: EOLNIE, status: EOLNI, interrupts: 1, start: pair(0, 1) },
  { what: 'chain, EOSIE', mode: EOSIE, status: EOSI, interrupts: 2, start: pair(0, 1) },
  { what: 'chain, EOSIE of the first link', mode: 0, status: EOSI, interrupts: 1, start: pair(8, 1) },
  {
    what: 'chain, EOSIE of the last link and EOLNIE',
    mode: EOLNIE,
    status: EOSI | EOLNI,
    interrupts: 1,
    start: pair(0, 9),
  },
  { what: 'address hold', mode: FSL_DMA_MR.SAHE | EIE, status: PE, interrupts: 1, start: good },
  { what: 'extended features', mode: FSL_DMA_MR.XFE, status: PE, interrupts: 0, start: good },
];

test.each(ENDINGS.map((row) => [row.what, row] as const))('ending: %s', (_, { mode, status, interrupts, start }) => {
  const soc = machine();
  start(soc, mode);
  let seen = 0;
  const result = soc.run(
    (function* () {
      for (;;) {
        seen += soc.sources().filter((source) => source === DMA_CHANNELS[0].source).length;
        if ((soc.dma(0, 'SR') & CB) === 0) break;
        yield* preempt();
      }
      return soc.dma(0, 'SR');
    })(),
  );
  seen += soc.sources().filter((source) => source === DMA_CHANNELS[0].source).length;
  expect(result).toBe(status);
  // Edges that come before the first is taken are one.
  expect(seen).toBeGreaterThanOrEqual(Math.min(interrupts, 1));
  expect(seen).toBeLessThanOrEqual(interrupts);
  expect(soc.dma(0, 'SR', status)).toBe(0);
});

test('stride mode is a programming error', () => {
  const soc = machine();
  soc.dma(0, 'SATR', 0x0105_0000);
  soc.dma(0, 'BCR', 4);
  soc.dma(0, 'MR', CS | CTM);
  expect(soc.run(soc.idle(0))).toBe(PE);
});

test('a transfer that is refused on its second page has moved the first', () => {
  const soc = machine();
  source(soc, M - 4096, 4096).fill(0x11);
  soc.map(0x41, {
    size: 2 * M,
    windows: [
      { physical: 2 * M, size: M },
      { physical: M, size: 4096 },
    ],
  });
  expect(soc.copy(1, SOURCE + M - 4096, TARGET + 4, 4096)).toBe(TE);
  expect([target(soc, 4, 1)[0], target(soc, 4095, 1)[0], target(soc, 4096, 1)[0]]).toEqual([0x11, 0x11, 0]);
  expect(soc.violation()).toMatchObject({ liodn: 0x41, address: TARGET + 4096 });
});

test('a message instead of the source: through the PAMU, after the status', () => {
  const soc = machine();
  soc.dma(0, 'MSICR', 1);
  soc.dma(0, 'MSIAR', MESSAGE + 0x148);
  soc.dma(0, 'MSIDATA', msiData(soc.model, 5, 17));
  expect(soc.copy(0, SOURCE, TARGET, 64, EOSIE)).toBe(EOSI);
  expect(soc.sources()).toEqual([msirSource(0, 5)]);
  expect(soc.soc.read32(msir(0, 5))).toBe(1 << 17);
  expect(soc.violation()).toBeUndefined();
});

test('a message that the PAMU refuses is lost, and is a violation', () => {
  const soc = machine();
  soc.dma(0, 'MSICR', 1);
  soc.dma(0, 'MSIAR', MESSAGE + 0x1000);
  expect(soc.copy(0, SOURCE, TARGET, 64, EOSIE)).toBe(EOSI);
  expect(soc.violation()).toMatchObject({ liodn: 0x40, address: MESSAGE + 0x1000, interrupt: true });
});

test('a message to memory is memory', () => {
  const soc = machine();
  soc.dma(0, 'MSICR', 1);
  soc.dma(0, 'MSIAR', TARGET + 0x200);
  soc.dma(0, 'MSIDATA', 0x1234_5678);
  soc.copy(0, SOURCE, TARGET, 64, EOSIE);
  expect([...target(soc, 0x200, 4)]).toEqual([0x78, 0x56, 0x34, 0x12]);
});

test('slow mode: a transfer can be caught under way, halted, and let go on', () => {
  const soc = machine();
  source(soc, 0, 8 * 4096).fill(0x55);
  soc.dma(0, 'SLOW', 10_000);
  soc.direct(0, SOURCE, TARGET, 8 * 4096);
  soc.elapse(35_000);
  expect(soc.dma(0, 'SR')).toBe(CB);
  const left = soc.dma(0, 'BCR');
  expect([left > 0, left < 8 * 4096]).toEqual([true, true]);
  soc.dma(0, 'MR', CTM);
  soc.elapse(100_000);
  const halted = soc.dma(0, 'BCR');
  expect([soc.dma(0, 'SR'), halted >= left - 4096]).toEqual([CB | CH, true]);
  soc.elapse(100_000);
  expect(soc.dma(0, 'BCR')).toBe(halted);
  soc.dma(0, 'MR', CTM | CS);
  expect(soc.run(soc.idle(0))).toBe(0);
  expect(target(soc, 8 * 4096 - 1, 1)[0]).toBe(0x55);
});

test('registers of a transfer are not for software while the channel is busy', () => {
  const soc = machine();
  soc.dma(0, 'SLOW', 1e6);
  soc.direct(0, SOURCE, TARGET, 64);
  for (const register of ['SAR', 'DAR', 'BCR', 'CLNDAR', 'NLNDAR'] as const) {
    const before = soc.dma(0, register);
    expect(soc.dma(0, register, 0x1f00)).toBe(before);
  }
  expect(soc.soc.read32(FSL_DMA_DGSR)).toBe(CB << 24);
});

test.each(SEEDS)('after an abort nothing moves, and the next transfer is not confused with it (seed %i)', (seed) => {
  const soc = machine(seed);
  source(soc, 0, 0x8000).fill(0x77);
  soc.direct(0, SOURCE, TARGET, 0x8000, EOSIE);
  soc.run(
    (function* () {
      for (let i = 0; i < seed % 9; i++) yield* preempt();
      soc.dma(0, 'MR', CA);
      const status = soc.dma(0, 'SR') & ~EOSI;
      const moved = target(soc, 0, 0x8000).slice();
      expect(status).toBe(0);
      soc.sources();
      for (let i = 0; i < 12; i++) yield* preempt();
      expect(Buffer.compare(target(soc, 0, 0x8000), moved)).toBe(0);
      expect(soc.sources()).toEqual([]);
      soc.dma(0, 'SR', 0xff);
      soc.direct(0, SOURCE, TARGET + 0x9000, 16);
      expect(yield* soc.idle(0)).toBe(0);
      expect(target(soc, 0x9000, 17)).toEqual(Uint8Array.from({ length: 17 }, (_, i) => (i < 16 ? 0x77 : 0)));
      expect(Buffer.compare(target(soc, 0, 0x8000), moved)).toBe(0);
    })(),
  );
});

test('with V = 0 and a load of a PAMU register behind it, no write lands any more, under any schedule', () => {
  let cut = 0;
  for (const seed of SEEDS) {
    const soc = machine(seed);
    source(soc, 0, 0x8000).fill(0x66);
    soc.direct(0, SOURCE, TARGET, 0x8000);
    soc.run(
      (function* () {
        for (let i = 0; i < seed % 9; i++) yield* preempt();
        const entry = soc.primary(0x40);
        entry.addr_bitfields = PPAACE_AF.set(entry.addr_bitfields, 'V', 0);
        soc.pamu(PAMU.PC);
        const moved = target(soc, 0, 0x8000).slice();
        yield* soc.idle(0);
        if (moved[0] === 0x66 && moved[0x7fff] === 0) cut++;
        expect(Buffer.compare(target(soc, 0, 0x8000), moved)).toBe(0);
      })(),
    );
  }
  expect(cut).toBeGreaterThan(0); // some schedules stop it in the middle
});

test('V = 0, or an abort, at any point of a transaction waits for it: nothing moves after the load, or the abort', () => {
  const memory = new InterleavedMemory(createMemory(AT.size));
  const stops: ((soc: TestSoc) => void)[] = [
    (soc) => {
      const entry = soc.primary(0x40);
      entry.addr_bitfields = PPAACE_AF.set(entry.addr_bitfields, 'V', 0);
      soc.pamu(PAMU.PC);
    },
    (soc) => soc.dma(0, 'MR', CA),
  ];
  for (const stop of stops) {
    let waited = 0;
    for (let at = 0, ran = true; ran; at++) {
      memory.stopAt = -1;
      memory.drained = false;
      const soc = machineIn(memory);
      source(soc, 0, 4).fill(0x44);
      target(soc, 0, 4).fill(0);
      soc.direct(0, SOURCE, TARGET, 4);
      ran = false;
      let seen = 0;
      memory.other = () => {
        ran = true;
        stop(soc);
        seen = memory.u8[M];
      };
      memory.operations = 0;
      memory.stopAt = at;
      soc.elapse(5_000);
      memory.stopAt = -1;
      if (memory.u8[M] !== seen && ran) {
        expect(memory.drained).toBe(true);
        waited++;
      }
    }
    expect(waited).toBeGreaterThan(0);
  }
});

test('a chain that never ends is aborted like any other', () => {
  const soc = machine();
  soc.descriptor(2 * M + 0x100, SOURCE, TARGET, 8, 0x100);
  soc.chain(0, 0x100, EOSIE);
  soc.elapse(200_000);
  expect(soc.dma(0, 'SR')).toBe(CB | EOSI);
  soc.dma(0, 'MR', CA);
  expect(soc.dma(0, 'SR', EOSI)).toBe(0);
});

test('four channels at once each do their own', () => {
  const soc = machine(7);
  source(soc, 0, 0x1_0000).set(pattern(0x1_0000, 1));
  for (const channel of [0, 1, 2, 3])
    soc.direct(channel, SOURCE + 0x4000 * channel, TARGET + 0x4000 * channel, 0x4000, EOSIE);
  for (const channel of [0, 1, 2, 3]) expect(soc.run(soc.idle(channel))).toBe(EOSI);
  expect(Buffer.compare(target(soc, 0, 0x1_0000), source(soc, 0, 0x1_0000))).toBe(0);
  expect(soc.sources()).toEqual([28, 29, 30, 31]);
});

test('hostile descriptors: any words end the chain or go on, and reach nothing but their windows', () => {
  const word = fc.oneof(
    fc.integer({ min: 0, max: 0xffff_ffff }),
    fc.constantFrom(0, 1, 0x100, 0x120, TARGET, 2 ** 32 - 1, 0xffff_ffe0, MESSAGE + 0x148),
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 16, maxLength: 16 }), word, (words, mode) => {
      const soc = machine();
      for (const [i, value] of words.entries()) soc.memory.dv.setUint32(2 * M + 0x100 + 4 * i, value);
      const before = soc.memory.u8.slice(AT.firstFrame, M);
      soc.dma(0, 'CLNDAR', 0x100);
      soc.dma(0, 'MR', (mode & ~CA & ~CTM) | CS);
      soc.elapse(30_000);
      soc.dma(0, 'MR', CA);
      expect(soc.dma(0, 'SR') & CB).toBe(0);
      expect(Buffer.compare(soc.memory.u8.slice(AT.firstFrame, M), before)).toBe(0);
      expect(soc.memory.u8.slice(3 * M).every((byte) => byte === 0)).toBe(true);
      expect(soc.soc.integrity().count).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test('descriptors outside the windows are violations at their address', () => {
  const soc = machine();
  soc.chain(0, 3 * M + 0x40, EIE);
  expect(soc.run(soc.idle(0))).toBe(TE);
  expect(soc.violation()).toMatchObject({ address: 3 * M + 0x40, liodn: 0x40 });
  expect(FSL_DMA_LD.size).toBe(32);
});

test('what happened is in the trace', () => {
  const soc = machine();
  soc.copy(0, SOURCE, TARGET, 4);
  expect(soc.events()).toEqual([
    ['fsl_dma_start', 0, CS | CTM, 0x40],
    ['pamu_access', 0x40, SOURCE, 2 * M, 0],
    ['pamu_access', 0x40, TARGET, M, 0],
    ['fsl_dma_end', 0, 0],
  ]);
});
