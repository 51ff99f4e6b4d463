/** What groups in a container cost: one H_PUT_TCE in real mode changes one entry, and kills it in every PE. */
import type { Figure } from './figures.ts';
import { runInPool } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured } from './series.ts';

const MODULE = new URL('../../kernel/kvm/tce_groups_bench.ts', import.meta.url).href;

/** Cases, and how much of each is measured: about 50 ms. */
const CASES = [1, 2, 4, 8, 16].map((groups) => ({ groups, batches: 600, calls: 640 }));

/** What the micro gives back: `GroupsTimes` of kernel/kvm/tce_groups_bench.ts. */
interface Times {
  readonly times: readonly number[];
  readonly killsPerCall: number;
}

/** The scenario. */
export async function groups(context: BenchContext): Promise<Figure[]> {
  const rounds: Times[][] = [];
  await eachRound(context, async () => {
    context.progress('1 to 16 groups');
    rounds.push(await runInPool(MODULE, 'measureGroups', { cases: CASES }));
  });
  return CASES.map(({ groups: number, calls }, i) => {
    const { killsPerCall } = rounds[0][i];
    return measured({
      scenario: 'groups',
      name: `H_PUT_TCE, ${number} group${number === 1 ? '' : 's'}`,
      rounds: rounds.map((round) => round[i].times),
      operations: calls * rounds.reduce((sum, round) => sum + round[i].times.length, 0),
      parameters: { groups: number, killsPerCall },
    });
  });
}
