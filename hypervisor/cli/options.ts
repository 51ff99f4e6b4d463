/**
 * Command-line options as a table, in QEMU's spelling: `-m 256M`, `--memory 256M`, `--memory=256M` and `-drive
 * file=a.ckd,devno=191` all work. Parsing, checking and `--help` come from the rows.
 */
import { NS_OF_UNIT, type TimeUnit } from '../time_units.ts';
import { UserError } from '../user_error.ts';
import { didYouMean } from './nearest.ts';

/** What an option takes. */
export type OptionKind = 'flag' | 'text' | 'number' | 'size' | 'time' | 'choice' | 'keys';

export interface OptionRow {
  /** Long name, without dashes. */
  readonly name: string;
  /** Other spellings: QEMU's short ones. */
  readonly alias?: readonly string[];
  readonly kind: OptionKind;
  /** For help: what stands for the value. */
  readonly value?: string;
  /** For `choice`. */
  readonly choices?: readonly string[];
  /** For `keys`: the keys of a comma list and what they mean. */
  readonly keys?: Readonly<Record<string, string>>;
  /** For `keys`: those that may be given several times. */
  readonly repeatable?: readonly string[];
  /** For `keys`: what `help` as the value shows below them. */
  readonly notes?: string;
  /** For numbers, sizes (bytes) and times (seconds). */
  readonly min?: number;
  readonly max?: number;
  readonly default?: string;
  /** May be given several times. */
  readonly many?: boolean;
  readonly help: string;
}

/** The meaning of a key that is switched on by its name alone begins like that. */
export const ON_OFF = 'on|off';

/** Values of a comma list by key; of a repeatable key all of them, in order. */
export type Keys = Readonly<Record<string, string | readonly string[]>>;

/** Parsed values: a flag is true, a number, size or time a number, keys an object; `many` makes an array. */
export type Values = Readonly<Record<string, unknown>>;

const SUFFIX: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** `64M`, `1G`, `4096`: bytes. undefined when it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+)([KMG]?)i?B?$/i.exec(text);
  return match === null ? undefined : Number(match[1]) * SUFFIX[match[2].toUpperCase()];
}

/** `60`, `1.5`, `250ms`, `2m`: seconds. undefined when it is no time. */
export function parseTime(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)(ns|us|ms|s|m)?$/.exec(text);
  if (match === null) return undefined;
  const unit = (match[2] ?? 's') as TimeUnit;
  // The quotient of whole numbers, so that 1.1 remains 1.1.
  return NS_OF_UNIT[unit] < 1e9
    ? Number(match[1]) / (1e9 / NS_OF_UNIT[unit])
    : Number(match[1]) * (NS_OF_UNIT[unit] / 1e9);
}

/** What is a number in an option, and how it is said. */
const NUMBERS: Readonly<
  Record<
    'number' | 'size' | 'time',
    { readonly parse: (text: string) => number | undefined; readonly what: string; readonly form: string }
  >
> = {
  // A minus sign makes a number, of which it can be said that it is too small.
  number: {
    parse: (text) => (/^(0x[0-9a-f]+|-?\d+)$/i.test(text) ? Number(text) : undefined),
    what: 'a whole number',
    form: 'one',
  },
  size: { parse: parseSize, what: 'a size', form: 'bytes, or a number with K, M or G' },
  time: { parse: parseTime, what: 'a time', form: 'seconds, or a number with us, ms, s or m' },
};

/**
 * Parses the words after the command name.
 * @returns option values by long name, and the words that are no options.
 * @throws UserError naming the option, what was found and what to do.
 */
export function parseOptions(
  command: string,
  rows: readonly OptionRow[],
  words: readonly string[],
): { values: Values; rest: string[] } {
  const values: Record<string, unknown> = {};
  const rest: string[] = [];
  const byName = new Map(rows.flatMap((row) => [row.name, ...(row.alias ?? [])].map((name) => [name, row] as const)));
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (!/^--?[a-zA-Z]/.test(word)) {
      rest.push(word);
      continue;
    }
    const [name, inline] = splitOnce(word.replace(/^--?/, ''));
    const row = byName.get(name);
    if (row === undefined)
      throw new UserError(
        `${word.split('=')[0]}: unknown option; ${didYouMean(name, [...byName.keys()], '--')}see minivisor ${command} --help`,
      );
    let text = inline;
    if (row.kind === 'flag') {
      if (text !== undefined) throw new UserError(`--${row.name} takes no value, got '${text}'; leave out '=${text}'`);
    } else if (text === undefined) {
      text = words[++i];
      // The next option is not meant as a value: with '=' it is one.
      if (text === undefined || (text.startsWith('--') && byName.has(splitOnce(text.slice(2))[0])))
        throw new UserError(`--${row.name} needs a value (${row.value}); see minivisor ${command} --help`);
    }
    const value = convertValue(row, text);
    values[row.name] = row.many === true ? [...((values[row.name] as unknown[]) ?? []), value] : value;
  }
  for (const row of rows)
    if (row.default !== undefined && values[row.name] === undefined) values[row.name] = convertValue(row, row.default);
  return { values, rest };
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** A row's value from its text. @throws UserError */
export function convertValue(row: OptionRow, text: string | undefined): unknown {
  const value = text as string;
  switch (row.kind) {
    case 'flag':
      return true;
    case 'text':
      return value;
    case 'number':
    case 'size':
    case 'time': {
      const { parse, what, form } = NUMBERS[row.kind];
      const number = parse(value);
      const { min = 0, max = Number.MAX_SAFE_INTEGER } = row;
      if (number === undefined) throw new UserError(`--${row.name} ${value}: not ${what}; give ${form}`);
      if (number < min || number > max)
        throw new UserError(
          `--${row.name} ${value}: out of range; give ${print(row, min)} to ${print(row, max)}${unitHint(row, value)}`,
        );
      return number;
    }
    case 'choice':
      if (asksHelp(value))
        throw new HelpRequested(`--${row.name}: ${row.help}\n  ${(row.choices as readonly string[]).join('\n  ')}\n`);
      if (!(row.choices as readonly string[]).includes(value))
        throw new UserError(
          `--${row.name} ${value}: unknown value; give one of ${(row.choices as readonly string[]).join(', ')}`,
        );
      return value;
    case 'keys':
      return convertKeys(row, value);
  }
}

