import { expect, test } from 'vitest';
import { LabelledOutput } from './labelled_output.ts';

/** What is shown of these pieces, as they are shown. */
function shown(...pieces: string[]): string[] {
  const seen: string[] = [];
  const output = new LabelledOutput('vm1', (bytes) => seen.push(new TextDecoder().decode(bytes)));
  for (const piece of pieces) output.write(new TextEncoder().encode(piece));
  output.end();
  return seen;
}

test('lines are shown whole, each with the name in front', () => {
  expect(shown('a\nb\n', 'c', 'd\n', '\n')).toEqual(['vm1: a\nvm1: b\n', 'vm1: cd\n', 'vm1: \n']);
});

test('a last line without an end is shown at the end, and nothing twice', () => {
  expect(shown('prompt> ')).toEqual(['vm1: prompt> \n']);
  expect(shown()).toEqual([]);
});

test('a line without end is shown in pieces', () => {
  const all = shown('x'.repeat(10_000)).join('');
  expect(all.replaceAll(/vm1: |\n/g, '')).toBe('x'.repeat(10_000));
  expect(Math.max(...all.split('\n').map((line) => line.length))).toBeLessThan(5000);
});
