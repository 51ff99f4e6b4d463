/** How a cost, or a rate, grows with the size of something: groups, pages, CCWs, devices, bytes of a frame. */
import type { Figure } from '../../bench/figures.ts';
import type { Axis, Line, Tone } from '../chart.ts';
import { type Editions, ofScenario } from '../editions.ts';
import { digits, quantity } from '../quantity.ts';
import { type Drawn, layers, rowName, showSpread } from './drawn.ts';

export interface GrowthRow {
  readonly id: string;
  readonly title: string;
  readonly scenario: string;
  /** What is on the x axis: a parameter of the figures. */
  readonly parameter: string;
  readonly x: Axis;
  readonly y: Axis;
  /** The line that a figure belongs to; undefined: none. */
  line(figure: Figure): { readonly name: string; readonly tone: Tone } | undefined;
  /** What to see, from the lines of the current document. */
  reading(lines: readonly Line[]): string;
}

/** The chart, where a line has two points. */
export function growthChart(editions: Editions, row: GrowthRow): Drawn | undefined {
  const measured = layers(editions).flatMap(({ edition, before }) =>
    ofScenario(edition, row.scenario).flatMap((figure) => {
      const line = row.line(figure);
      const x = figure.parameters?.[row.parameter];
      // A logarithmic axis has no place for 0.
      const nowhere = row.y.scale === 'log' && figure.p50 <= 0;
      return line === undefined || typeof x !== 'number' || nowhere ? [] : [{ ...line, figure, x, edition, before }];
    }),
  );
  const lines: Line[] = [];
  for (const { edition, before } of layers(editions))
    for (const name of new Set(measured.map((one) => one.name))) {
      const mine = measured.filter((one) => one.name === name && one.edition === edition);
      const points = mine.map(({ x, figure }) => [x, figure.p50] as const).sort(([a], [b]) => a - b);
      if (points.length >= 2) lines.push({ name, tone: mine[0].tone, before, points });
    }
  if (!lines.some(({ before }) => before !== true)) return undefined;
  const ticks = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  return {
    chart: {
      kind: 'lines',
      id: row.id,
      title: row.title,
      reading: row.reading(lines.filter(({ before }) => before !== true)),
      x: { ticks, ...row.x },
      y: row.y,
      lines,
    },
    table: {
      head: [row.x.label, '', 'p50', 'p99', 'p50 of the rounds'],
      rows: measured.map(({ name, figure, x, edition }) => [
        row.x.unit === undefined ? digits(x) : quantity(x, row.x.unit),
        rowName(name, editions, edition),
        quantity(figure.p50, figure.unit),
        figure.p99 === undefined ? '–' : quantity(figure.p99, figure.unit),
        showSpread(figure),
      ]),
    },
  };
}

/** First and last point of a line. */
export function ends({ points }: Line): { first: readonly [number, number]; last: readonly [number, number] } {
  return { first: points[0], last: points[points.length - 1] };
}

/** The line whose last point is lowest, or highest. */
export function extreme(lines: readonly Line[], which: 'lowest' | 'highest'): Line {
  const sign = which === 'lowest' ? 1 : -1;
  return [...lines].sort((a, b) => sign * (ends(a).last[1] - ends(b).last[1]))[0];
}
