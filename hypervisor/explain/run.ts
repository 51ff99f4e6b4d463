/** Runs what is explained: once simulated, for the bytes, and many times on threads, for the times. */
import { Deadlock } from '../../kernel/lib/simulated.ts';
import { TaskFailure } from '../../kernel/lib/threaded.ts';
import type { MachineConfig } from '../config.ts';
import { ThreadDied, type ThreadedRun } from '../launch.ts';
import { quietBoot, quietConfig } from '../quiet_boot.ts';
import { type SimulatedRun, type SimulateOptions, simulate, TooLong } from '../simulate.ts';
import { UserError } from '../user_error.ts';
import { Peek } from './peek.ts';
import { eventsOf, Follower, type Plot, type Tale } from './plot.ts';
import type { Step, Took } from './story.ts';
import { median, momentTimes, type Times } from './times.ts';

/** What explaining needs from outside. */
export interface ExplainContext {
  /** Folder for images, removed afterwards. */
  readonly folder: string;
  /** Says what is being done. */
  progress(what: string): void;
  /** False: nothing runs on threads, and no times are told. */
  readonly times: boolean;
}

/** Virtual seconds after which a simulated run that told nothing is over. */
const VIRTUAL_SECONDS = 20;
/** Seconds that a threaded run may take. */
const PATIENCE = 120;

/** The first I/O of a simulated run that the plot wants. @param words of `boot` */
export async function tell<N>(context: ExplainContext, words: readonly string[], plot: Plot<N>): Promise<Tale> {
  context.progress('one run with virtual time, for the bytes');
  const config = { ...(await quietConfig(['--sim', ...words])), trace: eventsOf(plot) };
  let tale: Tale | undefined;
  let peek: Peek | undefined;
  const follower = new Follower(plot, (ended) => {
    tale ??= ended;
  });
  const run = await simulated(config, {
    limitNs: VIRTUAL_SECONDS * 1e9,
    interrupted: () => tale !== undefined,
    onTrace: (record, machine) => {
      peek ??= new Peek(machine);
      if (tale === undefined) follower.take(record, peek);
    },
  });
  if (tale === undefined) throw new UserError(`the guest ended without what is to be explained: ${run.console}`);
  return tale;
}

/** A simulated boot. @throws ThreadDied */
async function simulated(config: MachineConfig, options: SimulateOptions): Promise<SimulatedRun> {
  try {
    return await simulate(config, options);
  } catch (error) {
    if (error instanceof TaskFailure || error instanceof Deadlock || error instanceof TooLong)
      throw new ThreadDied('of the simulation', error);
    throw error;
  }
}

/** A boot on threads. @throws UserError when a check of the guest fails */
async function boot(words: readonly string[], trace: readonly string[]): Promise<ThreadedRun> {
  // With somewhere for its text to go a trace is read while the machine runs, so that nothing of it is overwritten.
  const traceSinks = trace.length === 0 ? undefined : { text: () => {} };
  const failed = (reason: string) => `the guest failed while times were taken (${reason}); try again`;
  return await quietBoot({ ...(await quietConfig(words)), trace }, { patience: PATIENCE, failed, traceSinks });
}

/** Median times of a plot's moments on threads. The first half of the I/Os warms up. @param words of `boot` */
export async function timeMoments<N>(context: ExplainContext, words: readonly string[], plot: Plot<N>): Promise<Times> {
  if (!context.times) return new Map();
  context.progress('the same many times on threads, for the times');
  const { trace } = await boot(words, eventsOf(plot));
  const tales: Tale[] = [];
  const follower = new Follower(plot, (tale) => tales.push(tale));
  for (const record of trace) follower.take(record);
  return momentTimes(plot, tales.slice(tales.length >> 1));
}

/** Wholes, as the guest timed them in batches while nothing was traced: the median time of a call, by series number. */
export async function timeSeries(
  context: ExplainContext,
  words: readonly string[],
): Promise<ReadonlyMap<number, Took>> {
  if (!context.times) return new Map();
  context.progress('many calls on threads, timed by the guest');
  const { marks } = (await boot(words, [])).result;
  return new Map(
    Object.entries(marks).map(([series, { batches, calls }]) => [
      Number(series),
      { ...(median(batches) as Took), samples: calls },
    ]),
  );
}

/** The steps of a story, in the plot's order. */
export function stepsOf<N>({ moments }: Plot<N>, tale: Tale, times: Times): Step[] {
  return moments.map(({ id, role, title }) => {
    const { text, shown } = tale.get(id) as NonNullable<ReturnType<Tale['get']>>;
    return { id, role, title, text, shown, took: times.get(id) };
  });
}
