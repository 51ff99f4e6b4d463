import { expect, test } from 'vitest';
import {
  MSI_MODELS,
  type MsiModelName,
  msiData,
  msiDoorbell,
  msir,
  msirSource,
} from '../../../kernel/include/arch/ppc/fsl_msi.ts';
import { CCSR_BASE, MPIC_BRR1, MPIC_BRR1_VERSION } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import { FSL_DMA_SR } from '../../../kernel/include/arch/ppc/fsldma.ts';
import { AT, TestSoc } from '../elo/test_soc.ts';

const MODELS = Object.keys(MSI_MODELS) as MsiModelName[];

/** Channel 0 reaches everything, as host drivers do. */
function machine(name: MsiModelName): TestSoc {
  const soc = new TestSoc(name);
  soc.identity(0x40);
  return soc;
}

/** Channel 0 writes a little-endian word to an offset in CCSR. */
function post(soc: TestSoc, offset: number, data: number): void {
  soc.memory.dv.setUint32(AT.data, data, true);
  expect(soc.copy(0, AT.data, CCSR_BASE + offset, 4)).toBe(0);
}

/** Vectors found by reading every MSIR. */
function vectors(soc: TestSoc): string[] {
  const found: string[] = [];
  for (let bank = 0; bank < soc.model.banks; bank++)
    for (let srs = 0; srs < soc.model.msirs; srs++) {
      const bits = soc.soc.read32(msir(bank, srs));
      for (let ibs = 0; ibs < 32; ibs++) if ((bits & (1 << ibs)) !== 0) found.push(`${bank}.${srs}.${ibs}`);
    }
  return found;
}

test.each(MODELS)('%s: a message sets the bit of its vector, and its MSIR is the source', (name) => {
  const soc = machine(name);
  for (let bank = 0; bank < soc.model.banks; bank++)
    for (const srs of [0, 1, soc.model.msirs - 1])
      for (const ibs of [0, 5, 31]) {
        post(soc, msiDoorbell(soc.model, bank), msiData(soc.model, srs, ibs));
        expect(soc.soc.interruptPending()).toBe(true);
        expect(soc.sources()).toEqual([msirSource(bank, srs)]);
        expect(soc.soc.interruptPending()).toBe(false);
        expect(vectors(soc)).toEqual([`${bank}.${srs}.${ibs}`]);
        expect(vectors(soc)).toEqual([]); // reading cleared it
      }
});

test.each(MODELS)('%s: no data reaches another bank', (name) => {
  const soc = machine(name);
  const { length } = { length: soc.model.msirs * 32 };
  for (let data = 0; data < length; data += 7) post(soc, msiDoorbell(soc.model, 1), data | 0xffff_0000);
  expect(vectors(soc).every((vector) => vector.startsWith('1.'))).toBe(true);
  expect(soc.sources().every((source) => (source & 0x1f) >= 8 && (source & 0x1f) < 16)).toBe(true);
});

test('vectors of one MSIR gather; each message is an edge, edges not yet taken are one', () => {
  const soc = machine('v4.3');
  for (const ibs of [3, 9, 3]) post(soc, msiDoorbell(soc.model, 0), msiData(soc.model, 2, ibs));
  expect(soc.sources()).toEqual([msirSource(0, 2)]);
  expect(soc.soc.read32(msir(0, 2))).toBe((1 << 3) | (1 << 9));
});

test('sources are taken lowest first', () => {
  const soc = machine('v4.3');
  for (const [bank, srs] of [
    [3, 15],
    [0, 1],
    [1, 0],
  ])
    post(soc, msiDoorbell(soc.model, bank), msiData(soc.model, srs, 0));
  expect(soc.sources()).toEqual([0xe1, 0xe8, 0x11f]);
});

