/** Figures as a table: quantiles, the floor they are compared with, and how far the rounds lie apart. */
import { type Figure, type PerOperation, showNs, showRatio, showReached } from '../bench/figures.ts';
import { roundRatios } from '../bench/series.ts';
import { sideBySide } from './side_by_side.ts';
import { table } from './table.ts';

/** Digits after the point of a value that is no time in ns. */
function digits(unit: Figure['unit'], value: number): number {
  if (unit === 'ioctls' || unit === 'bytes' || unit === 'lines') return 0;
  return unit === 'bytes/op' || Math.abs(value) < 100 ? 1 : 0;
}

/** A value in the figure's unit, without it where it is no time in ns. */
function bare(unit: Figure['unit'], value: number | undefined): string {
  if (value === undefined) return '';
  return unit === 'ns' ? showNs(value) : value.toFixed(digits(unit, value));
}

/** A value with its unit: `24.1 ns`, `348 MB/s`. */
export function showValue(unit: Figure['unit'], value: number): string {
  return unit === 'ns' ? showNs(value) : `${bare(unit, value)} ${unit}`;
}

/**
 * Lowest and highest of the rounds: of their ratios to the floor where they have one, else of their medians. Empty where
 * one round is all there is.
 */
export function showSpread({ unit, rounds = [] }: Figure): string {
  if (rounds.length < 2) return '';
  const ratios = roundRatios(rounds, unit);
  const values = ratios.length > 0 ? ratios : rounds.map(({ p50 }) => p50);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (values === ratios) return `${low.toFixed(2)}..${high.toFixed(2)}x`;
  return low === high ? 'none' : `${bare(unit, low)}..${bare(unit, high)}`;
}

/** The p50 of one side, with half of what its rounds lie apart: `4.10 us ±3%`. */
function showSide({ unit, p50, rounds = [] }: Figure): string {
  const value = showValue(unit, p50);
  if (rounds.length < 2 || p50 === 0) return value;
  const medians = rounds.map((round) => round.p50);
  const half = (Math.max(...medians) - Math.min(...medians)) / 2 / Math.abs(p50);
  return half === 0 ? value : `${value} ±${(100 * half).toFixed(half < 0.1 ? 1 : 0)}%`;
}

function perOperation({ exits, systemCalls, handOffs }: PerOperation): string {
  return [exits, systemCalls, handOffs].map((count) => count.toFixed(1)).join(', ');
}

function oneByOne(figures: readonly Figure[]): string {
  const counted = figures.some((f) => f.perOperation !== undefined);
  const rows = figures.map((f) => [
    f.scenario,
    f.name,
    showValue(f.unit, f.p50),
    ...[f.p90, f.p99, f.p999, f.max].map((value) => bare(f.unit, value)),
    `${f.operations}`,
    showRatio(f),
    showSpread(f),
    ...(counted ? [f.perOperation === undefined ? '' : perOperation(f.perOperation)] : []),
    f.target === undefined ? '' : `${f.target}: ${showReached(f)}`,
  ]);
  const quantiles = ['p50', 'p90', 'p99', 'p99.9', 'max'];
  const each = counted ? ['exits, calls, hand-offs each'] : [];
  return table(
    ['scenario', 'what', ...quantiles, 'operations', 'of floor', 'spread of rounds', ...each, 'target'],
    rows,
    `<<${'>'.repeat(quantiles.length)}>>>${counted ? '>' : ''}<`,
  );
}

/** All figures: those of one side each as rows, those of several sides next to each other below, a table for each scenario. */
export function figuresTable(figures: readonly Figure[]): string {
  const alone = figures.filter(({ column }) => column === undefined);
  const sides = figures.filter(({ column }) => column !== undefined);
  // Sides of one scenario are nothing to another one.
  const tables = [...new Set(sides.map(({ scenario }) => scenario))].map((name) =>
    sideBySide(
      sides.filter(({ scenario }) => scenario === name),
      showSide,
    ),
  );
  return [...(alone.length === 0 ? [] : [oneByOne(alone)]), ...tables].join('\n');
}
