/** The whole machine on one thread, in virtual time, from one seed. */
import { type ActorContext, type ActorModule, actorContext, type Running } from '../kernel/lib/actor_module.ts';
import { createMemory, HostMemory } from '../kernel/lib/host_memory.ts';
import { delay } from '../kernel/lib/host_timer.ts';
import { type SharedMap, sharedMap } from '../kernel/lib/shared_map.ts';
import { Simulation } from '../kernel/lib/simulated.ts';
import { stopping } from '../kernel/lib/stop.ts';
import { observeTrace, type TraceRecord } from '../kernel/lib/trace.ts';
import { load } from '../kernel/lib/typescript.js';
import { type ActorRow, actorMap, actorTable, mapConfig, powerOn, vmResults } from './actors.ts';
import type { MachineConfig, MachineResult } from './config.ts';
import { enableTracing, TraceRecorder, type TraceSinks } from './trace/recorder.ts';
import { combinedResult } from './vms.ts';

export { traceText } from './trace/text.ts';

export interface SimulatedRun {
  /** Of the whole run: `results` together. */
  readonly result: MachineResult;
  /** Of each virtual machine. */
  readonly results: readonly MachineResult[];
  /** Everything the guests' consoles printed. */
  readonly console: string;
  readonly log: readonly string[];
  readonly trace: readonly TraceRecord[];
  /** Events that one step overwrote before they could be read: hardly ever any. */
  readonly traceLost: number;
  /** The run was cut at `limitNs`. */
  readonly cut: boolean;
  /** Of a run of several machines that was cut: those that waited. */
  readonly waiting: readonly WaitingVm[];
  /** Virtual nanoseconds and task steps. */
  readonly now: number;
  readonly steps: number;
  /** What each actor's `finish` returned, by name. */
  readonly actors: Readonly<Record<string, unknown>>;
  readonly memory: HostMemory;
  readonly map: SharedMap;
}

/** A virtual machine that has done nothing for long, and would not have by itself. */
export interface WaitingVm {
  readonly vm: number;
  /** Virtual time of what it did last. */
  readonly sinceNs: number;
}

/** Nanoseconds of waiting that are told: more than an I/O takes as a rule. */
const LONG_WAIT_NS = 1e8;

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
  /** Where trace records go while the machine runs; without it all are kept. */
  readonly traceSinks?: TraceSinks;
  /** Told of the recorder before the machine starts: it has the trace however the run ends. */
  readonly recording?: (recorder: TraceRecorder) => void;
  /**
   * Told of every record at the moment it is written, before the code that wrote it goes on: what it is about can be read
   * in the machine's memory then.
   */
  readonly onTrace?: (record: TraceRecord, machine: { readonly memory: HostMemory; readonly map: SharedMap }) => void;
  /** Puts another actor in the place of one of the machine's: a test's own end of a cable. */
  readonly replace?: (row: ActorRow) => ActorRow;
}

/** Boots `config` under the simulated scheduler. @throws Deadlock, TaskFailure, TooLong */
export async function simulate(config: MachineConfig, options: SimulateOptions = {}): Promise<SimulatedRun> {
  const map = sharedMap(mapConfig(config));
  const memory = createMemory(map.size);
  const host = new HostMemory(memory);
  enableTracing(host, map, config);
  const recorder = new TraceRecorder(host, map, options.traceSinks);
  options.recording?.(recorder);
  const { onTrace } = options;
  if (onTrace !== undefined) {
    const machine = { memory: host, map };
    const actors = new Map(map.actors.map(({ name, trace }) => [trace, name]));
    observeTrace(memory, (ring, event, time, args) =>
      onTrace({ actor: actors.get(ring) as string, event, time, args }, machine),
    );
  }
  await powerOn(host, map, config);
  const simulation = new Simulation(config.seed);
  const console: Buffer[] = [];
  const log: string[] = [];
  const running = new Map<string, Running | undefined>();
  const rows = actorTable(config).map(options.replace ?? ((row) => row));
  for (const row of rows) {
    const { start } = (await load(row.module)) as ActorModule;
    const context = actorContext(
      simulation.actor(row.name),
      { memory, map: actorMap(map, row), origin: 0n, config: row.config },
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
  const { limitNs = Number.POSITIVE_INFINITY } = options;
  const endThreads = threadEnder(host, map, rows, simulation);
  // Asked before every step.
  const stopped = () => {
    recorder.keepUp();
    endThreads();
    return stopping(host, map) || simulation.now >= limitNs || options.interrupted?.() === true;
  };
  // The event loop gets a turn now and then: for signals.
  try {
    while (!simulation.advance(stopped, SLICE_STEPS, limitNs)) {
      if (options.limitNs === undefined && simulation.steps > MAX_STEPS) throw new TooLong(MAX_STEPS);
      recorder.drain(simulation.now);
      await delay(0);
    }
  } finally {
    recorder.end();
  }
  const cut = simulation.now >= limitNs && !stopping(host, map);
  const trace = recorder.records();
  const actors = Object.fromEntries([...running].map(([name, actor]) => [name, actor?.finish?.()]));
  const results = vmResults(config, actors);
  return {
    result: combinedResult(results),
    results,
    actors,
    console: Buffer.concat(console).toString('latin1'),
    log,
    trace,
    traceLost: recorder.lost,
    cut,
    waiting: cut ? waitingVms(map, rows, simulation) : [],
    // The step that was the last may have taken until after the limit.
    now: Math.min(simulation.now, limitNs),
    steps: simulation.steps,
    memory: host,
    map,
  };
}

/** The machines of several whose threads all wait, with no timer set: only another machine, or nobody, can wake them. */
function waitingVms(map: SharedMap, rows: readonly ActorRow[], simulation: Simulation): WaitingVm[] {
  if (map.processes.length <= 1) return [];
  return [...map.processes.keys()].flatMap((vm) => {
    const threads = rows.filter(({ process }) => process === vm).map(({ name }) => name);
    const sinceNs = simulation.waitingSince(new Set(threads));
    return sinceNs === undefined || simulation.now - sinceNs < LONG_WAIT_NS ? [] : [{ vm, sinceNs }];
  });
}

/** What ends the threads of a process that is to stop, as each thread would do it itself; for hosts with several. */
function threadEnder(host: HostMemory, map: SharedMap, rows: readonly ActorRow[], simulation: Simulation): () => void {
  if (map.processes.length <= 1) return () => {};
  const alive = new Set(map.processes.keys());
  return () => {
    for (const process of alive) {
      const { control } = map.processes[process];
      if (host.load(control.stop) === 0) continue;
      alive.delete(process);
      for (const { name } of rows.filter((row) => row.process === process)) {
        simulation.end(name);
        host.add(control.ended, 1);
      }
    }
  };
}
