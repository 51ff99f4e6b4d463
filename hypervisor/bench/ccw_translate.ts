/** The translation of channel programs by itself: copying, pinning, making addresses host-physical, and freeing. */
import type { Figure } from './figures.ts';
import { runInPool } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { floorFigure, type Measurement, measured } from './series.ts';

const MODULE = new URL('../../kernel/s390/cio/vfio_ccw_cp_bench.ts', import.meta.url).href;

/** Kinds of CCWs, and how many words the IDAL has that the host gets for each. */
const SHAPES = [
  { shape: 'NOP', what: 'NOPs', words: 1 },
  { shape: 'direct', what: '4K direct', words: 1 },
  { shape: 'IDAL of 1', what: '4K by an IDAL of 1 word', words: 1 },
  { shape: 'IDAL of 2', what: '4K by an IDAL of 2 words', words: 2 },
] as const;
/** Lengths of programs, and how many programs are translated: about half a second of each. */
const LENGTHS = [
  { ccws: 1, programs: 20_000 },
  { ccws: 16, programs: 10_000 },
  { ccws: 255, programs: 3_000 },
] as const;
/** The longest program is the one that a target and floors are for. */
const LONGEST = 255;
const FLOOR_PROGRAMS = 4_000;
const PINNING = { batches: 4_000, pages: 64 };
/** What the translation of 255 CCWs with IDALs may take, ns. */
const LIMIT_NS = 100_000;

/** What the micro gives back: `TranslationTimes` of kernel/s390/cio/vfio_ccw_cp_bench.ts. */
interface Times {
  readonly init: readonly number[];
  readonly prefetch: readonly number[];
  readonly free: readonly number[];
  readonly total: readonly number[];
  readonly pins: number;
}

const PARTS = [
  { part: 'init', what: 'copy it' },
  { part: 'prefetch', what: 'translate and pin' },
  { part: 'free', what: 'unpin and free' },
] as const;

const CASES = SHAPES.flatMap((shape) => LENGTHS.map((length) => ({ ...shape, ...length })));

function figures(one: (typeof CASES)[number], rounds: readonly Times[], floor: Figure): Figure[] {
  const { shape, ccws, what } = one;
  const { pins } = rounds[0];
  const figure = (name: string, part: keyof Omit<Times, 'pins'>, more: Partial<Measurement> = {}): Figure =>
    measured({
      scenario: 'ccw-translate',
      name,
      rounds: rounds.map((round) => round[part]),
      parameters: { shape, ccws, pinsPerCcw: pins / ccws, part },
      ...more,
    });
  const name = `${ccws} CCW${ccws === 1 ? '' : 's'}, ${what}`;
  const total = figure(`${name} (${pins} ${pins === 1 ? 'pin' : 'pins'})`, 'total', ccws === LONGEST ? { floor } : {});
  if (ccws !== LONGEST) return [total];
  const target = shape.startsWith('IDAL')
    ? { target: `p50 below ${LIMIT_NS / 1000} us`, reached: total.p50 < LIMIT_NS }
    : {};
  return [
    { ...total, ...target },
    ...PARTS.map(({ part, what: does }) => figure(`  of which ${does}`, part)),
    figure('  for each CCW', 'total', { rounds: rounds.map((round) => round.total.map((ns) => ns / ccws)) }),
  ];
}

/** The scenario. */
export async function ccwTranslate(context: BenchContext): Promise<Figure[]> {
  const rounds: Times[][] = [];
  const pinning: number[][] = [];
  const floors = new Map<number, number[][]>(SHAPES.map(({ words }) => [words, []]));
  await eachRound(context, async () => {
    context.progress('floors');
    for (const [words, runs] of floors)
      runs.push(await runInPool(MODULE, 'measureCopy', { ccws: LONGEST, words, programs: FLOOR_PROGRAMS }));
    context.progress('pin and unpin');
    pinning.push(await runInPool(MODULE, 'measurePinning', PINNING));
    context.progress('programs');
    rounds.push(await runInPool(MODULE, 'measureTranslations', { cases: CASES }));
  });
  const floorOf = new Map<number, Figure>();
  for (const [words, runs] of floors)
    floorOf.set(words, floorFigure('ccw-translate', `copy of ${LONGEST} CCWs and IDALs of ${words}`, runs));
  const samples = pinning.reduce((sum, round) => sum + round.length, 0);
  return [
    ...floorOf.values(),
    measured({
      scenario: 'ccw-translate',
      name: 'pin and unpin of a page',
      rounds: pinning,
      operations: samples * PINNING.pages,
    }),
    ...CASES.flatMap((one, i) =>
      figures(
        one,
        rounds.map((round) => round[i]),
        floorOf.get(one.words) as Figure,
      ),
    ),
  ];
}
