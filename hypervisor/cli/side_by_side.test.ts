import { expect, test } from 'vitest';
import type { Figure } from '../bench/figures.ts';
import { sideBySide } from './side_by_side.ts';

const figure = (name: string, column: string, p50: number): Figure => ({
  scenario: 's',
  name,
  column,
  unit: 'ns',
  p50,
  samples: 1,
  operations: 1,
});

test('one row for each name, one column for each side, and nothing where a side has none', () => {
  const figures = [figure('a', 'X', 1), figure('a', 'Y', 2), figure('b', 'Y', 3)];
  const lines = sideBySide(figures, ({ p50 }) => `${p50}`).split('\n');
  expect(lines[0].trim().split(/\s{2,}/)).toEqual(['scenario', 'what (p50)', 'X', 'Y']);
  expect(lines.find((line) => /^ +s +a/.test(line))).toMatch(/a +1 +2$/);
  expect(lines.find((line) => /^ +s +b/.test(line))).toMatch(/b +3$/);
});
