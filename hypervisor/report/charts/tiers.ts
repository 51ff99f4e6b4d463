/** What of a figure is the bare hand-offs between threads, as its floor has them, and what is work on top. */
import type { Figure } from '../../bench/figures.ts';
import type { Bar, Segment } from '../chart.ts';
import { type Editions, isBefore, ofScenario } from '../editions.ts';
import { quantity, share, times } from '../quantity.ts';
import { type Drawn, layers, rowName } from './drawn.ts';

const HAND_OFFS = { who: 'bare hand-offs between the threads', tone: 5 } as const;
const WORK = { who: 'work', tone: 2 } as const;

export interface TiersRow {
  readonly id: string;
  readonly title: string;
  readonly scenario: string;
  /** The name of a figure's bar; undefined: it has none. */
  bar(figure: Figure): string | undefined;
}

function segments(figure: Figure, all: readonly Figure[]): Segment[] {
  const floor = all.find(({ name }) => name === figure.floor)?.p50 ?? 0;
  // A path whose hand-offs are quicker than the floor's is hand-offs as a whole.
  const handOffs = Math.min(floor, figure.p50);
  return [
    { name: 'hand-offs', what: figure.floor ?? 'none', ...HAND_OFFS, value: handOffs },
    { name: 'work', what: 'everything else', ...WORK, value: figure.p50 - handOffs },
  ].filter(({ value }) => value > 0);
}

/** The chart, where the scenario was measured. */
export function tiersChart(editions: Editions, { id, title, scenario, bar }: TiersRow): Drawn | undefined {
  const measured = layers(editions)
    .flatMap(({ edition, before }) => {
      const all = ofScenario(edition, scenario);
      return all.flatMap((figure) => {
        const name = bar(figure);
        return name === undefined ? [] : [{ name, figure, edition, before, segments: segments(figure, all) }];
      });
    })
    .map((one, at, all) => ({ ...one, rank: all.findIndex(({ name }) => name === one.name), at }))
    .sort((a, b) => a.rank - b.rank || a.at - b.at);
  if (!measured.some(({ edition }) => !isBefore(editions, edition))) return undefined;
  const now = measured.filter(({ before }) => !before);
  return {
    chart: {
      kind: 'stacks',
      id,
      title,
      reading: reading(now),
      x: { label: 'median', scale: 'linear', unit: 'ns' },
      bars: measured.map(
        ({ name, figure, edition, before, segments }): Bar => ({
          name: rowName(name, editions, edition),
          before,
          whole: figure.p50,
          segments,
        }),
      ),
      key: [HAND_OFFS, WORK],
    },
    table: {
      head: ['', 'hand-offs', 'work', 'p50', 'of the floor'],
      rows: measured.map(({ name, figure, edition, segments }) => [
        rowName(name, editions, edition),
        ...['hand-offs', 'work'].map((part) =>
          quantity(segments.find((segment) => segment.name === part)?.value ?? 0, 'ns'),
        ),
        quantity(figure.p50, 'ns'),
        figure.ratio === undefined ? '–' : times(figure.ratio),
      ]),
    },
  };
}

function reading(now: readonly { name: string; figure: Figure; segments: readonly Segment[] }[]): string {
  const said = now.map(({ name, figure, segments }) => {
    const handOffs = segments.find((segment) => segment.name === 'hand-offs')?.value ?? 0;
    if (handOffs === 0) return `none of ${name}`;
    return handOffs === figure.p50
      ? `all of ${name}, which hands over faster than doorbells do`
      : `${share(handOffs, figure.p50)} of ${name}`;
  });
  return `Bare hand-offs are ${said.join(', ')}.`;
}
