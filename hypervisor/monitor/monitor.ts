/** The monitor on the VMM's thread: carries out lines, one at a time, whoever gave them. */
import { Errno } from '../../kernel/include/uapi/errno.ts';
import { Mutex, type Task } from '../../kernel/lib/task.ts';
import { checkWords, findCommand } from './commands.ts';
import type { MonitorTarget } from './target.ts';

export class Monitor {
  readonly #target: MonitorTarget;
  readonly #lock = new Mutex('monitor');

  constructor(target: MonitorTarget) {
    this.#target = target;
  }

  /** Carries out a line. @returns what is shown: nothing, or lines; a mistake is one line that begins with `Error: ` */
  *execute(line: string): Task<string> {
    const [name, ...words] = line.trim().split(/\s+/);
    if (name === '') return '';
    yield* this.#lock.lock();
    try {
      const command = findCommand(name);
      checkWords(command, words);
      return yield* command.handler(this.#target, words);
    } catch (error) {
      if (isMistake(error)) return `Error: ${error.message}\n`;
      throw error;
    } finally {
      this.#lock.unlock();
    }
  }
}

/** Refusals are errors with a sentence; anything else is a bug, and ends the run. */
function isMistake(error: unknown): error is Error {
  if (error instanceof Errno) return true;
  return error instanceof Error && (error.name === 'MonitorError' || error.constructor === Error);
}
