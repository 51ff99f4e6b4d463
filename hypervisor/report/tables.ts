/** The page's tables: the sides of an argument next to each other, targets, changes between two documents, all figures. */
import type { Argument, FigureName } from '../bench/arguments_table.ts';
import { type Comparison, changeSize, compareFigures, fromOrToNone, machineDifferences } from '../bench/compare.ts';
import { figureKey } from '../bench/figure_key.ts';
import { type Figure, fullName, moreIsBetter, type PerOperation } from '../bench/figures.ts';
import type { DataTable } from './chart.ts';
import { current, type Edition, type Editions, spread } from './editions.ts';
import { html, type Markup } from './markup.ts';
import { digits, quantity, times } from './quantity.ts';

/** True of a cell that is aligned to the right: it begins like a number or says that there is none. */
const numeric = (cell: string) => /^[-–~]?(\d|$)/.test(cell);

/** A table that scrolls inside its frame where it is wider than the page, by keyboard too. */
export function dataTable({ head, rows }: DataTable, caption: string): Markup {
  const right = head.map((_, column) => column > 0 && rows.every((row) => numeric(row[column])));
  const cell = (text: string, column: number) => html`<td${right[column] ? html` class="n"` : ''}>${text}</td>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<caption class="unseen">${caption}</caption>
<thead><tr>${head.map((text, column) => html`<th scope="col"${right[column] ? html` class="n"` : ''}>${text}</th>`)}</tr></thead>
<tbody>${rows.map(([first, ...rest]) => html`<tr><th scope="row">${first}</th>${rest.map((text, i) => cell(text, i + 1))}</tr>\n`)}</tbody>
</table></div>`;
}

/** What an operation costs the machine, one row each; a side without the count has none of it. */
const WORK: readonly { readonly what: string; readonly of: keyof PerOperation }[] = [
  { what: 'exits', of: 'exits' },
  { what: 'hand-offs', of: 'handOffs' },
  { what: 'system calls', of: 'systemCalls' },
  { what: 'copies', of: 'copies' },
  { what: 'bytes copied', of: 'copiedBytes' },
  { what: 'pages pinned', of: 'pins' },
];

interface Quantity {
  readonly what: string;
  value(figure: Figure): number | undefined;
  show(value: number, figure: Figure): string;
  /** Whether the best is marked: of counts the smallest; never of multiples of different floors; else as the unit says. */
  readonly ranked?: 'counts' | 'never';
}

const inUnit = (value: number, { unit }: Figure) => quantity(value, unit);

const QUANTITIES: readonly Quantity[] = [
  { what: 'p50', value: ({ p50 }) => p50, show: inUnit },
  { what: 'p99', value: ({ p99 }) => p99, show: inUnit },
  {
    what: 'of the bare hand-offs',
    value: ({ ratio }) => ratio,
    show: times,
    ranked: 'never',
  },
];

/** What each operation needs, on average over a run, in which a timer may have rung too. */
const NEEDS: readonly Quantity[] = WORK.map(
  ({ what, of }): Quantity => ({
    what,
    ranked: 'counts',
    value: ({ perOperation }) => perOperation?.[of],
    show: (value) => digits(Number(value.toFixed(value < 10 ? 2 : 0))),
  }),
);

/** The figure that an earlier document has for one of the current. */
type Was = (figure: Figure) => Figure | undefined;

function before(editions: Editions): Was {
  if (editions.length === 1) return () => undefined;
  const earlier = new Map(editions[0].document.figures.map((figure) => [figureKey(figure), figure]));
  return (figure) => earlier.get(figureKey(figure));
}

/** A column: the side's figures that were measured. */
interface Column {
  readonly title: string;
  readonly main: Figure | undefined;
  readonly others: ReadonlyMap<string, Figure>;
}

