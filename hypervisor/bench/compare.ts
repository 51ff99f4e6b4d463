/** Two runs figure by figure: what changed, by how much, and how sure that is. */
import type { BenchMachine } from './document.ts';
import { figureKey } from './figure_key.ts';
import { type Figure, moreIsBetter, steadyRounds } from './figures.ts';
import { bestConfidence } from './mann_whitney.ts';
import { FLOOR_PREFIX } from './series.ts';
import { shift } from './shift.ts';

/** How sure a change must be, of each figure by itself. */
export const CONFIDENCE = 0.95;

/** Units of what is counted, not timed: no noise, so that a difference is a difference. */
const COUNTED: readonly Figure['unit'][] = ['ioctls', 'bytes', 'lines'];

/**
 * What is compared. `floors`: multiples of the floor of the same round, so that a machine that was slower all the time is
 * no change. `values`: the rounds' medians as they are. `differences`: the same, where a value of 0 or less makes a
 * multiple meaningless. `counts`: one number each.
 */
export type Basis = 'floors' | 'values' | 'differences' | 'counts';

export type Verdict = 'better' | 'worse' | 'same' | 'unsure' | 'too few rounds';

export interface Comparison {
  readonly a: Figure;
  readonly b: Figure;
  readonly basis: Basis;
  /** True: a floor, that is the machine and the doorbells, not a path. */
  readonly isFloor: boolean;
  /** B as a multiple of A; of `differences` B minus A, in the unit; undefined where A is 0, of which nothing is a multiple. */
  readonly change?: number;
  /** Bounds of the change. */
  readonly low?: number;
  readonly high?: number;
  /** How sure the bounds are: at least {@link CONFIDENCE}; where there are none, the best these rounds could reach. */
  readonly confidence: number;
  /** Probability of a change at least as clear by chance. */
  readonly p: number;
  readonly verdict: Verdict;
  /** True: sure even among all figures asked at once (S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979). */
  readonly sureAmongAll: boolean;
}

export interface BenchComparison {
  readonly comparisons: readonly Comparison[];
  readonly onlyA: readonly Figure[];
  readonly onlyB: readonly Figure[];
  /** Figures that would be sure by chance, were A and B the same: those with bounds, floors left out. */
  readonly byChance: number;
}

/** The values that a figure gives to the comparison, one a round. */
function valuesOf({ rounds = [], unit }: Figure, basis: Basis): number[] {
  if (basis === 'floors') return steadyRounds(rounds, unit).map(({ p50, floor }) => p50 / floor);
  return rounds.map(({ p50 }) => p50);
}

function basisOf(a: Figure, b: Figure): Basis {
  if (COUNTED.includes(a.unit)) return 'counts';
  const all = [...(a.rounds ?? []), ...(b.rounds ?? [])];
  if (all.some(({ p50 }) => p50 <= 0)) return 'differences';
  const beside = ({ rounds = [] }: Figure) =>
    rounds.length > 0 && rounds.every(({ floor }) => floor !== undefined && floor > 0);
  return beside(a) && beside(b) ? 'floors' : 'values';
}

/** What more, or less, of what the unit measures is worth. */
function direction(unit: Figure['unit'], isMore: boolean): Verdict {
  return moreIsBetter(unit) === isMore ? 'better' : 'worse';
}

/** B as a multiple of A, if it is one. */
function multiple(a: Figure, b: Figure): number | undefined {
  if (a.p50 === b.p50) return 1;
  return a.p50 === 0 ? undefined : b.p50 / a.p50;
}

function compareCounts(a: Figure, b: Figure): Omit<Comparison, 'isFloor' | 'sureAmongAll'> {
  const change = multiple(a, b);
  const verdict = a.p50 === b.p50 ? 'same' : direction(a.unit, b.p50 > a.p50);
  return {
    a,
    b,
    basis: 'counts',
    change,
    low: change,
    high: change,
    confidence: 1,
    p: verdict === 'same' ? 1 : 0,
    verdict,
  };
}

