/** Files that a command writes at its end: a bad place is told before a long run, not after it. */
import { accessSync, constants, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UserError } from '../user_error.ts';

function guard(option: string, file: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UserError(
      `--${option}${option.endsWith('=') ? '' : ' '}${file}: ${code}; give a place where a file can be written`,
    );
  }
}

/**
 * Checks that `file` can be written, without touching it.
 * @param option name without dashes; of a key `OPTION KEY=`
 * @throws UserError naming the option
 */
export function checkOutput(option: string, file: string | undefined): void {
  if (file === undefined) return;
  guard(option, file, () => {
    // A path that ends in a slash, or is empty, names a folder.
    const folder = file === '' || file.endsWith('/') || statSync(file, { throwIfNoEntry: false })?.isDirectory();
    if (folder === true) throw Object.assign(new Error(file), { code: 'EISDIR' });
    const there = statSync(file, { throwIfNoEntry: false }) !== undefined;
    accessSync(there ? file : dirname(resolve(file)), constants.W_OK);
  });
}

/** Writes `value` as JSON. @throws UserError naming the option */
export function writeOutput(option: string, file: string, value: unknown): void {
  guard(option, file, () => writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`));
}
