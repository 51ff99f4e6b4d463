/**
 * The two designs of channel I/O pass-through side by side: 4096-byte reads from one and from four devices, one at a time
 * per device, which take no time, 100 us or 1 ms. The merged one starts a device and goes on; the blocking one of 2016
 * holds the CPU until the program has ended, so that devices wait for each other.
 */
import type { CcwApi, MarkSeries } from '../config.ts';
import { type Figure, overRounds } from './figures.ts';
import { runFloor } from './floors.ts';
import type { BenchContext } from './scenario.ts';
import { againstFloor, floorFigure, subject, warm, workPerOperation } from './series.ts';
import { bootToy } from './toy_run.ts';

/** Series of guest/programs/toy/dasd_parallel.c: batches of reads, whichever device they come from; each single read. */
const SERIES = { BATCHES: 5, LATENCY: 6 } as const;

/** The columns: device time, and how many reads from each device and rounds of the floor keep a run near a second. */
const DEVICE_TIMES = [
  { us: 0, reads: 2000, floorRounds: 1000 },
  { us: 100, reads: 1200, floorRounds: 500 },
  { us: 1000, reads: 300, floorRounds: 200 },
] as const;
type DeviceTime = (typeof DEVICE_TIMES)[number];
const DEVICES = [1, 4] as const;
const APIS: readonly CcwApi[] = ['region', 'cmd-request'];

interface Cell {
  readonly api: CcwApi;
  readonly devices: number;
  readonly time: DeviceTime;
  readonly name: string;
  readonly batches: MarkSeries[];
  readonly latency: MarkSeries[];
}

function cells(): Cell[] {
  return DEVICE_TIMES.flatMap((time) =>
    DEVICES.flatMap((devices) =>
      APIS.map((api) => {
        const name = `${api}, ${devices} device${devices === 1 ? '' : 's'} of ${time.us} us`;
        return { api, devices, time, name, batches: [], latency: [] };
      }),
    ),
  );
}

const floorName = ({ us }: DeviceTime) => `SSCH chain, device of ${us} us`;

/** I/Os a second. A slow batch is a low rate, so the 99th percentile of the times is the rate's slow end. */
function rate({ api, devices, time, name, batches }: Cell, floor: Figure): Figure {
  const q = overRounds(batches.map((series) => warm(series.batches)));
  return {
    scenario: 'ccw-api',
    name: `${name}: reads a second`,
    unit: 'I/O/s',
    p50: 1e9 / q.p50,
    p99: 1e9 / q.p99,
    samples: batches.reduce((sum, series) => sum + series.batches.length, 0),
    operations: batches.reduce((sum, series) => sum + series.calls, 0),
    parameters: { api, devices, deviceUs: time.us },
    // All devices at work all the time would be as many chains as devices in one chain's time.
    ...againstFloor(q.p50 * devices, floor),
    perOperation: workPerOperation(batches[batches.length - 1]),
  };
}

/** The scenario. */
export async function ccwApi(context: BenchContext): Promise<Figure[]> {
  const floors = new Map(DEVICE_TIMES.map((time) => [time, [] as Float64Array[]]));
  const all = cells();
  for (let round = 1; round <= context.rounds; round++) {
    const progress = (what: string) => context.progress(`ccw-api: round ${round} of ${context.rounds}: ${what}`);
    for (const [time, runs] of floors) {
      progress(`floor, device of ${time.us} us`);
      runs.push(await runFloor('SSCH chain', time.floorRounds, time.us * 1000));
    }
    for (const [number, cell] of all.entries()) {
      progress(`${number + 1} of ${all.length}: ${cell.name}`);
      const drive = `readonly=on,service-us=${cell.time.us}`;
      const { result } = await bootToy(context, `bench=0 parallel=${cell.time.reads}`, {
        words: ['--ccw-api', cell.api],
        drives: Array.from({ length: cell.devices }, () => drive),
      });
      cell.batches.push(result.marks[SERIES.BATCHES]);
      cell.latency.push(result.marks[SERIES.LATENCY]);
    }
  }
  return [...floors].flatMap(([time, runs]) => {
    const floor = floorFigure('ccw-api', floorName(time), runs);
    const column = all.filter((cell) => cell.time === time);
    return [
      floor,
      ...column.flatMap((cell) => [
        rate(cell, floor),
        {
          ...subject('ccw-api', `${cell.name}: SSCH to TSCH`, cell.latency, floor),
          parameters: { api: cell.api, devices: cell.devices, deviceUs: time.us },
        },
      ]),
    ];
  });
}
