/** The command line: chooses the command, and turns every mistake into one line. */
import { ThreadDied } from '../launch.ts';
import { UserError } from '../user_error.ts';
import { version } from '../version.ts';
import { COMMANDS } from './commands.ts';
import { didYouMean } from './nearest.ts';
import { HelpRequested } from './options.ts';

/** What asks for help, as an option. */
const HELP = ['--help', '-h', '-help'];

function overview(): string {
  const width = Math.max(...COMMANDS.map((c) => c.name.length)) + 2;
  return [
    'minivisor: a mini hypervisor that settles VFIO design arguments by running them',
    '',
    'usage: minivisor COMMAND [OPTIONS]',
    '',
    ...COMMANDS.map((c) => `  ${c.name.padEnd(width)}${c.summary}`),
    '',
    'minivisor COMMAND --help explains every option of a command.',
    '',
  ].join('\n');
}

/** Output that nobody reads any more (`| head`) is no news; output that cannot be written is told where it can be. */
function watchOutput(): void {
  process.stderr.on('error', () => {});
  let told = false;
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    // Every write fails, and one sentence is enough.
    if (code === 'EPIPE' || told) return;
    told = true;
    process.stderr.write(`minivisor: standard output: ${code}\n`);
    process.exitCode = 1;
  });
}

/** Runs one command line; returns the exit status. */
export async function main(words: readonly string[]): Promise<number> {
  watchOutput();
  const [first, ...others] = words;
  if (first === undefined) {
    // Who asked for nothing made a mistake, and what goes to standard output may go into a file.
    process.stderr.write(overview());
    return 1;
  }
  const asks = HELP.includes(first) || first === 'help';
  if (asks && others.length === 0) {
    process.stdout.write(overview());
    return 0;
  }
  // `help boot` is `boot --help`.
  const [name, ...rest] = asks ? [others[0], HELP[0]] : words;
  if (['--version', '-version', '-V'].includes(name)) {
    process.stdout.write(`minivisor ${version()}\n`);
    return 0;
  }
  const command = COMMANDS.find((c) => c.name === name);
  const names = COMMANDS.map((c) => c.name);
  try {
    if (command === undefined)
      throw new UserError(`${name}: unknown command; ${didYouMean(name, names)}give one of ${names.join(', ')}`);
    if (rest.some((word) => HELP.includes(word)) || (rest.length === 1 && rest[0] === 'help')) {
      process.stdout.write(command.help());
      return 0;
    }
    return await command.run(rest);
  } catch (error) {
    if (error instanceof HelpRequested) {
      process.stdout.write(error.message);
      return 0;
    }
    if (error instanceof UserError || error instanceof ThreadDied) {
      process.stderr.write(`minivisor: ${error.message}\n`);
      return 1;
    }
    throw error;
  }
}
