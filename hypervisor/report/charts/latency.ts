/** Latency by percentile, one line for each side: where the medians are, and how bad the bad ones get. */
import type { Figure } from '../../bench/figures.ts';
import { type Line, percentOf, type Tone } from '../chart.ts';
import { current, type Editions, ofScenario } from '../editions.ts';
import { digits, quantity, times } from '../quantity.ts';
import { distribution, PERCENTILE_TICKS } from './distribution.ts';
import { type Drawn, layers, rowName, showSpread } from './drawn.ts';

export interface LatencySide {
  /** What the line is called. */
  readonly name: string;
  readonly tone: Tone;
  /** Whether a figure of the scenario is this side's. */
  is(figure: Figure): boolean;
}

export interface LatencyRow {
  readonly id: string;
  readonly title: string;
  readonly scenario: string;
  readonly sides: readonly LatencySide[];
}

/** The chart, where at least one side has a distribution. */
export function latencyChart(editions: Editions, { id, title, scenario, sides }: LatencyRow): Drawn | undefined {
  const measured = layers(editions).flatMap(({ edition, before }) =>
    sides.flatMap((side) => {
      const figure = ofScenario(edition, scenario).find((one) => one.unit === 'ns' && side.is(one));
      const points = figure === undefined ? [] : distribution(figure);
      return figure === undefined || points.length < 2 ? [] : [{ side, figure, points, before, edition }];
    }),
  );
  if (measured.length === 0) return undefined;
  const lines = measured.map(
    ({ side, points, before }): Line => ({ name: side.name, tone: side.tone, before, points }),
  );
  const last = Math.max(...lines.map(({ points }) => points[points.length - 1][0]));
  return {
    chart: {
      kind: 'lines',
      id,
      title,
      reading: reading(measured.filter(({ edition }) => edition === current(editions))),
      x: { label: 'this share of the samples', scale: 'percentile', ticks: PERCENTILE_TICKS.filter((x) => x <= last) },
      y: { label: 'takes at most', scale: 'log', unit: 'ns' },
      lines,
      marked: [2, 10, 100, 1_000],
    },
    table: {
      head: ['', 'p50', 'p90', 'p99', 'p99.9', 'max', 'p50 of the rounds', 'samples', 'operations'],
      rows: measured.map(({ side, figure, edition }) => [
        rowName(side.name, editions, edition),
        ...[figure.p50, figure.p90, figure.p99, figure.p999, figure.max].map((value) =>
          value === undefined ? '–' : quantity(value, 'ns'),
        ),
        showSpread(figure),
        digits(figure.samples),
        digits(figure.operations),
      ]),
    },
  };
}

/** Tails that are this near to each other, as multiples of their medians, are alike: they are few samples. */
const SAME = 1.5;

/** How far each side's 99th percentile is from its median: the steadiest and the least steady one. */
function reading(
  measured: readonly { side: LatencySide; figure: Figure; points: readonly (readonly [number, number])[] }[],
) {
  const tails = measured
    .flatMap(({ side, points }) => {
      const median = valueAt(points, 2);
      const last = Math.min(1_000, points[points.length - 1][0]);
      const tail = valueAt(points, last);
      return last < 10 ? [] : [{ name: side.name, x: last, ns: tail, ratio: tail / median }];
    })
    .sort((a, b) => a.ratio - b.ratio);
  if (tails.length === 0) return 'Too few samples for more than a median.';
  const say = ({ name, x, ns, ratio }: (typeof tails)[number]) =>
    `${name} needs ${quantity(ns, 'ns')} at ${percentOf(x)}, ${times(ratio)} its median`;
  const [steady, shaky] = [tails[0], tails[tails.length - 1]];
  if (steady === shaky) return `${capital(say(steady))}.`;
  if (shaky.ratio < SAME * steady.ratio) return `None is much steadier than another: ${tails.map(say).join('; ')}.`;
  return `Steadiest: ${say(steady)}. Least steady: ${say(shaky)}.`;
}

const capital = (text: string) => text[0].toUpperCase() + text.slice(1);

/** The line's value at x: of its last point that is not beyond. */
function valueAt(points: readonly (readonly [number, number])[], x: number): number {
  const within = points.filter((point) => point[0] <= x);
  return (within[within.length - 1] ?? points[0])[1];
}
