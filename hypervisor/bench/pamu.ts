/**
 * The two sides of the argument about windowed IOMMUs next to each other: what a VMM has to do to map a guest's RAM and
 * three MSI banks, what it costs, and what an access costs then. Behind PAMUs, how fast a device that leaves its windows is
 * stopped; type1 stops none.
 */
import { planPamu } from '../../devices/virtual/vfio/pamu_plan.ts';
import { PAMU_VIOLATION } from '../../kernel/include/arch/ppc/pamu.ts';
import type { TraceRecord } from '../../kernel/lib/trace.ts';
import type { Figure } from './figures.ts';
import { runInPool } from './floors.ts';
import { workOfIoctls } from './ioctl_work.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { measured } from './series.ts';
import { bootToy } from './toy_run.ts';

const MODULE = new URL('../../kernel/ppc/iommu_bench.ts', import.meta.url).href;
const SCENARIO = 'pamu';
const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** The sides, and the pieces that host memory is in: scattered pages, huge pages of 2 MiB, and of 64 MiB as e500mc has them. */
const SIDES = [
  { side: 'type1 4K', piece: 4096 },
  { side: 'type1 2M', piece: 2 * MiB },
  { side: 'PAMU', piece: 64 * MiB },
] as const;
type Side = (typeof SIDES)[number]['side'];
const SIZES = [64 * MiB, 256 * MiB, GiB, 2 * GiB, 4 * GiB] as const;
/** All of host memory is below 4 GiB, tables and all: larger guests show this much of it several times. */
const HOST_MOST = 2 * GiB;
const MSI_BANKS = 3;
/** What an aperture of this host may have (PAMU_MAX_WCE), and where its bus addresses end. */
const LIMITS = { maxWindows: 256, addressEnd: 2 ** 36 };
const REPEATS = 3;
const BATCHES = 2000;
/** Times that the guest leaves its windows in each of its ways. */
const GUEST_ROUNDS = 10;

/** What the micro gives back: `IommuCosts` of kernel/ppc/iommu_bench.ts. */
interface Costs {
  readonly ioctls: number;
  readonly work: Parameters<typeof workOfIoctls>[1];
  readonly tableBytes: number;
  readonly chipBytes: number;
  readonly lines: number;
  readonly setUp: readonly number[];
  readonly access: readonly number[];
}

interface Mapping {
  readonly iova: number;
  readonly size: number;
  readonly offset: number;
}

/** `64 MiB`, `4 GiB`. */
function bytes(size: number): string {
  return size < GiB ? `${size / MiB} MiB` : `${size / GiB} GiB`;
}

/**
 * MAP_DMA calls of type1: one for all RAM that is in one piece of the process. What is behind 2 GiB comes from 4 GiB on, as
 * on a PC: in between is the window of the messages.
 */
function type1Maps(size: number, memory: number): Mapping[] {
  return Array.from({ length: size / memory }, (_, i) => ({ iova: i * 2 * memory, size: memory, offset: 0 }));
}

/** The options of the micro for a size of RAM. */
function optionsOf(side: Side, piece: number, size: number) {
  const memory = Math.min(size, HOST_MOST);
  const common = { side, memory, piece, repeats: REPEATS, batches: BATCHES };
  if (side !== 'PAMU') return { ...common, maps: type1Maps(size, memory) };
  const plan = planPamu({ ram: [{ iova: 0, size }], granule: piece, msiBanks: MSI_BANKS, ...LIMITS });
  const maps = plan.maps.flatMap((map) =>
    Array.from({ length: Math.ceil(map.size / memory) }, (_, i) => ({
      iova: map.iova + i * memory,
      size: Math.min(memory, map.size - i * memory),
      offset: 0,
    })),
  );
  const windows = { start: plan.apertureStart, end: plan.apertureEnd, count: plan.windows, msi: plan.msi };
  return { ...common, maps, windows };
}

/** The figures of one side and size. */
function sideFigures(side: Side, size: number, rounds: readonly Costs[]): Figure[] {
  const twice = size > HOST_MOST ? ` (${bytes(HOST_MOST)} of host memory, mapped ${size / HOST_MOST} times)` : '';
  const ram = `${bytes(size)} of RAM${twice}`;
  const figure = (what: string, unit: Figure['unit'], of: (round: Costs) => readonly number[]): Figure =>
    measured({
      scenario: SCENARIO,
      name: `${ram}: ${what}`,
      column: side,
      unit,
      rounds: rounds.map(of),
      parameters: { side, ram: size, what },
    });
  return [
    figure('ioctls', 'ioctls', ({ ioctls }) => [ioctls]),
    figure('tables of the container', 'bytes', ({ tableBytes }) => [tableBytes]),
    ...(size === SIZES[0] ? [figure('tables of the chip, at boot', 'bytes', ({ chipBytes }) => [chipBytes])] : []),
    figure('table lines that an access reads', 'lines', ({ lines }) => [lines]),
    { ...figure('set-up', 'ns', ({ setUp }) => setUp), perOperation: workOfIoctls(rounds[0].ioctls, rounds[0].work) },
    figure('translation of an access, in this model', 'ns', ({ access }) => access),
  ];
}

/** ns from each violation to the moment from which its LIODN does no DMA. */
export function isolationTimes(trace: readonly TraceRecord[]): number[] {
  const times: number[] = [];
  const violations = new Map<string, number>();
  for (const { event, time, args } of [...trace].sort((a, b) => a.time - b.time)) {
    const [liodn, address, code] = args;
    const key = `${liodn} ${address}`;
    // Of a LIODN that is off already: nothing is left to isolate.
    if (event === 'pamu_violation' && code !== PAMU_VIOLATION.LAV) violations.set(key, time);
    const begun = violations.get(key);
    if (event !== 'fsl_pamu_isolated' || begun === undefined) continue;
    times.push(time - begun);
    violations.delete(key);
  }
  return times;
}

/** The scenario. */
export async function pamu(context: BenchContext): Promise<Figure[]> {
  const costs = new Map<string, Costs[]>();
  const isolation: number[][] = [];
  await eachRound(context, async () => {
    for (const size of SIZES)
      for (const { side, piece } of SIDES) {
        context.progress(`${bytes(size)}, ${side}`);
        const key = `${side} ${size}`;
        const measured = await runInPool<Costs>(MODULE, 'measureIommu', optionsOf(side, piece, size));
        costs.set(key, [...(costs.get(key) ?? []), measured]);
      }
    context.progress('violations');
    const trace = ['--trace', 'pamu_violation', '--trace', 'fsl_pamu_isolated'];
    const words = ['--memory', '64M', '--iommu', 'pamu', ...trace];
    const run = await bootToy(context, `rounds=${GUEST_ROUNDS}`, { guest: 'dma', words });
    isolation.push(isolationTimes(run.trace));
  });
  return [
    ...SIZES.flatMap((size) =>
      SIDES.flatMap(({ side }) => sideFigures(side, size, costs.get(`${side} ${size}`) as Costs[])),
    ),
    measured({
      scenario: SCENARIO,
      name: 'violation to isolation of the LIODN (type1 refuses the access and isolates nobody)',
      column: 'PAMU',
      rounds: isolation,
    }),
  ];
}
