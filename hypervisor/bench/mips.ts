/** The integer loop on one thread, no machine around it. */
import type { Figure } from './figures.ts';
import { runInPool } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured } from './series.ts';

const MODULE = new URL('../../guest/cpu/mips.ts', import.meta.url).href;
/** Runs of the loop in a round, each some tens of milliseconds. */
const REPEATS = 3;
/** What is aimed at. */
const LEAST_MIPS = 300;

/** The scenario. Each round has a thread of its own, which compiles the loop anew. */
export async function mips(context: BenchContext): Promise<Figure[]> {
  const rounds: number[][] = [];
  await eachRound(context, async () => {
    context.progress('integer loop');
    rounds.push(await runInPool<number[]>(MODULE, 'measureMips', { repeats: REPEATS }));
  });
  const figure = measured({ scenario: 'mips', name: 'integer loop', unit: 'MIPS', rounds });
  return [{ ...figure, target: `at least ${LEAST_MIPS}`, reached: figure.p50 >= LEAST_MIPS }];
}
