/** The whole machine on one thread, in virtual time, from one seed. */
import { type ActorContext, type ActorModule, actorContext, type Running } from '../kernel/lib/actor_module.ts';
import { createMemory, HostMemory } from '../kernel/lib/host_memory.ts';
import { delay } from '../kernel/lib/host_timer.ts';
import { type SharedMap, sharedMap } from '../kernel/lib/shared_map.ts';
import { Simulation } from '../kernel/lib/simulated.ts';
import { stopping } from '../kernel/lib/stop.ts';
import { enableTrace, printTrace, TraceReader, type TraceRecord } from '../kernel/lib/trace.ts';
import { load } from '../kernel/lib/typescript.js';
import { actorTable, mapConfig, powerOn } from './actors.ts';
import type { MachineConfig, MachineResult } from './config.ts';

export interface SimulatedRun {
  readonly result: MachineResult;
  /** Everything the guest's console printed. */
  readonly console: string;
  readonly log: readonly string[];
  readonly trace: readonly TraceRecord[];
  /** Events that one step overwrote before they could be read: hardly ever any. */
  readonly traceLost: number;
  /** The run was cut at `limitNs`. */
  readonly cut: boolean;
  /** Virtual nanoseconds and task steps. */
  readonly now: number;
  readonly steps: number;
  /** What each actor's `finish` returned, by name. */
  readonly actors: Readonly<Record<string, unknown>>;
  readonly memory: HostMemory;
  readonly map: SharedMap;
}

/** The run took more steps than a boot can need. */
export class TooLong extends Error {
  constructor(steps: number) {
    super(`the simulated run did not end within ${steps} steps`);
    this.name = 'TooLong';
  }
}

/** Steps after which a simulated boot counts as hung. */
const MAX_STEPS = 20_000_000;

/** Task steps between two turns of the event loop. */
const SLICE_STEPS = 5000;

export interface SimulateOptions extends Partial<Pick<ActorContext, 'log' | 'output'>> {
  /** Virtual time at which the run is cut, ns: the same step in every run. Without it {@link TooLong} ends a hung one. */
  readonly limitNs?: number;
  /** Asked now and then: true ends the run. */
  readonly interrupted?: () => boolean;
}

/** Boots `config` under the simulated scheduler. @throws Deadlock, TaskFailure, TooLong */
export async function simulate(config: MachineConfig, options: SimulateOptions = {}): Promise<SimulatedRun> {
  const map = sharedMap(mapConfig(config));
  const memory = createMemory(map.size);
  const host = new HostMemory(memory);
  for (const glob of config.trace) enableTrace(host, map.traceEnable, glob);
  await powerOn(host, map, config);
  const simulation = new Simulation(config.seed);
  const console: Buffer[] = [];
  const log: string[] = [];
  const running = new Map<string, Running | undefined>();
  for (const row of actorTable(config)) {
    const { start } = (await load(row.module)) as ActorModule;
    const context = actorContext(
      simulation.actor(row.name),
      { memory, map, origin: 0n, config: row.config },
      {
        log: (line) => {
          log.push(`${row.name}: ${line}`);
          options.log?.(`${row.name}: ${line}`);
        },
        output: (bytes) => {
          console.push(Buffer.from(bytes));
          options.output?.(bytes);
        },
      },
    );
    running.set(row.name, await start(context));
  }
  const reader = new TraceReader(
    host,
    map.actors.map(({ name, trace: hpa }) => ({ actor: name, hpa })),
  );
  const { limitNs = Number.POSITIVE_INFINITY } = options;
  // Asked before every step.
  const stopped = () => {
    reader.keepUp();
    return stopping(host, map) || simulation.now >= limitNs || options.interrupted?.() === true;
  };
  // The event loop gets a turn now and then: for signals.
  while (!simulation.advance(stopped, SLICE_STEPS, limitNs)) {
    if (options.limitNs === undefined && simulation.steps > MAX_STEPS) throw new TooLong(MAX_STEPS);
    await delay(0);
  }
  const cut = simulation.now >= limitNs && !stopping(host, map);
  const trace = reader.records();
  const actors = Object.fromEntries([...running].map(([name, actor]) => [name, actor?.finish?.()]));
  return {
    result: actors.vmm as MachineResult,
    actors,
    console: Buffer.concat(console).toString('latin1'),
    log,
    trace,
    traceLost: reader.lost,
    cut,
    // The step that was the last may have taken until after the limit.
    now: Math.min(simulation.now, limitNs),
    steps: simulation.steps,
    memory: host,
    map,
  };
}

/** The trace as text, one event a line with virtual time and actor: equal for equal seeds, byte for byte. */
export function traceText(trace: readonly TraceRecord[]): string {
  return trace.map((r) => `${r.time.toFixed(0).padStart(12)} ${r.actor.padEnd(7)} ${printTrace(r)}\n`).join('');
}
