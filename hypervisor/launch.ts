/** The machine on real threads: one worker per actor, hardware in a pool, joined at the end whatever happens. */
import { Worker } from 'node:worker_threads';
import * as comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { Piscina } from 'piscina';
import type { BootData } from '../kernel/lib/actor_module.ts';
import type { ActorThread } from '../kernel/lib/actor_thread.ts';
import { clockOrigin, hostClock, processUptime } from '../kernel/lib/clock.ts';
import { Doorbell } from '../kernel/lib/doorbell.ts';
import { createMemory, HostMemory } from '../kernel/lib/host_memory.ts';
import { after, every } from '../kernel/lib/host_timer.ts';
import { MailboxClient } from '../kernel/lib/monitor_mailbox.ts';
import { actorAreas, actorName, processMap, type SharedMap, sharedMap } from '../kernel/lib/shared_map.ts';
import { stopMachine, stopping } from '../kernel/lib/stop.ts';
import { setTraceCapacity, TRACE_FOR, TRACE_FOR_ANY, type TraceRecord } from '../kernel/lib/trace.ts';
import { registerTransferHandlers } from '../kernel/lib/transfer.ts';
import { type ActorRow, actorMap, actorTable, mapConfig, powerOn, vmResults } from './actors.ts';
import type { MachineConfig, MachineResult } from './config.ts';
import type { MonitoredVms } from './monitor/session.ts';
import { vmRows } from './monitor/vms_table.ts';
import { enableTracing, READ_ALONG_MS, READ_ALONG_RECORDS, TraceRecorder, type TraceSinks } from './trace/recorder.ts';
import { UserError } from './user_error.ts';
import { combinedResult, vmSummaries } from './vms.ts';

