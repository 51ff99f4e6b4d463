import { expect, test } from 'vitest';
import { MSI_MODELS, msiData, msiDoorbell, msir, msirSource, msiVector } from './fsl_msi.ts';
import { CCSR_BASE, DMA_CHANNELS } from './fsl_soc.ts';
import { FSL_DMA_LD, FSL_DMA_LINK } from './fsldma.ts';
import {
  PAACE,
  PAACE_IA,
  PAACE_WIN,
  PPAACE_AF,
  SPAACE_AF,
  windowCount,
  windowCountCode,
  windowSize,
  windowSizeCode,
} from './pamu.ts';

const K = 1024;

test.each([
  [4 * K, 0x0b],
  [64 * K, 0x0f],
  [K * K, 0x13],
  [64 * K * K, 0x19],
  [512 * K * K, 0x1c],
  [4 * K ** 3, 0x1f],
  [64 * K ** 3, 0x23],
])('a window of %i bytes has size code %i', (size, code) => {
  expect([windowSizeCode(size), windowSize(code)]).toEqual([code, size]);
});

test('window counts are powers of two from 2 on', () => {
  expect([2, 8, 256].map(windowCountCode)).toEqual([0, 2, 7]);
  expect([0, 2, 7].map(windowCount)).toEqual([2, 8, 256]);
});

test('the words of an entry have their fields where fsl_pamu.h has them', () => {
  const { mask } = PPAACE_AF;
  expect([mask.WBAL, mask.WSE, mask.MW, mask.AP, mask.DD, mask.PT, mask.V]).toEqual([
    0xfffff000, 0xfc0, 0x20, 0x18, 4, 2, 1,
  ]);
  expect([SPAACE_AF.mask.LIODN, SPAACE_AF.mask.AP, SPAACE_AF.mask.V]).toEqual([0xffff0000, 0x18, 1]);
  const ia = PAACE_IA.mask;
  expect([ia.CID, ia.WCE, ia.ATM, ia.OTM]).toEqual([0xff0000, 0xf0, 0xc, 3]);
  expect([PAACE_WIN.mask.TWBAL, PAACE_WIN.mask.SWSE]).toEqual([0xfffff000, 0xfc0]);
});

test('512 MiB in 8 windows, and a 64 MiB window at 256 MiB, byte by byte', () => {
  const primary = PAACE.make({ fspi: 7 });
  primary.addr_bitfields = PPAACE_AF.set(PPAACE_AF.set(0, 'WSE', windowSizeCode(512 * K * K)), 'MW', 1);
  primary.impl_attr = PAACE_IA.set(0, 'WCE', windowCountCode(8));
  const hex = (view: typeof primary) => Buffer.from(PAACE.bytes(view)).toString('hex', 0, 32);
  expect(hex(primary)).toBe(
    '00000000' + '00000720' + '00000000' + '00000020' + '00000000'.repeat(2) + '00000007' + '00000000',
  );
  const secondary = PAACE.make({ win_bitfields: PAACE_WIN.set(0x1000_0000, 'SWSE', windowSizeCode(64 * K * K)) });
  secondary.addr_bitfields = SPAACE_AF.set(SPAACE_AF.set(0x1b, 'LIODN', 0x40), 'PT', 1);
  expect(hex(secondary)).toBe('00000000' + '0040001b' + '00000000'.repeat(3) + '10000640' + '00000000'.repeat(2));
});

test('doorbells of the three generations', () => {
  const doorbells = (model: (typeof MSI_MODELS)[keyof typeof MSI_MODELS]) =>
    Array.from({ length: model.banks }, (_, bank) => msiDoorbell(model, bank));
  expect(doorbells(MSI_MODELS.classic)).toEqual([0x41740, 0x41940, 0x41b40]);
  expect(doorbells(MSI_MODELS['classic-alias'])).toEqual([0x44140, 0x45140, 0x46140]);
  expect(doorbells(MSI_MODELS['v4.3'])).toEqual([0x44148, 0x45148, 0x46148, 0x47148]);
  expect(CCSR_BASE + msiDoorbell(MSI_MODELS['v4.3'], 1)).toBe(0xf_fe04_5148);
});

test('message data: MSIR above the bit on classic banks, below it on v4.3', () => {
  expect(msiData(MSI_MODELS.classic, 7, 31)).toBe(0xff);
  expect(msiData(MSI_MODELS['v4.3'], 15, 1)).toBe(0x1f);
  expect(msiData(MSI_MODELS['v4.3'], 0, 31)).toBe(0x1f0);
  for (const model of Object.values(MSI_MODELS)) {
    const all = new Set<number>();
    for (let srs = 0; srs < model.msirs; srs++)
      for (let ibs = 0; ibs < 32; ibs++) {
        expect(msiVector(model, 0xabc0_0000 | msiData(model, srs, ibs))).toEqual({ srs, ibs });
        all.add(msiData(model, srs, ibs));
      }
    expect([all.size, Math.max(...all)]).toEqual([model.msirs * 32, model.msirs * 32 - 1]);
  }
});

test('every MSIR has a register and a source of its own', () => {
  const registers = new Set<number>();
  const sources = new Set<number>();
  for (let bank = 0; bank < 4; bank++)
    for (let srs = 0; srs < 16; srs++) {
      registers.add(msir(bank, srs));
      sources.add(msirSource(bank, srs));
    }
  expect([registers.size, sources.size]).toEqual([64, 64]);
  expect([msir(1, 2), msirSource(0, 0), msirSource(2, 7), msirSource(3, 15)]).toEqual([0x41820, 0xe0, 0xf7, 0x11f]);
});

test('a link descriptor has 32 bytes, its link the flags of fsldma.h', () => {
  const ld = FSL_DMA_LD.make({ src_attr: 0x5000f, src_addr: 0xfe044148, count: 4, next: 0x1009 });
  expect(Buffer.from(FSL_DMA_LD.bytes(ld)).toString('hex')).toBe(
    '0005000ffe044148' + '0000000000000000' + '0000000000001009' + '0000000400000000',
  );
  expect(FSL_DMA_LINK.print(ld.next)).toBe('NLNDA=80 EOSIE EOLND');
});

test('the channels: registers, sources, and one pair with a common LIODN', () => {
  expect(DMA_CHANNELS.map(({ registers, source, liodn }) => [registers, source, liodn])).toEqual([
    [0x100100, 28, 0x40],
    [0x100180, 29, 0x41],
    [0x100200, 30, 0x42],
    [0x100280, 31, 0x42],
  ]);
});
