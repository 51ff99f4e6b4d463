/** `minivisor explain`: runs one I/O and tells it step by step, for who has never seen it. */
import { type Subject, type SubjectName, SUBJECTS as TABLE } from '../explain/subject_table.ts';
import { UserError } from '../user_error.ts';
import type { Command } from './commands.ts';
import { didYouMean } from './nearest.ts';
import { type OptionRow, optionsHelp, parseOptions, type Values } from './options.ts';
import { checkOutput, writeOutput } from './output_file.ts';

const SUBJECTS: readonly (Subject & { readonly name: SubjectName })[] = TABLE;
const OWN: readonly OptionRow[] = [
  { name: 'no-times', kind: 'flag', help: 'one run only: nothing is measured on threads' },
  { name: 'json', kind: 'text', value: 'FILE', help: 'write the story to a file too, for programs' },
];
const OPTIONS: readonly OptionRow[] = [
  ...new Set(SUBJECTS.flatMap(({ option }) => (option === undefined ? [] : [option]))),
  ...OWN,
];
const names = SUBJECTS.map(({ name }) => name);

function list(): string {
  const width = Math.max(...names.map((name) => name.length)) + 2;
  return SUBJECTS.map(
    ({ name, summary, aliases }) =>
      `  ${name.padEnd(width)}${summary}\n${' '.repeat(width + 2)}also: ${aliases.join(', ')}\n`,
  ).join('');
}

/** The subject that the words name. @throws UserError */
function subjectOf(words: readonly string[]): (typeof SUBJECTS)[number] {
  const [word, ...more] = words;
  const found = SUBJECTS.find(({ name, aliases }) => name === word || aliases.includes(word));
  if (found === undefined || more.length > 0) {
    const all = SUBJECTS.flatMap(({ name, aliases }) => [name, ...aliases]);
    const wrong = found === undefined ? `unknown subject; ${didYouMean(word, all)}` : 'one at a time; ';
    throw new UserError(`explain ${words.join(' ')}: ${wrong}give one of ${names.join(', ')}`);
  }
  return found;
}

/** @throws UserError for an option of another subject, or a side that this one has no story of */
function checkOptions(subject: Subject, given: Values): void {
  const options = new Set(SUBJECTS.flatMap(({ option }) => option?.name ?? []));
  for (const option of options) {
    if (option === subject.option?.name || given[option] === undefined) continue;
    const takers = SUBJECTS.filter((one: Subject) => one.option?.name === option).map(({ name }) => name);
    throw new UserError(
      `--${option}: is for ${takers.join(', ')}; leave it out, or give minivisor explain ${takers[0]}`,
    );
  }
  const { name, option, told } = subject;
  if (option === undefined || told === undefined) return;
  const side = given[option.name] as string | undefined;
  if (side === undefined || told.includes(side)) return;
  const other = SUBJECTS.find((one) => one.option === option && one.told?.includes(side) === true);
  const instead = other === undefined ? '' : `, or minivisor explain ${other.name} --${option.name} ${side}`;
  throw new UserError(`--${option.name} ${side}: ${name} has no story of it; give ${told.join(' or ')}${instead}`);
}

async function run(words: readonly string[]): Promise<number> {
  const { values, rest } = parseOptions('explain', OPTIONS, words);
  if (rest.length === 0 && Object.keys(values).length === 0) {
    process.stdout.write(`usage: minivisor explain SUBJECT [OPTIONS]\n\n${list()}`);
    return 0;
  }
  if (rest.length === 0) throw new UserError(`explain: what? give one of ${names.join(', ')}`);
  if (rest[0] === 'help') {
    process.stdout.write(explain.help());
    return 0;
  }
  const subject = subjectOf(rest);
  checkOptions(subject, values);
  checkOutput('json', values.json as string | undefined);
  const { tellSubject } = await import('../explain/tell.ts');
  const { isTTY } = process.stderr;
  const { text, json } = await tellSubject(subject.name, values, {
    times: values['no-times'] !== true,
    progress: (what) => process.stderr.write(isTTY ? `\r\x1b[K${what} ...` : ''),
    coloured: process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '',
  }).finally(() => process.stderr.write(isTTY ? '\r\x1b[K' : ''));
  process.stdout.write(text);
  if (values.json !== undefined) writeOutput('json', values.json as string, json);
  return 0;
}

export const explain: Command = {
  name: 'explain',
  summary: 'runs one I/O and tells it step by step: threads, structures, bytes, times',
  help: () =>
    [
      'usage: minivisor explain SUBJECT [OPTIONS]',
      '',
      list(),
      'Without SUBJECT the list. The story is that of a real run: its bytes are read from the memory of the machine at each',
      'step, decoded field by field with the names of the manuals; times come from the same I/O repeated on threads.',
      '',
      optionsHelp(OPTIONS),
      '',
    ].join('\n'),
  run,
};