/** A thread died: which, and why. */
export class ThreadDied extends Error {
  constructor(name: string, cause: unknown) {
    super(`thread ${name} died: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'ThreadDied';
  }
}

export interface ThreadedRun {
  /** Of the whole run: `results` together. */
  readonly result: MachineResult;
  /** Of each virtual machine. */
  readonly results: readonly MachineResult[];
  readonly trace: readonly TraceRecord[];
  /** Events that were overwritten by later ones. */
  readonly traceLost: number;
  /** When the machine was switched on, ms after the process started. */
  readonly switchedOn: number;
  /** What each actor's `finish` returned, by name. */
  readonly actors: Readonly<Record<string, unknown>>;
}

/** What is told of an actor that ended badly. An error keeps its name on its way between threads, but not its class. */
function failureOf(name: string, cause: unknown): ThreadDied | UserError {
  if (cause instanceof ThreadDied) return cause;
  if (cause instanceof Error && cause.name === 'OutputError') return new UserError(cause.message);
  return new ThreadDied(name, cause);
}

/** Time the threads get to leave their loops before they are ended by force, ms. */
const JOIN_MS = 1000;

/** Worker threads inherit nothing from the command line's loader. */
const ENTRY = new URL('../kernel/lib/worker_entry.js', import.meta.url);
const POOL_ENTRY = new URL('../kernel/lib/pool_worker.js', import.meta.url);
const ACTOR_THREAD = new URL('../kernel/lib/actor_thread.ts', import.meta.url).href;

export class ThreadedMachine {
  readonly #config: MachineConfig;
  readonly #level: string;
  readonly #map: SharedMap;
  readonly #memory: WebAssembly.Memory;
  readonly host: HostMemory;
  /** Has the trace, however the run ends. */
  readonly recorder: TraceRecorder;
  readonly #readsAlong: boolean;
  readonly #workers = new Map<string, Worker>();
  #pool: Piscina | undefined;
  #cancelJoin = () => {};
  /** What failed first; what fails afterwards does so because the others are stopped. */
  #failure: ThreadDied | UserError | undefined;

  readonly #extra: readonly ActorRow[];

  /**
   * @param level pino level of the actors' logs
   * @param extra actors beside the machine's own, on threads of their own
   * @param sinks where trace records go while the machine runs; without it each actor's ring keeps its last ones
   */
  constructor(config: MachineConfig, level: string, extra: readonly ActorRow[] = [], sinks?: TraceSinks) {
    this.#config = config;
    this.#level = level;
    this.#extra = extra;
    const { hardware, ...rest } = mapConfig(config);
    const traceRecords = sinks === undefined ? undefined : READ_ALONG_RECORDS;
    this.#map = sharedMap({ ...rest, hardware: [...hardware, ...extra.map((row) => row.name)], traceRecords });
    this.#memory = createMemory(this.#map.size);
    this.host = new HostMemory(this.#memory);
    this.#readsAlong = sinks !== undefined;
    if (traceRecords !== undefined)
      for (const { trace } of this.#map.actors) setTraceCapacity(this.host, trace, traceRecords);
    this.recorder = new TraceRecorder(this.host, this.#map, sinks);
  }

  /** Boots and waits for the end. @throws ThreadDied; UserError when standard output cannot be written */
  async run(): Promise<ThreadedRun> {
    registerTransferHandlers();
    enableTracing(this.host, this.#map, this.#config);
    await powerOn(this.host, this.#map, this.#config);
    const rows = [...actorTable(this.#config), ...this.#extra];
    const origin = clockOrigin();
    const switchedOn = processUptime();
    const readNoMore = this.#readAlong(hostClock(origin));
    const boot = (row: ActorRow): BootData => ({
      memory: this.#memory,
      map: actorMap(this.#map, row),
      origin,
      config: row.config,
    });
    const hardware = rows.filter((row) => row.hardware);
    this.#pool = new Piscina({
      filename: POOL_ENTRY.href,
      minThreads: hardware.length,
      maxThreads: hardware.length,
      execArgv: [],
      atomics: 'disabled',
    });
    try {
      const ended = await Promise.allSettled(
        rows.map((row) =>
          this.#guard(row.name, row.hardware ? this.#runHardware(row, boot(row)) : this.#runThread(row, boot(row))),
        ),
      );
      if (this.#failure !== undefined) throw this.#failure;
      const values = ended.map((e) => (e as PromiseFulfilledResult<unknown>).value);
      const actors = Object.fromEntries(rows.map((row, i) => [row.name, values[i]]));
      const trace = this.recorder.records(this.#readsAlong ? TRACE_FOR.RUN : TRACE_FOR_ANY);
      const results = vmResults(this.#config, actors);
      return { result: combinedResult(results), results, trace, traceLost: this.recorder.lost, switchedOn, actors };
    } finally {
      this.#cancelJoin();
      await this.#destroy();
      readNoMore();
      this.recorder.end();
    }
  }

  /** Reads the trace while the machine runs, if it goes anywhere; returns what ends that. */
  #readAlong(now: () => number): () => void {
    if (!this.#readsAlong) return () => {};
    // What was recorded before the last look has been read by this one, wherever its actor was meanwhile.
    let complete = 0;
    return every(READ_ALONG_MS, () => {
      const began = now();
      this.recorder.drain(complete);
      complete = began;
    });
  }

  /** The virtual machines as the monitor on the main thread reaches them. */
  monitored(): MonitoredVms & { readonly mailboxes: readonly MailboxClient[] } {
    const machines = vmSummaries(this.#config);
    return {
      mailboxes: machines.map((_, vm) => this.#mailbox(vm)),
      rows: () => vmRows(this.host, this.#map, machines),
      ended: () => stopping(this.host, this.#map),
    };
  }
  /** The main thread's end of the monitor's mailbox of one virtual machine. */
  #mailbox(vm: number): MailboxClient {
    const doorbell = new Doorbell(this.host, actorAreas(this.#map, actorName(vm, 'vmm')).doorbell);
    const map = processMap(this.#map, vm);
    return new MailboxClient(
      this.host,
      map.monitor,
      () => doorbell.ring(),
      () => stopping(this.host, map),
    );
  }

  /** Ends the run: every thread leaves its loop, or is ended by force after a second. */
  stop(): void {
    stopMachine(this.host, this.#map);
    this.#cancelJoin();
    this.#cancelJoin = after(JOIN_MS, () => void this.#destroy());
  }

  async #destroy(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.terminate()));
    await this.#pool?.destroy();
  }

  /** The first actor that fails stops the others. */
  async #guard(name: string, ended: Promise<unknown>): Promise<unknown> {
    try {
      return await ended;
    } catch (cause) {
      this.#failure ??= failureOf(name, cause);
      this.stop();
      throw this.#failure;
    }
  }

  async #runHardware(row: ActorRow, boot: BootData): Promise<unknown> {
    return await this.#pool?.run({
      module: ACTOR_THREAD,
      call: 'runActor',
      argument: { name: row.name, module: row.module, boot, level: this.#level },
    });
  }

  async #runThread(row: ActorRow, boot: BootData): Promise<unknown> {
    const worker = new Worker(ENTRY, { name: row.name, execArgv: [] });
    this.#workers.set(row.name, worker);
    const died = new Promise<never>((_, reject) => {
      worker.once('error', (error) => reject(new ThreadDied(row.name, error)));
      worker.once('exit', (code) => reject(new ThreadDied(row.name, `exit code ${code}`)));
    });
    died.catch(() => {});
    const thread = comlink.wrap<ActorThread>(nodeEndpoint(worker));
    const lived = (async () => {
      await thread.start(row.name, row.module, boot, this.#level);
      return await thread.run();
    })();
    return await Promise.race([lived, died]);
  }
}
