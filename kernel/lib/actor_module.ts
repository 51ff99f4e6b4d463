/**
 * How the code of an actor is started, the same under both schedulers: a module exports `start`, which spawns the
 * actor's first tasks. Worker threads and the simulation load the modules by URL from one table, so that no folder
 * imports another only to start it.
 */
import { HostMemory } from './host_memory.ts';
import type { SharedMap } from './shared_map.ts';
import type { Actor } from './task.ts';

/** What every actor is started with; plain data but for `memory`, so that it can be posted to a thread. */
export interface BootData<C = unknown> {
  readonly memory: WebAssembly.Memory;
  readonly map: SharedMap;
  /** See `hostClock`; unused when simulated. */
  readonly origin: bigint;
  /** The actor's own configuration. */
  readonly config: C;
}

/** What `start` gets. */
export interface ActorContext<C = unknown> {
  readonly actor: Actor;
  readonly memory: HostMemory;
  readonly map: SharedMap;
  readonly config: C;
  /** One line for the user: standard error, with the actor's name. */
  readonly log: (line: string) => void;
  /** Bytes for the user's console: standard output. */
  readonly output: (bytes: Uint8Array) => void;
}

/** What `start` may return. */
export interface Running {
  /** Called after the last task ended; the value goes to whoever switched the machine on (plain data). */
  finish?(): unknown;
}

export interface ActorModule {
  // biome-ignore lint/suspicious/noExplicitAny: each module knows its own configuration
  start(context: ActorContext<any>): Running | undefined | Promise<Running | undefined>;
}

/** Builds a context around an actor. */
export function actorContext<C>(
  actor: Actor,
  boot: BootData<C>,
  sinks: Pick<ActorContext, 'log' | 'output'>,
): ActorContext<C> {
  return { actor, memory: new HostMemory(boot.memory), map: boot.map, config: boot.config, ...sinks };
}
