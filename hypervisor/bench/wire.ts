/**
 * Two guests at the ends of a cable, each in a virtual machine of its own: frames both ways at once, in each way of mapping.
 * What comes with the big window, where no frame needs a call, stands beside the others as their floor.
 *
 * A rate here is that of the whole second half of a stream, not of its batches' median: two guests, two VMMs, the kernel and
 * two DMA engines share the CPUs, so that a batch is very fast while its guest has one, and the next one waits for it.
 */
import type { MarkSeries } from '../config.ts';
import { UserError } from '../user_error.ts';
import { vmName } from '../vms.ts';
import { type Figure, median } from './figures.ts';
import { FRAME_SIZES, PUBLISHED_GAIN, streamSeries, WANTED_GAIN, WAYS } from './net_streams.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { type Measurement, measured, warm, warmCalls } from './series.ts';
import { bootToy } from './toy_run.ts';

const SCENARIO = 'wire';
/** How much is measured: frames of a stream each way, and of one through the exit path, slower by far. The first half warms up. */
export interface WireEffort {
  readonly frames: number;
  readonly exitFrames: number;
}
const EFFORT: WireEffort = { frames: 4096, exitFrames: 512 };
/** Two machines with a NIC each. The guest needs 9 MB (guest/programs/README.md); less to map in the big window is quicker. */
const MACHINES = ['--memory', '16M', '--nic', 'id=a', '--nic', 'id=b,pair=a,vm=1', '--vm', 'memory=16M'];
/** Who receives what the other one sends: the receiver has seen every byte, so that its time counts. */
const DIRECTIONS = [
  { from: 0, to: 1 },
  { from: 1, to: 0 },
] as const;

/** What the guests of one round reported, by the number of their machine. */
export type WireRound = readonly Readonly<Record<number, MarkSeries>>[];

/** One way of mapping with frames of one size; both are indices. */
interface Stream {
  readonly way: number;
  readonly size: number;
}

/** What machine `to` received of a stream in each round. @throws UserError when it reported none */
function received(rounds: readonly WireRound[], { way, size }: Stream, to: number): MarkSeries[] {
  return rounds.map((machines, i) => {
    const series: MarkSeries | undefined = machines[to]?.[streamSeries(way, size)];
    if (series === undefined || series.batches.length === 0)
      throw new UserError(
        `${SCENARIO}: ${vmName(to)} measured nothing in round ${i + 1} (${WAYS[way]}, frames of ${FRAME_SIZES[size]} bytes); run it again`,
      );
    return series;
  });
}

/** Megabytes a second through the second half of a stream: its batches are of the same length, nearly. */
function throughput(frameBytes: number, { batches }: MarkSeries): number {
  const times = warm(batches);
  const nsPerFrame = times.reduce((sum, ns) => sum + ns, 0) / times.length;
  return (frameBytes * 1000) / nsPerFrame;
}

/** The figures of a stream: both directions together, then each in a column of its own. @param floor that of the big window */
function figures(rounds: readonly WireRound[], stream: Stream, floor?: Figure): Figure[] {
  const [frameBytes, way] = [FRAME_SIZES[stream.size], WAYS[stream.way]];
  const each = DIRECTIONS.map(({ from, to }) => {
    const series = received(rounds, stream, to);
    return {
      direction: `${vmName(from)} to ${vmName(to)}`,
      rates: series.map((one) => throughput(frameBytes, one)),
      operations: warmCalls(series),
    };
  });
  const figure = (rates: readonly number[], operations: number, more: Pick<Measurement, 'column' | 'floor'>) =>
    measured({
      scenario: SCENARIO,
      name: `${frameBytes - 14}-byte packets, ${way}`,
      unit: 'MB/s',
      rounds: rates.map((rate) => [rate]),
      operations,
      parameters: { frameBytes, mode: way },
      ...more,
    });
  const [one, other] = each;
  const together = one.rates.map((rate, i) => rate + other.rates[i]);
  return [
    figure(together, one.operations + other.operations, { floor }),
    ...each.map(({ direction, rates, operations }) => figure(rates, operations, { column: direction })),
  ];
}

/** The figure with its gain over the exit path, round by round. */
function gained(figure: Figure, exit: Figure): Figure {
  const { rounds = [] } = figure;
  const gains = rounds.map(({ p50 }, i) => p50 / (exit.rounds?.[i]?.p50 ?? exit.p50));
  const gain = median(gains);
  const [low, high] = [Math.min(...gains), Math.max(...gains)].map((one) => one.toFixed(1));
  const spread = gains.length < 2 ? '' : `, ${low}..${high}x over the rounds`;
  return {
    ...figure,
    parameters: { ...figure.parameters, timesExitPath: gain },
    target: `${gain.toFixed(1)}x the exit path${spread} (${PUBLISHED_GAIN}); at least ${WANTED_GAIN}x`,
    reached: gain >= WANTED_GAIN,
  };
}

/** The figures of some rounds. @throws UserError when a stream is missing */
export function wireFigures(rounds: readonly WireRound[]): Figure[] {
  return FRAME_SIZES.flatMap((_, size) => {
    const last = WAYS.length - 1;
    const [window, ...windowEach] = figures(rounds, { way: last, size });
    const [[exit, ...exitEach], ...kernel] = WAYS.slice(0, last).map((_name, way) =>
      figures(rounds, { way, size }, window),
    );
    return [
      exit,
      ...exitEach,
      ...kernel.flatMap(([both, ...each]) => [gained(both, exit), ...each]),
      gained(window, exit),
      ...windowEach,
    ];
  });
}

/** The scenario. */
export async function wire(context: BenchContext, { frames, exitFrames } = EFFORT): Promise<Figure[]> {
  const rounds: WireRound[] = [];
  await eachRound(context, async () => {
    context.progress('two guests');
    const append = `frames=${frames} exitframes=${exitFrames}`;
    const { results } = await bootToy(context, append, { guest: 'net', words: MACHINES });
    rounds.push(results.map(({ marks }) => marks));
  });
  return wireFigures(rounds);
}
