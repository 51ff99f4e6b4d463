/** What groups in a container cost: one H_PUT_TCE in real mode changes one entry, and kills it in every PE. */
import { type Figure, overRounds } from './figures.ts';
import { runInPool } from './floors.ts';
import type { BenchContext } from './scenario.ts';

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
  for (let round = 1; round <= context.rounds; round++) {
    context.progress(`groups: round ${round} of ${context.rounds}`);
    rounds.push(await runInPool(MODULE, 'measureGroups', { cases: CASES }));
  }
  return CASES.map((one, i) => {
    const { killsPerCall } = rounds[0][i];
    return {
      scenario: 'groups',
      name: `H_PUT_TCE, ${one.groups} group${one.groups === 1 ? '' : 's'}`,
      unit: 'ns',
      ...overRounds(rounds.map((round) => round[i].times)),
      samples: rounds.reduce((sum, round) => sum + round[i].times.length, 0),
      operations: rounds.length * one.batches * one.calls,
      parameters: { groups: one.groups, killsPerCall },
    };
  });
}
