/** What can be measured, one row each. Floors run in the same process, interleaved with their subjects. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stopwatch } from '../../kernel/lib/clock.ts';
import { delay } from '../../kernel/lib/host_timer.ts';
import { createToyVolume } from '../cli/dasd.ts';
import { TIER_NAMES } from '../cli/report.ts';
import type { MarkSeries } from '../config.ts';
import { UserError } from '../user_error.ts';
import { ccw } from './ccw.ts';
import { ccwApi } from './ccw_api.ts';
import { ccwTranslate } from './ccw_translate.ts';
import { type Figure, quantiles, slope } from './figures.ts';
import { runFloor, runInPool } from './floors.ts';
import { groups } from './groups.ts';
import { hcalls } from './hcalls.ts';
import { net } from './net.ts';
import { pamu } from './pamu.ts';
import type { BenchContext, Scenario } from './scenario.ts';
import { floorFigure, subject } from './series.ts';
import { bootToy, IMAGE } from './toy_run.ts';

/** What QEMU TCG takes for a whole H_PUT_TCE, ns (measured on such a machine). */
const QEMU_TCG_NS = 160;

async function tce(context: BenchContext): Promise<Figure[]> {
  const two: Float64Array[] = [];
  const three: Float64Array[] = [];
  const tiers: MarkSeries[][] = [[], [], []];
  for (let round = 1; round <= context.rounds; round++) {
    context.progress(`tce: round ${round} of ${context.rounds}`);
    two.push(await runFloor('two parties', 30_000));
    three.push(await runFloor('three parties', 3_000));
    const { result } = await bootToy(context, 'bench=40');
    for (const tier of [0, 1, 2]) tiers[tier].push(result.marks[tier]);
  }
  const floor2 = floorFigure('tce', 'two parties', two);
  const floor3 = floorFigure('tce', 'three parties', three);
  const real = subject('tce', `H_PUT_TCE, ${TIER_NAMES[0]}`, tiers[0]);
  return [
    floor3,
    subject('tce', `H_PUT_TCE, ${TIER_NAMES[2]}`, tiers[2], floor3, 2),
    floor2,
    subject('tce', `H_PUT_TCE, ${TIER_NAMES[1]}`, tiers[1], floor2, 3),
    { ...real, target: `p50 below ${QEMU_TCG_NS} ns`, reached: real.p50 < QEMU_TCG_NS },
  ];
}

async function ssch(context: BenchContext): Promise<Figure[]> {
  const floors: Float64Array[] = [];
  const noop: MarkSeries[] = [];
  const read: MarkSeries[] = [];
  for (let round = 1; round <= context.rounds; round++) {
    context.progress(`ssch: round ${round} of ${context.rounds}`);
    floors.push(await runFloor('SSCH chain', 2_000));
    const { result } = await bootToy(context, 'bench=0 ssch=3000');
    noop.push(result.marks[3]);
    read.push(result.marks[4]);
  }
  const floor = floorFigure('ssch', 'SSCH chain', floors);
  return [
    floor,
    subject('ssch', 'NOP: SSCH, interruption, TSCH', noop, floor),
    subject('ssch', 'read of 4096 bytes', read, floor),
  ];
}

/** Integer loop on one thread, no machine around it. */
async function mips(context: BenchContext): Promise<Figure[]> {
  context.progress('mips');
  const module = new URL('../../guest/cpu/mips.ts', import.meta.url).href;
  const runs = await runInPool<number[]>(module, 'measureMips', { repeats: 2 * context.rounds + 1 });
  const { p50 } = quantiles(runs);
  return [
    {
      scenario: 'mips',
      name: 'integer loop',
      unit: 'MIPS',
      p50,
      samples: runs.length,
      operations: runs.length,
      target: 'at least 300',
      reached: p50 >= 300,
    },
  ];
}

const COMMAND = fileURLToPath(new URL('../minivisor.js', import.meta.url));

