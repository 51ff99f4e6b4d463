/** `minivisor bench` as a user runs it: the quickest scenario, with everything that it writes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HistogramLogReader } from 'hdr-histogram-js';
import { afterAll, expect, test } from 'vitest';
import { readBenchDocument } from '../../hypervisor/bench/read_document.ts';
import { runCli, startCli, workFolder } from '../support/cli.ts';

const { folder, remove } = workFolder();
afterAll(remove);
const path = (name: string) => join(folder, name);

test('bench mips prints its figure and writes the document and the log', async () => {
  const words = ['bench', 'mips', '--rounds', '1', '--json', 'out.json', '--hlog', 'out.hlog'];
  const { status, stdout, stderr } = await runCli(folder, words);
  expect(stderr).toMatch(/^mips \(0 s, .*\)\n/);
  expect(status).toBe(0);
  expect(stdout).toMatch(/mips +integer loop +\d+ MIPS/);
  const { rounds, figures, machine, seconds } = readBenchDocument(path('out.json'));
  expect(rounds).toBe(1);
  expect(machine.node).toBe(process.version);
  expect(seconds).toBeGreaterThan(0);
  expect(figures).toMatchObject([{ scenario: 'mips', unit: 'MIPS', samples: 3, rounds: [{}] }]);
  // A rate has no distribution of times.
  const log = readFileSync(path('out.hlog'), 'utf8');
  expect(log).toMatch(/^#\[Histogram log format version 1\.3\]$/m);
  expect(new HistogramLogReader(log).nextIntervalHistogram()).toBeNull();
});

test('a scenario of times is in the log, and a run compared with another says what one round can say', async () => {
  const run = (name: string) => ['bench', 'groups', '--rounds', '1', '--json', name, '--hlog', 'groups.hlog'];
  const first = await runCli(folder, run('a.json'));
  expect([first.status, first.stderr.match(/^groups/)?.[0]]).toEqual([0, 'groups']);
  const [figure] = readBenchDocument(path('a.json')).figures;
  const histogram = new HistogramLogReader(readFileSync(path('groups.hlog'), 'utf8')).nextIntervalHistogram();
  expect(histogram?.tag).toBe('groups/H_PUT_TCE_1_group');
  expect(histogram?.totalCount).toBe(figure.samples);
  expect((histogram?.getValueAtPercentile(50) ?? 0) / 1000 / figure.p50).toBeCloseTo(1, 2);
  writeFileSync(path('b.json'), readFileSync(path('a.json')));
  const { status, stdout } = await runCli(folder, ['bench', 'compare', 'a.json', 'b.json']);
  expect(status).toBe(0);
  expect(stdout).toMatch(/1 round each can say nothing at 95 % \(0 % at best\); 4 each can/);
});

test('what was measured before Ctrl-C is told and written', async () => {
  const { child, ended } = startCli(folder, ['bench', 'mips', 'start', '--rounds', '4', '--json', 'cut.json']);
  child.stderr?.on('data', (data) => {
    if (`${data}`.includes('(2 of 2)')) child.kill('SIGINT');
  });
  const { status, stdout, stderr } = await ended;
  expect(stderr).toMatch(
    /minivisor: bench: interrupted in start \(2 of 2\).*; above is what had been measured by then\n$/,
  );
  expect(status).toBe(130);
  expect(stdout).toMatch(/mips +integer loop/);
  expect(readBenchDocument(path('cut.json')).figures.map(({ scenario }) => scenario)).toEqual(['mips']);
});

test.each([
  [['bench', 'mips', '--json', 'x', '--hlog', 'x'], /--json and --hlog both write x; give each a file of its own/],
  [['bench', 'mips', '--json', '-'], /--json -: a file is needed; \/dev\/stdout is one too, or give \.\/-/],
  [['bench', 'mips', '--hlog', 'nowhere/x.hlog'], /--hlog nowhere\/x\.hlog: no such directory/],
  [['bench', 'compare', 'one.json'], /bench compare: 1 file given; give two/],
  [['bench', 'mips', '--rounds', '0'], /--rounds 0: out of range/],
])('%j is refused before anything is measured', async (words, message) => {
  const { status, stdout, stderr } = await runCli(folder, words);
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(message);
});
