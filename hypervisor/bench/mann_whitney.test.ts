import { expect, test } from 'vitest';
import { atMost, bestConfidence, criticalValue, roundsNeeded } from './mann_whitney.ts';

/** P(U <= u) by going through all ways in which n of m + n ranks can be the second series'. */
function byEnumeration(m: number, n: number, u: number): number {
  let all = 0;
  let hits = 0;
  for (let set = 0; set < 2 ** (m + n); set++) {
    const ranks = [...Array(m + n).keys()].filter((i) => (set >> i) & 1);
    if (ranks.length !== n) continue;
    all++;
    // Below the i-th of the second series lie its rank less those of its own series.
    if (ranks.reduce((sum, rank, i) => sum + rank - i, 0) <= u) hits++;
  }
  return hits / all;
}

test('the exact distribution is that of all orders', () => {
  for (const [m, n] of [
    [1, 1],
    [3, 3],
    [2, 5],
    [5, 2],
    [4, 6],
  ])
    for (let u = 0; u <= m * n; u++) expect(atMost(m, n, u)).toBeCloseTo(byEnumeration(m, n, u), 12);
});

test('three rounds each reach 90 %, four reach 95 %, five more than 99 %', () => {
  expect(bestConfidence(3, 3)).toBeCloseTo(0.9, 12);
  expect(bestConfidence(4, 4)).toBeCloseTo(1 - 2 / 70, 12);
  expect(bestConfidence(5, 5)).toBeGreaterThan(0.99);
  expect(bestConfidence(0, 5)).toBe(0);
  expect(bestConfidence(1, 1)).toBe(0);
  expect(roundsNeeded(0.95)).toBe(4);
  expect(roundsNeeded(0.99)).toBe(5);
});

test('published critical values at 5 %, both directions', () => {
  // e.g. D. Altman, "Practical Statistics for Medical Research", table B9, and many others: n = 5, 8, 10, 20
  expect([5, 8, 10, 20].map((n) => criticalValue(n, n, 0.025))).toEqual([2, 13, 23, 127]);
  expect(criticalValue(3, 3, 0.025)).toBe(-1);
});

test('the normal distribution takes over smoothly where the exact one would take long', () => {
  const [m, n] = [57, 56];
  const deviation = Math.sqrt((m * n * (m + n + 1)) / 12);
  for (const z of [-3, -2, -1, 0, 1, 2]) {
    const exactly = atMost(56, 56, 56 * 28 + z * Math.sqrt((56 * 56 * 113) / 12));
    expect(atMost(m, n, (m * n) / 2 + z * deviation)).toBeCloseTo(exactly, 2);
  }
  expect(atMost(m, n, -1)).toBe(0);
  expect(atMost(m, n, m * n)).toBe(1);
});

test('of very long series the median is as likely below as above', () => {
  expect(atMost(201, 201, (201 * 201) / 2)).toBeCloseTo(0.5, 3);
});
