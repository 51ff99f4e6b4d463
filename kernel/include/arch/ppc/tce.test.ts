import { expect, test } from 'vitest';
import { HCALL, HCALL_RETURN, hcallName, hcallReturnName } from './hcall.ts';
import {
  DMA_DIRECTION,
  hardwareTce,
  isPciLiobn,
  liobnPhb,
  liobnWindow,
  pciLiobn,
  tceAddress,
  tceDirection,
} from './tce.ts';

const { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_NONE, DMA_TO_DEVICE } = DMA_DIRECTION;

test('tokens and return codes have one name each, and the name leads back', () => {
  for (const [name, token] of Object.entries(HCALL)) expect(hcallName(token)).toBe(name);
  for (const [name, code] of Object.entries(HCALL_RETURN)) expect(hcallReturnName(code)).toBe(name);
  expect(hcallName(0x24)).toBeUndefined();
  expect(hcallReturnName(-99)).toBe('-99');
});

test('permission bits give a direction', () => {
  expect([0, 1, 2, 3].map((bits) => tceDirection(0xabc000 + bits))).toEqual([
    DMA_NONE,
    DMA_TO_DEVICE,
    DMA_FROM_DEVICE,
    DMA_BIDIRECTIONAL,
  ]);
});

test('the hardware may read wherever it may write, and an entry without direction is empty', () => {
  const directions = [DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE];
  expect(directions.map((direction) => hardwareTce(0x5000, direction))).toEqual([0x5003, 0x5001, 0x5003, 0]);
});

test('the address of an entry is cut to its page, above 2^31 too', () => {
  expect(tceAddress(0xfedc_b003, 12)).toBe(0xfedc_b000);
  expect(tceAddress(0xfedc_b003, 16)).toBe(0xfedc_0000);
  expect(tceAddress(0x12_fedc_b003, 24)).toBe(0x12_fe00_0000);
});

test('a PCI LIOBN names host bridge and window', () => {
  expect([pciLiobn(0, 0), pciLiobn(0, 1), pciLiobn(7, 0)]).toEqual([0x80000000, 0x80000001, 0x80000700]);
  expect([liobnPhb(0x80000701), liobnWindow(0x80000701)]).toEqual([7, 1]);
  expect([isPciLiobn(0x80000700), isPciLiobn(0x71000001)]).toEqual([true, false]);
});
