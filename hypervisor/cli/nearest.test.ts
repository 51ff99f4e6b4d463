import { expect, test } from 'vitest';
import { didYouMean } from './nearest.ts';

const KNOWN = ['tce', 'ssch', 'ccw-translate'];

test.each([
  ['tc', 'did you mean tce? '],
  ['TCE', 'did you mean tce? '],
  ['ccw-tranlsate', 'did you mean ccw-translate? '],
  ['sscch', 'did you mean ssch? '],
  ['memory', ''],
  ['x', ''],
  ['', ''],
])("'%s' may have been meant as '%s'", (word, hint) => {
  expect(didYouMean(word, KNOWN)).toBe(hint);
});

test('of options with their dashes; where nothing is known there is nothing to mean', () => {
  expect(didYouMean('memmory', ['memory'], '--')).toBe('did you mean --memory? ');
  expect(didYouMean('x', [])).toBe('');
});
