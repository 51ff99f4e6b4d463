/**
 * What a LIOBN binds to, the argument of 2016: what each side takes to bind one LIOBN to a container of 1 to 16 groups and
 * to unbind it again, and what an H_PUT_TCE costs then. Times are the kernel's alone: each ioctl is a system call besides.
 */
import type { TceBind } from '../config.ts';
import type { Figure, PerOperation } from './figures.ts';
import { runInPool } from './floors.ts';
import { workOfIoctls } from './ioctl_work.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured } from './series.ts';

const MODULE = new URL('../../kernel/kvm/tce_bind_bench.ts', import.meta.url).href;
const SCENARIO = 'bind';

/** How much of each case is measured: some 100 ms. */
export interface BindEffort {
  readonly groups: readonly number[];
  readonly repeats: number;
  readonly batches: number;
  readonly calls: number;
}
const EFFORT: BindEffort = { groups: [1, 2, 4, 8, 16], repeats: 400, batches: 400, calls: 640 };
const SIDES: readonly TceBind[] = ['group', 'group-liobn', 'container'];

/** What the micro gives back: `BindTimes` of kernel/kvm/tce_bind_bench.ts. */
interface Times {
  readonly bind: Costs;
  readonly unbind: Costs;
  readonly put: readonly number[];
}
interface Costs {
  readonly ioctls: number;
  readonly work: Parameters<typeof workOfIoctls>[1];
  readonly times: readonly number[];
}

interface Case {
  readonly side: TceBind;
  readonly groups: number;
}

/** The figures of one case. @param rounds one for each round. @param calls of a batch of hypercalls */
function figures({ side, groups }: Case, rounds: readonly Times[], calls: number): Figure[] {
  const many = `${groups} group${groups === 1 ? '' : 's'}`;
  const figure = (
    what: string,
    unit: Figure['unit'],
    of: (times: Times) => readonly number[],
    perOperation?: PerOperation,
    operations?: number,
  ): Figure =>
    measured({
      scenario: SCENARIO,
      name: `${many}: ${what}`,
      column: side,
      unit,
      rounds: rounds.map(of),
      parameters: { side, groups },
      perOperation,
      operations,
    });
  const [{ bind, unbind }] = rounds;
  const puts = rounds.reduce((sum, { put }) => sum + put.length, 0);
  return [
    figure('bind', 'ns', (times) => times.bind.times, workOfIoctls(bind.ioctls, bind.work)),
    figure('bind, ioctls', 'ioctls', (times) => [times.bind.ioctls]),
    figure('unbind', 'ns', (times) => times.unbind.times, workOfIoctls(unbind.ioctls, unbind.work)),
    figure('unbind, ioctls', 'ioctls', (times) => [times.unbind.ioctls]),
    figure('H_PUT_TCE, real mode', 'ns', (times) => times.put, undefined, calls * puts),
  ];
}

/** The scenario. */
export async function bind(context: BenchContext, effort = EFFORT): Promise<Figure[]> {
  const { groups, ...rest } = effort;
  const cases: Case[] = groups.flatMap((many) => SIDES.map((side) => ({ side, groups: many })));
  const rounds: Times[][] = [];
  await eachRound(context, async () => {
    context.progress(`${cases.length} bindings`);
    rounds.push(await runInPool(MODULE, 'measureBind', { cases: cases.map((one) => ({ ...one, ...rest })) }));
  });
  return cases.flatMap((one, i) =>
    figures(
      one,
      rounds.map((round) => round[i]),
      rest.calls,
    ),
  );
}
