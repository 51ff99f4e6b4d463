import { expect, test } from 'vitest';
import { readConsolePlace } from './console_option.ts';
import { HelpRequested } from './options.ts';

test.each([
  ['output', undefined],
  ['stdio', 0],
  ['stdio,vm=0', 0],
  ['stdio,vm=1', 1],
])('%s', (text, vm) => {
  expect(readConsolePlace(text, 2)).toBe(vm);
});

test.each([
  ['tty', /^--console tty: unknown value; give output, stdio, or stdio,vm=N for machine N$/],
  ['output,vm=1', /^--console output,vm=1: unknown value/],
  ['stdio,vm=', /^--console vm=: not understood; give a number$/],
  ['stdio,vm=0:1', /^--console vm=0:1: not understood; give a number$/],
  ['stdio,vm=2', /^--console vm=2: there are machines 0 to 1; give --vm once for each further one$/],
])('%s is refused in one sentence', (text, sentence) => {
  expect(() => readConsolePlace(text, 2)).toThrow(sentence);
});

test('help tells of the machines', () => {
  expect(() => readConsolePlace('help', 1)).toThrow(HelpRequested);
});
