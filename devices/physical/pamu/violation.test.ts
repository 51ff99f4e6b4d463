import { expect, test } from 'vitest';
import { CCSR, CCSR_BASE, GUTS, MPIC_SOURCE } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA_SR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import {
  PAMU,
  PAMU_AV_MASK,
  PAMU_AVS2,
  PAMU_PC,
  PAMU_PC2,
  PAMU_PC3,
  PAMU_PICS,
  PAMU_POES1_FETCH,
  PAMU_VIOLATION,
  PPAACE_AF,
} from '../../../kernel/include/arch/ppc/pamu.ts';
import { AT, TestSoc } from '../elo/test_soc.ts';

const M = 0x10_0000;
const { TE } = FSL_DMA_SR;
const { WAV, APV, LAV, GCV } = PAMU_VIOLATION;

/** Channel 0 may read and write 1 MiB at 0, and read the next, of four windows. */
function machine(): TestSoc {
  const soc = new TestSoc();
  soc.map(0x40, {
    size: 4 * M,
    windows: [{ physical: AT.data, size: M }, { physical: AT.data + M, size: M, ap: 1 }, undefined, undefined],
  });
  return soc;
}

test('a write without permission leaves memory as it was and is captured', () => {
  const soc = machine();
  soc.memory.bytes(AT.data, 64).fill(0xa5);
  expect(soc.copy(0, 0, M + 0x40, 64)).toBe(TE);
  expect(soc.memory.u8[AT.data + M + 0x40]).toBe(0);
  expect(soc.pamu(PAMU.AVS2)).toBe(PAMU_AVS2.WRITE);
  expect(soc.violation()).toEqual({ liodn: 0x40, code: APV, address: M + 0x40, entry: AT.spaact, interrupt: true });
});

test('a read of a hole ends the transfer, with its address', () => {
  const soc = machine();
  expect(soc.copy(0, 3 * M + 0x123, 0, 8)).toBe(TE);
  expect(soc.pamu(PAMU.AVS2)).toBe(PAMU_AVS2.READ);
  expect(soc.violation()).toMatchObject({ code: WAV, address: 3 * M + 0x123 });
});

test('an address above 4 GiB is captured with both halves', () => {
  const soc = machine();
  expect(soc.copy(0, 0xf_1234_5678, 0, 8)).toBe(TE);
  expect([soc.pamu(PAMU.AVAH), soc.pamu(PAMU.AVAL)]).toEqual([0xf, 0x1234_5678]);
});

test('a second violation is blocked but not captured until the first is cleared', () => {
  const soc = machine();
  soc.copy(0, 3 * M, 0, 4);
  soc.copy(1, 0x5000, 0, 4);
  expect(soc.sources()).toEqual([MPIC_SOURCE.PAMU]);
  expect(soc.violation()).toMatchObject({ liodn: 0x40, code: WAV, address: 3 * M, interrupt: false });
  soc.copy(1, 0x6000, 0, 4);
  expect(soc.violation()).toMatchObject({ liodn: 0x41, code: LAV, address: 0x6000, interrupt: true });
});

test('AVS1 is cleared by the bits written; AV takes the pending state with it', () => {
  const soc = machine();
  soc.copy(0, 3 * M, 0, 4);
  expect(soc.pamu(PAMU.AVS1)).toBe(0x40_0081);
  expect(soc.pamu(PAMU.PICS)).toBe(PAMU_PICS.STAT | PAMU_PICS.ENABLE);
  expect(soc.pamu(PAMU.AVS1, 0x80)).toBe(0x40_0001);
  expect(soc.pamu(PAMU.PICS, PAMU_PICS.STAT | PAMU_PICS.ENABLE)).toBe(PAMU_PICS.STAT | PAMU_PICS.ENABLE);
  expect(soc.pamu(PAMU.AVS1, PAMU_AV_MASK)).toBe(0x40_0000);
  expect(soc.pamu(PAMU.PICS)).toBe(PAMU_PICS.ENABLE);
});

test('without the interrupt enabled a violation is captured quietly, and raises when it is enabled', () => {
  const soc = machine();
  soc.pamu(PAMU.PICS, 0);
  soc.copy(0, 3 * M, 0, 4);
  expect([soc.pamu(PAMU.PICS), soc.sources()]).toEqual([PAMU_PICS.STAT, []]);
  soc.pamu(PAMU.PICS, PAMU_PICS.ENABLE);
  expect(soc.sources()).toEqual([MPIC_SOURCE.PAMU]);
  soc.pamu(PAMU.PICS, PAMU_PICS.ENABLE);
  expect(soc.sources()).toEqual([]);
  soc.violation();
  soc.pamu(PAMU.PICS, 0);
  soc.pamu(PAMU.PICS, PAMU_PICS.ENABLE);
  expect(soc.sources()).toEqual([]);
});

