/** One H_PUT_TCE in each tier beside the bare hand-offs between as many parties. */
import { TIER_NAMES } from '../cli/report.ts';
import type { MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { runFloor } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { floorFigure, subject, workPerOperation } from './series.ts';
import { bootToy } from './toy_run.ts';

/** What a call in real mode may take, ns; QEMU TCG, whose VMM runs in the CPU's thread, takes 163 on such a machine. */
const REAL_MODE_NS = 60;
/** What the exit path and virtual mode may be, in floors of as many parties. */
const EXIT_LIMIT = 1.3;
const VIRTUAL_MODE_LIMIT = 2;

/** The scenario. */
export async function tce(context: BenchContext): Promise<Figure[]> {
  const two: Float64Array[] = [];
  const three: Float64Array[] = [];
  const tiers: MarkSeries[][] = [[], [], []];
  await eachRound(context, async () => {
    context.progress('floors');
    two.push(await runFloor('two parties', 30_000));
    three.push(await runFloor('three parties', 3_000));
    context.progress('guest');
    const { result } = await bootToy(context, 'bench=40');
    for (const tier of [0, 1, 2]) tiers[tier].push(result.marks[tier]);
  });
  const floor2 = floorFigure('tce', 'two parties', two);
  const floor3 = floorFigure('tce', 'three parties', three);
  const tier = (number: number, floor?: Figure, limit?: number) =>
    subject('tce', `H_PUT_TCE, ${TIER_NAMES[number]}`, tiers[number], floor, limit, {
      perOperation: workPerOperation(tiers[number][tiers[number].length - 1]),
    });
  const real = tier(0);
  return [
    floor3,
    tier(2, floor3, EXIT_LIMIT),
    floor2,
    tier(1, floor2, VIRTUAL_MODE_LIMIT),
    { ...real, target: `p50 at most ${REAL_MODE_NS} ns`, reached: real.p50 <= REAL_MODE_NS },
  ];
}