/** Whether a value asks what values there are, in QEMU's words. */
export function asksHelp(value: string): boolean {
  return value === 'help' || value === '?';
}

/** QEMU's comma lists: `a=1,b=2`; a doubled comma is a comma; `help` lists the keys. */
function convertKeys(row: OptionRow, text: string): Keys {
  const keys = row.keys as Readonly<Record<string, string>>;
  if (asksHelp(text)) throw new HelpRequested(keysHelp(row));
  const result: Record<string, string | string[]> = {};
  const parts = text.replaceAll(',,', '\0').split(',');
  for (const [index, part] of parts.entries()) {
    const [key, given] = splitOnce(part.replaceAll('\0', ','));
    const fail = (found: string) => new UserError(`--${row.name}: ${found}`);
    if (!Object.hasOwn(keys, key)) {
      const comma = index > 0 ? '; a comma inside a value is doubled (,,)' : '';
      throw fail(
        `${key === '' ? 'empty key' : `unknown key '${key}'`}; known keys: ${Object.keys(keys).join(', ')}${comma}`,
      );
    }
    const value = given ?? (keys[key].startsWith(ON_OFF) ? 'on' : '');
    if (value === '') throw fail(`${key} needs a value; give ${key}=..., --${row.name} help explains it`);
    const several = row.repeatable?.includes(key) === true;
    if (!several && result[key] !== undefined) throw fail(`${key} is given twice; give it once`);
    result[key] = several ? [...((result[key] as string[] | undefined) ?? []), value] : value;
  }
  return result;
}

/** The keys, one line each. */
function keysHelp(row: OptionRow): string {
  const keys = Object.entries(row.keys as Readonly<Record<string, string>>);
  const width = Math.max(...keys.map(([key]) => key.length));
  const lines = keys.map(([key, meaning]) => `  ${`${key}=`.padEnd(width + 1)}  ${meaning}\n`);
  return `--${row.name} keys:\n${lines.join('')}${row.notes ?? ''}`;
}

/** `-drive help`: the user asked, this is the answer. */
export class HelpRequested extends Error {}

/** `-m 1` is a megabyte to QEMU, and a byte here. */
function unitHint(row: OptionRow, value: string): string {
  return row.kind === 'size' && /^\d+$/.test(value) ? ', with its K, M or G: a bare number counts bytes' : '';
}

function print(row: OptionRow, value: number): string {
  if (row.kind === 'time') return value >= 1 ? `${value}s` : `${value * 1e6}us`;
  if (row.kind !== 'size') return `${value}`;
  return value % 1024 ** 2 === 0 ? `${value / 1024 ** 2}M` : `${value}`;
}

/** The options part of a help page. */
export function optionsHelp(rows: readonly OptionRow[]): string {
  const left = rows.map((row) => {
    const short = (row.alias ?? []).map((name) => `-${name}, `).join('');
    return `  ${short}--${row.name}${row.value === undefined ? '' : ` ${row.value}`}`;
  });
  const width = Math.min(34, Math.max(...left.map((l) => l.length)) + 2);
  return rows
    .map((row, i) => {
      const details = [row.help];
      if (row.choices !== undefined) details.push(`one of ${row.choices.join(', ')}`);
      if (row.keys !== undefined)
        details.push(`keys, which --${row.name} help explains: ${Object.keys(row.keys).join(', ')}`);
      if (row.default !== undefined && row.default !== '' && row.kind !== 'flag')
        details.push(`default ${row.default}`);
      const gap = left[i].length < width ? ' '.repeat(width - left[i].length) : `\n${' '.repeat(width)}`;
      return `${left[i]}${gap}${details.join('; ')}`;
    })
    .join('\n');
}
