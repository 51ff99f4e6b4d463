/** H_PUT_TCE (2010): in the VMM, in the kernel's virtual mode, or in real mode on the vCPU's own thread. */
import { TIER_NAMES } from '../../cli/report.ts';
import { ends, type GrowthRow, growthChart } from '../charts/growth.ts';
import { latencyChart } from '../charts/latency.ts';
import { tiersChart } from '../charts/tiers.ts';
import { digits, quantity, times } from '../quantity.ts';
import { named, type SectionRow } from './row.ts';
import { toneOf } from './tones.ts';

/** Slowest first: the order in which they were proposed. */
const TIERS = [TIER_NAMES[2], TIER_NAMES[1], TIER_NAMES[0]] as const;
const PUT = (tier: string) => `H_PUT_TCE, ${tier}`;
const tierOf = (name: string) => TIERS.find((tier) => name === PUT(tier));

const GROUPS: GrowthRow = {
  id: 'tce-groups',
  title: 'What each group in the container adds',
  scenario: 'groups',
  parameter: 'groups',
  x: { label: 'groups in the container', scale: 'linear' },
  y: { label: 'H_PUT_TCE in real mode', scale: 'linear', unit: 'ns' },
  line: () => ({ name: 'real mode', tone: toneOf('kernel, real mode') }),
  reading([line]) {
    const { first, last } = ends(line);
    const each = (last[1] - first[1]) / (last[0] - first[0]);
    return `Every entry that changes is killed in each PE: a further group costs ${quantity(each, 'ns')}, and ${digits(last[0])} groups take ${times(last[1] / first[1])} the time of ${digits(first[0])}.`;
  },
};

const FRAMES: GrowthRow = {
  id: 'tce-net',
  title: 'What a NIC’s driver gets through',
  scenario: 'net',
  parameter: 'frameBytes',
  x: { label: 'bytes of a frame', scale: 'log' },
  y: { label: 'throughput', scale: 'log', unit: 'MB/s' },
  line({ parameters }) {
    const mode = parameters?.mode;
    return mode === undefined ? undefined : { name: `${mode}`, tone: toneOf(`${mode}`) };
  },
  reading(lines) {
    const at = (name: string) => lines.find((line) => line.name === name);
    const [exit, real] = [at(TIERS[0]), at(TIERS[2])];
    if (exit === undefined || real === undefined)
      return 'Each packet is mapped before it is sent and unmapped afterwards.';
    const gains = exit.points.map(
      ([x, y], i) => `${times(real.points[i][1] / y)} as much in frames of ${digits(x)}\u00a0bytes`,
    );
    return `Against the exit path, real mode moves ${gains.join(', ')}, each packet mapped and unmapped. Published, on hardware, for moving the calls into the kernel: 3.4× to 4.6×.`;
  },
};

const WIRE: GrowthRow = {
  id: 'tce-wire',
  title: 'Two guests on one wire',
  scenario: 'wire',
  parameter: 'frameBytes',
  x: { label: 'bytes of a frame', scale: 'log' },
  y: { label: 'throughput of both directions', scale: 'log', unit: 'MB/s' },
  line({ parameters, column }) {
    const mode = parameters?.mode;
    return mode === undefined || column !== undefined ? undefined : { name: `${mode}`, tone: toneOf(`${mode}`) };
  },
  reading(lines) {
    const at = (name: string) => lines.find((line) => line.name === name);
    const [exit, window] = [at(TIERS[0]), at('big window')];
    const both = 'Each guest sends and receives at once, in a virtual machine of its own';
    if (exit === undefined || window === undefined) return `${both}.`;
    const gains = exit.points.flatMap(([x, y]) =>
      window.points
        .filter(([size]) => size === x)
        .map(([, rate]) => `${times(rate / y)} as much in frames of ${digits(x)}\u00a0bytes`),
    );
    return `${both}. Against the exit path, one big window, where no frame needs a call, moves ${gains.join(', ')}.`;
  },
};

const HCALLS: GrowthRow = {
  id: 'tce-entries',
  title: 'Many entries in one call',
  scenario: 'hcalls',
  parameter: 'entries',
  x: { label: 'TCEs that one call changes', scale: 'log' },
  y: { label: 'a call takes', scale: 'log', unit: 'ns' },
  line({ parameters, unit, name }) {
    const { hcall, tier } = parameters ?? {};
    const puts = hcall === 'H_PUT_TCE' || hcall === 'H_PUT_TCE_INDIRECT';
    return unit !== 'ns' || !puts || name.startsWith(' ') ? undefined : { name: `${tier}`, tone: toneOf(`${tier}`) };
  },
  reading(lines) {
    const said = lines.map((line) => {
      const { last } = ends(line);
      return `${quantity(last[1] / last[0], 'ns')} (${line.name})`;
    });
    return `H_PUT_TCE sets one entry, H_PUT_TCE_INDIRECT up to 512, each for ${said.join(', ')}.`;
  },
};

export const TCE_SECTION: SectionRow = {
  id: 'h-put-tce',
  argument: 'H_PUT_TCE (2010)',
  year: 2010,
  question: 'Who should answer H_PUT_TCE?',
  measured:
    'A guest maps a page for DMA with one H_PUT_TCE after the other, on a window of each kind. The exit path ends in a VFIO ioctl of the VMM; virtual mode hands the call to the kernel’s thread; real mode finishes it on the vCPU’s own.',
  scenarios: ['tce', 'hcalls', 'groups', 'net', 'wire'],
  answer(edition) {
    const [exit, virtual, real] = TIERS.map((tier) => named(edition, 'tce', PUT(tier))?.p50);
    if (exit === undefined || virtual === undefined || real === undefined) return undefined;
    const best = Math.min(exit, virtual, real);
    const name = best === real ? 'Real mode' : best === virtual ? 'Virtual mode' : 'The VMM';
    const others = [
      ['an exit to the VMM', exit],
      ['virtual mode', virtual],
      ['real mode', real],
    ] as const;
    const said = others
      .filter(([, p50]) => p50 !== best)
      .map(([other, p50]) => `${other} takes ${times(p50 / best)} as long`);
    return `${name} answers in ${quantity(best, 'ns')}; ${said.join(', ')}.`;
  },
  charts: (editions) => [
    tiersChart(editions, {
      id: 'tce-parts',
      title: 'What the median is made of',
      scenario: 'tce',
      bar: ({ name }) => tierOf(name),
    }),
    latencyChart(editions, {
      id: 'tce-latency',
      title: 'How bad the slow calls are',
      scenario: 'tce',
      sides: TIERS.map((tier) => ({ name: tier, tone: toneOf(tier), is: ({ name }) => name === PUT(tier) })),
    }),
    growthChart(editions, HCALLS),
    growthChart(editions, GROUPS),
    growthChart(editions, FRAMES),
    growthChart(editions, WIRE),
  ],
};
