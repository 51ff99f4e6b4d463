/**
 * The distribution of the Mann-Whitney statistic U when two series come from the same source: of all m times n pairs, in
 * how many the second one is larger. It needs no more than that the order of the values is a matter of chance; no normal
 * distribution (H. B. Mann, D. R. Whitney, "On a Test of Whether one of Two Random Variables is Stochastically Larger than
 * the Other", Annals of Mathematical Statistics 18 (1947), recurrence on page 51 f.).
 */

/** Additions that an exact distribution may take: 50 rounds against 50 are well below. */
const EXACT_WORK = 1e7;

const known = new Map<string, Float64Array>();

/** P(U <= u) for u = 0..mn. The probability of (i, j, u) is that of (i-1, j, u-j) or (i, j-1, u), as the largest falls. */
function exact(m: number, n: number): Float64Array {
  const key = `${m} ${n}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  // rows[i] is the distribution of (i, j), for j growing from 0, where U is always 0.
  const rows = Array.from({ length: m + 1 }, () => new Float64Array(m * n + 1));
  for (const row of rows) row[0] = 1;
  for (let j = 1; j <= n; j++)
    for (let i = 1; i <= m; i++) {
      const [row, shorter] = [rows[i], rows[i - 1]];
      for (let u = i * j; u >= 0; u--) row[u] = (j * row[u] + (u >= j ? i * shorter[u - j] : 0)) / (i + j);
    }
  const sums = rows[m];
  for (let u = 1; u <= m * n; u++) sums[u] += sums[u - 1];
  known.set(key, sums);
  return sums;
}

/** The lower tail of the standard normal distribution: M. Abramowitz, I. Stegun (1964), 26.2.17; error below 1e-7. */
function normal(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return z < 0 ? tail : 1 - tail;
}

/**
 * P(U <= u) for series of m and n values: exact while that is quick, else by the normal distribution with continuity
 * correction.
 */
export function atMost(m: number, n: number, u: number): number {
  if (u < 0) return 0;
  if (u >= m * n) return 1;
  if ((m * n) ** 2 <= EXACT_WORK) return exact(m, n)[Math.floor(u)];
  return normal((Math.floor(u) + 0.5 - (m * n) / 2) / Math.sqrt((m * n * (m + n + 1)) / 12));
}

/** The largest u with P(U <= u) at most `tail`; -1 when there is none. */
export function criticalValue(m: number, n: number, tail: number): number {
  if (atMost(m, n, 0) > tail) return -1;
  let [low, high] = [0, m * n];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (atMost(m, n, middle) <= tail) low = middle;
    else high = middle;
  }
  return low;
}

/** What m rounds against n can be sure of at best: all of one below all of the other. */
export function bestConfidence(m: number, n: number): number {
  return m === 0 || n === 0 ? 0 : Math.max(0, 1 - 2 * atMost(m, n, 0));
}

/** Rounds that both series need for a `confidence`. */
export function roundsNeeded(confidence: number): number {
  let rounds = 1;
  while (bestConfidence(rounds, rounds) < confidence) rounds++;
  return rounds;
}