test('the host can ring a doorbell: the register is big-endian', () => {
  const classic = machine('classic');
  classic.soc.write32(0x41740, ((7 << 5) | 3) << 24);
  expect(vectors(classic)).toEqual(['0.7.3']);
  const later = machine('v4.3');
  later.soc.write32(0x41c00 + 0x148, 0xf201_0000); // data 0x1f2, byte-reversed
  expect(vectors(later)).toEqual(['3.2.31']);
});

test('in an alias page there is one doorbell and nothing else', () => {
  const soc = machine('v4.3');
  for (const offset of [0, 0x100, 0x140, 0x144, 0x14c, 0x940, 0xffc]) post(soc, 0x44000 + offset, 0);
  expect([vectors(soc), soc.soc.ignoredMessages(), soc.soc.integrity().count]).toEqual([[], 7, 0]);
});

test('a page full of messages is as many messages, one of which is for the doorbell', () => {
  const soc = machine('v4.3');
  soc.memory.bytes(AT.data, 4096).fill(0);
  soc.memory.dv.setUint32(AT.data + 0x148, msiData(soc.model, 4, 4), true);
  soc.copy(0, AT.data, CCSR_BASE + 0x45000, 4096);
  expect([vectors(soc), soc.soc.ignoredMessages()]).toEqual([['1.4.4'], 1023]);
});

test('narrower and unaligned writes reach no doorbell', () => {
  const soc = machine('v4.3');
  soc.copy(0, AT.data, CCSR_BASE + 0x44148, 2);
  soc.copy(0, AT.data, CCSR_BASE + 0x44149, 3);
  soc.copy(0, AT.data, CCSR_BASE + 0x44146, 4);
  expect([vectors(soc), soc.soc.ignoredMessages()]).toEqual([[], 4]);
});

test('without alias pages one page has the doorbells of all banks, and the timers of the host', () => {
  const soc = machine('classic');
  const page = 0x41000;
  post(soc, page + 0x740, 0);
  post(soc, page + 0x940, 0);
  expect(vectors(soc)).toEqual(['0.0.0', '1.0.0']);
  expect(soc.soc.integrity().count).toBe(0);
  soc.soc.write32(page + 0x110, 0x1234);
  post(soc, page + 0x110, 0x0000_0080);
  expect(soc.soc.read32(page + 0x110)).toBe(0x8000_0000); // a timer of the host, set by a device
  expect(soc.soc.integrity()).toEqual({ count: 1, offset: page + 0x110, liodn: 0x40 });
  post(soc, page + 0x600, 0xffff_ffff); // MSIRs are read-only
  expect([vectors(soc), soc.soc.integrity().count]).toEqual([[], 2]);
  post(soc, 0x44148, 0); // no alias page here
  expect([soc.soc.integrity().count, soc.soc.ignoredMessages()]).toEqual([3, 0]);
});

test('a device that reads registers gets an error, and takes no vectors away', () => {
  const soc = machine('classic');
  post(soc, 0x41740, 5);
  expect(soc.copy(0, CCSR_BASE + 0x41600, AT.data, 4)).toBe(FSL_DMA_SR.TE);
  expect([vectors(soc), soc.soc.integrity().count]).toEqual([['0.0.5'], 1]);
});

test('other registers are out of reach of devices, and what they try is counted', () => {
  const soc = machine('v4.3');
  for (const offset of [0x2_0c10, 0xe_0580, 0x10_0100]) {
    const before = soc.soc.read32(offset);
    post(soc, offset, 0xffff_ffff);
    if (offset !== 0x10_0100) expect(soc.soc.read32(offset)).toBe(before);
  }
  expect(soc.soc.integrity()).toMatchObject({ count: 3, offset: 0x10_0100 });
});

test('the version register tells the generations apart', () => {
  const version = (name: MsiModelName) => machine(name).soc.read32(MPIC_BRR1) & MPIC_BRR1_VERSION;
  expect(MODELS.map(version)).toEqual([0x0401, 0x0402, 0x0403]);
});
