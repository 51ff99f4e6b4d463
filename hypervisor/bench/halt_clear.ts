/**
 * HALT and CLEAR, the argument of 2019: a program on a slow device is ended by HSCH or CSCH. With the asynchronous command
 * region they reach the host's subchannel; without it, in the vfio-ccw of before as in the RFC, the VMM only pretends. Two
 * times tell the sides apart: until the guest has the function's interruption, and until the device takes another program.
 *
 * The second CPU starts the program, for the RFC's SSCH holds its CPU as long as the device works.
 */
import type { CcwApi, MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { runFloor } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { floorFigure, subject, workPerOperation } from './series.ts';
import { bootToy } from './toy_run.ts';

const SCENARIO = 'halt-clear';
/** Service time of the device: long beside the way of an instruction to it. */
const SERVICE_US = 2000;
/** How much of each side is measured: HSCHs, as many CSCHs, and rounds of the floor. */
export interface HaltEffort {
  readonly halts: number;
  readonly floorRounds: number;
}
const EFFORT: HaltEffort = { halts: 300, floorRounds: 2_000 };

/** The sides, oldest first; `reaches`: the instruction gets to the host. */
const SIDES: readonly { readonly api: CcwApi; readonly column: string; readonly reaches: boolean }[] = [
  { api: 'cmd-request', column: 'blocking ioctl (RFC)', reaches: false },
  { api: 'io-region', column: 'I/O region alone', reaches: false },
  { api: 'region', column: 'command region', reaches: true },
];

/** Instructions and their series (guest/programs/toy/halt_bench.c). */
const FUNCTIONS = [
  { name: 'HSCH', seen: 9, free: 10 },
  { name: 'CSCH', seen: 11, free: 12 },
] as const;

/** The scenario. */
export async function haltClear(context: BenchContext, effort = EFFORT): Promise<Figure[]> {
  const floors: Float64Array[] = [];
  const marks = new Map<CcwApi, Readonly<Record<number, MarkSeries>>[]>(SIDES.map(({ api }) => [api, []]));
  await eachRound(context, async () => {
    context.progress('floor');
    floors.push(await runFloor('SSCH to interruption', effort.floorRounds));
    for (const [api, runs] of marks) {
      context.progress(`--ccw-api ${api}`);
      const { result } = await bootToy(context, `halt=${effort.halts}`, {
        words: ['--ccw-api', api, '--cpus', '2'],
        drives: [`readonly=on,service-us=${SERVICE_US}`],
      });
      runs.push(result.marks);
    }
  });
  const floor = floorFigure(SCENARIO, 'SSCH to interruption', floors);
  return [
    floor,
    ...SIDES.flatMap(({ api, column, reaches }) => {
      const runs = marks.get(api) as Readonly<Record<number, MarkSeries>>[];
      const series = (number: number) => runs.map((run) => run[number]);
      const common = { column, parameters: { api, serviceUs: SERVICE_US } };
      return FUNCTIONS.flatMap(({ name, seen, free }) => [
        // The VMM's own answer is a part of the way to the host and back.
        subject(SCENARIO, `${name} to interruption`, series(seen), floor, undefined, { ...common, part: !reaches }),
        subject(SCENARIO, `${name} to a device that is free`, series(free), undefined, undefined, {
          ...common,
          // Reported with the other time, and counted with it: a whole round, from SSCH to the end of the next program.
          perOperation: workPerOperation(series(seen)[runs.length - 1]),
        }),
      ]);
    }),
  ];
}
