/** The TCE hypercalls one by one, in each tier: per call, per TCE where a call takes many, and calls a second. */
import { TIER_NAMES } from '../cli/report.ts';
import type { MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { runFloor } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { floorFigure, type Measurement, measured, subject, warm, warmCalls, workPerOperation } from './series.ts';
import { bootToy } from './toy_run.ts';

/** The first of the guest's series: three for each hypercall (guest/programs/toy/bench.c, HCALL_SERIES). */
const FIRST_SERIES = 16;
/** Scale of the guest's batches. */
const SCALE = 2;

/** Hypercalls in the order of the guest's series, and entries that one call changes. */
const HCALLS = [
  { name: 'H_PUT_TCE', entries: 1 },
  { name: 'H_GET_TCE', entries: 1 },
  { name: 'H_STUFF_TCE', entries: 512 },
  { name: 'H_PUT_TCE_INDIRECT', entries: 512 },
] as const;

/** What H_PUT_TCE may take: in real mode ns; else floors of as many parties as the way has. */
const REAL_MODE_NS = 100;
const VIRTUAL_MODE_LIMIT = 2;
const EXIT_LIMIT = 1.5;

/** Tiers by the guest's number. */
const [REAL, VIRTUAL, EXIT] = [0, 1, 2];

interface Floors {
  readonly two: Figure;
  readonly three: Figure;
}

/** A hypercall in a tier, the call itself. */
function call(index: number, tier: number, series: readonly MarkSeries[], { two, three }: Floors): Figure {
  const { name, entries } = HCALLS[index];
  const what = `${name}${entries === 1 ? '' : `(${entries})`}, ${TIER_NAMES[tier]}`;
  const more: Partial<Measurement> = {
    parameters: { hcall: name, tier: TIER_NAMES[tier], entries },
    perOperation: workPerOperation(series[series.length - 1]),
  };
  const figure = (floor?: Figure, limit?: number) => subject('hcalls', what, series, floor, limit, more);
  const limited = name === 'H_PUT_TCE';
  // The work of a call of many entries is no hand-off.
  if (tier === VIRTUAL && entries === 1) return figure(two, limited ? VIRTUAL_MODE_LIMIT : undefined);
  // The VMM answers H_GET_TCE alone; the others need an ioctl for each entry.
  if (tier === EXIT) return limited ? figure(three, EXIT_LIMIT) : figure();
  if (!limited) return figure();
  const real = figure();
  return { ...real, target: `p50 below ${REAL_MODE_NS} ns`, reached: real.p50 < REAL_MODE_NS };
}

/** The call, its share of one entry, and how many calls a second hold. */
function rows(index: number, tier: number, series: readonly MarkSeries[], floors: Floors): Figure[] {
  const { entries } = HCALLS[index];
  const whole = call(index, tier, series, floors);
  const { scenario, parameters } = whole;
  const rounds = series.map(({ batches }) => warm(batches));
  const operations = warmCalls(series);
  const share = measured({
    scenario,
    name: '  per TCE',
    rounds: rounds.map((round) => round.map((ns) => ns / entries)),
    operations: operations * entries,
    parameters,
  });
  const rate = measured({
    scenario,
    name: '  calls a second',
    unit: 'calls/s',
    rounds: rounds.map((round) => round.map((ns) => 1e9 / ns)),
    operations,
    parameters,
  });
  return entries === 1 ? [whole, rate] : [whole, share, rate];
}

/** The scenario. */
export async function hcalls(context: BenchContext): Promise<Figure[]> {
  const two: Float64Array[] = [];
  const three: Float64Array[] = [];
  const runs: Readonly<Record<number, MarkSeries>>[] = [];
  await eachRound(context, async () => {
    context.progress('floors');
    two.push(await runFloor('two parties', 30_000));
    three.push(await runFloor('three parties', 3_000));
    context.progress('guest');
    const { result } = await bootToy(context, `bench=0 hcalls=${SCALE}`);
    runs.push(result.marks);
  });
  const floors = {
    two: floorFigure('hcalls', 'two parties', two),
    three: floorFigure('hcalls', 'three parties', three),
  };
  const tiers = [REAL, VIRTUAL, EXIT];
  return [
    floors.two,
    floors.three,
    ...HCALLS.flatMap((_, index) =>
      tiers.flatMap((tier) => {
        const number = FIRST_SERIES + index * tiers.length + tier;
        return rows(
          index,
          tier,
          runs.map((marks) => marks[number]),
          floors,
        );
      }),
    ),
  ];
}
