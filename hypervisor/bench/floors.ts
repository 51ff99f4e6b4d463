/** The bare hand-off chains every figure is compared with, run on threads of their own. */
import { Piscina } from 'piscina';
import { FLOOR_MEMORY } from '../../kernel/lib/floor.ts';
import { createMemory } from '../../kernel/lib/host_memory.ts';
import { quantiles } from './figures.ts';

const POOL_ENTRY = new URL('../../kernel/lib/pool_worker.js', import.meta.url).href;
const FLOOR = new URL('../../kernel/lib/floor.ts', import.meta.url).href;

/** Routes by name; see `kernel/lib/floor.ts` for the letters. */
export const FLOORS = {
  'two parties': 'GK',
  'three parties': 'GVKV',
  // The same as the next one up to the interruption, which the guest takes without an exit.
  'SSCH to interruption': 'GVK(VG)IKVKVK(V)',
  // One SSCH: exit, region write; start on the I/O processor, while the condition code goes back to the guest; interrupt,
  // eventfd, region read, injection, which returns to the VMM too; TSCH, and another that finds nothing.
  'SSCH chain': 'GVK(VG)IKVKVK(V)GVGV',
} as const;
export type FloorName = keyof typeof FLOORS;

/** Medians of the floors measured so far, the best of each, ns. */
const best = new Map<string, number>();
/** A floor that takes so many times the best one is taken once more, on new threads: some must have shared a CPU. */
const AGAIN = 1.5;
/** How often at most. */
const TRIES = 3;

/** Runs a route; nanoseconds per round trip. @param deviceNs time the I/O processor sleeps before it passes on */
export async function runFloor(name: FloorName, rounds: number, deviceNs = 0): Promise<Float64Array> {
  const key = `${name} ${deviceNs}`;
  let chosen: { readonly times: Float64Array; readonly p50: number } | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    const times = await runOnce(name, rounds, deviceNs);
    const { p50 } = quantiles(times);
    if (chosen === undefined || p50 < chosen.p50) chosen = { times, p50 };
    best.set(key, Math.min(p50, best.get(key) ?? p50));
    if (chosen.p50 <= AGAIN * (best.get(key) as number)) break;
  }
  return (chosen as NonNullable<typeof chosen>).times;
}

async function runOnce(name: FloorName, rounds: number, deviceNs: number): Promise<Float64Array> {
  const route = FLOORS[name];
  const parties = [...new Set(route.replace(/[()]/g, ''))];
  const pool = new Piscina({
    filename: POOL_ENTRY,
    minThreads: parties.length,
    maxThreads: parties.length,
    execArgv: [],
    atomics: 'disabled',
  });
  const memory = createMemory(FLOOR_MEMORY);
  try {
    const times = await Promise.all(
      parties.map((party) =>
        pool.run({ module: FLOOR, call: 'runParty', argument: { memory, route, party, rounds, deviceNs } }),
      ),
    );
    return times[0] as Float64Array;
  } finally {
    await pool.destroy();
  }
}

/** Calls an exported function of a module on a pool thread. */
export async function runInPool<T>(module: string, call: string, argument: unknown): Promise<T> {
  const pool = new Piscina({ filename: POOL_ENTRY, maxThreads: 1, execArgv: [], atomics: 'disabled' });
  try {
    return (await pool.run({ module, call, argument })) as T;
  } finally {
    await pool.destroy();
  }
}
