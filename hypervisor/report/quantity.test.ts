import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digits, quantity, times } from './quantity.ts';

/** With plain blanks. */
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

test.each([
  [0, 'ns', '0 ns'],
  [51.83, 'ns', '51.8 ns'],
  [999.4, 'ns', '999 ns'],
  [999.8, 'ns', '1 µs'],
  [20_590, 'ns', '20.6 µs'],
  [4_780_000, 'ns', '4.78 ms'],
  [3_257, 'ms', '3.26 s'],
  [2 ** 30, 'bytes', '1 GiB'],
  [1, 'bytes', '1 byte'],
  [1, 'ioctls', '1 ioctl'],
  [33, 'ioctls', '33 ioctls'],
  [3250.4, 'I/O/s', '3,250 I/O/s'],
] as const)('%d %s is written %s', (value, unit, text) => {
  expect(plain(quantity(value, unit))).toBe(text);
});

test('three digits are kept, and no zeros behind a point that say nothing', () => {
  expect([0.5, 1.5, 2.004, 396.6, 51_234.5, 4096].map(digits)).toEqual(['0.5', '1.5', '2', '397', '51,200', '4,096']);
  expect(times(1.35)).toBe('1.35×');
  expect(digits(Number.NaN)).toBe('–');
});

test('what is written is the value, within half a unit of the third digit', () => {
  const factor: Readonly<Record<string, number>> = { ns: 1, µs: 1e3, ms: 1e6, s: 1e9 };
  fc.assert(
    fc.property(fc.double({ min: 1, max: 9e11, noNaN: true }), (ns) => {
      const [number, unit] = plain(quantity(ns, 'ns')).split(' ');
      const back = Number(number.replaceAll(',', '')) * factor[unit];
      expect(Math.abs(back / ns - 1)).toBeLessThanOrEqual(0.00501);
    }),
  );
});
