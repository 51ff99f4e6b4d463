/** The TCE hypercalls one by one, in each tier: per call, per TCE where a call takes many, and calls a second. */
import { TIER_NAMES } from '../cli/report.ts';
import type { MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { runFloor } from './floors.ts';
import type { BenchContext } from './scenario.ts';
import { floorFigure, subject } from './series.ts';
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
  const parameters = { hcall: name, tier: TIER_NAMES[tier], entries };
  const limited = name === 'H_PUT_TCE';
  // The work of a call of many entries is no hand-off.
  if (tier === VIRTUAL && entries === 1)
    return { ...subject('hcalls', what, series, two, limited ? VIRTUAL_MODE_LIMIT : undefined), parameters };
  // The VMM answers H_GET_TCE alone; the others need an ioctl for each entry.
  if (tier === EXIT)
    return limited
      ? { ...subject('hcalls', what, series, three, EXIT_LIMIT), parameters }
      : { ...subject('hcalls', what, series), parameters };
  const figure = { ...subject('hcalls', what, series), parameters };
  if (!limited) return figure;
  return { ...figure, target: `p50 below ${REAL_MODE_NS} ns`, reached: figure.p50 < REAL_MODE_NS };
}

/** The call, its share of one entry, and how many calls a second hold. */
function rows(index: number, tier: number, series: readonly MarkSeries[], floors: Floors): Figure[] {
  const { entries } = HCALLS[index];
  const whole = call(index, tier, series, floors);
  const { scenario, samples, operations, parameters, p50, p99 = p50 } = whole;
  const common = { scenario, samples, parameters };
  const share: Figure = {
    ...common,
    name: '  per TCE',
    unit: 'ns',
    p50: p50 / entries,
    p99: p99 / entries,
    operations: operations * entries,
  };
  // The slow end of a time is the slow end of a rate.
  const rate: Figure = {
    ...common,
    name: '  calls a second',
    unit: 'calls/s',
    p50: 1e9 / p50,
    p99: 1e9 / p99,
    operations,
  };
  return entries === 1 ? [whole, rate] : [whole, share, rate];
}

/** The scenario. */
export async function hcalls(context: BenchContext): Promise<Figure[]> {
  const two: Float64Array[] = [];
  const three: Float64Array[] = [];
  const runs: Readonly<Record<number, MarkSeries>>[] = [];
  for (let round = 1; round <= context.rounds; round++) {
    const progress = (what: string) => context.progress(`hcalls: round ${round} of ${context.rounds}: ${what}`);
    progress('floors');
    two.push(await runFloor('two parties', 30_000));
    three.push(await runFloor('three parties', 3_000));
    progress('guest');
    const { result } = await bootToy(context, `bench=0 hcalls=${SCALE}`);
    runs.push(result.marks);
  }
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
