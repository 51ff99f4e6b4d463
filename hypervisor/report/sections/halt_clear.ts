/** HALT and CLEAR (2019): the asynchronous command region, or a VMM that only pretends. */
import type { Figure } from '../../bench/figures.ts';
import type { Bar, Segment } from '../chart.ts';
import { type Drawn, layers, rowName } from '../charts/drawn.ts';
import { latencyChart } from '../charts/latency.ts';
import { type Edition, type Editions, ofScenario } from '../editions.ts';
import { quantity, times } from '../quantity.ts';
import type { SectionRow } from './row.ts';

const SCENARIO = 'halt-clear';
/** Sides by `--ccw-api`, oldest first; whether HSCH and CSCH reach the host; the side's colour. */
const SIDES = [
  { api: 'cmd-request', reaches: false, tone: 1 },
  { api: 'io-region', reaches: false, tone: 0 },
  { api: 'region', reaches: true, tone: 2 },
] as const;
type SideRow = (typeof SIDES)[number];
const FUNCTIONS = ['HSCH', 'CSCH'] as const;

const SEEN = { who: 'until the guest has the interruption', tone: 0 } as const;
const STILL = { who: 'until the device really takes another program', tone: 1 } as const;

const find = (edition: Edition, { api }: SideRow, name: string): Figure | undefined =>
  ofScenario(edition, SCENARIO).find((figure) => figure.parameters?.api === api && figure.name === name);
const seen = (edition: Edition, side: SideRow, name = 'HSCH') => find(edition, side, `${name} to interruption`);
const free = (edition: Edition, side: SideRow, name = 'HSCH') =>
  find(edition, side, `${name} to a device that is free`);
/** What the side is called: the figure's column. */
const sideName = (figure: Figure) => figure.column ?? `${figure.parameters?.api}`;

function parts(toSeen: Figure, toFree: Figure): Segment[] {
  return [
    { name: 'interruption', what: 'the guest sees the end', ...SEEN, value: toSeen.p50 },
    { name: 'busy', what: 'the device goes on', ...STILL, value: Math.max(0, toFree.p50 - toSeen.p50) },
  ].filter(({ value }) => value > 0);
}

function endsChart(editions: Editions): Drawn | undefined {
  const measured = FUNCTIONS.flatMap((name) =>
    SIDES.flatMap((side) =>
      layers(editions).flatMap(({ edition, before }) => {
        const [toSeen, toFree] = [seen(edition, side, name), free(edition, side, name)];
        return toSeen === undefined || toFree === undefined ? [] : [{ name, edition, before, toSeen, toFree }];
      }),
    ),
  );
  if (!measured.some(({ before }) => !before)) return undefined;
  const called = ({ name, edition, toSeen }: (typeof measured)[number]) =>
    rowName(`${name}, ${sideName(toSeen)}`, editions, edition);
  return {
    chart: {
      kind: 'stacks',
      id: 'halt-clear-ends',
      title: 'What the guest is told, and what the device does',
      reading: reading(measured.filter(({ before, name }) => !before && name === 'HSCH')),
      x: { label: 'median since HSCH or CSCH', scale: 'linear', unit: 'ns' },
      bars: measured.map(
        (one): Bar => ({
          name: called(one),
          before: one.before,
          whole: Math.max(one.toFree.p50, one.toSeen.p50),
          segments: parts(one.toSeen, one.toFree),
        }),
      ),
      key: [SEEN, STILL],
    },
    table: {
      head: ['', 'to the interruption', 'to a device that is free', 'p99 of that'],
      rows: measured.map((one) => [
        called(one),
        quantity(one.toSeen.p50, 'ns'),
        quantity(one.toFree.p50, 'ns'),
        one.toFree.p99 === undefined ? '–' : quantity(one.toFree.p99, 'ns'),
      ]),
    },
  };
}

function reading(measured: readonly { toSeen: Figure; toFree: Figure }[]): string {
  const said = measured.map(({ toSeen, toFree }) => {
    const busy = Math.max(0, toFree.p50 - toSeen.p50);
    return `${quantity(toSeen.p50, 'ns')} and ${quantity(busy, 'ns')} (${sideName(toSeen)})`;
  });
  return `HSCH: the guest is told after, and the device is busy for another, ${said.join('; ')}.`;
}

export const HALT_CLEAR_SECTION: SectionRow = {
  id: 'halt-clear',
  argument: 'HALT and CLEAR (2019)',
  year: 2019,
  question: 'Must HALT and CLEAR reach the device?',
  measured:
    'A program runs on a slow device, and the guest ends it by HSCH or CSCH. Two times are taken: until the guest has the function’s interruption, and until the device takes another program.',
  scenarios: [SCENARIO],
  answer(edition) {
    const measured = SIDES.flatMap((side) => {
      const figure = free(edition, side);
      return figure === undefined ? [] : [{ side, figure }];
    });
    const reaching = measured.find(({ side }) => side.reaches);
    const pretending = measured.filter(({ side }) => !side.reaches);
    if (reaching === undefined || pretending.length === 0) return undefined;
    const others = pretending.map(
      ({ figure }) =>
        `${quantity(figure.p50, 'ns')} (${times(figure.p50 / reaching.figure.p50)}) with the ${sideName(figure)}`,
    );
    return `After HSCH the device is free in ${quantity(reaching.figure.p50, 'ns')} with the ${sideName(reaching.figure)}; it takes ${others.join(' and ')}, which only pretend.`;
  },
  charts: (editions) => [
    endsChart(editions),
    latencyChart(editions, {
      id: 'halt-clear-latency',
      title: 'HSCH until the device is free',
      scenario: SCENARIO,
      sides: SIDES.map((side) => {
        const figure = free(editions[editions.length - 1], side);
        return {
          name: figure === undefined ? side.api : sideName(figure),
          tone: side.tone,
          is: ({ name, parameters }) => parameters?.api === side.api && name === 'HSCH to a device that is free',
        };
      }),
    }),
  ],
};
