/** Boots of our guests whose console is not wanted, but what they measure, or what was traced. */
import { after } from '../kernel/lib/host_timer.ts';
import { BOOT_OPTIONS, bootConfig } from './cli/boot_options.ts';
import { parseOptions } from './cli/options.ts';
import type { MachineConfig } from './config.ts';
import { ThreadedMachine, type ThreadedRun } from './launch.ts';
import type { TraceSinks } from './trace/recorder.ts';
import { UserError } from './user_error.ts';

/** The machine that these words of `boot` describe, its console kept quiet. @throws UserError */
export async function quietConfig(words: readonly string[]): Promise<MachineConfig> {
  const { values, rest } = parseOptions('boot', BOOT_OPTIONS, words);
  return { ...(await bootConfig(values, rest)), quiet: true };
}

export interface QuietBootOptions {
  /** Seconds it may take at most. */
  readonly patience: number;
  /** The sentence for a guest whose checks failed. */
  readonly failed: (reason: string) => string;
  /** Where trace records go while the guest runs; without it each actor's ring keeps its last ones. */
  readonly traceSinks?: TraceSinks;
}

/** Boots on threads. @throws UserError when a check of the guest fails, or it does not come to an end */
export async function quietBoot(config: MachineConfig, options: QuietBootOptions): Promise<ThreadedRun> {
  const machine = new ThreadedMachine(config, 'error', [], options.traceSinks);
  const { patience } = options;
  let late = false;
  const cancel = after(patience * 1000, () => {
    late = true;
    machine.stop();
  });
  try {
    const run = await machine.run();
    if (late) throw new UserError(options.failed(`no end within ${patience} s`));
    if (run.result.status !== 0) throw new UserError(options.failed(run.result.reason));
    return run;
  } finally {
    cancel();
  }
}
