/**
 * Frames through the NIC and back, each packet mapped and unmapped in each tier, and with all of memory in one big
 * window; the gain over the exit path stands beside what was published for moving the calls into the kernel.
 */
import type { MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { FRAME_SIZES, PUBLISHED_GAIN, streamSeries, WANTED_GAIN, WAYS } from './net_streams.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured, warm, warmCalls, workPerOperation } from './series.ts';
import { bootToy } from './toy_run.ts';

/** Frames of a run, and of one through the exit path, which is slower by far. The first half warms up. */
const FRAMES = 20_000;
const EXIT_FRAMES = 3_000;

/** Megabytes a second. */
function rate(size: number, mode: string, rounds: readonly MarkSeries[]): Figure {
  return measured({
    scenario: 'net',
    name: `${size - 14}-byte packets, ${mode}`,
    unit: 'MB/s',
    rounds: rounds.map(({ batches }) => warm(batches).map((nsPerFrame) => (size * 1000) / nsPerFrame)),
    operations: warmCalls(rounds),
    parameters: { frameBytes: size, mode },
    perOperation: workPerOperation(rounds[rounds.length - 1]),
  });
}

/** The figure with its gain over the exit path. */
function gained(figure: Figure, exit: Figure): Figure {
  if (figure === exit) return figure;
  const gain = figure.p50 / exit.p50;
  return {
    ...figure,
    parameters: { ...figure.parameters, timesExitPath: gain },
    target: `${gain.toFixed(1)}x the exit path (${PUBLISHED_GAIN}); at least ${WANTED_GAIN}x`,
    reached: gain >= WANTED_GAIN,
  };
}

/** The scenario. */
export async function net(context: BenchContext): Promise<Figure[]> {
  const runs: Readonly<Record<number, MarkSeries>>[] = [];
  await eachRound(context, async () => {
    context.progress('guest');
    const { result } = await bootToy(context, `frames=${FRAMES} exitframes=${EXIT_FRAMES}`, { guest: 'net' });
    runs.push(result.marks);
  });
  return FRAME_SIZES.flatMap((size, index) => {
    const rates = WAYS.map((mode, number) => {
      const series = runs.map((marks) => marks[streamSeries(number, index)]);
      return rate(size, mode, series);
    });
    return rates.map((figure) => gained(figure, rates[0]));
  });
}
