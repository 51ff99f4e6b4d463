/** `--at TIME:COMMAND`, `--at 'TIME:vm1: COMMAND'`: monitor commands at given times of the machine, so that a simulated run can be replayed with them. */
import { sleep, type Task } from '../../kernel/lib/task.ts';
import type { TimedCommand } from '../config.ts';
import { NS_OF_UNIT, type TimeUnit } from '../time_units.ts';
import { UserError } from '../user_error.ts';
import { addressee } from './addressee.ts';
import { checkWords, findCommand, wordsOf } from './commands.ts';
import type { Monitor } from './monitor.ts';
import { MonitorError, NO_SESSION } from './monitor_error.ts';

/** @param count virtual machines of the host. @throws UserError naming what is wrong */
export function parseAt(text: string, count: number): TimedCommand {
  // A blank will do before a machine's name, whose colon is one already.
  const match = /^(\d+(?:\.\d+)?)(ns|us|ms|s|m)(?::\s*|\s+(?=vm\d+:))(\S.*)$/.exec(text);
  if (match === null)
    throw new UserError(
      `--at ${text}: not understood; give TIME:COMMAND, e.g. 5ms:device_del dasd0 (ns, us, ms, s, m)`,
    );
  const [, number, unit, line] = match;
  const time = { ns: Number(number) * NS_OF_UNIT[unit as TimeUnit], time: `${number}${unit}` };
  try {
    return { ...time, ...readCommand(line, count) };
  } catch (error) {
    if (error instanceof MonitorError) throw new UserError(`--at ${text}: ${error.message}`);
    throw error;
  }
}

/** @throws MonitorError */
function readCommand(line: string, count: number): Pick<TimedCommand, 'command' | 'vm'> {
  const { vm = 0, command } = addressee(line, count);
  const { name, words } = wordsOf(command);
  checkWords(findCommand(name), words);
  if (name === 'vm') throw new MonitorError(NO_SESSION);
  return { command: command.trim(), vm };
}

/** Gives the commands at their times, those of the same time in the order they were given; shows each, then its answer. */
export function* timedCommands(
  actor: Parameters<typeof sleep>[0],
  monitor: Monitor,
  commands: readonly TimedCommand[],
  show: (text: string) => void,
): Task {
  for (const { ns, time, command } of [...commands].sort((a, b) => a.ns - b.ns)) {
    if (ns > actor.now()) yield* sleep(actor, ns - actor.now());
    // Before it is carried out: it may end the run, or never end.
    show(`(minivisor ${time}) ${command}\n`);
    const answer = yield* monitor.execute(command);
    if (answer !== '') show(answer);
  }
}
