import { readFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { exampleDocument } from '../../test/support/bench_document.ts';
import type { BenchDocument, BenchMachine } from './document.ts';
import { type Figure, type PerOperation, type Round, UNITS } from './figures.ts';
import { thisMachine } from './machine.ts';
import { parseBenchDocument } from './read_document.ts';

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly enum?: readonly string[];
  readonly $ref?: string;
}
const schema = JSON.parse(readFileSync(new URL('bench.schema.json', import.meta.url), 'utf8')) as Schema & {
  readonly $defs: Readonly<Record<string, Schema>>;
};

/** Whether a document is what the schema says, and why not. */
function faults(document: unknown): string {
  // `format` and `contentEncoding` describe; the checks are the reader's.
  const ajv = new Ajv2020.default({ allErrors: true, validateFormats: false, allowUnionTypes: true });
  return ajv.validate(schema, document) ? '' : ajv.errorsText();
}

const written = (document: BenchDocument) => JSON.parse(JSON.stringify(document));

test('what a bench writes is what the schema says, and what the reader takes', () => {
  const document = { ...exampleDocument(), machine: thisMachine() };
  expect(faults(written(document))).toBe('');
  expect(parseBenchDocument('a.json', JSON.stringify(document))).toEqual(written(document));
});

test('the schema refuses a figure that lacks something, has too much, or is in no known unit', () => {
  const document = written(exampleDocument());
  const [figure] = document.figures;
  const refused = (change: object) => faults({ ...document, figures: [{ ...figure, ...change }] });
  expect(refused({})).toBe('');
  expect(refused({ p50: undefined })).toMatch(/p50/);
  expect(refused({ p75: 1 })).toMatch(/additional properties/);
  expect(refused({ unit: 'furlongs' })).toMatch(/unit/);
});

test('every property that a document can have is described', () => {
  // The types make sure that none is left out here.
  const round: Required<Round> = { p50: 1, floor: 1 };
  const perOperation: Required<PerOperation> = {
    exits: 1,
    systemCalls: 1,
    handOffs: 1,
    copies: 1,
    copiedBytes: 1,
    pins: 1,
  };
  const figure: Required<Figure> = {
    scenario: 's',
    name: 'n',
    column: 'c',
    unit: 'ns',
    p50: 1,
    p90: 1,
    p99: 1,
    p999: 1,
    max: 1,
    rounds: [round],
    histogram: '',
    samples: 1,
    operations: 1,
    floor: 'floor: f',
    ratio: 1,
    leftOut: 1,
    part: true,
    parameters: { devices: 1, api: 'region' },
    perOperation,
    target: 't',
    reached: true,
  };
  const machine: Required<BenchMachine> = thisMachine() as Required<BenchMachine>;
  const document: Required<BenchDocument> = {
    ...(exampleDocument() as Required<BenchDocument>),
    machine,
    figures: [figure],
  };
  expect(faults(document)).toBe('');
  for (const [name, value] of Object.entries({ round, perOperation, figure, machine })) {
    const { properties = {} } = schema.$defs[name];
    expect(Object.keys(properties).sort()).toEqual(Object.keys(value).sort());
  }
  for (const part of [schema, ...Object.values(schema.$defs)]) {
    expect(part.description).toMatch(/\w{3}/);
    for (const [name, property] of Object.entries(part.properties ?? {}))
      if (property.$ref === undefined) expect(property.description, name).toMatch(/\w{3}/);
  }
});

test('the units of the schema are those of the code', () => {
  expect(schema.$defs.figure.properties?.unit.enum).toEqual(UNITS);
});
