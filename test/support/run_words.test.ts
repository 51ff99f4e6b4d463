import { expect, test } from 'vitest';
import { type RunCommand, readRunWords } from './run_words.ts';

const ONE: RunCommand = { name: 'again', what: 'Does it again.', runs: 50, seed: 1 };
const CHOICE: RunCommand = { ...ONE, subjects: ['ccw', 'tce'], seedIs: "the clock's" };

test('numbers that are not given are the defaults', () => {
  expect(readRunWords([], ONE)).toEqual({ subject: '', runs: 50, seed: 1 });
  expect(readRunWords(['tce', '--seed', '7', '--runs=3'], CHOICE)).toEqual({ subject: 'tce', runs: 3, seed: 7 });
});

test.each([['--help'], ['-h']])('%s explains, and ends well', (word) => {
  expect(readRunWords([word], ONE)).toEqual({
    status: 0,
    text: "usage: npm run again -- [--runs N] [--seed S]\n\nDoes it again.\n\n  --runs N  how many, from 1 on; default 50\n  --seed S  the first one's seed; default 1\n",
  });
  expect(readRunWords(['ccw', word], CHOICE)).toMatchObject({
    status: 0,
    text: expect.stringMatching(/^usage: npm run again -- ccw\|tce \[--runs N\][\s\S]*default the clock's\n$/),
  });
});

test.each([
  [['--fly'], /^again: Unknown option '--fly'; usage: npm run again/],
  [['--runs'], /^again: Option '--runs <value>' argument missing; usage/],
  [['--runs', '0'], /^again: --runs 0: give a whole number from 1 on; usage/],
  [['--runs='], /^again: --runs : give a whole number from 1 on; usage/],
  [['--seed', 'x'], /^again: --seed x: give a whole number; usage/],
  [['word'], /^again: Unexpected argument 'word'/],
])('%j is refused in one line', (words, text) => {
  const ending = readRunWords(words, ONE) as { status: number; text: string };
  expect(ending.status).toBe(2);
  expect(ending.text).toMatch(text);
  expect(ending.text.match(/\n/g)).toHaveLength(1);
});

test('a subject must be one of those there are', () => {
  expect(readRunWords([], CHOICE)).toMatchObject({
    status: 2,
    text: expect.stringMatching(/^again: what is to run\?/),
  });
  expect(readRunWords(['dasd'], CHOICE)).toMatchObject({ text: expect.stringMatching(/^again: 'dasd' is not known/) });
  expect(readRunWords(['ccw', 'tce'], CHOICE)).toMatchObject({ text: expect.stringMatching(/unexpected word 'tce'/) });
});
