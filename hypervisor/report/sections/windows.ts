/** Windowed IOMMUs (2013): type1's arbitrary pages, or PAMU's geometry and windows. */
import { ARGUMENTS } from '../../bench/arguments_table.ts';
import type { Figure } from '../../bench/figures.ts';
import { ends, extreme, type GrowthRow, growthChart } from '../charts/growth.ts';
import { ofScenario } from '../editions.ts';
import { quantity, times } from '../quantity.ts';
import type { SectionRow } from './row.ts';
import { toneOf } from './tones.ts';

const SIDES = ['type1 4K', 'type1 2M', 'PAMU'] as const;

/** The figures that say `what` of each size of RAM. */
const sideOf = (what: string) => (figure: Figure) =>
  figure.parameters?.what === what && figure.column !== undefined
    ? { name: figure.column, tone: toneOf(figure.column) }
    : undefined;

function against(lines: Parameters<GrowthRow['reading']>[0], unit: Figure['unit'], what: string): string {
  const [least, most] = [extreme(lines, 'lowest'), extreme(lines, 'highest')];
  const [low, high] = [ends(least).last, ends(most).last];
  return `With ${quantity(low[0], 'bytes')} of RAM ${least.name} ${what} ${quantity(low[1], unit)}, ${most.name} ${quantity(high[1], unit)}: ${times(high[1] / low[1])}.`;
}

const ram = { label: 'RAM of the guest', scale: 'log', unit: 'bytes' } as const;

const SET_UP: GrowthRow = {
  id: 'windows-set-up',
  title: 'Mapping all of a guest’s RAM',
  scenario: 'pamu',
  parameter: 'ram',
  x: ram,
  y: { label: 'set-up takes', scale: 'log', unit: 'ns' },
  line: sideOf('set-up'),
  reading: (lines) => against(lines, 'ns', 'is set up in'),
};

const TABLES: GrowthRow = {
  id: 'windows-tables',
  title: 'Memory for tables',
  scenario: 'pamu',
  parameter: 'ram',
  x: ram,
  y: { label: 'tables of the container', scale: 'log', unit: 'bytes' },
  line: sideOf('tables of the container'),
  reading: (lines) => against(lines, 'bytes', 'has tables of'),
};

const ACCESS: GrowthRow = {
  id: 'windows-access',
  title: 'Translating one access of a device',
  scenario: 'pamu',
  parameter: 'ram',
  x: ram,
  y: { label: 'an access, in this model', scale: 'linear', unit: 'ns' },
  line: sideOf('translation of an access, in this model'),
  reading: (lines) => against(lines, 'ns', 'translates an access in'),
};

/** The side's set-up with as much RAM as in the table of the argument. */
function setUp(figures: readonly Figure[], side: string): Figure | undefined {
  const main = ARGUMENTS.flatMap(({ sides }) => sides).find(
    ({ main }) => main.scenario === 'pamu' && main.column === side,
  );
  return figures.find(({ name, column }) => column === side && name === main?.main.name);
}

export const WINDOWS_SECTION: SectionRow = {
  id: 'windows',
  argument: 'windowed IOMMUs (2013)',
  year: 2013,
  question: 'Does a windowed IOMMU need an interface of its own?',
  measured:
    'The same RAM and three MSI banks are mapped for a device behind type1, in scattered 4K pages and in 2M pages, and behind PAMUs, whose few windows want the geometry first.',
  scenarios: ['pamu'],
  answer(edition) {
    const [small, large, pamu] = SIDES.map((side) => setUp(ofScenario(edition, 'pamu'), side));
    if (small === undefined || large === undefined || pamu === undefined) return undefined;
    return `${quantity(Number(pamu.parameters?.ram), 'bytes')} of RAM are set up in ${quantity(pamu.p50, 'ns')} behind PAMUs, ${quantity(large.p50, 'ns')} by type1 with 2M pages, ${quantity(small.p50, 'ns')} with 4K pages.`;
  },
  charts: (editions) => [growthChart(editions, SET_UP), growthChart(editions, TABLES), growthChart(editions, ACCESS)],
};
