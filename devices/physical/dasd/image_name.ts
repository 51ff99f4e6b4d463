/**
 * Names of the files of a split image, as Hercules derives them: the character before the first dot of the file name
 * (or the last character, without a dot) is the file's number, 1 to 9, then A on: `vol_1.ckd`, `vol_2.ckd`.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Numbers that a name can express, and the most files that Hercules opens (CKD_MAXFILES). */
const NUMBERS = '123456789ABCDEFGHIJKLMNOPQR';
/** Most files of a split image. */
export const MAX_FILES = NUMBERS.length;

/** File name in the part before the number, the number, and the rest. */
function parts(file: string): { before: string; number: string; rest: string } {
  const name = basename(file);
  const dot = name.indexOf('.');
  const end = dot <= 0 ? name.length : dot;
  return { before: name.slice(0, end - 1), number: name.slice(end - 1, end), rest: name.slice(end) };
}

/** File `sequence` (from 1) of the image whose first file is `first`; undefined when its name has no number. */
export function splitName(first: string, sequence: number): string | undefined {
  const { before, number, rest } = parts(first);
  if (number !== '1' || sequence > MAX_FILES) return undefined;
  return join(dirname(first), `${before}${NUMBERS[sequence - 1]}${rest}`);
}

/** Name of the first file when an image called `file` is split: `_1` before the first dot, unless it is there. */
export function firstSplitName(file: string): string {
  const { before, number, rest } = parts(file);
  return before.endsWith('_') && number === '1' ? file : join(dirname(file), `${before}${number}_1${rest}`);
}

/** The image's only or first file: `file`, or for a name that does not exist the first file of a split image. */
export function imageFile(file: string): string {
  if (existsSync(file)) return file;
  const first = firstSplitName(file);
  return existsSync(first) ? first : file;
}