/** The default boot as a process of its own: start to first guest instruction, and peak memory. */
async function start(context: BenchContext): Promise<Figure[]> {
  const first: number[] = [];
  const wall: number[] = [];
  const rss: number[] = [];
  for (let round = 1; round <= 2 * context.rounds + 1; round++) {
    context.progress(`start: round ${round} of ${2 * context.rounds + 1}`);
    const file = join(context.folder, 'stats.json');
    const { status, stderr } = spawnSync(process.execPath, [COMMAND, 'boot', '--stats', file], {
      cwd: context.folder,
      encoding: 'utf8',
    });
    if (status !== 0) throw new UserError(`minivisor boot ended with status ${status}: ${stderr}`);
    const stats = JSON.parse(readFileSync(file, 'utf8')) as {
      firstInstructionMs: number;
      wallMs: number;
      peakRssMiB: number;
    };
    first.push(stats.firstInstructionMs);
    wall.push(stats.wallMs);
    rss.push(stats.peakRssMiB);
  }
  const figure = (name: string, unit: Figure['unit'], values: number[]): Figure => ({
    scenario: 'start',
    name,
    unit,
    ...quantiles(values),
    samples: values.length,
    operations: values.length,
  });
  const memory = figure('peak resident size, 128 MiB guest', 'MiB', rss);
  const whole = figure('whole boot of the toy guest', 'ms', wall);
  return [
    figure('process start to first guest instruction', 'ms', first),
    { ...whole, target: 'under 10 s', reached: whole.p50 < 10_000 },
    { ...memory, target: 'at most 512 MiB', reached: memory.p50 <= 512 },
  ];
}

/** Bytes a million hypercalls, or as many I/Os, may add: less is noise of the allocator. */
const GROWTH_LIMIT = 64;

/** Memory over a million hypercalls and 100,000 I/Os. */
async function growth(context: BenchContext): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, append, operations] of [
    ['per hypercall, 1,000,000 of them', 'bench=80', 1_024_000],
    ['per I/O, 100,000 of them', 'bench=0 ssch=50000', 100_000],
  ] as const) {
    const points: [number, number][] = [];
    let running = true;
    const elapsed = stopwatch();
    const sampler = (async () => {
      while (running) {
        points.push([elapsed(), process.memoryUsage().rss]);
        context.progress(`growth: ${name}: ${(elapsed() / 1000).toFixed(0)} s`);
        await delay(100);
      }
    })();
    await bootToy(context, append);
    running = false;
    const whole = elapsed();
    await sampler;
    // The first half warms up: translated code, heaps of the threads. Slope of the second half, over operations.
    const second = points.slice(points.length >> 1);
    const perOperation = slope(second.map(([t, rss]) => [(t / whole) * operations, rss]));
    figures.push({
      scenario: 'growth',
      name,
      unit: 'bytes/op',
      p50: perOperation,
      samples: second.length,
      operations,
      target: `at most ${GROWTH_LIMIT} bytes`,
      reached: perOperation <= GROWTH_LIMIT,
    });
  }
  return figures;
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'tce', summary: 'H_PUT_TCE in each tier beside the two- and three-party floors', run: tce },
  {
    name: 'hcalls',
    summary: 'each TCE hypercall in each tier, per call and per TCE, 512 of them where one call takes many',
    long: true,
    run: hcalls,
  },
  {
    name: 'groups',
    summary: 'H_PUT_TCE in real mode with 1 to 16 groups in the container',
    run: groups,
  },
  {
    name: 'net',
    summary: 'frames through the NIC, mapped packet by packet in each tier, and in one big window',
    long: true,
    run: net,
  },
  {
    name: 'ssch',
    summary: 'SSCH to interruption with a zero-latency device beside the bare chain of hand-offs',
    run: ssch,
  },
  { name: 'ccw', summary: 'the same step by step, no-operation and 4K read, in both designs of --ccw-api', run: ccw },
  {
    name: 'ccw-translate',
    summary: 'translation of channel programs of 1, 16 and 255 CCWs, and what pinning costs',
    run: ccwTranslate,
  },
  {
    name: 'ccw-api',
    summary: 'reads a second from 1 and 4 devices of 0, 100 us and 1 ms, in both designs of --ccw-api',
    long: true,
    run: ccwApi,
  },
  {
    name: 'pamu',
    summary: 'RAM and MSI banks behind type1 and behind PAMUs: ioctls, tables, set-up, an access, a violation',
    long: true,
    run: pamu,
  },
  { name: 'mips', summary: 'guest instructions a second on the integer loop', run: mips },
  { name: 'start', summary: 'time to the first guest instruction, whole boot, peak memory', run: start },
  { name: 'growth', summary: 'memory over a million hypercalls and 100,000 I/Os', long: true, run: growth },
];

/** Runs scenarios with a folder of their own. */
export async function runScenarios(
  scenarios: readonly Scenario[],
  rounds: number,
  progress: (what: string) => void,
): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'minivisor-bench-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // A signal unwinds nothing; 130 is what a shell gives for a command that Ctrl-C ended.
  const interrupted = () => {
    remove();
    process.exit(130);
  };
  process.on('SIGINT', interrupted);
  process.on('SIGTERM', interrupted);
  try {
    createToyVolume(join(folder, IMAGE));
    const figures: Figure[] = [];
    for (const scenario of scenarios) {
      progress(scenario.name);
      figures.push(...(await scenario.run({ rounds, folder, progress })));
    }
    return figures;
  } finally {
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
    remove();
  }
}
