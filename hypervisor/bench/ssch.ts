/** SSCH to interruption with a device that takes no time, beside the bare chain of the same hand-offs. */
import type { MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { runFloor } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { floorFigure, subject, workPerOperation } from './series.ts';
import { bootToy } from './toy_run.ts';

/** Series of guest/programs/toy/dasd_bench.c. */
const SERIES = { NOP: 3, READ: 4 } as const;

/** The scenario. */
export async function ssch(context: BenchContext): Promise<Figure[]> {
  const floors: Float64Array[] = [];
  const noop: MarkSeries[] = [];
  const read: MarkSeries[] = [];
  await eachRound(context, async () => {
    context.progress('floor');
    floors.push(await runFloor('SSCH chain', 2_000));
    context.progress('guest');
    const { result } = await bootToy(context, 'bench=0 ssch=16000');
    noop.push(result.marks[SERIES.NOP]);
    read.push(result.marks[SERIES.READ]);
  });
  const floor = floorFigure('ssch', 'SSCH chain', floors);
  const figure = (name: string, series: readonly MarkSeries[]) =>
    subject('ssch', name, series, floor, undefined, { perOperation: workPerOperation(series[series.length - 1]) });
  return [floor, figure('NOP: SSCH, interruption, TSCH', noop), figure('read of 4096 bytes', read)];
}
