/** A small bench document for tests: a floor, subjects of all kinds, and every field that a document can have. */
import { BENCH_SCHEMA, type BenchDocument } from '../../hypervisor/bench/document.ts';
import type { Figure } from '../../hypervisor/bench/figures.ts';
import { floorFigure, measured } from '../../hypervisor/bench/series.ts';

/** What an example may have its own way. */
export interface Example {
  /** How many times the times of the subject are. */
  readonly scale?: number;
  readonly rounds?: number;
  readonly machine?: Partial<BenchDocument['machine']>;
}

/** Samples around `ns`, a few per cent apart; the same every time. */
function times(ns: number, round: number): number[] {
  return Array.from({ length: 40 }, (_, i) => ns * (1 + 0.002 * round + 0.001 * ((i * 7) % 40)));
}

/** Its figures. */
export function exampleFigures({ scale = 1, rounds = 5 }: Example = {}): Figure[] {
  const each = <T>(body: (round: number) => T) => Array.from({ length: rounds }, (_, round) => body(round));
  const floor = floorFigure(
    'tce',
    'two parties',
    each((round) => times(200, round)),
  );
  const subject = measured({
    scenario: 'tce',
    name: 'H_PUT_TCE, kernel, virtual mode',
    rounds: each((round) => times(500 * scale, round)),
    operations: 40_000,
    floor,
    limit: 3,
    parameters: { tier: 'virtual', entries: 1 },
    perOperation: { exits: 0, systemCalls: 0, handOffs: 2, copies: 0, copiedBytes: 0, pins: 0 },
  });
  const part = measured({
    scenario: 'ccw',
    name: '  K2 translate it and pin its pages',
    rounds: each((round) => times(3000, round)),
    floor,
    part: true,
  });
  const rate = measured({
    scenario: 'net',
    name: '1500-byte packets, big window',
    unit: 'MB/s',
    rounds: each((round) => times(300 / scale, round)),
  });
  const count = measured({
    scenario: 'pamu',
    name: '64 MiB of RAM: ioctls',
    column: 'PAMU',
    unit: 'ioctls',
    rounds: each(() => [7]),
  });
  return [floor, subject, part, rate, count];
}

/** The document. */
export function exampleDocument(example: Example = {}): BenchDocument {
  return {
    schema: BENCH_SCHEMA,
    version: '0.1.0',
    started: '2025-11-20T14:00:00.000Z',
    seconds: 12.5,
    rounds: example.rounds ?? 5,
    machine: {
      node: 'v20.20.2',
      platform: 'linux x64',
      cpus: 2,
      cpuModel: 'Example CPU',
      memoryMiB: 4096,
      waits: 'two or three CPUs',
      loadAverage: 0.1,
      ...example.machine,
    },
    figures: exampleFigures(example),
  };
}
