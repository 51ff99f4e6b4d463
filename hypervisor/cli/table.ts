/** Text tables. */

/** Columns padded to their widest cell; `align` has one of `<` and `>` a column. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], align: string): string {
  const width = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i].length)));
  const line = (cells: readonly string[]) =>
    `  ${cells.map((cell, i) => (align[i] === '>' ? cell.padStart(width[i]) : cell.padEnd(width[i]))).join('  ')}`.trimEnd();
  return `${[line(head), line(width.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n')}\n`;
}
