/** Files that a command writes at its end: a bad place is told before a long run, not after it. */
import { accessSync, closeSync, constants, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UserError } from '../user_error.ts';
import { outputProblem } from './file_problem.ts';

function guard(option: string, file: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    throw new UserError(
      `--${option}${option.endsWith('=') ? '' : ' '}${file}: ${outputProblem(error)}; give a place where a file can be written`,
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
  // Elsewhere a dash is standard output: not here, where that has the tables.
  if (file === '-') throw new UserError(`--${option} -: a file is needed; /dev/stdout is one too, or give ./-`);
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
  writeText(option, file, `${JSON.stringify(value, undefined, 2)}\n`);
}

/** Writes a text. @throws UserError naming the option */
export function writeText(option: string, file: string, text: string): void {
  guard(option, file, () => writeFileSync(file, text));
}

/** Opens a file that will be written later, and leaves it as it is: some refusals show only then. @throws UserError naming the option */
export function tryOutput(option: string, file: string): void {
  guard(option, file, () => closeSync(openSync(file, 'a')));
}

/** Bytes that are collected before they are written. */
const PORTION = 1 << 20;

/** Writes lines as they are made, with their line ends. @throws UserError naming the option */
export function writeLines(option: string, file: string, lines: Iterable<string>): void {
  guard(option, file, () => {
    const fd = openSync(file, 'w');
    const write = (text: string) => {
      for (let bytes = Buffer.from(text); bytes.length > 0; ) bytes = bytes.subarray(writeSync(fd, bytes));
    };
    try {
      let portion = '';
      for (const line of lines) {
        portion += `${line}\n`;
        if (portion.length < PORTION) continue;
        write(portion);
        portion = '';
      }
      write(portion);
    } finally {
      closeSync(fd);
    }
  });
}
