/**
 * The monitor on the VMM's thread: carries out lines, whoever gave them. A command that takes long goes on in a task of its
 * own, so that the monitor hears what comes next: `quit` above all, and the `device_del` that a write to sysfs waits for.
 */
import { Errno } from '../../kernel/include/uapi/errno.ts';
import { Mutex, type Task } from '../../kernel/lib/task.ts';
import { checkWords, findCommand, type MonitorCommand, wordsOf } from './commands.ts';
import type { MonitorTarget } from './target.ts';
import { within } from './within.ts';

/** Nanoseconds of the machine's time after which nobody waits any longer for a command to end. */
export const PATIENCE_NS = 2e9;

export class Monitor {
  readonly #target: MonitorTarget;
  readonly #lock = new Mutex('monitor');
  /** What commands that took long have said since, and notes. */
  #late = '';

  constructor(target: MonitorTarget) {
    this.#target = target;
  }

  /**
   * Carries out a line. Commands that change the machine are carried out one at a time.
   * @returns what is shown: nothing, or lines; a mistake is one line that begins with `Error: `
   */
  *execute(line: string): Task<string> {
    const { name, words } = wordsOf(line);
    if (name === '') return this.#takeLate();
    const { actor } = this.#target.machine;
    const now = yield* within(actor, this.#carryOut(name, words), PATIENCE_NS);
    if (now.rest === undefined) return this.#takeLate() + now.value;
    const { rest } = now;
    const monitor = this;
    actor.spawn(
      `monitor ${name}`,
      (function* (): Task {
        const said = yield* rest;
        monitor.#late += `(${line.trim()}: has ended)\n${said}`;
      })(),
    );
    return `${this.#takeLate()}${name}: goes on, its answer comes with a later command's; quit ends the run at once\n`;
  }
  /** A line that is shown before the next answer: what became of something that no command waits for any longer. */
  note(line: string): void {
    this.#late += `(${line})\n`;
  }
  #takeLate(): string {
    const late = this.#late;
    this.#late = '';
    return late;
  }

  *#carryOut(name: string, words: readonly string[]): Task<string> {
    try {
      const command = findCommand(name);
      checkWords(command, words);
      return yield* command.alone === false ? command.handler(this.#target, words) : this.#alone(command, words);
    } catch (error) {
      if (isMistake(error)) return `Error: ${error.message}\n`;
      throw error;
    }
  }
  *#alone(command: MonitorCommand, words: readonly string[]): Task<string> {
    yield* this.#lock.lock();
    try {
      return yield* command.handler(this.#target, words);
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
