import { expect, test } from 'vitest';
import { UserError } from '../user_error.ts';
import { HelpRequested, type OptionRow, optionsHelp, parseOptions, parseSize } from './options.ts';

const ROWS: OptionRow[] = [
  {
    name: 'memory',
    alias: ['m'],
    kind: 'size',
    value: 'SIZE',
    min: 1 << 20,
    max: 1 << 30,
    default: '128M',
    help: 'guest RAM',
  },
  { name: 'sim', kind: 'flag', help: 'simulate' },
  { name: 'seed', kind: 'number', value: 'N', default: '1', help: 'seed' },
  { name: 'tce', kind: 'choice', choices: ['real', 'user'], value: 'TIER', help: 'tier' },
  { name: 'drive', kind: 'keys', keys: { file: 'PATH', devno: 'XXXX' }, value: 'KEYS', many: true, help: 'a drive' },
];

test('QEMU spellings and GNU spellings mean the same', () => {
  for (const words of [['-m', '64M'], ['--memory', '64M'], ['--memory=64M'], ['-memory=64M']])
    expect(parseOptions('boot', ROWS, words).values.memory).toBe(64 << 20);
});

test('a doubled comma is a comma, and repeated options add up', () => {
  const { values } = parseOptions('boot', ROWS, ['-drive', 'file=a,,b,devno=191', '--drive=file=c']);
  expect(values.drive).toEqual([{ file: 'a,b', devno: '191' }, { file: 'c' }]);
});

test.each([
  [['--memmory', '1'], '--memmory: unknown option; did you mean --memory? see minivisor boot --help'],
  [['-m'], '--memory needs a value (SIZE); see minivisor boot --help'],
  [['-m', 'lots'], '--memory lots: not a size; give bytes, or a number with K, M or G'],
  [['-m', '1K'], '--memory 1K: out of range; give 1M to 1024M'],
  [['--sim=1'], "--sim takes no value, got '1'; leave out '=1'"],
  [['--tce', 'fast'], '--tce fast: unknown value; give one of real, user'],
  [['-drive', 'path=x'], "--drive: unknown key 'path'; known keys: file, devno"],
  [['--seed', '-1'], '--seed -1: not a number; give a whole number'],
])('%j is refused in one sentence', (words, message) => {
  expect(() => parseOptions('boot', ROWS, words)).toThrow(new UserError(message));
});

test('help as a value lists the keys', () => {
  expect(() => parseOptions('boot', ROWS, ['-drive', 'help'])).toThrow(HelpRequested);
});

test.each([
  ['4096', 4096],
  ['1K', 1024],
  ['2m', 2 << 20],
  ['1GiB', 1 << 30],
  ['-1', undefined],
  ['1.5M', undefined],
  ['', undefined],
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test('help names every option and its default', () => {
  const help = optionsHelp(ROWS);
  for (const row of ROWS) expect(help).toContain(`--${row.name}`);
  expect(help).toContain('default 128M');
});
