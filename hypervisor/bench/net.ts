/**
 * Frames through the NIC and back, each packet mapped and unmapped in each tier, and with all of memory in one big
 * window; the gain over the exit path stands beside what was published for moving the calls into the kernel.
 */
import type { MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured, warm, warmCalls, workPerOperation } from './series.ts';
import { bootToy } from './toy_run.ts';

/** The first of the guest's series: two for each way of mapping (guest/programs/net/main.c, MARK_SERIES). */
const FIRST_SERIES = 16;
/** Ways of mapping in the order of the guest's series. */
const MODES = ['exit to the VMM', 'kernel, virtual mode', 'kernel, real mode', 'big window'] as const;
/** Bytes of a frame, as the guest sends them: 1500 and 9000 of payload. */
const SIZES = [1514, 9014] as const;
/** Frames of a run, and of one through the exit path, which is slower by far. The first half warms up. */
const FRAMES = 20_000;
const EXIT_FRAMES = 3_000;

/**
 * What moving the calls into the kernel brought: 220 to 750..1020 MB/s with a 10 Gbit/s adapter (A. Kardashevskiy, "KVM:
 * PPC: Add support for IOMMU in-kernel handling", v9, August 2013).
 */
const PUBLISHED = 'published: 3.4x to 4.6x';
/** What is aimed at. */
const GAIN = 5;

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
    target: `${gain.toFixed(1)}x the exit path (${PUBLISHED}); at least ${GAIN}x`,
    reached: gain >= GAIN,
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
  return SIZES.flatMap((size, index) => {
    const rates = MODES.map((mode, number) => {
      const series = runs.map((marks) => marks[FIRST_SERIES + number * SIZES.length + index]);
      return rate(size, mode, series);
    });
    return rates.map((figure) => gained(figure, rates[0]));
  });
}
