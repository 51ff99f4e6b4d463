/** What a LIOBN binds to (2016): a group's attribute on the kvm-vfio device, or a container by an ioctl of the VM. */
import type { Figure } from '../../bench/figures.ts';
import type { Line } from '../chart.ts';
import { ends, extreme, type GrowthRow, growthChart } from '../charts/growth.ts';
import { type Edition, ofScenario } from '../editions.ts';
import { digits, quantity, times } from '../quantity.ts';
import type { SectionRow } from './row.ts';
import { toneOf } from './tones.ts';

const SCENARIO = 'bind';
/** As `--tce-bind` calls them. */
const SIDES = ['group', 'group-liobn', 'container'] as const;

/** The line of the figures that say `what` of each number of groups. */
const lineOf =
  (what: string): GrowthRow['line'] =>
  ({ name, column }) =>
    column === undefined || !name.endsWith(`: ${what}`) ? undefined : { name: column, tone: toneOf(column) };

const groups = { label: 'groups in the container', scale: 'linear' } as const;

function compare(lines: readonly Line[], unit: Figure['unit'], what: string): string {
  const [least, most] = [extreme(lines, 'lowest'), extreme(lines, 'highest')];
  const [low, high] = [ends(least).last, ends(most).last];
  if (low[1] === high[1]) return `With ${digits(low[0])} groups ${what} ${quantity(low[1], unit)} on every side.`;
  return `With ${digits(low[0])} groups ${what} ${quantity(low[1], unit)} (${least.name}) to ${quantity(high[1], unit)} (${most.name}).`;
}

const BIND: GrowthRow = {
  id: 'liobn-bind',
  title: 'Binding one LIOBN',
  scenario: SCENARIO,
  parameter: 'groups',
  x: groups,
  y: { label: 'the kernel takes', scale: 'linear', unit: 'ns' },
  line: lineOf('bind'),
  reading: (lines) => compare(lines, 'ns', 'binding takes'),
};

const IOCTLS: GrowthRow = {
  id: 'liobn-ioctls',
  title: 'System calls for it',
  scenario: SCENARIO,
  parameter: 'groups',
  x: groups,
  y: { label: 'ioctls to bind', scale: 'linear' },
  line: lineOf('bind, ioctls'),
  reading: (lines) => compare(lines, 'ioctls', 'binding needs'),
};

const PUT: GrowthRow = {
  id: 'liobn-put',
  title: 'What an H_PUT_TCE costs afterwards',
  scenario: SCENARIO,
  parameter: 'groups',
  x: groups,
  y: { label: 'a call in real mode', scale: 'linear', unit: 'ns' },
  line: lineOf('H_PUT_TCE, real mode'),
  reading: (lines) => compare(lines, 'ns', 'a call takes'),
};

/** The side's binding of the most groups. */
function largest(edition: Edition, side: string): Figure | undefined {
  return ofScenario(edition, SCENARIO)
    .filter(({ name, column }) => column === side && name.endsWith(': bind'))
    .sort((a, b) => Number(b.parameters?.groups) - Number(a.parameters?.groups))[0];
}

export const LIOBN_SECTION: SectionRow = {
  id: 'liobn',
  argument: 'what a LIOBN binds to (2016)',
  year: 2016,
  question: 'What should a LIOBN be bound to?',
  measured:
    'One LIOBN is bound to a container of 1 to 16 groups and unbound again: group by group as merged (group), with the LIOBN in each group’s attribute (group-liobn), or once for the whole container (container). Then the guest uses it.',
  scenarios: [SCENARIO],
  answer(edition) {
    const measured = SIDES.flatMap((side) => {
      const figure = largest(edition, side);
      return figure === undefined ? [] : [{ side, figure }];
    }).sort((a, b) => a.figure.p50 - b.figure.p50);
    if (measured.length < 2) return undefined;
    const [best, ...others] = measured;
    const said = others.map(({ side, figure }) => `${side} takes ${times(figure.p50 / best.figure.p50)} as long`);
    return `${digits(Number(best.figure.parameters?.groups))} groups are bound quickest by ${best.side}, in ${quantity(best.figure.p50, 'ns')}; ${said.join(', ')}.`;
  },
  charts: (editions) => [growthChart(editions, BIND), growthChart(editions, IOCTLS), growthChart(editions, PUT)],
};
