import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { type Example, exampleDocument } from '../../test/support/bench_document.ts';
import { bench } from './bench.ts';
import { benchCompare } from './bench_compare.ts';

const folder = mkdtempSync(join(tmpdir(), 'minivisor-compare-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const path = (name: string) => join(folder, name);

/** A file of an example run. */
function run(name: string, example: Example = {}): string {
  writeFileSync(path(name), JSON.stringify(exampleDocument(example)));
  return path(name);
}

/** What the command prints, its exit status, and the error it ends with. */
function compare(...words: string[]): { out: string; status?: number; error?: string } {
  let out = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  try {
    return { status: benchCompare(words), out };
  } catch (error) {
    return { out, error: (error as Error).message };
  } finally {
    write.mockRestore();
  }
}

const base = run('base.json', { rounds: 8 });
const again = run('again.json', { rounds: 8 });
const slow = run('slow.json', { rounds: 8, scale: 1.25 });
const short = run('short.json', { rounds: 3 });
const shortSlow = run('short_slow.json', { rounds: 3, scale: 9 });

test('a path that became slower is told with its change, its bounds and how sure they are', () => {
  const { out, status } = compare(base, slow);
  expect(status).toBe(0);
  expect(out).toMatch(
    /surely changed, the largest first:\n.*\n.*\n.*H_PUT_TCE, kernel, virtual mode .* 1\.25x {2}95(\.\d)? % sure between 1\.2\dx and 1\.2\dx {2}slower \*/,
  );
  expect(out).toMatch(/1500-byte packets, big window .* MB\/s .* 0\.80x .* slower \*/);
  expect(out).toMatch(/2 of 3 figures surely changed; were A and B the same, about 0\.\d would look so by chance/);
});

test('the better of two is told as such', () => {
  expect(compare(slow, base).out).toMatch(/H_PUT_TCE, kernel, virtual mode .* 0\.80x .* faster/);
});

test('the same twice: nothing changed, the rest short, or each with --all', () => {
  const { out } = compare(base, again);
  expect(out).toMatch(/nothing surely changed/);
  expect(out).toMatch(/not sure:\n {2}tce: 2, 1\.00x to 1\.00x\n/);
  expect(out).toMatch(/counts that are the same:\n {2}pamu: 1/);
  expect(compare(base, again, '--all').out).toMatch(/K2 translate it and pin its pages .* unsure/);
});

test('too few rounds are said to be too few, and how many are needed', () => {
  const { out, status } = compare(short, shortSlow);
  expect(status).toBe(0);
  expect(out).toMatch(/3 rounds each can say nothing at 95 % \(90 % at best\); 4 each can: minivisor bench --rounds 4/);
  expect(out).toMatch(/nothing surely changed/);
});

test('machines that differ, and one that was busy, are warned of', () => {
  const other = run('other.json', { rounds: 8, machine: { node: 'v22.0.0', loadAverage: 9 } });
  const { out } = compare(base, other);
  expect(out).toMatch(/warning: the machines differ \(Node version: v20\.20\.2 and v22\.0\.0\)/);
  expect(out).toMatch(/warning: B: machine busy: load average 9\.0/);
});

test('--fail-above ends with status 1 only if something is surely worse by more', () => {
  expect(compare(base, slow, '--fail-above', '30%').status).toBe(0);
  expect(compare(slow, base, '--fail-above', '5').status).toBe(0);
  const { out, error } = compare(base, slow, '--fail-above', '5%');
  expect(out).toMatch(/surely changed/);
  expect(error).toBe(
    'surely worse by more than 5 %: tce: H_PUT_TCE, kernel, virtual mode; net: 1500-byte packets, big window',
  );
});

test('a count that was 0, or is now, is told by both numbers, first of all, and a gate sees it', () => {
  const document = exampleDocument({ rounds: 8 });
  const ioctls = (n: number) => ({
    ...document,
    figures: document.figures.map((one) =>
      one.unit === 'ioctls' ? { ...one, p50: n, rounds: one.rounds?.map((round) => ({ ...round, p50: n })) } : one,
    ),
  });
  for (const n of [0, 5]) writeFileSync(path(`ioctls${n}.json`), JSON.stringify(ioctls(n)));
  const [none, five] = [path('ioctls0.json'), path('ioctls5.json')];
  const { out } = compare(none, five, '--json', path('zero.json'));
  expect(out).toMatch(/the largest first:\n.*\n.*\n.*64 MiB of RAM: ioctls, PAMU .* 0 to 5 {2}counted +more\n/);
  expect(out).not.toMatch(/Infinity|NaN/);
  expect(compare(five, none).out).toMatch(/ 5 to 0 {2}counted +less\n/);
  const { comparisons } = JSON.parse(readFileSync(path('zero.json'), 'utf8'));
  expect(comparisons.find(({ unit }: { unit: string }) => unit === 'ioctls')).toEqual(
    expect.not.objectContaining({ change: expect.anything() }),
  );
  expect(compare(none, five, '--fail-above', '500%').error).toMatch(/surely worse by more than 500 %: pamu: 64 MiB/);
});

test('--fail-above that could never fail is refused, not passed', () => {
  expect(compare(short, shortSlow, '--fail-above', '5%').error).toMatch(
    /no figure has rounds enough to be judged; measure both with --rounds 4 or more/,
  );
});

test('--json writes every comparison', () => {
  const { status } = compare(base, slow, '--json', path('out.json'));
  expect(status).toBe(0);
  const { schema, a, comparisons } = JSON.parse(readFileSync(path('out.json'), 'utf8'));
  expect(schema).toBe('minivisor-bench-compare-1');
  expect(a).toMatchObject({ file: base, version: '0.1.0' });
  expect(comparisons).toHaveLength(5);
  expect(comparisons[1]).toMatchObject({ scenario: 'tce', unit: 'ns', basis: 'floors', verdict: 'worse' });
});

symlinkSync(base, path('link.json'));
writeFileSync(path('old.json'), JSON.stringify({ schema: 'minivisor-bench-1', figures: [] }));
writeFileSync(path('none.json'), JSON.stringify({ ...exampleDocument(), figures: [] }));
test.each([
  ['no file', [], /bench compare: 0 files given; give two/],
  ['one file', [base], /bench compare: 1 file given; give two/],
  ['three files', [base, slow, short], /bench compare: 3 files given; give two/],
  ['the same file twice', [base, base], /base\.json and .*base\.json are one file; give two runs/],
  ['the same file by a link', [base, path('link.json')], /are one file/],
  ['a file that is not there', [base, path('nowhere.json')], /nowhere\.json: no such file/],
  ['a file of another schema', [base, path('old.json')], /wrote minivisor-bench-1, expected minivisor-bench-2/],
  ['files with nothing in common', [base, path('none.json')], /no figure is in both/],
  ['a percentage that is none', [base, slow, '--fail-above', 'much'], /--fail-above much: not a percentage/],
  ['an output that is an input', [base, slow, '--json', slow], /would overwrite a file that is compared/],
  ['an unknown option', [base, slow, '--rounds', '3'], /--rounds: unknown option/],
] as const)('%s is refused in one sentence', (_, words, message) => {
  const { out, error } = compare(...words);
  expect(error).toMatch(message);
  expect(error).not.toMatch(/\n/);
  expect(out).toBe('');
});

test('what is refused has overwritten nothing', () => {
  expect(existsSync(path('nowhere.json'))).toBe(false);
  expect(JSON.parse(readFileSync(slow, 'utf8')).schema).toBe('minivisor-bench-2');
});

test('bench compare is reached by its name, and bench --help explains it', async () => {
  await expect(bench.run(['compare', base])).rejects.toThrow(/bench compare: 1 file given/);
  expect(bench.help()).toMatch(/bench compare A\.json B\.json[\s\S]*--fail-above P%/);
});