function compareOne(a: Figure, b: Figure): Omit<Comparison, 'isFloor' | 'sureAmongAll'> {
  const basis = basisOf(a, b);
  if (basis === 'counts') return compareCounts(a, b);
  const [before, after] = [valuesOf(a, basis), valuesOf(b, basis)];
  const best = bestConfidence(before.length, after.length);
  if (before.length === 0 || after.length === 0)
    return { a, b, basis, change: multiple(a, b), confidence: best, p: 1, verdict: 'too few rounds' };
  const asLogs = basis !== 'differences';
  const scale = (value: number) => (asLogs ? Math.log(value) : value);
  const back = (value: number) => (asLogs ? Math.exp(value) : value);
  const { estimate, bounds, p } = shift(before.map(scale), after.map(scale), CONFIDENCE);
  const common = { a, b, basis, change: back(estimate), p };
  if (bounds === undefined) return { ...common, confidence: best, verdict: 'too few rounds' };
  const { low, high, confidence } = bounds;
  const verdict = low > 0 || high < 0 ? direction(a.unit, low > 0) : 'unsure';
  return { ...common, low: back(low), high: back(high), confidence, verdict };
}

/** Which of several p are below the level even when each had its chance: Holm's procedure. */
export function holm(ps: readonly number[], level: number): boolean[] {
  const order = ps.map((p, i) => [p, i] as const).sort(([a], [b]) => a - b);
  const sure = ps.map(() => false);
  for (const [rank, [p, i]] of order.entries()) {
    if (p > level / (ps.length - rank)) break;
    sure[i] = true;
  }
  return sure;
}

/** True of a comparison by which a change would be told: enough rounds, no counts, no floor. */
function tested({ basis, verdict, isFloor }: Pick<Comparison, 'basis' | 'verdict' | 'isFloor'>): boolean {
  return basis !== 'counts' && verdict !== 'too few rounds' && !isFloor;
}

/** Compares the figures that both have. */
export function compareFigures(a: readonly Figure[], b: readonly Figure[]): BenchComparison {
  const later = new Map<string, Figure[]>();
  for (const figure of b) {
    const key = figureKey(figure);
    later.set(key, [...(later.get(key) ?? []), figure]);
  }
  const pairs: Omit<Comparison, 'sureAmongAll'>[] = [];
  const onlyA: Figure[] = [];
  for (const figure of a) {
    const other = later.get(figureKey(figure))?.shift();
    if (other === undefined) onlyA.push(figure);
    else pairs.push({ ...compareOne(figure, other), isFloor: figure.name.startsWith(FLOOR_PREFIX) });
  }
  const asked = pairs.filter(tested);
  const sure = holm(
    asked.map(({ p }) => p),
    1 - CONFIDENCE,
  );
  return {
    comparisons: pairs.map((pair) => ({ ...pair, sureAmongAll: sure[asked.indexOf(pair)] ?? false })),
    onlyA,
    onlyB: [...later.values()].flat(),
    byChance: asked.reduce((sum, { confidence }) => sum + 1 - confidence, 0),
  };
}

/**
 * By how many times it is at least surely worse: 1.05 is 5 % slower or more; 1 or less where that is not sure; infinity for
 * a count that was 0.
 */
export function surelyWorseBy({ verdict, a, basis, low, high, isFloor }: Comparison): number {
  if (verdict !== 'worse' || isFloor || basis === 'differences') return 1;
  if (low === undefined || high === undefined) return basis === 'counts' ? Number.POSITIVE_INFINITY : 1;
  return moreIsBetter(a.unit) ? 1 / high : low;
}

/** True of a count that was 0 or is now: the two numbers say more than a multiple, if there is one. */
export function fromOrToNone({ basis, a, b }: Comparison): boolean {
  return basis === 'counts' && (a.p50 === 0) !== (b.p50 === 0);
}

/** How large a change is, whichever way: from or to 0 is the largest; a difference in a unit comes after all multiples. */
export function changeSize(one: Comparison): number {
  const { basis, change } = one;
  if (change === undefined || fromOrToNone(one)) return Number.MAX_VALUE;
  return basis === 'differences' || change <= 0 ? -1 : Math.abs(Math.log(change));
}

/** In what two machines differ that figures depend on, one sentence each. */
export function machineDifferences(a: BenchMachine, b: BenchMachine): string[] {
  const rows = [
    ['CPU', a.cpuModel, b.cpuModel],
    ['number of CPUs', a.cpus, b.cpus],
    ['system', a.platform, b.platform],
    ['Node version', a.node, b.node],
    ['wait strategy', a.waits, b.waits],
  ] as const;
  return rows.filter(([, x, y]) => x !== y).map(([what, x, y]) => `${what}: ${x} and ${y}`);
}
