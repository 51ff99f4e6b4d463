/** `minivisor bench compare A.json B.json`: what changed from one run to the other, and how sure that is. */
import { realpathSync } from 'node:fs';
import { type BenchComparison, compareFigures, machineDifferences, surelyWorseBy } from '../bench/compare.ts';
import type { BenchDocument } from '../bench/document.ts';
import { busySigns } from '../bench/machine.ts';
import { readBenchDocument } from '../bench/read_document.ts';
import { UserError } from '../user_error.ts';
import { compareText, nameOf, percent, type Side } from './bench_compare_text.ts';
import { type OptionRow, optionsHelp, parseOptions } from './options.ts';
import { checkOutput, writeOutput } from './output_file.ts';

const OPTIONS: readonly OptionRow[] = [
  { name: 'all', kind: 'flag', help: 'list every figure, those too that are not surely changed' },
  {
    name: 'fail-above',
    kind: 'text',
    value: 'P%',
    help: 'exit status 1 if a figure is surely worse by more than P percent; floors do not count',
  },
  { name: 'json', kind: 'text', value: 'FILE', help: 'write the comparison to a file too' },
];

/** The part of `bench --help` about it. */
export const COMPARE_HELP = [
  'bench compare reads two files that --json wrote, A before a change and B after it, and tells figure by figure what B is',
  'as a multiple of A: the Hodges-Lehmann estimate over the rounds, each as a multiple of its own floor where it has one,',
  'and the bounds between which the multiple surely lies (Mann-Whitney, 95 % or more; exact for few rounds). Three rounds',
  'each can be sure of nothing at 95 %, four each can; more find smaller changes. Counts (ioctls, bytes, lines) are simply',
  'compared. The exit status is 0 whatever changed, unless --fail-above is given.',
  '',
  optionsHelp(OPTIONS),
  '',
].join('\n');

export const COMPARE_SCHEMA = 'minivisor-bench-compare-1';

/** `5%` or `5`, as a factor: 1.05. @throws UserError */
function parsePercent(text: string): number {
  const match = /^(\d+(?:\.\d+)?)%?$/.exec(text);
  if (match === null) throw new UserError(`--fail-above ${text}: not a percentage; give one such as 5%`);
  return 1 + Number(match[1]) / 100;
}

/** The two files. @throws UserError */
function files(rest: readonly string[]): readonly [string, string] {
  const [a, b, more] = rest;
  if (a === undefined || b === undefined || more !== undefined)
    throw new UserError(
      `bench compare: ${rest.length} file${rest.length === 1 ? '' : 's'} given; give two that minivisor bench --json has written`,
    );
  return [a, b];
}

function isSame(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b);
  } catch {
    return false;
  }
}

/** What `--json` writes: the comparison without the figures' distributions. */
function jsonOf(sides: readonly [Side, Side], { comparisons, onlyA, onlyB, byChance }: BenchComparison) {
  const about = ({ file, document: { figures: _, ...rest } }: Side) => ({ file, ...rest });
  const name = ({ scenario, name, column, parameters }: (typeof onlyA)[number]) => ({
    scenario,
    name,
    column,
    parameters,
  });
  return {
    schema: COMPARE_SCHEMA,
    a: about(sides[0]),
    b: about(sides[1]),
    comparisons: comparisons.map(({ a, b, ...rest }) => ({
      ...name(a),
      unit: a.unit,
      a: a.p50,
      b: b.p50,
      ...rest,
    })),
    onlyA: onlyA.map(name),
    onlyB: onlyB.map(name),
    byChance,
  };
}

/** Warnings, one sentence each: machines that differ, and machines that were busy. */
function warnings(a: BenchDocument, b: BenchDocument): string[] {
  const differ = machineDifferences(a.machine, b.machine);
  const busy = (['A', 'B'] as const).flatMap((name, i) => {
    const { machine, figures } = [a, b][i];
    return busySigns(machine, figures).map((sign) => `${name}: ${sign}`);
  });
  return [
    ...(differ.length === 0 ? [] : [`the machines differ (${differ.join('; ')}): the change is not only the code's`]),
    ...busy,
  ];
}

/** The command; the exit status. @throws UserError */
export function benchCompare(words: readonly string[]): number {
  const { values, rest } = parseOptions('bench', OPTIONS, words);
  const { json, all = false } = values as { readonly json?: string; readonly all?: boolean };
  const limit = values['fail-above'] === undefined ? undefined : parsePercent(values['fail-above'] as string);
  const [fileA, fileB] = files(rest);
  if (isSame(fileA, fileB)) throw new UserError(`bench compare: ${fileA} and ${fileB} are one file; give two runs`);
  checkOutput('json', json);
  if (json !== undefined && (isSame(json, fileA) || isSame(json, fileB)))
    throw new UserError(`--json ${json}: would overwrite a file that is compared; give another place`);
  const sides = [fileA, fileB].map((file) => ({ file, document: readBenchDocument(file) }));
  const [a, b] = sides as unknown as readonly [Side, Side];
  const comparison = compareFigures(a.document.figures, b.document.figures);
  const { comparisons } = comparison;
  if (comparisons.length === 0)
    throw new UserError(`bench compare: no figure is in both ${fileA} and ${fileB}; measure the same scenarios`);
  process.stdout.write(compareText([a, b], comparison, warnings(a.document, b.document), all));
  if (json !== undefined) writeOutput('json', json, jsonOf([a, b], comparison));
  if (limit === undefined) return 0;
  const timed = comparisons.filter(({ isFloor, basis }) => !isFloor && basis !== 'counts');
  if (timed.length > 0 && timed.every(({ verdict }) => verdict === 'too few rounds'))
    throw new UserError('--fail-above: no figure has rounds enough to be judged; measure both with --rounds 4 or more');
  const failed = comparisons.filter((one) => surelyWorseBy(one) > limit);
  if (failed.length === 0) return 0;
  throw new UserError(
    `surely worse by more than ${percent(limit - 1)}: ${failed.map(({ a: figure }) => nameOf(figure)).join('; ')}`,
  );
}
