/**
 * The two designs of channel I/O pass-through side by side: 4096-byte reads from one and from four devices, one at a time
 * per device, which take no time, 100 us or 1 ms. The merged one starts a device and goes on; the blocking one of 2016
 * holds the CPU until the program has ended, so that devices wait for each other.
 */
import type { CcwApi, MarkSeries } from '../config.ts';
import type { Figure } from './figures.ts';
import { runFloor } from './floors.ts';
import { type BenchContext, eachRound } from './scenario.ts';
import { floorFigure, measured, subject, warm, warmCalls, workPerOperation } from './series.ts';
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

/** I/Os a second. */
function rate({ api, devices, time, name, batches }: Cell, floor: Figure): Figure {
  return measured({
    scenario: 'ccw-api',
    name: `${name}: reads a second`,
    unit: 'I/O/s',
    rounds: batches.map((series) => warm(series.batches).map((ns) => 1e9 / ns)),
    operations: warmCalls(batches),
    parameters: { api, devices, deviceUs: time.us },
    floor,
    // All devices at work all the time would be as many chains as devices in one chain's time.
    floorAs: (ns) => (1e9 * devices) / ns,
    perOperation: workPerOperation(batches[batches.length - 1]),
  });
}

/** The scenario. */
export async function ccwApi(context: BenchContext): Promise<Figure[]> {
  const floors = new Map(DEVICE_TIMES.map((time) => [time, [] as Float64Array[]]));
  const all = cells();
  await eachRound(context, async () => {
    for (const [number, cell] of all.entries()) {
      const { time } = cell;
      // The first cell of a device time: its floor right before it.
      if (all[number - 1]?.time !== time) {
        context.progress(`floor, device of ${time.us} us`);
        floors.get(time)?.push(await runFloor('SSCH chain', time.floorRounds, time.us * 1000));
      }
      context.progress(`${number + 1} of ${all.length}: ${cell.name}`);
      const drive = `readonly=on,service-us=${time.us}`;
      const { result } = await bootToy(context, `bench=0 parallel=${time.reads}`, {
        words: ['--ccw-api', cell.api],
        drives: Array.from({ length: cell.devices }, () => drive),
      });
      cell.batches.push(result.marks[SERIES.BATCHES]);
      cell.latency.push(result.marks[SERIES.LATENCY]);
    }
  });
  return [...floors].flatMap(([time, runs]) => {
    const floor = floorFigure('ccw-api', floorName(time), runs);
    const column = all.filter((cell) => cell.time === time);
    return [
      floor,
      ...column.flatMap((cell) => [
        rate(cell, floor),
        subject('ccw-api', `${cell.name}: SSCH to TSCH`, cell.latency, floor, undefined, {
          parameters: { api: cell.api, devices: cell.devices, deviceUs: time.us },
        }),
      ]),
    ];
  });
}
