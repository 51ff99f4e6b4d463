import { expect, test } from 'vitest';
import { Remaining, showLeft } from './remaining.ts';

const PLAN = [
  { name: 'short', seconds: 1 },
  { name: 'long', seconds: 10 },
];

function bench(rounds: number) {
  let now = 0;
  const remaining = new Remaining(PLAN, rounds, () => now);
  return {
    remaining,
    pass(ms: number) {
      now += ms;
    },
  };
}

test('before a round has ended the plan says how long it may take, unless that proves wrong', () => {
  const { remaining, pass } = bench(2);
  expect(remaining.left()).toBeUndefined();
  remaining.scenario();
  remaining.round(1, 2);
  pass(500);
  // Two rounds of 1 s, one of them half done, and two of 10 s.
  expect(remaining.left()).toBe(21_500);
  pass(1500);
  expect(remaining.left()).toBeUndefined();
});

test('a machine half as fast as expected is expected to remain so', () => {
  const { remaining, pass } = bench(2);
  remaining.scenario();
  remaining.round(1, 2);
  pass(2000);
  remaining.round(2, 2);
  // One more round of 2 s, and two of 20 s each.
  expect(remaining.left()).toBe(42_000);
  pass(500);
  expect(remaining.left()).toBe(41_500);
  pass(1500);
  remaining.scenario();
  remaining.round(1, 2);
  expect(remaining.left()).toBe(40_000);
});

test('the rounds of a scenario itself count more than what was expected of it', () => {
  const { remaining, pass } = bench(3);
  remaining.scenario();
  remaining.round(1, 3);
  pass(3000);
  remaining.scenario();
  remaining.round(1, 3);
  pass(4000);
  remaining.round(2, 3);
  expect(remaining.left()).toBe(8000);
});

test('a round that takes longer than those before leaves the others, never less than nothing', () => {
  const { remaining, pass } = bench(2);
  remaining.scenario();
  remaining.scenario();
  remaining.round(1, 2);
  pass(1000);
  remaining.round(2, 2);
  pass(60_000);
  expect(remaining.left()).toBe(0);
});

test.each([
  [1000, 'a few seconds left'],
  [41_000, 'about 40 s left'],
  [89_000, 'about 90 s left'],
  [200_000, 'about 3 min left'],
])('%d ms are shown as %s', (ms, text) => {
  expect(showLeft(ms)).toBe(text);
});
