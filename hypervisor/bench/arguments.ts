/**
 * The closing table of `minivisor bench`: one block for each argument that was measured, its sides next to each other, what
 * each of them takes and needs, and in words what follows from these numbers.
 */
import { table } from '../cli/table.ts';
import { ARGUMENTS, type Argument, type FigureName, type Side } from './arguments_table.ts';
import { type Figure, moreIsBetter, type PerOperation, showNs } from './figures.ts';

/** Times nearer to each other than this factor are level, however often they were measured. */
const LEVEL = 1.05;
/** Behind the best value of a row. */
const BEST = ' *';

/**
 * What is counted for an operation, how one says so, and the most nanoseconds that one of it takes on two CPUs (`bench tce`,
 * `bench ccw-translate`): a futex wake-up for a hand-off.
 */
const WORK: readonly {
  readonly key: keyof PerOperation;
  readonly label: string;
  readonly one: string;
  readonly many: string;
  readonly most: number;
}[] = [
  { key: 'exits', label: 'exits to the VMM', one: 'exit', many: 'exits', most: 10_000 },
  { key: 'handOffs', label: 'hand-offs between threads', one: 'hand-off', many: 'hand-offs', most: 10_000 },
  { key: 'systemCalls', label: 'system calls', one: 'system call', many: 'system calls', most: 2000 },
  { key: 'copies', label: 'copies, user memory and kernel', one: 'copy', many: 'copies', most: 500 },
  { key: 'copiedBytes', label: 'bytes copied', one: 'byte copied', many: 'bytes copied', most: 0.5 },
  { key: 'pins', label: 'pages pinned', one: 'page pinned', many: 'pages pinned', most: 1000 },
];
/** What takes less than this share of the time between two sides is not why one of them is faster. */
const TOO_LITTLE = 0.05;

/** One quantity of all sides. */
interface Row {
  readonly label: string;
  /** One for each side; undefined: not measured. */
  readonly values: readonly (number | undefined)[];
  readonly show: (value: number) => string;
  /** True of rates. */
  readonly more?: boolean;
  /** Values that are {@link level} are equal: what was counted is exact, what was timed is not. */
  readonly timed: boolean;
  /** Figures whose p50s the values are: their rounds tell how exact they are. */
  readonly figures?: readonly (Figure | undefined)[];
}

/** A side and its figures. */
interface Measured {
  readonly side: Side;
  readonly main: Figure | undefined;
  readonly work: PerOperation | undefined;
  readonly others: Readonly<Record<string, Figure | undefined>>;
}

/** Every block of which at least one side was measured; empty when there is none. */
export function argumentsText(figures: readonly Figure[]): string {
  const blocks = ARGUMENTS.map((argument) => ({ argument, sides: argument.sides.map((side) => find(side, figures)) }));
  const there = blocks.filter(({ sides }) => sides.some(isMeasured));
  if (there.length === 0) return '';
  const absent = blocks.filter((block) => !there.includes(block));
  const rest = absent.map(({ argument }) => `  ${argument.title}: not measured; ${command([argument.sides[0].main])}`);
  return [
    'The arguments; * marks the best of a row:\n',
    ...there.map(({ argument, sides }) => block(argument, sides)),
    ...(rest.length === 0 ? [] : [`${rest.join('\n')}\n`]),
  ].join('\n');
}

function find(side: Side, figures: readonly Figure[]): Measured {
  const named = ({ scenario, name, column }: FigureName) =>
    figures.find((f) => f.scenario === scenario && f.name === name && f.column === column);
  const main = named(side.main);
  const others = Object.fromEntries(Object.entries(side.others ?? {}).map(([label, name]) => [label, named(name)]));
  return { side, main, work: main?.perOperation, others };
}

function isMeasured({ main, others }: Measured): boolean {
  return main !== undefined || Object.values(others).some((figure) => figure !== undefined);
}

function block(argument: Argument, sides: readonly Measured[]): string {
  const { title, operation } = argument;
  const main = mainRows(sides);
  const work = workRows(sides);
  const others = otherRows(sides);
  const rows = [...main, ...work, ...others].map((row) => {
    const best = bestOf(row);
    return [row.label, ...row.values.map((value, i) => cell(row, value, best.includes(i)))];
  });
  const titles = sides.map(({ side }) => side.title);
  const words = [
    ...mainSentences(argument, sides, work, others),
    ...others.flatMap((row) => otherSentence(row, titles)),
    ...hints(sides),
  ];
  // The mark is to the right of the number, and the numbers of a column are below each other.
  const head = ['', ...titles.map((name) => `${name}${' '.repeat(BEST.length)}`)];
  const lines = (sentences: readonly string[]) => sentences.flatMap(wrap).map((line) => `${line}\n`);
  return [`${title}\n`, ...lines([operation]), table(head, rows, `<${'>'.repeat(sides.length)}`), ...lines(words)].join(
    '',
  );
}

