import { expect, test } from 'vitest';
import { fullDocument, reportDocument } from '../../test/support/report_figures.ts';
import { ARGUMENTS } from '../bench/arguments_table.ts';
import type { Chart } from './chart.ts';
import type { Editions } from './editions.ts';
import { reportPage } from './page.ts';
import { SECTIONS } from './sections.ts';

const PARTS = { style: '', script: '', licences: [] };
const full = fullDocument();
const page = (editions: Editions) => reportPage(editions, PARTS);
const of = (figures = full.figures): Editions => [{ label: 'out', document: reportDocument(figures) }];
const chartsOf = (text: string) =>
  JSON.parse(/<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(text)?.[1] ?? '') as Chart[];

test('every argument of the table has its section, in its order', () => {
  expect(SECTIONS.map(({ argument }) => argument)).toEqual(ARGUMENTS.map(({ title }) => title));
});

test('a document with everything has an answer in every section and nothing left to measure', () => {
  const text = page(of());
  expect(text.match(/<p class="answer">/g)).toHaveLength(SECTIONS.length + 1);
  expect(text).not.toContain('class="absent">Not measured');
  const ids = chartsOf(text).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toHaveLength(19);
});

test('a section that lacks figures says which command measures it with the rest of the page', () => {
  const text = page(of(full.figures.filter(({ scenario }) => scenario === 'tce')));
  expect(text).toContain('<code>minivisor bench tce halt-clear --json out.json</code> measures it');
  expect(text).toContain('<code>minivisor bench tce hcalls groups net wire --json out.json</code> measures it');
  expect(chartsOf(text).map(({ id }) => id)).toEqual(['tce-parts', 'tce-latency']);
});

test('a document without any figure makes a page too', () => {
  expect(chartsOf(page(of([])))).toEqual([]);
});

test('the answer follows the figures: when the exit is quickest, it says so', () => {
  const turned = full.figures.map((figure) =>
    figure.name === 'H_PUT_TCE, exit to the VMM' ? { ...figure, p50: 1 } : figure,
  );
  expect(page(of())).toMatch(
    /<p class="answer">Real mode answers in 5\d(\.\d)?\u00a0ns; an exit to the VMM takes 3\d\d× as long/,
  );
  expect(page(of(turned))).toContain('<p class="answer">The VMM answers in 1\u00a0ns; virtual mode takes');
});

test('the best of the sides is marked, and the floor’s multiples are not ranked', () => {
  const text = page(of());
  const row = (head: string) => new RegExp(`<tr><th scope="row">${head}</th>(.*?)</tr>`, 's').exec(text)?.[1] ?? '';
  expect(
    row('p50')
      .split('</td>')
      .map((cell) => cell.includes('<strong>')),
  ).toEqual([false, false, true, false]);
  expect(
    row('exits')
      .split('</td>')
      .map((cell) => cell.includes('<strong>')),
  ).toEqual([false, true, true, false]);
  expect(row('of the bare hand-offs')).not.toContain('<strong>');
});

test('of two documents the second is the page, the first stands beside it, and changes are told with their bounds', () => {
  const text = page([
    { label: 'old', document: fullDocument(1.3) },
    { label: 'new', document: full },
  ]);
  expect(text).toMatch(/was 6\d(\.\d)?\u00a0ns/);
  const changes = text.slice(text.indexOf('id="changes"'), text.indexOf('id="targets"'));
  expect(changes).toMatch(/H_PUT_TCE, kernel, real mode<\/th>.*▲\u00a0better.*0\.7\d+× – 0\.\d+×, 9\d/s);
  expect(changes).toContain('▲\u00a0better');
  expect(changes).not.toContain('▼\u00a0worse');
  const lines = chartsOf(text).find(({ id }) => id === 'tce-latency');
  expect(lines?.kind === 'lines' && lines.lines.map(({ before }) => before)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('a count that was 0 is told by both numbers', () => {
  const ioctls = (n: number) => ({
    ...full,
    figures: full.figures.map((one) => (one.unit === 'ioctls' ? { ...one, p50: n } : one)),
  });
  const text = page([
    { label: 'old', document: ioctls(0) },
    { label: 'new', document: ioctls(1200) },
  ]);
  const changes = text.slice(text.indexOf('id="changes"'), text.indexOf('id="targets"'));
  expect(changes).toMatch(/0 → 1,?200.*▼\u00a0worse/s);
  expect(changes).not.toMatch(/∞|NaN|Infinity/);
});

test('names out of a file are text, wherever they stand', () => {
  const evil = '</script><script>alert(1)</script><img src=x onerror=alert(2)>';
  const figures = full.figures.map((figure) => ({
    ...figure,
    ...(figure.scenario === 'pamu' ? {} : { target: evil, reached: false }),
    ...(figure.scenario === 'net' ? { parameters: { ...figure.parameters, mode: evil } } : {}),
  }));
  const document = { ...reportDocument(figures), started: evil, version: evil };
  const text = page([{ label: evil, document }]);
  expect(text).not.toContain('<img');
  expect(text.match(/<script/g)).toHaveLength(3);
  expect(text).toContain('&lt;img src=x');
});

test('figures that are zero, or not what their scenario gives, break nothing', () => {
  const odd = full.figures.map((figure) => ({
    ...figure,
    p50: 0,
    rounds: undefined,
    histogram: undefined,
    parameters: undefined,
  }));
  expect(page(of(odd))).toContain('The arguments, measured');
  const zero = full.figures.map((figure) => ({ ...figure, p50: 0, p99: 0, histogram: undefined }));
  expect(/NaN|Infinity/.exec(page(of(zero)))).toBeNull();
});
