/** `--trace`, in QEMU's words (docs/devel/tracing.rst; qemu(1), -trace): `[enable=]PATTERN`, `events=FILE`, `file=FILE`. */
import { readFileSync } from 'node:fs';
import { TRACE_EVENTS } from '../../kernel/include/trace_events.ts';
import { matchTrace } from '../../kernel/lib/trace.ts';
import { fileProblem } from '../cli/file_problem.ts';
import { asksHelp, HelpRequested } from '../cli/options.ts';
import { UserError } from '../user_error.ts';

/** What all `--trace` words say together. */
export interface TraceOption {
  /** Patterns in their order; a leading `-` switches off. */
  readonly events: readonly string[];
  /** Where the text goes; standard error without it. */
  readonly file?: string;
}

const KEYS = ['enable', 'events', 'file'] as const;

/** A doubled comma is a comma, as in QEMU's other lists. */
function parts(word: string): string[] {
  return word
    .replaceAll(',,', '\0')
    .split(',')
    .map((part) => part.replaceAll('\0', ','));
}

/** The patterns of an `events=` file: one a line, empty lines and those that begin with # skipped. @throws UserError */
function patternsOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw new UserError(`--trace events=${file}: ${fileProblem(error)}; give a file with a pattern in each line`);
  }
}

/** @param where the option, and the file where there is one */
function check(pattern: string, where: string): void {
  const glob = pattern.replace(/^-/, '');
  if (matchTrace(glob).length === 0)
    throw new UserError(`${where}: matches no event; minivisor boot --trace help lists them`);
}

/** @throws UserError; HelpRequested where a pattern is `help` or `?` */
export function readTraceOption(words: readonly string[]): TraceOption {
  const events: string[] = [];
  let file: string | undefined;
  const add = (pattern: string, where: string) => {
    if (asksHelp(pattern)) throw new HelpRequested(traceHelp());
    check(pattern, where);
    events.push(pattern);
  };
  for (const word of words)
    for (const [index, part] of parts(word).entries()) {
      const [, key = '', value = ''] = /^(?:([a-z]+)=)?(.*)$/.exec(part) ?? [];
      if (key === '' && index > 0)
        throw new UserError(`--trace ${word}: '${part}' has no key; give enable=${part}, or another --trace`);
      if (key !== '' && !(KEYS as readonly string[]).includes(key))
        throw new UserError(`--trace ${word}: unknown key '${key}'; known keys: ${KEYS.join(', ')}`);
      if (value === '')
        throw new UserError(
          key === ''
            ? "--trace: an event is empty; give a glob, such as 'vfio_*'"
            : `--trace: ${key} is empty; give ${key}=...`,
        );
      if (key === 'events')
        for (const pattern of patternsOf(value)) add(pattern, `--trace events=${value}: ${pattern}`);
      else if (key === 'file') {
        if (file !== undefined && file !== value)
          throw new UserError(`--trace file=${value}: the text goes to ${file} already; give one file`);
        file = value;
      } else add(value, `--trace ${value}`);
    }
  return file === undefined ? { events } : { events, file };
}

/** The events and their arguments. */
export function traceHelp(): string {
  return Object.entries(TRACE_EVENTS)
    .map(([name, args]) => `${name} ${args.map((a) => `${a}=`).join(' ')}\n`)
    .join('');
}