function cell({ show }: Row, value: number | undefined, best: boolean): string {
  return `${value === undefined ? '-' : show(value)}${best ? BEST : ' '.repeat(BEST.length)}`;
}

function mainRows(sides: readonly Measured[]): Row[] {
  const row = (label: string, of: (figure: Figure) => number | undefined): Row => ({
    label,
    values: sides.map(({ main }) => (main === undefined ? undefined : of(main))),
    show: showNs,
    timed: true,
  });
  const p50 = { ...row('p50', (figure) => figure.p50), figures: sides.map(({ main }) => main) };
  return [p50, row('p99', ({ p99 }) => p99)].filter(hasValue);
}

function workRows(sides: readonly Measured[]): (Row & { readonly key: keyof PerOperation })[] {
  return WORK.map(({ key, label }) => ({
    key,
    label,
    values: sides.map(({ work }) => work?.[key]),
    show: showCount,
    timed: false,
  })).filter(hasValue);
}

function otherRows(sides: readonly Measured[]): Row[] {
  const labels = new Set(sides.flatMap(({ others }) => Object.keys(others)));
  return [...labels]
    .map((label): Row => {
      const figures = sides.map(({ others }) => others[label]);
      const unit = figures.find((figure) => figure !== undefined)?.unit ?? 'ns';
      return {
        label,
        values: figures.map((figure) => figure?.p50),
        show: unit === 'ns' ? showNs : (value) => `${showCount(value)}${unit === 'bytes' ? ' bytes' : ''}`,
        more: moreIsBetter(unit),
        timed: unit === 'ns' || moreIsBetter(unit),
        figures,
      };
    })
    .filter(hasValue);
}

const hasValue = ({ values }: Row) => values.some((value) => value !== undefined);

/** A count: whole where it is, else with as many places as it takes to see that it is not nothing. */
function showCount(value: number): string {
  const whole = Math.round(value);
  if (Math.abs(value - whole) < 0.005) return `${whole}`;
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value < 1 ? 2 : 1);
}

/** Sides of a row that none is better than; nobody when all that were measured are level. */
function bestOf({ values, more, timed, show, figures }: Row): number[] {
  const present = values.filter((value) => value !== undefined);
  const best = more === true ? Math.max(...present) : Math.min(...present);
  const at = values.indexOf(best);
  const isBest = (value: number | undefined, i: number) => {
    if (value === undefined || !timed) return value !== undefined && show(value) === show(best);
    return level(value, best, figures?.[i], figures?.[at]);
  };
  const winners = values.flatMap((value, i) => (isBest(value, i) ? [i] : []));
  return winners.length === present.length ? [] : winners;
}

/** Too near to each other to tell which is less: by a few percent, or by what their rounds differ among themselves. */
function level(a: number, b: number, one?: Figure, other?: Figure): boolean {
  if (factor(a, b) < LEVEL) return true;
  if (one === undefined || other === undefined) return false;
  const range = ({ rounds = [] }: Figure) => (rounds.length < 2 ? undefined : rounds.map(({ p50 }) => p50));
  const [mine, theirs] = [range(one), range(other)];
  if (mine === undefined || theirs === undefined) return false;
  return Math.min(...mine) <= Math.max(...theirs) && Math.min(...theirs) <= Math.max(...mine);
}

/** How many times the larger is the smaller. */
function factor(a: number, b: number): number {
  return a === b ? 1 : Math.max(a, b) / Math.min(a, b);
}
const times = (ratio: number) => `${ratio.toFixed(ratio < 10 ? 1 : 0)}x`;

