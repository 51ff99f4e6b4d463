import { expect, test } from 'vitest';
import { argumentsText } from './arguments.ts';
import { ARGUMENTS } from './arguments_table.ts';
import type { Figure, PerOperation } from './figures.ts';

const work = (counts: Partial<PerOperation>): PerOperation => ({
  exits: 0,
  systemCalls: 0,
  handOffs: 0,
  copies: 0,
  copiedBytes: 0,
  pins: 0,
  ...counts,
});
const figure = (scenario: string, name: string, p50: number, more: Partial<Figure> = {}): Figure => ({
  scenario,
  name,
  unit: 'ns',
  p50,
  p99: 4 * p50,
  samples: 10,
  operations: 10,
  ...more,
});
const put = (tier: string, p50: number, counts: Partial<PerOperation> = {}) =>
  figure('tce', `H_PUT_TCE, ${tier}`, p50, { perOperation: work(counts) });
const EXIT = put('exit to the VMM', 20_000, { exits: 1, systemCalls: 1, handOffs: 4, copies: 1.5, copiedBytes: 40 });
const VIRTUAL = put('kernel, virtual mode', 500, { handOffs: 2 });
const REAL = put('kernel, real mode', 50);

/** Lines of a text that begin with a label, as cells. */
const row = (text: string, label: string) =>
  text
    .split('\n')
    .find((line) => line.trim().startsWith(label))
    ?.trim()
    .split(/ {2,}/);
/** The text without its line breaks inside of sentences. */
const flat = (text: string) => text.replace(/\n {4}/g, ' ');

test('sides are columns, quantities are rows, and the best of each row is marked', () => {
  const text = argumentsText([EXIT, VIRTUAL, REAL]);
  expect(row(text, 'exit to')).toEqual(['exit to the VMM', 'kernel, virtual mode', 'kernel, real mode']);
  expect(row(text, 'p50')).toEqual(['p50', '20.00 us', '500 ns', '50.0 ns *']);
  expect(row(text, 'p99')).toEqual(['p99', '80.00 us', '2.00 us', '200 ns *']);
  expect(row(text, 'hand-offs')).toEqual(['hand-offs between threads', '4', '2', '0 *']);
  // Two sides may share what is best; where all are the same nobody is.
  expect(row(text, 'exits')).toEqual(['exits to the VMM', '1', '0 *', '0 *']);
  expect(row(text, 'copies')).toEqual(['copies, user memory and kernel', '1.5', '0 *', '0 *']);
  expect(row(text, 'bytes copied')).toEqual(['bytes copied', '40', '0 *', '0 *']);
  expect(row(text, 'pages pinned')).toEqual(['pages pinned', '0', '0', '0']);
});

test('the words say how much faster and what is needed less', () => {
  const text = flat(argumentsText([EXIT, VIRTUAL, REAL]));
  expect(text).toContain(
    'kernel, real mode is 400x faster than exit to the VMM: no exit, no hand-off and no system call.',
  );
  expect(text).toContain('kernel, real mode is 10x faster than kernel, virtual mode: no hand-off.');
});

test('when the numbers turn round, so do the words', () => {
  const slow = put('kernel, real mode', 80_000);
  const text = flat(argumentsText([EXIT, slow]));
  expect(row(text, 'p50')).toEqual(['p50', '20.00 us *', '-', '80.00 us']);
  expect(text).toContain(
    'exit to the VMM is 4.0x faster than kernel, real mode, which nothing that is counted here explains, though 1 exit instead of 0, 4 hand-offs instead of 0, 1 system call instead of 0, 1.5 copies instead of 0 and 40 bytes copied instead of 0.',
  );
  expect(text).not.toContain('real mode is');
});

test('times that are nearly the same are level: nobody wins', () => {
  const text = argumentsText([VIRTUAL, put('kernel, real mode', 510, { handOffs: 2 })]);
  expect(row(text, 'p50')).toEqual(['p50', '-', '500 ns', '510 ns']);
  expect(text).toContain(
    'kernel, virtual mode and kernel, real mode take the same time, as exactly as it was measured.',
  );
});

test('so are times whose rounds overlap; rounds that do not overlap tell them apart', () => {
  const rounds = (...values: number[]) => ({ rounds: values.map((p50) => ({ p50 })) });
  const of = (virtual: number[], real: number[]) =>
    flat(
      argumentsText([
        { ...VIRTUAL, ...rounds(...virtual) },
        { ...REAL, p50: 400, ...rounds(...real) },
      ]),
    );
  const overlap = of([350, 500, 700], [300, 400, 450]);
  expect(row(overlap, 'p50')).toEqual(['p50', '-', '500 ns', '400 ns']);
  expect(overlap).toContain(
    'kernel, real mode and kernel, virtual mode take the same time, as exactly as it was measured: kernel, real mode with no hand-off.',
  );
  const apart = of([490, 500, 510], [390, 400, 410]);
  expect(row(apart, 'p50')).toEqual(['p50', '-', '500 ns', '400 ns *']);
  expect(apart).toContain('kernel, real mode is 1.3x faster than kernel, virtual mode: no hand-off.');
});