function columns({ sides }: Argument, edition: Edition): Column[] {
  const named = ({ scenario, name, column }: FigureName) =>
    edition.document.figures.find((f) => f.scenario === scenario && f.name === name && f.column === column);
  return sides.map(({ title, main, others = {} }) => {
    const measured = Object.entries(others).flatMap(([label, name]) => {
      const figure = named(name);
      return figure === undefined ? [] : [[label, figure] as const];
    });
    return { title, main: named(main), others: new Map(measured) };
  });
}

/** Times and rates nearer to each other than this are level; counts are exact (bench/arguments.ts has the same). */
const LEVEL = 1.05;

/** Values of a row that none is better than; none when all are level. */
function best(values: readonly (number | undefined)[], isLess: boolean, isTimed: boolean): number[] {
  const known = values.filter((value): value is number => value !== undefined);
  const top = isLess ? Math.min(...known) : Math.max(...known);
  const level = (value: number) => value === top || (isTimed && Math.max(value, top) / Math.min(value, top) < LEVEL);
  return known.length < 2 || known.every(level) ? [] : known.filter(level);
}

const isTime = ({ unit }: Figure) => unit === 'ns' || unit === 'ms' || moreIsBetter(unit);

/** One row of figures, a cell for each side; undefined where none has the quantity. The best is marked. */
function sidesRow({ what, value, show, ranked }: Quantity, figures: readonly (Figure | undefined)[], was: Was) {
  const values = figures.map((figure) => (figure === undefined ? undefined : value(figure)));
  const known = figures.filter((figure, i): figure is Figure => figure !== undefined && values[i] !== undefined);
  if (known.length === 0) return undefined;
  const isLess = ranked === 'counts' || !known.some(({ unit }) => moreIsBetter(unit));
  const marked = ranked === 'never' ? [] : best(values, isLess, ranked !== 'counts' && known.some(isTime));
  const cells = figures.map((figure, i) => {
    const now = values[i];
    if (figure === undefined || now === undefined) return html`<td class="n">–</td>`;
    const earlier = was(figure);
    const then = earlier === undefined ? undefined : value(earlier);
    const shown = show(now, figure);
    const shownThen = then === undefined ? shown : show(then, figure);
    const text = marked.includes(now) ? html`<strong>${shown}</strong>` : shown;
    return html`<td class="n">${text}${shownThen === shown ? '' : html`<small>was ${shownThen}</small>`}</td>`;
  });
  return html`<tr><th scope="row">${what}</th>${cells}</tr>
`;
}

const BESIDE: Omit<Quantity, 'what'> = { value: ({ p50 }) => p50, show: inUnit };

