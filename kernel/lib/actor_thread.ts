/**
 * A thread that runs one actor: loads the actor's module, then schedules its tasks until the machine stops. While
 * `run` is under way the thread answers no message: it looks at the stop word instead.
 */
import { type ActorModule, actorContext, type BootData, type Running } from './actor_module.ts';
import { Doorbell } from './doorbell.ts';
import { actorLog, writeAll } from './host_output.ts';
import { OutputError } from './output_error.ts';
import { actorAreas, shortName } from './shared_map.ts';
import { ThreadedActor } from './threaded.ts';
import { load } from './typescript.js';

/** What the main thread may ask of an actor's thread. */
export class ActorThread {
  #actor: ThreadedActor | undefined;
  #running: Running | undefined;
  /** Tells the kernel that the thread is no longer in its loop. */
  #ended = () => {};

  /** Loads `module` and starts the actor's tasks. @param level pino level of its log */
  async start(name: string, module: string, boot: BootData, level: string): Promise<void> {
    const logger = actorLog(name, level);
    const { start } = (await load(module)) as ActorModule;
    const areas = actorAreas(boot.map, shortName(name));
    const context = actorContext(undefined as never, boot, {
      log: (line) => logger.info(line),
      output: consoleOutput,
    });
    this.#actor = new ThreadedActor(name, context.memory, areas.doorbell, boot.map.control.stop, boot.origin);
    this.#running = await start({ ...context, actor: this.#actor });
    const { memory } = context;
    const kernel = new Doorbell(memory, actorAreas(boot.map, 'kernel').doorbell);
    this.#ended = () => {
      memory.add(boot.map.control.ended, 1);
      kernel.ring();
    };
  }

  /** Runs until the machine stops; returns what the actor has to tell. @throws TaskFailure */
  run(): unknown {
    this.#actor?.run();
    this.#ended();
    return this.#running?.finish?.();
  }
}

/** Writes to standard output. @throws OutputError */
function consoleOutput(bytes: Uint8Array): void {
  try {
    writeAll(1, bytes);
  } catch (error) {
    throw new OutputError((error as NodeJS.ErrnoException).code ?? String(error));
  }
}

/** The same as one call, for a pool thread: starts an actor and runs it to its end. */
export async function runActor(row: { name: string; module: string; boot: BootData; level: string }): Promise<unknown> {
  const thread = new ActorThread();
  await thread.start(row.name, row.module, row.boot, row.level);
  return thread.run();
}
