/** Stories as text of at most 100 columns. */
import { showNs } from '../bench/figures.ts';
import { table } from '../cli/table.ts';
import { type Field, type Part, RESERVED } from './decode.ts';
import { hex, ROLES, type Role, type Rows, type Shown, type Step, type Story, type Structure } from './story.ts';

export const COLUMNS = 100;
/** Bytes in a line of a dump. */
const DUMP = 8;
/** So many fields of zeros in a row become one line. */
const FOLD = 3;
/** Widest column of names and values. */
const NAME_COLUMN = 34;

/** How parts of the text are set off: functions from text to text. */
export interface Style {
  readonly title: (text: string) => string;
  readonly who: (text: string) => string;
  readonly bytes: (text: string) => string;
  readonly time: (text: string) => string;
}
const same = (text: string) => text;
/** No colours. */
export const PLAIN: Style = { title: same, who: same, bytes: same, time: same };
/** Select graphic rendition (ECMA-48 8.3.117). */
const sgr = (code: number) => (text: string) => `\x1b[${code}m${text}\x1b[0m`;
export const COLOURED: Style = { title: sgr(1), who: sgr(36), bytes: sgr(2), time: sgr(33) };

/** Breaks text at spaces; every line begins with `indent` spaces. */
export function wrap(text: string, indent: number, width = COLUMNS): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${' '.repeat(indent)}${one}`.trimEnd());
}

/** A whole story. */
export function renderStory(story: Story, style: Style): string {
  const roles = [...new Set(story.steps.map(({ role }) => role))];
  const measured = story.steps.some(({ took }) => took !== undefined);
  const paragraphs = (texts: readonly string[]) => texts.flatMap((text) => [...wrap(text, 0), '']);
  return [
    style.title(story.title),
    '='.repeat(Math.min(story.title.length, COLUMNS)),
    '',
    ...paragraphs(story.intro),
    'Who takes part:',
    ...roles.flatMap((role) => whoIs(role)),
    '',
    ...paragraphs([measured ? `${BYTES} ${TIMES}` : BYTES]),
    ...story.steps.flatMap((step, i) => [...renderStep(step, i + 1, measured && i === 0, style), '']),
    ...paragraphs(story.closing),
  ].join('\n');
}

const BYTES =
  'Addresses and bytes are those of one run of the machine on a single thread with virtual time (as boot --sim is), read ' +
  'from its memory at each step.';
const TIMES =
  'Times are medians of many such runs on real threads, each from the end of the steps before to the end of this one; ' +
  'tracing was on for them, and whatever else keeps this computer busy is in them.';

function whoIs(role: Role): string[] {
  const [name, what] = ROLES[role];
  const lines = wrap(what, 19);
  return [`  ${name.padEnd(15)}  ${lines[0].trimStart()}`, ...lines.slice(1)];
}

function renderStep({ role, title, text, shown, took }: Step, number: number, begins: boolean, style: Style): string[] {
  const time = took !== undefined ? `, ${tookText(took)}` : begins ? ', and the time begins' : '';
  return [
    ...wrap(`${number}. ${title}`, 0).map(style.title),
    `    ${style.who(ROLES[role][0])}${time === '' ? '' : style.time(time)}`,
    ...wrap(text, 4),
    ...shown.flatMap((one) => ['', ...renderShown(one, style)]),
  ];
}

function tookText({ ns, samples }: NonNullable<Step['took']>): string {
  const how = `(median of ${samples} on threads)`;
  return ns === 0 ? `beside a step above, over before it ${how}` : `took ${showNs(ns)} ${how}`;
}

/** One structure or table. */
export function renderShown(shown: Shown, style: Style): string[] {
  return shown.kind === 'rows' ? renderRows(shown) : renderStructure(shown, style);
}

function renderRows({ title, head, rows }: Rows): string[] {
  const lines = table(head, rows, '<'.repeat(head.length)).trimEnd().split('\n');
  return [...wrap(`${title}:`, 4), ...lines.map((line) => `    ${line}`)];
}

/** A line of a structure: where, bytes, what it is called and is, and what that means. */
interface Line {
  readonly at: string;
  readonly bytes: string;
  readonly name: string;
  readonly words: string;
}

function renderStructure({ name, title, source, place, order, fields, left }: Structure, style: Style): string[] {
  const lines = folded(fields).flatMap(linesOf);
  const width = (column: 'bytes' | 'name', most: number) =>
    Math.min(most, Math.max(...lines.map((line) => line[column].length)));
  const bytesWidth = width('bytes', 3 * DUMP - 1);
  const nameWidth = width('name', NAME_COLUMN);
  const indent = 6 + 5 + bytesWidth + 2 + nameWidth + 2;
  return [
    ...wrap(`${name}, ${title}`, 4),
    ...wrap(`${place}; ${order}; ${source}`, 6).map(style.bytes),
    ...lines.flatMap((line) => {
      const words = line.words === '' ? [''] : wrap(line.words, indent).map((text) => text.slice(indent));
      const start = `      ${line.at.padEnd(5)}${style.bytes(line.bytes.padEnd(bytesWidth))}  ${line.name.padEnd(nameWidth)}`;
      const own = line.name.length > nameWidth ? [start.trimEnd()] : [];
      const first = own.length > 0 ? ' '.repeat(indent - 2) : start;
      return [...own, ...words.map((text, i) => `${i === 0 ? first : ' '.repeat(indent - 2)}  ${text}`.trimEnd())];
    }),
    ...(left > 0 ? [`      ${left} other ${left === 1 ? 'field is' : 'fields are'} not shown`] : []),
  ];
}

/** A number for people: small ones are the same in both notations. */
const number = (value: bigint, decimal = false): string => (decimal || value < 10n ? `${value}` : hex(value));

/** Runs of fields that are all zero, as one field each. */
function folded(fields: readonly Field[]): Field[] {
  const result: Field[] = [];
  for (let i = 0; i < fields.length; ) {
    let end = i;
    while (end < fields.length && isDull(fields[end])) end++;
    if (end - i < FOLD) {
      result.push(fields[i++]);
      continue;
    }
    const run = fields.slice(i, end);
    const bytes = new Uint8Array(run.reduce((sum, field) => sum + field.bytes.length, 0));
    result.push({ at: run[0].at, bytes, name: names(run), title: '', parts: [] });
    i = end;
  }
  return result;
}

/** All zero, which says nothing by itself. */
function isDull({ bytes, meaning }: Field): boolean {
  return meaning === undefined && bytes.every((byte) => byte === 0);
}

/** The names of fields, the name of the structure that several are in once. */
function names(fields: readonly Field[]): string {
  let around = '';
  return fields
    .map(({ name }) => {
      const end = name.lastIndexOf('.') + 1;
      const same = name.slice(0, end) === around;
      around = name.slice(0, end);
      return same ? name.slice(end) : name;
    })
    .join(', ');
}

function linesOf(field: Field): Line[] {
  const { at, bytes, name, title, value, meaning, parts } = field;
  const offset = `+${at.toString(16).padStart(2, '0')}`;
  const zeros = bytes.every((byte) => byte === 0);
  if (value === undefined && zeros)
    return [{ at: offset, bytes: `${bytes.length} zero bytes`, name: title === '' ? '' : name, words: title || name }];
  const dump = dumpOf(bytes);
  const shown = value === undefined ? name : `${name} = ${number(value, field.decimal)}`;
  return [
    { at: offset, bytes: dump[0], name: shown, words: said(title, meaning) + (value === 0n ? nothingSet(parts) : '') },
    ...(value === 0n ? [] : partLines(parts)),
    ...dump.slice(1).map((text) => ({ at: '', bytes: text, name: '', words: '' })),
  ];
}

/** Lines of bytes; zeros at the end are counted. */
function dumpOf(bytes: Uint8Array): string[] {
  const all = [...bytes];
  const last = all.findLastIndex((byte) => byte !== 0);
  const end = bytes.length <= DUMP ? bytes.length : Math.ceil((last + 1) / DUMP) * DUMP;
  const lines: string[] = [];
  for (let i = 0; i < end; i += DUMP)
    lines.push(
      all
        .slice(i, i + DUMP)
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join(' '),
    );
  return end < bytes.length ? [...lines, `${bytes.length - end} zero bytes`] : lines;
}

/** Names of the parts that are zero. */
function clearOf(parts: readonly Part[]): string {
  return parts
    .filter(({ value, name }) => value === 0n && name !== RESERVED)
    .map(({ name }) => name)
    .join(', ');
}
function nothingSet(parts: readonly Part[]): string {
  return parts.length === 0 ? '' : `; off: ${clearOf(parts)}`;
}

/** One line for each part that is not zero, and one with the names of the others. */
function partLines(parts: readonly Part[]): Line[] {
  const set = parts.filter(({ value }) => value !== 0n);
  const clear = clearOf(parts);
  const line = (name: string, words: string): Line => ({ at: '', bytes: '', name, words });
  return [
    ...set.map(({ name, value, title, meaning }) => line(`  ${name} = ${number(value)}`, said(title, meaning))),
    ...(clear === '' ? [] : [line('', `off: ${clear}`)]),
  ];
}

function said(title: string, meaning: string | undefined): string {
  return meaning === undefined ? title : `${title}: ${meaning}`;
}
