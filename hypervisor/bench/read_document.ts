/** Bench documents from files: what another version, or another program, has written is refused in one sentence. */
import { readFileSync } from 'node:fs';
import { fileProblem } from '../cli/file_problem.ts';
import { UserError } from '../user_error.ts';
import { BENCH_SCHEMA, type BenchDocument } from './document.ts';
import { UNITS } from './figures.ts';

type Check = (value: unknown) => boolean;
type Fields = Readonly<Record<string, Check>>;

const string: Check = (value) => typeof value === 'string';
const number: Check = (value) => typeof value === 'number';
const boolean: Check = (value) => typeof value === 'boolean';
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const recordOf =
  (check: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(check);

/** Fields of `value` by which it is not what `fields` says; fields not named there are left alone. */
function faults(value: unknown, required: Fields, optional: Fields): string[] {
  if (!isObject(value)) return [''];
  return [
    ...Object.entries(required).filter(([key, check]) => !check(value[key])),
    ...Object.entries(optional).filter(([key, check]) => value[key] !== undefined && !check(value[key])),
  ].map(([key]) => key);
}

const ROUND: Fields = { p50: number };
const ROUND_MORE: Fields = { floor: number };
const rounds: Check = (value) =>
  Array.isArray(value) && value.every((round) => faults(round, ROUND, ROUND_MORE).length === 0);

/** The fields of a figure that readers rely on (bench.schema.json has them all). */
const FIGURE: Fields = {
  scenario: string,
  name: string,
  unit: (value) => UNITS.some((unit) => unit === value),
  p50: number,
  samples: number,
  operations: number,
};
const FIGURE_MORE: Fields = {
  column: string,
  p90: number,
  p99: number,
  p999: number,
  max: number,
  rounds,
  histogram: string,
  floor: string,
  ratio: number,
  part: boolean,
  parameters: recordOf((value) => string(value) || number(value)),
  perOperation: recordOf(number),
  target: string,
  reached: boolean,
};
const MACHINE: Fields = {
  node: string,
  platform: string,
  cpus: number,
  cpuModel: string,
  memoryMiB: number,
  waits: string,
};
const DOCUMENT: Fields = { version: string, started: string, rounds: number, figures: Array.isArray };
const DOCUMENT_MORE: Fields = { seconds: number };

const AGAIN = 'measure again: minivisor bench --json FILE';

/** Reads what `bench --json` wrote. @throws UserError naming the file and what is wrong with it */
export function readBenchDocument(file: string): BenchDocument {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${file}: ${fileProblem(error)}; give a file that minivisor bench --json has written`);
  }
  return parseBenchDocument(file, text);
}

/** The document in a file's text. @throws UserError naming `file` and what is wrong with it */
export function parseBenchDocument(file: string, text: string): BenchDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UserError(`${file}: not JSON; give a file that minivisor bench --json has written`);
  }
  if (!isObject(value) || typeof value.schema !== 'string')
    throw new UserError(`${file}: no bench document; give a file that minivisor bench --json has written`);
  if (value.schema !== BENCH_SCHEMA) {
    const version = typeof value.version === 'string' ? `minivisor ${value.version} ` : '';
    throw new UserError(`${file}: ${version}wrote ${value.schema}, expected ${BENCH_SCHEMA}; ${AGAIN}`);
  }
  const broken = (where: string) => new UserError(`${file}: ${where} is missing or damaged; ${AGAIN}`);
  const [field] = faults(value, DOCUMENT, DOCUMENT_MORE);
  if (field !== undefined) throw broken(field);
  const [machine] = faults(value.machine, MACHINE, { loadAverage: number });
  if (machine !== undefined) throw broken(`machine${machine === '' ? '' : `.${machine}`}`);
  for (const [i, figure] of (value.figures as unknown[]).entries()) {
    const [fault] = faults(figure, FIGURE, FIGURE_MORE);
    if (fault !== undefined) throw broken(`figures[${i}]${fault === '' ? '' : `.${fault}`}`);
  }
  return value as unknown as BenchDocument;
}
