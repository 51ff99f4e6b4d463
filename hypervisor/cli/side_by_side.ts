/** Figures of the same thing on several sides, next to each other. */
import type { Figure } from '../bench/figures.ts';
import { table } from './table.ts';

/** Columns in the order of their first figures, a row for each name; empty where a side has no such figure. */
export function sideBySide(figures: readonly Figure[], show: (figure: Figure) => string): string {
  const columns = [...new Set(figures.map(({ column }) => column as string))];
  const rows = new Map<string, { readonly scenario: string; readonly cells: string[] }>();
  for (const figure of figures) {
    const { scenario, name, column } = figure;
    const key = `${scenario} ${name}`;
    const row = rows.get(key) ?? { scenario, cells: [name, ...columns.map(() => '')] };
    row.cells[1 + columns.indexOf(column as string)] = show(figure);
    rows.set(key, row);
  }
  const lines = [...rows.values()].map(({ scenario, cells }) => [scenario, ...cells]);
  return table(['scenario', 'what (p50)', ...columns], lines, `<<${'>'.repeat(columns.length)}`);
}
