import { expect, test } from 'vitest';
import { exampleFigures } from '../../test/support/bench_document.ts';
import { floorFigure, measured } from '../bench/series.ts';
import { figuresTable, showSpread, showValue } from './bench_table.ts';

test('values have a unit that a reader can hold', () => {
  expect(showValue('ns', 24.14)).toBe('24.1 ns');
  expect(showValue('MB/s', 348.2)).toBe('348 MB/s');
  expect(showValue('bytes/op', 120.04)).toBe('120.0 bytes/op');
  expect(showValue('ioctls', 7)).toBe('7 ioctls');
});

test('the spread is that of the ratios to the floor where there is one, else that of the medians', () => {
  const floor = floorFigure('s', 'chain', [[100], [200]]);
  expect(showSpread(measured({ scenario: 's', name: 'x', rounds: [[150], [240]], floor }))).toBe('1.20..1.50x');
  expect(showSpread(floor)).toBe('100 ns..200 ns');
  expect(showSpread(measured({ scenario: 's', name: 'x', unit: 'bytes', rounds: [[7], [7]] }))).toBe('none');
});

test('one round has no spread', () => {
  expect(showSpread(measured({ scenario: 's', name: 'x', rounds: [[150, 160]] }))).toBe('');
});

test('each figure is a row with its quantiles, those of several sides are next to each other', () => {
  const text = figuresTable(exampleFigures());
  expect(text).toMatch(/scenario +what +p50 +p90 +p99 +p99\.9 +max +operations +of floor +spread of rounds/);
  expect(text).toMatch(
    /tce +H_PUT_TCE, kernel, virtual mode +51\d ns +5\d\d ns .* 40000 +2\.50x +2\.50\.\.2\.50x .* reached\n/,
  );
  expect(text).toMatch(/scenario +what \(p50\) +PAMU\n/);
  const side = measured({ scenario: 's', name: 'x', column: 'PAMU', rounds: [[100], [104], [110]] });
  expect(figuresTable([side])).toMatch(/x +104 ns ±4\.8%\n/);
});
