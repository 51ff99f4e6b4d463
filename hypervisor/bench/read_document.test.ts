import { expect, test } from 'vitest';
import { exampleDocument } from '../../test/support/bench_document.ts';
import { UserError } from '../user_error.ts';
import { parseBenchDocument, readBenchDocument } from './read_document.ts';

const document = exampleDocument();
const [figure] = document.figures;
const read = (value: unknown) => parseBenchDocument('a.json', JSON.stringify(value));

test('a file that is not there is told with its errno', () => {
  expect(() => readBenchDocument('nowhere/a.json')).toThrow(
    new UserError('nowhere/a.json: no such file; give a file that minivisor bench --json has written'),
  );
});

test('text that is not JSON, and JSON that is no bench document', () => {
  expect(() => parseBenchDocument('a.json', 'tce 1 ns')).toThrow('a.json: not JSON; give a file that');
  for (const value of [null, 7, [], {}, { schema: 2 }]) expect(() => read(value)).toThrow('a.json: no bench document');
});

test('another number of the schema is told with who wrote it, and what to do', () => {
  expect(() => read({ ...document, schema: 'minivisor-bench-1' })).toThrow(
    'a.json: minivisor 0.1.0 wrote minivisor-bench-1, expected minivisor-bench-2; measure again: minivisor bench --json FILE',
  );
  expect(() => read({ schema: 'minivisor-bench-1' })).toThrow('a.json: wrote minivisor-bench-1, expected');
});

test.each([
  ['started', { ...document, started: 7 }],
  ['figures', { ...document, figures: {} }],
  ['machine', { ...document, machine: undefined }],
  ['machine.cpus', { ...document, machine: { ...document.machine, cpus: '2' } }],
  ['figures[0]', { ...document, figures: [null] }],
  // A NaN is null in JSON.
  ['figures[1].p50', { ...document, figures: [figure, { ...figure, p50: Number.NaN }] }],
  ['figures[0].unit', { ...document, figures: [{ ...figure, unit: 'furlongs' }] }],
  ['figures[0].rounds', { ...document, figures: [{ ...figure, rounds: [{ p50: 1 }, { floor: 1 }] }] }],
  ['figures[0].parameters', { ...document, figures: [{ ...figure, parameters: { a: {} } }] }],
])('damage is told by its place: %s', (where, value) => {
  expect(() => read(value)).toThrow(`a.json: ${where} is missing or damaged; measure again`);
});