/** The sides of an argument: a column each; what an operation takes, what it needs, and what else was measured. */
export function sidesTable(argument: Argument, editions: Editions): Markup | undefined {
  const was = before(editions);
  const sides = columns(argument, current(editions));
  const mains = sides.map(({ main }) => main);
  const labels = [...new Set(sides.flatMap(({ others }) => [...others.keys()]))];
  const parts: { head?: string; rows: (Markup | undefined)[] }[] = [
    { rows: QUANTITIES.map((one) => sidesRow(one, mains, was)) },
    { head: 'each operation needs', rows: NEEDS.map((one) => sidesRow(one, mains, was)) },
    {
      head: 'besides (p50)',
      rows: labels.map((what) =>
        sidesRow(
          { what, ...BESIDE },
          sides.map(({ others }) => others.get(what)),
          was,
        ),
      ),
    },
  ];
  const filled = parts.filter(({ rows }) => rows.some((row) => row !== undefined));
  if (filled.length === 0) return undefined;
  const caption = `${argument.operation[0].toUpperCase()}${argument.operation.slice(1)}`;
  const group = (head: string) =>
    html`<tr class="group"><th scope="rowgroup" colspan="${1 + sides.length}">${head}</th></tr>
`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table class="sides">
<caption>${caption}</caption>
<thead><tr><td></td>${sides.map(({ title }) => html`<th scope="col" class="n">${title}</th>`)}</tr></thead>
${filled.map(({ head, rows }) => html`<tbody>${head === undefined ? undefined : group(head)}${rows}</tbody>`)}
</table></div>`;
}

const REACHED = '✓\u00a0reached';

/** Targets, the missed ones first. */
export function targets(edition: Edition): DataTable | undefined {
  const aimed = edition.document.figures.filter(({ target }) => target !== undefined);
  if (aimed.length === 0) return undefined;
  return {
    head: ['what', '', 'p50', 'aimed at', 'scenario'],
    rows: [...aimed]
      .sort((a, b) => Number(a.reached === true) - Number(b.reached === true))
      .map((figure) => [
        fullName(figure),
        figure.reached === undefined ? '–\u00a0not judged' : figure.reached ? REACHED : '✗\u00a0missed',
        quantity(figure.p50, figure.unit),
        figure.target as string,
        figure.scenario,
      ]),
  };
}

function withSide(figure: Figure): string {
  return `${fullName(figure)}${figure.column === undefined ? '' : ` · ${figure.column}`}`;
}

/** Every figure of a document. */
export function allFigures(edition: Edition): DataTable {
  return {
    head: ['what', 'scenario', 'p50', 'p99', 'p50 of the rounds', 'operations', 'of floor'],
    rows: edition.document.figures.map((figure) => {
      const range = spread(figure);
      return [
        withSide(figure),
        figure.scenario,
        quantity(figure.p50, figure.unit),
        figure.p99 === undefined ? '–' : quantity(figure.p99, figure.unit),
        range === undefined ? '–' : `${quantity(range.low, figure.unit)} – ${quantity(range.high, figure.unit)}`,
        digits(figure.operations),
        figure.ratio === undefined ? '–' : times(figure.ratio),
      ];
    }),
  };
}

/** What changed between two documents, and how sure that is. */
export interface Changes {
  /** Sure changes, the largest first. */
  readonly table: DataTable;
  readonly compared: number;
  /** How many would be sure by chance, were nothing changed. */
  readonly byChance: number;
  /** Figures of which the rounds are too few to say anything. */
  readonly tooFew: number;
  /** In what the machines differ. */
  readonly machines: readonly string[];
}

function changeRow(one: Comparison): string[] {
  const { a, b, basis, change, low, high, confidence, verdict } = one;
  const show = (value: number) => (basis === 'differences' ? quantity(value, a.unit) : times(value));
  const counted = basis === 'counts' || low === undefined || high === undefined;
  return [
    withSide(a),
    change === undefined || fromOrToNone(one) ? `${digits(a.p50)} → ${digits(b.p50)}` : show(change),
    verdict === 'better' ? '▲\u00a0better' : '▼\u00a0worse',
    quantity(a.p50, a.unit),
    quantity(b.p50, b.unit),
    counted ? 'counted' : `${show(low)} – ${show(high)}, ${digits(Math.floor(1000 * confidence) / 10)}\u00a0%`,
    a.scenario,
  ];
}

/** Compares two documents; undefined of one. */
export function changes(editions: Editions): Changes | undefined {
  if (editions.length === 1) return undefined;
  const [{ document: a, label: first }, { document: b, label: second }] = editions;
  const { comparisons, byChance } = compareFigures(a.figures, b.figures);
  const sure = comparisons.filter(({ verdict, isFloor }) => !isFloor && (verdict === 'better' || verdict === 'worse'));
  return {
    table: {
      head: ['what', 'change', '', first, second, 'surely between', 'scenario'],
      rows: sure.sort((x, y) => changeSize(y) - changeSize(x)).map(changeRow),
    },
    compared: comparisons.length,
    byChance,
    tooFew: comparisons.filter(({ verdict }) => verdict === 'too few rounds').length,
    machines: machineDifferences(a.machine, b.machine),
  };
}
