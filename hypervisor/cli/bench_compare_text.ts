/** A comparison of two runs in words and tables: what surely changed first, the rest short. */
import { type BenchComparison, CONFIDENCE, type Comparison, changeSize, fromOrToNone } from '../bench/compare.ts';
import type { BenchDocument } from '../bench/document.ts';
import { type Figure, fullName, moreIsBetter } from '../bench/figures.ts';
import { showMachine } from '../bench/machine.ts';
import { bestConfidence, roundsNeeded } from '../bench/mann_whitney.ts';
import { showValue } from './bench_table.ts';
import { table } from './table.ts';

/** A run that is compared. */
export interface Side {
  readonly file: string;
  readonly document: BenchDocument;
}

/** `5 %`, `97.1 %`; of what is nearly all never all: `99.9 %`. */
export function percent(share: number): string {
  const text = (Math.floor(share * 1000 + 1e-6) / 10).toFixed(1).replace(/\.0$/, '');
  return `${text} %`;
}

/** `tce: H_PUT_TCE, kernel, real mode`, with its side. */
export function nameOf(figure: Figure): string {
  return `${figure.scenario}: ${withSide(figure)}`;
}

function withSide(figure: Figure): string {
  return `${fullName(figure)}${figure.column === undefined ? '' : `, ${figure.column}`}`;
}

/** Words for better and worse, by unit. */
function verdictWord({ verdict, a: { unit } }: Comparison): string {
  if (verdict !== 'better' && verdict !== 'worse') return verdict;
  if (unit === 'ns' || unit === 'ms' || moreIsBetter(unit)) return verdict === 'better' ? 'faster' : 'slower';
  return verdict === 'better' ? 'less' : 'more';
}

function showChange(one: Comparison, value: number | undefined): string {
  const { basis, a, b } = one;
  if (value === undefined || fromOrToNone(one)) return `${number(a.p50)} to ${number(b.p50)}`;
  if (basis === 'differences') return `${value < 0 ? '' : '+'}${showValue(a.unit, value)}`;
  return `${value.toFixed(2)}x`;
}
/** A count without its unit. */
const number = (value: number): string => `${Number(value.toPrecision(6))}`;

/** A p50, and what it is of its floor where that is compared. */
function showSide({ basis }: Comparison, { unit, p50, rounds = [] }: Figure): string {
  const value = showValue(unit, p50);
  if (basis !== 'floors') return value;
  const of = rounds.map(({ p50: one, floor }) => one / (floor as number)).sort((x, y) => x - y)[rounds.length >> 1];
  return `${value} (${of.toFixed(2)} floors)`;
}

function showSure(one: Comparison): string {
  const { basis, low, high, confidence } = one;
  if (basis === 'counts') return 'counted';
  if (low === undefined || high === undefined) return `${percent(confidence)} at best`;
  return `${percent(confidence)} sure between ${showChange(one, low)} and ${showChange(one, high)}`;
}

function rowsOf(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map((one) => [
    one.a.scenario,
    `${one.a.name.startsWith(' ') ? '  ' : ''}${withSide(one.a)}`,
    showSide(one, one.a),
    showSide(one, one.b),
    showChange(one, one.change),
    showSure(one),
    `${verdictWord(one)}${one.sureAmongAll ? ' *' : ''}`,
  ]);
  return table(['scenario', 'what', 'A', 'B', 'B / A', 'how sure', ''], rows, '<<>>><<');
}

/** One line for each scenario: how many, and between which changes. */
function byScenario(comparisons: readonly Comparison[]): string {
  const scenarios = [...new Set(comparisons.map(({ a }) => a.scenario))];
  return scenarios
    .map((scenario) => {
      const those = comparisons.filter(({ a }) => a.scenario === scenario);
      const changes = those.flatMap(({ basis, change = [] }) => (basis === 'differences' ? [] : change));
      const between =
        changes.length === 0 ? '' : `, ${Math.min(...changes).toFixed(2)}x to ${Math.max(...changes).toFixed(2)}x`;
      return `  ${scenario}: ${those.length}${between}\n`;
    })
    .join('');
}

