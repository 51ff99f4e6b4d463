/** Where the time of one I/O goes: the steps of each design, one bar for each channel program. */
import type { Figure } from '../../bench/figures.ts';
import { DESIGNS, type Design } from '../../bench/steps.ts';
import type { Bar, Segment, Tone } from '../chart.ts';
import { current, type Edition, type Editions, ofScenario } from '../editions.ts';
import { quantity, share } from '../quantity.ts';
import { type Drawn, layers, rowName } from './drawn.ts';

/** Whose step: the thread that takes it. */
const THREADS: readonly { readonly who: string; readonly tone: Tone }[] = [
  { who: 'VMM', tone: 0 },
  { who: 'kernel', tone: 1 },
];

/** The words of `--ccw-api`, and the design that each one chooses. */
const APIS: Readonly<Record<string, string>> = { region: 'vfio_ccw_', 'cmd-request': 'ccw_rfc_' };

interface Path {
  readonly name: string;
  readonly design: Design;
  readonly figures: readonly Figure[];
}

/** The paths of a document: each design with each channel program. */
function paths(edition: Edition): Path[] {
  const found = new Map<string, Figure[]>();
  for (const figure of ofScenario(edition, 'ccw')) {
    const { api, program } = figure.parameters ?? {};
    if (api === undefined || program === undefined) continue;
    const key = `${api}, ${program}`;
    found.set(key, [...(found.get(key) ?? []), figure]);
  }
  return [...found].flatMap(([name, figures]) => {
    const design = DESIGNS.find(({ prefix }) => prefix === APIS[`${figures[0].parameters?.api}`]);
    return design === undefined ? [] : [{ name, design, figures }];
  });
}

function segments({ design, figures }: Path): Segment[] {
  return design.steps.flatMap(([name, who, what]) => {
    const figure = figures.find(({ parameters }) => parameters?.step === name);
    const tone = THREADS.find((thread) => thread.who === who)?.tone ?? 2;
    return figure === undefined ? [] : [{ name, what, who, tone, value: figure.p50 }];
  });
}

/** First step to last, as it was measured: the name says so (`Q3 to Q7`). */
function whole({ design, figures }: Path): number | undefined {
  const [first, last] = [design.steps[0][0], design.steps[design.steps.length - 1][0]];
  return figures.find(({ name }) => name.endsWith(`${first} to ${last}`))?.p50;
}

/** The chart, where `ccw` was measured. */
export function stepsChart(editions: Editions): Drawn | undefined {
  const all = layers(editions).flatMap(({ edition, before }) =>
    paths(edition).map((path) => ({ path, edition, before, segments: segments(path) })),
  );
  const measured = all
    .filter((one) => one.segments.length > 0)
    .sort(
      (a, b) =>
        Number(a.path.name > b.path.name) - Number(a.path.name < b.path.name) || Number(b.before) - Number(a.before),
    );
  if (!measured.some(({ before }) => !before)) return undefined;
  const bars = measured.map(
    ({ path, edition, before, segments }): Bar => ({
      name: rowName(path.name, editions, edition),
      before,
      whole: whole(path),
      segments,
    }),
  );
  return {
    chart: {
      kind: 'stacks',
      id: 'ccw-steps',
      title: 'One I/O, step by step',
      reading: reading(measured.filter(({ edition }) => edition === current(editions))),
      x: { label: 'time until each step', scale: 'linear', unit: 'ns' },
      bars,
      key: THREADS,
    },
    table: {
      head: ['', 'step', 'thread', 'what', 'took (p50)'],
      rows: measured.flatMap(({ path, edition, segments }) =>
        segments.map(({ name, who, what, value }) => [
          rowName(path.name, editions, edition),
          name,
          who,
          what,
          quantity(value, 'ns'),
        ]),
      ),
    },
  };
}

/** The longest step of each path. */
function reading(measured: readonly { path: Path; segments: readonly Segment[] }[]): string {
  const said = measured.map(({ path, segments }) => {
    const longest = segments.reduce((a, b) => (b.value > a.value ? b : a));
    const whole = segments.reduce((sum, { value }) => sum + value, 0);
    return `${longest.name} of ${path.name} (${share(longest.value, whole)})`;
  });
  return `The longest steps: ${said.join(', ')}. The time at the right is the median of the whole; medians of its steps need not add up to it.`;
}
