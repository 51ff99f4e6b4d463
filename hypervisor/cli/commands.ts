/** The commands, one row each. */
import { bench } from './bench.ts';
import { boot } from './boot.ts';
import { dasd } from './dasd.ts';
import { explain } from './explain.ts';
import { ioctls } from './ioctls.ts';
import { report } from './report_page.ts';

/** A command of the command line. */
export interface Command {
  readonly name: string;
  /** One line for the overview. */
  readonly summary: string;
  /** The whole help page. */
  help(): string;
  /** Runs it; returns the exit status. @throws UserError */
  run(words: readonly string[]): Promise<number>;
}

export const COMMANDS: readonly Command[] = [boot, explain, bench, report, dasd, ioctls];
