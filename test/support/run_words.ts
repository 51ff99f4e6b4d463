/** The words of commands that run something again and again: `[SUBJECT] [--runs N] [--seed S]`. */
import { parseArgs } from 'node:util';

/** A command, and what counts where nothing is given. */
export interface RunCommand {
  /** After `npm run`. */
  readonly name: string;
  /** A sentence for help. */
  readonly what: string;
  /** What it can run, when the first word chooses. */
  readonly subjects?: readonly string[];
  readonly runs: number;
  readonly seed: number;
  /** For help, where the default seed is not always the same. */
  readonly seedIs?: string;
}

/** What is to be run: `subject` is empty for a command that has none. */
export interface RunWords {
  readonly subject: string;
  readonly runs: number;
  readonly seed: number;
}

/** Nothing is to be run: what is shown instead, and the exit status: 0 for help, 2 for words that are not understood. */
export interface WordsEnding {
  readonly status: 0 | 2;
  readonly text: string;
}

function usage({ name, subjects }: RunCommand): string {
  const subject = subjects === undefined ? '' : `${subjects.join('|')} `;
  return `usage: npm run ${name} -- ${subject}[--runs N] [--seed S]`;
}

function help(command: RunCommand): string {
  const { what, runs, seed, seedIs = `${seed}` } = command;
  return `${usage(command)}\n\n${what}\n\n  --runs N  how many, from 1 on; default ${runs}\n  --seed S  the first one's seed; default ${seedIs}\n`;
}

/** Reads the words behind `npm run NAME --`. */
export function readRunWords(words: readonly string[], command: RunCommand): RunWords | WordsEnding {
  const refused = (problem: string): WordsEnding => ({
    status: 2,
    text: `${command.name}: ${problem}; ${usage(command)}\n`,
  });
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: command.subjects !== undefined,
      options: { runs: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help === true) return { status: 0, text: help(command) };
    const { subjects } = command;
    const [subject = '', ...others] = positionals;
    if (subjects !== undefined && !subjects.includes(subject))
      return refused(subject === '' ? 'what is to run?' : `'${subject}' is not known`);
    if (others.length > 0) return refused(`unexpected word '${others[0]}'`);
    const runs = Number(values.runs ?? command.runs);
    const seed = Number(values.seed ?? command.seed);
    if (values.runs === '' || !Number.isInteger(runs) || runs < 1)
      return refused(`--runs ${values.runs}: give a whole number from 1 on`);
    if (values.seed === '' || !Number.isInteger(seed)) return refused(`--seed ${values.seed}: give a whole number`);
    return { subject, runs, seed };
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_')) throw error;
    return refused((error as Error).message.split(/\.\s/)[0]);
  }
}

/** Ends the process as {@link readRunWords} says. */
export function endingOfWords({ status, text }: WordsEnding): never {
  (status === 0 ? process.stdout : process.stderr).write(text);
  process.exit(status);
}
