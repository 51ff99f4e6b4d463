import { expect, test } from 'vitest';
import { UserError } from '../user_error.ts';
import { HelpRequested, type OptionRow, optionsHelp, parseOptions, parseSize, parseTime } from './options.ts';

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
  { name: 'seed', kind: 'number', value: 'N', max: 0xffff_ffff, default: '1', help: 'seed' },
  { name: 'timeout', kind: 'time', min: 1e-6, max: 100, value: 'TIME', default: '60s', help: 'end' },
  { name: 'tce', kind: 'choice', choices: ['real', 'user'], value: 'TIER', help: 'tier' },
  {
    name: 'drive',
    kind: 'keys',
    keys: { file: 'PATH', devno: 'XXXX', readonly: 'on|off; no writes', fault: 'KIND' },
    repeatable: ['fault'],
    notes: 'kinds: busy\n',
    value: 'KEYS',
    many: true,
    help: 'a drive',
  },
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
  [['-m', '--memory'], '--memory needs a value (SIZE); see minivisor boot --help'],
  [['-m', '--memory=1M'], '--memory needs a value (SIZE); see minivisor boot --help'],
  [['-m', 'lots'], '--memory lots: not a size; give bytes, or a number with K, M or G'],
  [['-m', '1K'], '--memory 1K: out of range; give 1M to 1024M'],
  [['-m', '1'], '--memory 1: out of range; give 1M to 1024M, with its K, M or G: a bare number counts bytes'],
  [['--sim=1'], "--sim takes no value, got '1'; leave out '=1'"],
  [['--tce', 'fast'], '--tce fast: unknown value; give one of real, user'],
  [['-drive', 'path=x'], "--drive: unknown key 'path'; known keys: file, devno, readonly, fault"],
  [
    ['-drive', 'file=a,d=x'],
    "--drive: unknown key 'd'; known keys: file, devno, readonly, fault; a comma inside a value is doubled (,,)",
  ],
  [
    ['-drive', 'file=a,'],
    '--drive: empty key; known keys: file, devno, readonly, fault; a comma inside a value is doubled (,,)',
  ],
  [['-drive', 'file='], '--drive: file needs a value; give file=..., --drive help explains it'],
  [['-drive', 'file'], '--drive: file needs a value; give file=..., --drive help explains it'],
  [['-drive', 'fault=a,fault'], '--drive: fault needs a value; give fault=..., --drive help explains it'],
  [['-drive', 'file=a,file=b'], '--drive: file is given twice; give it once'],
  [['-drive', 'toString=1'], "--drive: unknown key 'toString'; known keys: file, devno, readonly, fault"],
  [['--seed', '-1'], '--seed -1: out of range; give 0 to 4294967295'],
  [['--seed', 'x'], '--seed x: not a whole number; give one'],
  [['--timeout', 'soon'], '--timeout soon: not a time; give seconds, or a number with us, ms, s or m'],
  [['--timeout', '1h'], '--timeout 1h: not a time; give seconds, or a number with us, ms, s or m'],
  [['--timeout', '0'], '--timeout 0: out of range; give 1us to 100s'],
  [['--timeout', '-1.5s'], '--timeout -1.5s: out of range; give 1us to 100s'],
  [['--timeout', '2m'], '--timeout 2m: out of range; give 1us to 100s'],
])('%j is refused in one sentence', (words, message) => {
  expect(() => parseOptions('boot', ROWS, words)).toThrow(new UserError(message));
});

test('help as a value lists the keys, one a line, and the notes', () => {
  expect(() => parseOptions('boot', ROWS, ['-drive', 'help'])).toThrow(
    new HelpRequested(
      [
        '--drive keys:',
        '  file=      PATH',
        '  devno=     XXXX',
        '  readonly=  on|off; no writes',
        '  fault=     KIND',
        'kinds: busy\n',
      ].join('\n'),
    ),
  );
});

test.each(['help', '?'])('%s as one of several values lists them', (word) => {
  expect(() => parseOptions('boot', ROWS, ['--tce', word])).toThrow(new HelpRequested('--tce: tier\n  real\n  user\n'));
});

test('help leaves out a default that is empty', () => {
  const text = (value: string): OptionRow => ({
    name: 'append',
    kind: 'text',
    value: 'TEXT',
    default: value,
    help: 'words',
  });
  expect(optionsHelp([text('')])).toBe('  --append TEXT  words');
  expect(optionsHelp([text('a')])).toBe('  --append TEXT  words; default a');
});

test('a repeatable key keeps all its values, and one that is on or off may stand alone', () => {
  const { values } = parseOptions('boot', ROWS, ['-drive', 'fault=a,readonly,fault=b']);
  expect(values.drive).toEqual([{ fault: ['a', 'b'], readonly: 'on' }]);
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

test.each([
  ['60', 60],
  ['1.5', 1.5],
  ['1.1s', 1.1],
  ['250ms', 0.25],
  ['20us', 0.00002],
  ['0.5m', 30],
  ['2m', 120],
  ['.5', undefined],
  ['1e3', undefined],
  ['5M', undefined],
  ['', undefined],
])('time %s', (text, seconds) => {
  expect(parseTime(text)).toBe(seconds);
});

test('help names every option and its default', () => {
  const help = optionsHelp(ROWS);
  for (const row of ROWS) expect(help).toContain(`--${row.name}`);
  expect(help).toContain('default 128M');
});
