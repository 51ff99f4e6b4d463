/** Memory over a million hypercalls and 100,000 I/Os: what leaks grows with them. */
import { stopwatch } from '../../kernel/lib/clock.ts';
import { delay } from '../../kernel/lib/host_timer.ts';
import { type Figure, slope } from './figures.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured } from './series.ts';
import { bootToy } from './toy_run.ts';

/** Bytes a hypercall or an I/O may add on average: less is noise of the allocator. */
const LIMIT = 64;
/** Milliseconds between two looks at the resident size. */
const SAMPLE_MS = 100;

const CASES = [
  { name: 'per hypercall, 1,000,000 of them', append: 'bench=80', operations: 1_024_000 },
  { name: 'per I/O, 100,000 of them', append: 'bench=0 ssch=50000', operations: 100_000 },
] as const;

/** Boots; bytes that each operation of the second half has added. The first half warms up: translated code, the heaps. */
async function bytesPerOperation(context: BenchContext, { name, append, operations }: (typeof CASES)[number]) {
  const points: [ms: number, rss: number][] = [];
  let running = true;
  const elapsed = stopwatch();
  const sampler = (async () => {
    while (running) {
      points.push([elapsed(), process.memoryUsage().rss]);
      context.progress(name);
      await delay(SAMPLE_MS);
    }
  })();
  try {
    await bootToy(context, append);
  } finally {
    running = false;
  }
  const whole = elapsed();
  await sampler;
  const second = points.slice(points.length >> 1);
  return slope(second.map(([ms, rss]) => [(ms / whole) * operations, rss]));
}

/** The scenario. */
export async function growth(context: BenchContext): Promise<Figure[]> {
  const slopes: number[][][] = CASES.map(() => []);
  await eachRound(context, async () => {
    for (const [i, one] of CASES.entries()) slopes[i].push([await bytesPerOperation(context, one)]);
  });
  return CASES.map(({ name, operations }, i) => {
    const figure = measured({
      scenario: 'growth',
      name,
      unit: 'bytes/op',
      rounds: slopes[i],
      operations: operations * slopes[i].length,
    });
    return { ...figure, target: `at most ${LIMIT} bytes`, reached: figure.p50 <= LIMIT };
  });
}