/** The fastest side against each of the others, the slowest first: how much faster, and what it needs less of. */
function mainSentences(
  { outside = [], because = [] }: Argument,
  sides: readonly Measured[],
  work: ReturnType<typeof workRows>,
  others: readonly Row[],
): string[] {
  const ranked = sides
    .flatMap(({ main, side }, i) => (main === undefined ? [] : [{ i, title: side.title, main }]))
    .sort((a, b) => a.main.p50 - b.main.p50);
  const [first, ...slower] = ranked;
  if (first === undefined) return [];
  return slower.reverse().map(({ i, title, main }) => {
    const ratio = factor(main.p50, first.main.p50);
    const counted = work.filter(({ key }) => !outside.includes(key));
    const { less, more } = needs(counted, first.i, i);
    if (level(main.p50, first.main.p50, main, first.main)) {
      const needed = [...less, ...more].map(({ phrase }) => phrase);
      return `${first.title} and ${title} take the same time, as exactly as it was measured${needed.length === 0 ? '' : `: ${first.title} with ${list(needed)}`}.`;
    }
    const though = more.length === 0 ? '' : `, though ${list(more.map(({ phrase }) => phrase))}`;
    const enough = ({ most }: Need) => most >= TOO_LITTLE * (main.p50 - first.main.p50);
    const reasons = [
      ...less.filter(enough).map(({ phrase }) => phrase),
      ...others.filter(({ label }) => because.includes(label)).flatMap((row) => smaller(row, first.i, i)),
    ];
    const faster = `${first.title} is ${times(ratio)} faster than ${title}`;
    if (reasons.length > 0) return `${faster}: ${list(reasons)}${though}.`;
    const little = less.length === 0 ? '' : `; ${list(less.map(({ phrase }) => phrase))} would not do it`;
    return `${faster}, which nothing that is counted here explains${little}${though}.`;
  });
}

/** A quantity of which one side has less than the other, in words. */
function smaller({ label, values, show }: Row, side: number, other: number): string[] {
  const [mine, theirs] = [values[side], values[other]];
  if (mine === undefined || theirs === undefined || !(mine < theirs)) return [];
  return [`${label}: ${show(mine)} instead of ${show(theirs)}`];
}

/** Something that one side needs less or more of, in words, and the most nanoseconds that the difference takes. */
interface Need {
  readonly phrase: string;
  readonly most: number;
}

const NO_COPY = 'no copy';

/** What one side needs less and more of than another, in words. */
function needs(rows: ReturnType<typeof workRows>, side: number, other: number) {
  const less: Need[] = [];
  const more: Need[] = [];
  for (const { key, values, show } of rows) {
    const [mine, theirs] = [values[side], values[other]];
    if (mine === undefined || theirs === undefined || show(mine) === show(theirs)) continue;
    // No copy has no bytes.
    if (key === 'copiedBytes' && less.some(({ phrase }) => phrase === NO_COPY)) continue;
    const { one, many, most } = WORK.find((row) => row.key === key) as (typeof WORK)[number];
    const noun = show(mine) === '1' ? one : many;
    const phrase = show(mine) === '0' ? `no ${one}` : `${show(mine)} ${noun} instead of ${show(theirs)}`;
    (mine < theirs ? less : more).push({ phrase, most: Math.abs(mine - theirs) * most });
  }
  return { less, more };
}

/** Of another row: the best side against the worst of those that are not as good; nothing when they are level or one is alone. */
function otherSentence(row: Row, titles: readonly string[]): string[] {
  const winners = bestOf(row);
  const [best] = winners;
  if (best === undefined) return [];
  const losers = row.values.flatMap((value, i) =>
    value === undefined || winners.includes(i) ? [] : [{ value, title: titles[i] }],
  );
  losers.sort((a, b) => (row.more === true ? a.value - b.value : b.value - a.value));
  const [worst] = losers;
  const ratio = factor(worst.value, row.values[best] as number);
  const measure = row.more === true ? 'as many as' : row.timed ? 'faster than' : 'less than';
  const than = Number.isFinite(ratio) ? `${times(ratio)} ${measure}` : 'none, unlike';
  return [`${row.label}: ${titles[best]}, ${than} ${worst.title}.`];
}

/** What was not measured, and how to. */
function hints(sides: readonly Measured[]): string[] {
  const missing = sides
    .filter((side) => !isMeasured(side))
    .map(({ side }) => `${side.title} was not measured; ${command([side.main])}.`);
  const more = sides
    .filter(isMeasured)
    .flatMap(({ side, main, others }) => [
      ...(main === undefined ? [side.main] : []),
      ...Object.entries(side.others ?? {}).flatMap(([label, name]) => (others[label] === undefined ? [name] : [])),
    ]);
  return more.length === 0 ? missing : [...missing, `Not all of it was measured; ${command(more)}.`];
}

function command(names: readonly FigureName[]): string {
  return `minivisor bench ${[...new Set(names.map(({ scenario }) => scenario))].join(' ')}`;
}

function list(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items[items.length - 1]}`;
}

/** Lines of at most 100 columns, the first indented by two. */
function wrap(sentence: string): string[] {
  const lines: string[] = [];
  let line = ' ';
  for (const word of sentence.split(' ')) {
    if (line.length + 1 + word.length > 100) {
      lines.push(line);
      line = '   ';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
