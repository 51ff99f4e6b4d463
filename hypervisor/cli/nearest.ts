/** What somebody may have meant by a word that nothing is called. */

/** Letters that may be wrong, missing or too many. */
const SLIPS = 2;

/** `did you mean tce? `, for a word that is nearly one of those known; empty for any other. @param dashes before it */
export function didYouMean(word: string, known: readonly string[], dashes = ''): string {
  const close = known
    .map((one) => [distance(word.toLowerCase(), one.toLowerCase()), one] as const)
    .sort(([a], [b]) => a - b)[0];
  // Of a word of two letters everything is near.
  if (close === undefined || close[0] > Math.min(SLIPS, word.length - 1)) return '';
  return `did you mean ${dashes}${close[1]}? `;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}
