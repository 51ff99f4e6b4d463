/**
 * What tracing costs. Off: how many points one operation passes, times what a look at an event that is off takes, beside
 * the operation. On: the operation again with every event recorded and read along, as `--trace-out` does.
 */

import { join } from 'node:path';
import { HCALL } from '../../kernel/include/arch/ppc/hcall.ts';
import { SSCH, TSCH } from '../../kernel/include/arch/s390/ioinst.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import type { TracePointCost } from '../../kernel/lib/trace_bench.ts';
import { BOOT_OPTIONS, bootConfig } from '../cli/boot_options.ts';
import { parseOptions } from '../cli/options.ts';
import { TIER_NAMES } from '../cli/report.ts';
import type { MarkSeries } from '../config.ts';
import { simulate } from '../simulate.ts';
import type { Figure } from './figures.ts';
import { runInPool } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured, subject } from './series.ts';
import { bootToy, IMAGE } from './toy_run.ts';

const MODULE = new URL('../../kernel/lib/trace_bench.ts', import.meta.url).href;
const BATCHES = 200;
/** I/Os of a run: fewer, and the compilers' threads still want the CPUs (`bench ssch`). */
const IOS = 8000;
/** What points that are off may take of an operation. */
const SHARE = 0.01;
/**
 * Real mode's WebAssembly form looks whether calls and whether kills are recorded (kernel/kvm/book3s_64_vio_hv_wasm.ts);
 * the points themselves are in the other form, which runs when they are.
 */
const REAL_MODE_LOOKS = 2;
/**
 * A call in virtual mode is looked at by real mode first, whose tier is off; then by the vCPU's and the kernel's ends, two
 * looks each (kernel/kvm/hcall_words_wasm.ts), and by the handler, whether kills are recorded.
 */
const VIRTUAL_MODE_LOOKS = 6;

/** An operation: the guest's series of it, and how many points it passes. */
export interface Operation {
  readonly name: string;
  readonly series: number;
  /** From the trace of a run with every event on. */
  readonly points: (trace: readonly TraceRecord[]) => number;
  /** What one of them takes when it is off. */
  readonly off: 'off' | 'lookWasm';
}

function median(counts: readonly number[]): number {
  return [...counts].sort((a, b) => a - b)[counts.length >> 1] ?? 0;
}

/** Records from each one that begins an operation to the next that ends it, both counted. */
function between(
  trace: readonly TraceRecord[],
  begins: (record: TraceRecord) => boolean,
  ends: (record: TraceRecord) => boolean,
): number[] {
  const counts: number[] = [];
  let first = -1;
  for (const [n, record] of trace.entries()) {
    if (first < 0 && begins(record)) first = n;
    else if (first >= 0 && ends(record)) {
      counts.push(n - first + 1);
      first = -1;
    }
  }
  return counts;
}

/** Points of one I/O: from the exit at SSCH until the CPU is back from a TSCH that took its status. */
export function pointsOfIo(trace: readonly TraceRecord[]): number {
  let taken = false;
  return median(
    between(
      trace,
      ({ event, args }) => event === 'kvm_userspace_exit' && args[2] === SSCH,
      ({ event, args }) => {
        if (event === 's390_ioinst') taken = args[0] === TSCH && args[2] === 0;
        return event === 'kvm_userspace_enter' && taken;
      },
    ),
  );
}

/** Points of one H_PUT_TCE that `tier` finishes: those of its JavaScript form, which is the only one where all are on. */
export function pointsOfPut(trace: readonly TraceRecord[], tier: number): number {
  const counts: number[] = [];
  let first = -1;
  for (const [n, { event, args }] of trace.entries())
    if (event === 'kvm_hcall_enter') first = args[1] === HCALL.H_PUT_TCE ? n : -1;
    else if (event === 'kvm_hcall_exit' && first >= 0) {
      if (args[3] === tier) counts.push(n - first + 1);
      first = -1;
    }
  return median(counts);
}

const OPERATIONS: readonly Operation[] = [
  { name: 'NOP: SSCH, interruption, TSCH', series: 3, points: pointsOfIo, off: 'off' },
  { name: `H_PUT_TCE, ${TIER_NAMES[2]}`, series: 2, points: (trace) => pointsOfPut(trace, 2), off: 'off' },
  { name: `H_PUT_TCE, ${TIER_NAMES[1]}`, series: 1, points: () => VIRTUAL_MODE_LOOKS, off: 'lookWasm' },
  { name: `H_PUT_TCE, ${TIER_NAMES[0]}`, series: 0, points: () => REAL_MODE_LOOKS, off: 'lookWasm' },
];

/** A simulated boot with every event on: what is passed does not depend on how long it takes. */
async function fullTrace({ folder }: BenchContext): Promise<readonly TraceRecord[]> {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, [
    '--sim',
    '--drive',
    `file=${join(folder, IMAGE).replaceAll(',', ',,')}`,
    '--append',
    'bench=1 ssch=20',
  ]);
  return (await simulate({ ...(await bootConfig(values, rest)), quiet: true, trace: ['*'] })).trace;
}

/** The scenario. */
export async function traceCost(context: BenchContext): Promise<Figure[]> {
  const costs: TracePointCost[] = [];
  const off: Readonly<Record<number, MarkSeries>>[] = [];
  const on: Readonly<Record<number, MarkSeries>>[] = [];
  let trace: readonly TraceRecord[] = [];
  await eachRound(context, async (round) => {
    context.progress('one trace point');
    costs.push(await runInPool<TracePointCost>(MODULE, 'measureTracePoint', { batches: BATCHES }));
    if (round === 1) trace = await fullTrace(context);
    const append = `bench=40 ssch=${IOS}`;
    context.progress('guest, no tracing');
    off.push((await bootToy(context, append)).result.marks);
    context.progress('guest, every event on');
    const words = ['--trace-out', join(context.folder, 'trace.json')];
    on.push((await bootToy(context, append, { words, traceSinks: { text: () => {} } })).result.marks);
  });
  const point = (name: string, rounds: readonly (readonly number[])[]) => measured({ scenario: 'trace', name, rounds });
  return [
    point(
      'a trace point that is off',
      costs.map(({ off }) => off),
    ),
    point(
      '  one that looks before it computes its arguments',
      costs.map(({ look }) => look),
    ),
    point(
      '  a look from WebAssembly',
      costs.map(({ lookWasm }) => lookWasm),
    ),
    point(
      'a record',
      costs.map((cost) => cost.on),
    ),
    ...OPERATIONS.flatMap((operation) => {
      const { name, series, points, off: kind } = operation;
      const whole = subject(
        'trace',
        name,
        off.map((marks) => marks[series]),
      );
      const count = points(trace);
      const share = measured({
        scenario: 'trace',
        name: `  its ${count} ${kind === 'lookWasm' ? 'looks at events' : 'points'} that are off`,
        rounds: costs.map((cost) => cost[kind].map((ns) => ns * count)),
        floor: whole,
        part: true,
        parameters: { operation: name, points: count },
      });
      return [
        whole,
        { ...share, target: `at most ${100 * SHARE} % of it`, reached: (share.ratio as number) <= SHARE },
        {
          ...subject(
            'trace',
            `  with every event on`,
            on.map((marks) => marks[series]),
            whole,
          ),
          parameters: { operation: name },
        },
      ];
    }),
  ];
}
