/** The machine that is measured, and signs that it was busy with something else. */
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';
import { describeWaits } from '../../kernel/lib/wait_strategy.ts';
import type { BenchMachine } from './document.ts';
import type { Figure } from './figures.ts';
import { FLOOR_PREFIX } from './series.ts';

/** This machine, now. */
export function thisMachine(): BenchMachine {
  const count = availableParallelism();
  return {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpus: count,
    cpuModel: cpus()[0]?.model ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    waits: describeWaits(count),
    loadAverage: loadavg()[0],
  };
}

/** One line. */
export function showMachine({ cpuModel, cpus: count, platform: system, node, loadAverage }: BenchMachine): string {
  const load = loadAverage === undefined ? '' : `, load ${loadAverage.toFixed(1)}`;
  return `${cpuModel}, ${count} CPU${count === 1 ? '' : 's'}, ${system}, Node ${node}${load}`;
}

/** Runnable threads per CPU that are more than a bench leaves behind which ran right before this one. */
const BUSY_LOAD = 1.5;
/** How far the rounds of one floor may lie apart: it does the same each time. */
const FLOOR_SPREAD = 2;

const AGAIN = 'run again on a quiet machine';

/** The floor whose rounds lie farthest apart, as largest over smallest; undefined where none has two rounds. */
export function widestFloor(
  figures: readonly Figure[],
): { readonly name: string; readonly spread: number } | undefined {
  let widest: { readonly name: string; readonly spread: number } | undefined;
  for (const { name, rounds = [] } of figures) {
    if (!name.startsWith(FLOOR_PREFIX) || rounds.length < 2) continue;
    const medians = rounds.map(({ p50 }) => p50);
    const spread = Math.max(...medians) / Math.min(...medians);
    if (widest === undefined || spread > widest.spread) widest = { name: name.slice(FLOOR_PREFIX.length), spread };
  }
  return widest;
}

/** What makes figures doubtful, one sentence each; empty when nothing does. */
export function busySigns({ loadAverage = 0, cpus: count }: BenchMachine, figures: readonly Figure[]): string[] {
  const signs: string[] = [];
  if (loadAverage > BUSY_LOAD * count)
    signs.push(`machine busy: load average ${loadAverage.toFixed(1)} on ${count} CPUs at the start; ${AGAIN}`);
  const widest = widestFloor(figures);
  if (widest !== undefined && widest.spread >= FLOOR_SPREAD)
    signs.push(
      `machine busy: the floor of ${widest.name} spread ${widest.spread.toFixed(1)}x between rounds; ${AGAIN}`,
    );
  return signs;
}