test('a side without figures is a gap, with the command that fills it; so is an argument', () => {
  const text = argumentsText([REAL]);
  expect(row(text, 'p50')).toEqual(['p50', '-', '-', '50.0 ns']);
  expect(text).toContain('exit to the VMM was not measured; minivisor bench tce.');
  expect(text).toContain('HALT and CLEAR (2019): not measured; minivisor bench halt-clear\n');
  expect(text).not.toContain('faster');
});

test('without figures that speak for a side nothing is printed', () => {
  expect(argumentsText([])).toBe('');
  expect(argumentsText([figure('mips', 'integer loop', 3000, { unit: 'MIPS' })])).toBe('');
});

test('further rows compare too, each by its own measure: of a rate the most is best', () => {
  const read = (api: string, p50: number) => figure('ccw', `${api}, 4K read: SSCH, interruption, TSCH`, p50);
  const rate = (api: string, p50: number) =>
    figure('ccw-api', `${api}, 4 devices of 1000 us: reads a second`, p50, { unit: 'I/O/s' });
  const text = flat(
    argumentsText([
      read('region', 300_000),
      read('cmd-request', 200_000),
      rate('region', 3200),
      rate('cmd-request', 800),
    ]),
  );
  expect(text).toContain('CMD_REQUEST (RFC) is 1.5x faster than I/O region (merged), which nothing that is counted');
  expect(row(text, 'reads a second, 4')).toEqual(['reads a second, 4 devices of 1 ms', '800', '3200 *']);
  expect(text).toContain('reads a second, 4 devices of 1 ms: I/O region (merged), 4.0x as many as CMD_REQUEST (RFC).');
  expect(text).toContain('Not all of it was measured; minivisor bench ccw ccw-api.');
});

test('what takes next to nothing is no reason, however much less of it there is', () => {
  const read = (api: string, p50: number, counts: Partial<PerOperation>) =>
    figure('ccw', `${api}, 4K read: SSCH, interruption, TSCH`, p50, { perOperation: work(counts) });
  const text = flat(
    argumentsText([
      read('region', 80_000, { handOffs: 16, copiedBytes: 2320 }),
      read('cmd-request', 120_000, { handOffs: 13, copiedBytes: 4384 }),
    ]),
  );
  expect(text).toContain(
    'I/O region (merged) is 1.5x faster than CMD_REQUEST (RFC), which nothing that is counted here explains; 2320 bytes copied instead of 4384 would not do it, though 16 hand-offs instead of 13.',
  );
});

test('what the time has no part of is no reason; smaller tables may be one', () => {
  const setUp = (column: string, p50: number, tables: number, handOffs: number) => [
    figure('pamu', '1 GiB of RAM: set-up', p50, { column, perOperation: work({ handOffs }) }),
    figure('pamu', '1 GiB of RAM: tables of the container', tables, { column, unit: 'bytes' }),
  ];
  const text = flat(argumentsText([...setUp('type1 4K', 30e6, 2_105_344, 18), ...setUp('PAMU', 1e5, 2048, 2)]));
  expect(text).toContain(
    'PAMU is 300x faster than type1 4K: tables of the container: 2048 bytes instead of 2105344 bytes.',
  );
  expect(row(text, 'hand-offs')).toEqual(['hand-offs between threads', '18', '-', '2 *']);
});

test('who only pretends is first to say so, and last to be done', () => {
  const halt = (column: string, seen: number, free: number) => [
    figure('halt-clear', 'HSCH to interruption', seen, { column }),
    figure('halt-clear', 'HSCH to a device that is free', free, { column }),
  ];
  const text = flat(
    argumentsText([...halt('I/O region alone', 50_000, 2_000_000), ...halt('command region', 150_000, 160_000)]),
  );
  expect(text).toContain('command region is 13x faster than pretended (I/O region), which');
  expect(text).toContain('HSCH to its interruption: pretended (I/O region), 3.0x faster than command region.');
  expect(text).toContain('pretended (RFC) was not measured; minivisor bench halt-clear.');
});

test('no line is longer than 110 columns, and every argument has its sides', () => {
  for (const { sides } of ARGUMENTS) expect(sides.length).toBeGreaterThanOrEqual(2);
  const all = ARGUMENTS.flatMap(({ sides }) =>
    sides.flatMap(({ main, others = {} }, i) =>
      [main, ...Object.values(others)].map(({ scenario, name, column }) =>
        figure(scenario, name, 1000 * (i + 1), { column, perOperation: work({ exits: i, copies: 2 - i }) }),
      ),
    ),
  );
  const text = argumentsText(all);
  for (const { title } of ARGUMENTS) expect(text).toContain(`\n${title}\n`);
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(110);
  expect(text).not.toContain('not measured');
});
