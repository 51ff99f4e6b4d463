import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HelpRequested } from '../cli/options.ts';
import { UserError } from '../user_error.ts';
import { readTraceOption } from './trace_option.ts';

const folder = mkdtempSync(join(tmpdir(), 'trace-option-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'events');
writeFileSync(file, '# comment\n\nvfio_ccw_*\r\n  -vfio_ccw_K?  \n');

test.each([
  [[], { events: [] }],
  [['css_*'], { events: ['css_*'] }],
  [['enable=css_*'], { events: ['css_*'] }],
  [['vfio_*', '-vfio_ccw_K?'], { events: ['vfio_*', '-vfio_ccw_K?'] }],
  [['enable=-e1000_tx,file=out.log'], { events: ['-e1000_tx'], file: 'out.log' }],
  [[`events=${file}`, 'css_crw'], { events: ['vfio_ccw_*', '-vfio_ccw_K?', 'css_crw'] }],
  [['*,file=a,,b=c'], { events: ['*'], file: 'a,b=c' }],
  [['*,file=x', 'file=x'], { events: ['*'], file: 'x' }],
])('--trace %j', (words, wanted) => {
  expect(readTraceOption(words)).toEqual(wanted);
});

test.each([
  [['nothing_*'], /^--trace nothing_\*: matches no event; .*--trace help lists them$/],
  [['-nothing'], /^--trace -nothing: matches no event/],
  [['css_*,css_crw'], /'css_crw' has no key; give enable=css_crw, or another --trace$/],
  [['disable=css_*'], /unknown key 'disable'; known keys: enable, events, file$/],
  [[''], /an event is empty/],
  [['*,file='], /file is empty; give file=\.\.\.$/],
  [['*,file=a', 'file=b'], /^--trace file=b: the text goes to a already; give one file$/],
  [[`events=${folder}/none`], /events=.*none: no such file; give a file with a pattern in each line$/],
  [[`events=${folder}`], /is a directory/],
])('--trace %j is refused in one sentence', (words, wanted) => {
  expect(() => readTraceOption(words)).toThrow(UserError);
  expect(() => readTraceOption(words)).toThrow(wanted);
});

test('a pattern of an events file that matches nothing is named with its file', () => {
  const bad = join(folder, 'bad');
  writeFileSync(bad, 'css_crw\nno_such\n');
  expect(() => readTraceOption([`events=${bad}`])).toThrow(`--trace events=${bad}: no_such: matches no event`);
});

test.each(['help', '?', 'enable=help'])('--trace %s lists the events', (word) => {
  expect(() => readTraceOption(['*', word])).toThrow(HelpRequested);
});
