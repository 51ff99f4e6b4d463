/**
 * One channel program from SSCH to its interruption, step by step, in both designs. Steps come from the trace points of
 * the last I/Os of a run; the whole, which begins and ends in the guest, is what the guest measured.
 */
import type { CcwApi, MarkSeries } from '../config.ts';
import type { ThreadedRun } from '../launch.ts';
import type { Figure } from './figures.ts';
import { runFloor } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { floorFigure, type Measurement, measured, subject, workPerOperation } from './series.ts';
import { completeIos, DESIGNS, type Design, duration, stepRecords, stepTimes } from './steps.ts';
import { bootToy } from './toy_run.ts';

/** I/Os of a run: half of them warm up, for the compilers' threads want the CPUs too; the rings keep the steps of some 680. */
const IOS = 16_000;
const FLOOR_ROUNDS = 2_000;

/** Channel programs: the guest's word, its series numbers (guest/programs/toy/dasd_bench.c), and what it is. */
const PROGRAMS = [
  { word: 'noop', whole: 3, interruption: 7, what: 'NOP' },
  { word: 'read', whole: 4, interruption: 8, what: '4K read' },
] as const;

/** What the time to the interruption of a no-operation may be in the merged design, in floors. */
const LIMIT = 1.5;

/** Designs by the option that chooses them. */
const APIS: readonly { readonly api: CcwApi; readonly prefix: string }[] = [
  { api: 'region', prefix: 'vfio_ccw_' },
  { api: 'cmd-request', prefix: 'ccw_rfc_' },
];

/** What the rounds of one case have brought. */
interface Case {
  readonly api: CcwApi;
  readonly design: Design;
  readonly program: (typeof PROGRAMS)[number];
  /** SSCH to the end of TSCH, and SSCH to the interruption, as the guest measured them. */
  readonly guest: MarkSeries[];
  readonly interruption: MarkSeries[];
  /** First step to last, ns, of each round. */
  readonly whole: number[][];
  /** The same of each step. */
  readonly steps: number[][][];
}

interface Floors {
  readonly whole: Figure;
  readonly interruption: Figure;
}

function cases(): Case[] {
  return APIS.flatMap(({ api, prefix }) => {
    const design = DESIGNS.find((one) => one.prefix === prefix) as Design;
    return PROGRAMS.map((program) => ({
      api,
      design,
      program,
      guest: [],
      interruption: [],
      whole: [],
      steps: design.steps.map(() => []),
    }));
  });
}

function add({ design, program, guest, interruption, whole, steps }: Case, { result, trace }: ThreadedRun): void {
  const ios = completeIos(stepRecords(trace, design.prefix), design.steps);
  guest.push(result.marks[program.whole]);
  interruption.push(result.marks[program.interruption]);
  whole.push(ios.map((io) => duration(io, design.steps)));
  const times = ios.map((io) => stepTimes(io, design.steps));
  for (const [i, rounds] of steps.entries()) rounds.push(times.map((io) => io[i].took));
}

function figures({ api, design, program, guest, interruption, whole, steps }: Case, floors: Floors): Figure[] {
  const scenario = 'ccw';
  const parameters = { api, program: program.word };
  const name = `${api}, ${program.what}`;
  const first = design.steps[0][0];
  const last = design.steps[design.steps.length - 1][0];
  const limit = api === 'region' && program.word === 'noop' ? LIMIT : undefined;
  const part = (what: string, rounds: readonly number[][], more: Partial<Measurement> = {}): Figure =>
    measured({ scenario, name: what, rounds, parameters, floor: floors.interruption, part: true, ...more });
  return [
    subject(scenario, `${name}: SSCH to interruption`, interruption, floors.interruption, limit, { parameters }),
    subject(scenario, `${name}: SSCH, interruption, TSCH`, guest, floors.whole, undefined, {
      parameters,
      perOperation: workPerOperation(guest[guest.length - 1]),
    }),
    part(`${name}: ${first} to ${last}`, whole),
    ...design.steps
      .map(([step, , what], i) => part(`  ${step} ${what}`, steps[i], { parameters: { ...parameters, step } }))
      .slice(1),
  ];
}

/** The scenario. */
export async function ccw(context: BenchContext): Promise<Figure[]> {
  const whole: Float64Array[] = [];
  const interruption: Float64Array[] = [];
  const all = cases();
  await eachRound(context, async () => {
    context.progress('floors');
    whole.push(await runFloor('SSCH chain', FLOOR_ROUNDS));
    interruption.push(await runFloor('SSCH to interruption', FLOOR_ROUNDS));
    for (const one of all) {
      context.progress(`${one.api}, ${one.program.what}`);
      add(one, await bootToy(context, `bench=0 ${one.program.word}=${IOS}`, { words: ['--ccw-api', one.api] }));
    }
  });
  const floors: Floors = {
    whole: floorFigure('ccw', 'SSCH chain', whole),
    interruption: floorFigure('ccw', 'SSCH to interruption', interruption),
  };
  return [floors.interruption, floors.whole, ...all.flatMap((one) => figures(one, floors))];
}