test('the gate closes on everybody', () => {
  const soc = machine();
  soc.pamu(PAMU.PC, PAMU_PC.PE | PAMU_PC.PGC);
  expect(soc.copy(0, 0, 0x100, 4)).toBe(TE);
  expect(soc.violation()).toMatchObject({ liodn: 0x40, code: GCV, entry: 0 });
  soc.pamu(PAMU.PC, PAMU_PC.PE);
  expect(soc.copy(0, 0, 0x100, 4)).toBe(0);
});

test('with the LIODN silenced, those who share it are stopped together, and nobody else', () => {
  const soc = machine();
  const window = { physical: AT.data, size: M };
  for (const liodn of [0x41, 0x42]) soc.map(liodn, { size: M, windows: [window] });
  expect(soc.copy(2, M, 0, 4)).toBe(TE);
  expect(soc.violation()).toMatchObject({ liodn: 0x42, code: WAV });
  const entry = soc.primary(0x42);
  entry.addr_bitfields = PPAACE_AF.set(entry.addr_bitfields, 'V', 0);
  expect([0, 1, 2, 3].map((channel) => soc.copy(channel, 0, 0x100, 4))).toEqual([0, 0, TE, TE]);
});

test('an entry that cannot be fetched shows in POES1', () => {
  const soc = machine();
  soc.table(PAMU.PPBAH, 0xffff_0000, 0x500 * 64);
  expect(soc.copy(0, 0, 0x100, 4)).toBe(TE);
  expect(soc.pamu(PAMU.POES1)).toBe(PAMU_POES1_FETCH);
  expect(soc.pamu(PAMU.POES1, PAMU_POES1_FETCH)).toBe(0);
  expect(soc.violation()).toMatchObject({ code: LAV, entry: 0 });
});

test('where neither memory nor registers are, the transfer fails without a violation', () => {
  const soc = machine();
  for (const physical of [0, AT.firstFrame - 0x1000, AT.size, 0xffff_f000, CCSR_BASE - 0x1000, CCSR_BASE + 0x20_0000]) {
    soc.map(0x40, { size: M, windows: [{ physical, size: M }] });
    expect(soc.copy(0, 0, 0x8000, 4)).toBe(TE);
    soc.identity(0x40);
    expect(soc.copy(0, AT.data, physical, 4)).toBe(TE);
  }
  expect(soc.violation()).toBeUndefined();
});

test('at power-on the PAMUs are bypassed, off, and tell what they can', () => {
  const soc = new TestSoc();
  expect(PAMU_PC3.get(soc.pamu(PAMU.PC3), 'MWCE')).toBe(7);
  expect(PAMU_PC2.get(soc.pamu(PAMU.PC2), 'MLIODN')).toBe(0xfff);
  soc.soc.write32(GUTS.PAMUBYPENR, 0xffff_ffff);
  expect(soc.soc.read32(GUTS.PAMUBYPENR)).toBe(0xf800_0000);
  for (let pamu = 1; pamu < 5; pamu++) expect(soc.soc.read32(CCSR.PAMU + pamu * 0x1000 + PAMU.PC)).toBe(0);
});

test('registers that are not there read zero and ignore stores; read-only ones keep their value', () => {
  const soc = new TestSoc();
  for (const offset of [0, 4, 0x1_fffc, 0x2_0f00, 0x2_5000, 0x10_0400, 0x1f_fffc, 0x20_0000, -4, 2, 1e12, Number.NaN]) {
    soc.soc.write32(offset, 0xffff_ffff);
    expect(soc.soc.read32(offset)).toBe(0);
  }
  for (const register of [PAMU.PC3, PAMU.AVAL, PAMU.AVS2, PAMU.POEAL, PAMU.UDAD]) {
    const before = soc.pamu(register);
    expect(soc.pamu(register, 0xffff_ffff)).toBe(before);
  }
  expect(soc.pamu(PAMU.PC, 0xffff_ffff)).toBe(0xc000_1011);
  expect(soc.pamu(PAMU.PPBAH, 0xffff_ffff)).toBe(0xf);
});

test('LIODN registers have 12 bits and change who a channel is', () => {
  const soc = machine();
  soc.soc.write32(GUTS.DMA_LIODNR + 4, 0xffff_f040);
  expect(soc.soc.read32(GUTS.DMA_LIODNR + 4)).toBe(0x040);
  expect(soc.copy(1, 0, 0x100, 4)).toBe(0);
});
