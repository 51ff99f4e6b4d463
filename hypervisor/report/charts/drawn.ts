/** A chart with the table that says the same, and what their builders share. */
import type { Figure } from '../../bench/figures.ts';
import type { Chart, DataTable } from '../chart.ts';
import { type Edition, type Editions, isBefore, spread } from '../editions.ts';
import { quantity } from '../quantity.ts';

export interface Drawn {
  readonly chart: Chart;
  readonly table: DataTable;
}

/** The name of a row of a table: with its document's where there are two. */
export function rowName(name: string, editions: Editions, edition: Edition): string {
  return editions.length === 1 ? name : `${name} · ${edition.label}`;
}

/** The medians of the rounds, lowest to highest: how far the machine's noise goes. */
export function showSpread(figure: Figure): string {
  const range = spread(figure);
  return range === undefined ? '–' : `${quantity(range.low, figure.unit)} – ${quantity(range.high, figure.unit)}`;
}

/** Editions with whether they are the first of two, in the order in which they are drawn: the current one on top. */
export function layers(editions: Editions): { edition: Edition; before: boolean }[] {
  return editions.map((edition) => ({ edition, before: isBefore(editions, edition) }));
}
