/** Channel I/O pass-through (2016): the blocking CMD_REQUEST, or the asynchronous I/O region as merged. */
import type { Figure } from '../../bench/figures.ts';
import { ends, extreme, type GrowthRow, growthChart } from '../charts/growth.ts';
import { latencyChart } from '../charts/latency.ts';
import { stepsChart } from '../charts/steps.ts';
import { digits, quantity, times } from '../quantity.ts';
import { named, type SectionRow } from './row.ts';
import { toneOf } from './tones.ts';

/** As `--ccw-api` calls them, and what the lists did. */
const APIS = [
  ['cmd-request', 'CMD_REQUEST, blocking'],
  ['region', 'I/O region, asynchronous'],
] as const;
const WHOLE = (api: string, what: string) => `${api}, ${what}: SSCH, interruption, TSCH`;

/** Figures of `ccw-api` by devices. */
function deviceLine({ unit, parameters }: Figure, wanted: Figure['unit']): { name: string; tone: number } | undefined {
  const { api, devices } = parameters ?? {};
  if (unit !== wanted || api === undefined) return undefined;
  // One device and four of a design are neighbours in colour, not the same.
  const tone = toneOf(`${api}`) + (devices === 1 ? 0 : 2);
  return { name: deviceName(`${api}`, Number(devices)), tone };
}

const deviceName = (api: string, devices: number) => `${api}, ${devices} device${devices === 1 ? '' : 's'}`;

const RATE: GrowthRow = {
  id: 'ccw-rate',
  title: 'Reads a second, from one device and from four',
  scenario: 'ccw-api',
  parameter: 'deviceUs',
  x: { label: 'µs that the device takes', scale: 'linear' },
  y: { label: '4K reads a second', scale: 'log', unit: 'I/O/s' },
  line: (figure) => deviceLine(figure, 'I/O/s'),
  reading(lines) {
    const said = APIS.flatMap(([api]) => {
      const one = lines.find((line) => line.name === deviceName(api, 1));
      const more = lines.find((line) => line !== one && line.name.startsWith(`${api},`));
      return one === undefined || more === undefined
        ? []
        : [{ api, us: ends(one).last[0], ratio: ends(more).last[1] / ends(one).last[1] }];
    });
    if (said.length === 0) return 'One read at a time from each device.';
    const gains = said.map(({ api, ratio }) => `${times(ratio)} by ${api}`);
    return `With devices of ${quantity(1000 * said[0].us, 'ns')}, four give, of the reads of one, ${gains.join(', ')}.`;
  },
};

const WAIT: GrowthRow = {
  id: 'ccw-wait',
  title: 'What one read waits',
  scenario: 'ccw-api',
  parameter: 'deviceUs',
  x: { label: 'µs that the device takes', scale: 'linear' },
  y: { label: 'SSCH to TSCH', scale: 'log', unit: 'ns' },
  line: (figure) => (figure.name.startsWith('floor') ? undefined : deviceLine(figure, 'ns')),
  reading(lines) {
    const [best, worst] = [extreme(lines, 'lowest'), extreme(lines, 'highest')];
    return `At the right end ${best.name} waits ${quantity(ends(best).last[1], 'ns')}, ${worst.name} ${quantity(ends(worst).last[1], 'ns')}.`;
  },
};

const SHAPE_TONES: Readonly<Record<string, number>> = { NOP: 5, direct: 0, 'IDAL of 1': 2, 'IDAL of 2': 3 };

const LENGTH: GrowthRow = {
  id: 'ccw-length',
  title: 'Translation against the length of the program',
  scenario: 'ccw-translate',
  parameter: 'ccws',
  x: { label: 'CCWs in the program', scale: 'log' },
  y: { label: 'copy, translate, pin, free', scale: 'log', unit: 'ns' },
  line({ parameters, name }) {
    const { shape, part } = parameters ?? {};
    // `for each CCW` is the total again, divided.
    if (part !== 'total' || name.startsWith(' ')) return undefined;
    return { name: `${shape}`, tone: SHAPE_TONES[`${shape}`] ?? 4 };
  },
  reading(lines) {
    const [least, most] = [extreme(lines, 'lowest'), extreme(lines, 'highest')];
    const each = (line: typeof least) => quantity(ends(line).last[1] / ends(line).last[0], 'ns');
    return `In programs of ${digits(ends(most).last[0])} CCWs one costs ${each(least)} (${least.name}) to ${each(most)} (${most.name}).`;
  },
};

export const CCW_SECTION: SectionRow = {
  id: 'channel-io',
  argument: 'channel I/O pass-through (2016)',
  year: 2016,
  question: 'How should a channel program get to the device?',
  measured:
    'A guest starts a no-operation or a 4K read and waits for its interruption. The merged vfio-ccw takes the ORB through an I/O region, translates the program once and answers at once; the proposal before it had the VMM translate it, translated it again, and blocked in an ioctl until the device was done.',
  scenarios: ['ccw', 'ccw-api', 'ccw-translate'],
  answer(edition) {
    const [blocking, merged] = APIS.map(([api]) => named(edition, 'ccw', WHOLE(api, '4K read'))?.p50);
    if (blocking === undefined || merged === undefined) return undefined;
    const one = `A 4K read takes ${quantity(merged, 'ns')} through the I/O region, ${quantity(blocking, 'ns')} by CMD_REQUEST`;
    const [region, request] = ['region', 'cmd-request'].map(
      (api) =>
        edition.document.figures
          .filter(
            ({ scenario, unit, parameters }) => scenario === 'ccw-api' && unit === 'I/O/s' && parameters?.api === api,
          )
          .sort((a, b) => rank(b) - rank(a))[0],
    );
    if (region === undefined || request === undefined) return `${one}.`;
    return `${one}; ${region.parameters?.devices} devices of ${quantity(1000 * Number(region.parameters?.deviceUs), 'ns')} give ${times(region.p50 / request.p50)} the reads a second.`;
  },
  charts: (editions) => [
    stepsChart(editions),
    latencyChart(editions, {
      id: 'ccw-latency',
      title: 'A 4K read, SSCH to TSCH',
      scenario: 'ccw',
      sides: APIS.map(([api]) => ({ name: api, tone: toneOf(api), is: ({ name }) => name === WHOLE(api, '4K read') })),
    }),
    growthChart(editions, RATE),
    growthChart(editions, WAIT),
    growthChart(editions, LENGTH),
  ],
};

/** Most devices first, of those the slowest. */
function rank({ parameters }: Figure): number {
  return Number(parameters?.devices) * 1e9 + Number(parameters?.deviceUs);
}