/** `3 rounds can say nothing at 95 %; 4 each can`. */
function tooFew(comparisons: readonly Comparison[]): string {
  const counts = comparisons.map(({ a, b }) => [a.rounds?.length ?? 0, b.rounds?.length ?? 0] as const);
  const [m, n] = [...counts].sort((x, y) => bestConfidence(...x) - bestConfidence(...y))[0];
  const rounds = `${m} round${m === 1 ? '' : 's'} ${m === n ? 'each' : `against ${n}`}`;
  const needed = roundsNeeded(CONFIDENCE);
  const best = percent(bestConfidence(m, n));
  return `${rounds} can say nothing at ${percent(CONFIDENCE)} (${best} at best); ${needed} each can: minivisor bench --rounds ${needed}`;
}

function only(name: string, figures: readonly Figure[]): string {
  if (figures.length === 0) return '';
  const scenarios = [...new Set(figures.map(({ scenario }) => scenario))].map(
    (scenario) => `${scenario} (${figures.filter((figure) => figure.scenario === scenario).length})`,
  );
  return `only in ${name}: ${scenarios.join(', ')}\n`;
}

function closing({ comparisons, byChance }: BenchComparison): string {
  const asked = comparisons.filter((one) => !one.isFloor && one.basis !== 'counts' && one.low !== undefined);
  if (asked.length === 0) return '';
  const sure = asked.filter(({ verdict }) => verdict === 'better' || verdict === 'worse');
  const held = sure.filter(({ sureAmongAll }) => sureAmongAll).length;
  return [
    `${sure.length} of ${asked.length} figures surely changed; were A and B the same, about ${byChance.toFixed(1)} would look so by chance.`,
    `${held === 0 ? 'None is' : `* ${held === 1 ? 'One is' : `${held} are`}`} sure even among all ${asked.length} asked at once (Holm).`,
    'Rounds show how one run scatters, not how a run differs from the next: for a small change, measure A and B again, in turn.',
    '',
  ].join('\n');
}

/** The whole text. @param all list every figure */
export function compareText(
  sides: readonly [Side, Side],
  comparison: BenchComparison,
  warnings: readonly string[],
  all: boolean,
): string {
  const about = sides.map(({ file, document: { started, version, rounds, machine } }, i) => {
    const when = started.replace('T', ' ').replace(/:\d\d(\.\d+)?Z$/, ' UTC');
    return `${'AB'[i]}  ${file}: ${when}, minivisor ${version}, ${rounds} round${rounds === 1 ? '' : 's'}\n   ${showMachine(machine)}\n`;
  });
  const { comparisons } = comparison;
  const changed = comparisons.filter(({ verdict }) => verdict === 'better' || verdict === 'worse');
  const sure = changed.filter(({ isFloor }) => !isFloor).sort((x, y) => changeSize(y) - changeSize(x));
  const floors = changed.filter(({ isFloor }) => isFloor).sort((x, y) => changeSize(y) - changeSize(x));
  const unsure = comparisons.filter(({ verdict }) => verdict === 'unsure');
  const few = comparisons.filter(({ verdict }) => verdict === 'too few rounds');
  const same = comparisons.filter(({ verdict }) => verdict === 'same');
  const rest = (those: readonly Comparison[]) => (all ? rowsOf(those) : byScenario(those));
  const block = (title: string, body: string) => `\n${title}\n${body}`;
  return [
    ...about,
    ...warnings.map((warning) => `warning: ${warning}\n`),
    sure.length === 0 ? '\nnothing surely changed\n' : block('surely changed, the largest first:', rowsOf(sure)),
    floors.length === 0
      ? ''
      : block('floors surely changed: the machine, or the doorbells; what is above counts in floors:', rowsOf(floors)),
    unsure.length === 0 ? '' : block('not sure:', rest(unsure)),
    few.length === 0 ? '' : block(tooFew(few), rest(few)),
    same.length === 0 ? '' : block('counts that are the same:', rest(same)),
    '\n',
    only('A', comparison.onlyA),
    only('B', comparison.onlyB),
    closing(comparison),
  ].join('');
}
