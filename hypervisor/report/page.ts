/** The page: its words and tables are HTML that needs no script, the charts are data for the script at its end. */
import { createHash } from 'node:crypto';
import { ARGUMENTS } from '../bench/arguments_table.ts';
import { busySigns } from '../bench/machine.ts';
import type { Licence } from './bundle.ts';
import { type Chart, SYMBOLS } from './chart.ts';
import type { Drawn } from './charts/drawn.ts';
import { current, type Edition, type Editions } from './editions.ts';
import { html, type Markup, scriptJson, scriptSource } from './markup.ts';
import type { SectionRow } from './sections/row.ts';
import { SECTIONS } from './sections.ts';
import { allFigures, changes, dataTable, sidesTable, targets } from './tables.ts';

/** What is put into the page beside the documents. */
export interface PageParts {
  readonly style: string;
  /** The bundled script. */
  readonly script: string;
  /** Licences of the packages in the script. */
  readonly licences: readonly Licence[];
}

/** Sets the theme that the reader chose before anything is painted (page/theme.ts keeps it). */
const EARLY = `try{const t=localStorage.getItem('minivisor-theme');if(t==='light'||t==='dark')document.documentElement.dataset.theme=t}catch{}`;

/** The command that measures what a section lacks. */
export const commandFor = (scenarios: readonly string[]) => `minivisor bench ${scenarios.join(' ')} --json out.json`;

interface Section {
  readonly row: SectionRow;
  readonly answer: string | undefined;
  readonly charts: readonly Drawn[];
}

/** The whole page, as a file. */
export function reportPage(editions: Editions, { style, script, licences }: PageParts): string {
  const edition = current(editions);
  const sections = SECTIONS.map((row): Section => {
    const charts = row.charts(editions).filter((drawn): drawn is Drawn => drawn !== undefined);
    return { row, answer: row.answer(edition), charts };
  });
  const program = scriptSource(script).text;
  const charts = sections.flatMap((section) => section.charts.map(({ chart }) => chart));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy([EARLY, program])}">
<meta name="color-scheme" content="light dark">
<title>minivisor: the arguments, measured</title>
<link rel="icon" href="data:,">
<style>${scriptSource(style)}</style>
<script>${scriptSource(EARLY)}</script>
</head>
<body>
<a class="skip" href="#main">To the arguments</a>
${masthead(editions)}
<div class="columns">
${contents(sections, editions)}
<main id="main">
${sections.map((section) => argument(section, editions))}
${changed(editions)}
${aims(edition)}
${method(editions, licences)}
</main>
</div>
<script type="application/json" id="charts">${scriptJson(charts)}</script>
<script>${scriptSource(script)}</script>
</body>
</html>
`;
  return page.text;
}

/** Nothing comes from anywhere else, and no other script runs (Content Security Policy Level 3). */
function policy(programs: readonly string[]): string {
  const hashes = programs.map((program) => `'sha256-${createHash('sha256').update(program).digest('base64')}'`);
  return `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${hashes.join(' ')}; base-uri 'none'; form-action 'none'`;
}

/** `20 November 2026, 14:30 UTC`. */
function day(started: string): string {
  const date = new Date(started);
  if (Number.isNaN(date.getTime())) return started;
  const text = date.toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
  return `${text.replace(' at ', ', ')} UTC`;
}

const capital = (text: string) => text[0].toUpperCase() + text.slice(1);
const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`;

function provenance({ label, document }: Edition): Markup {
  const { machine, started, rounds, version } = document;
  const doubts = busySigns(machine, document.figures).map(
    (sign) => html` <strong class="doubt">${capital(sign)}.</strong>`,
  );
  return html`<dt>${label}</dt>
<dd><time datetime="${started}">${day(started)}</time>, ${plural(rounds, 'round')}, minivisor ${version}. ${machine.cpuModel}, ${plural(machine.cpus, 'CPU')}, ${Math.round(machine.memoryMiB / 1024)} GiB, ${machine.platform}, Node ${machine.node}; waits: ${machine.waits}.${doubts}</dd>
`;
}

function masthead(editions: Editions): Markup {
  const two = editions.length === 2;
  return html`<header class="masthead">
<div class="bar"><p class="wordmark">minivisor</p><button id="theme" type="button" hidden>Theme</button></div>
<h1>The arguments, measured</h1>
<p class="lede">Where the work of device pass-through belongs, the VMM, the host kernel or the hypercall itself, was argued about for years, mostly without numbers. Here every side ran, on one machine, with the same guest.${two ? html` Two measurements are shown: <b>${editions[1].label}</b>, and beside it, faint, dashed or as “was”, the earlier <b>${editions[0].label}</b>.` : ''}</p>
<dl class="provenance">${editions.map(provenance)}</dl>
</header>`;
}

function contents(sections: readonly Section[], editions: Editions): Markup {
  const rest: [string, string][] = [
    ...(editions.length === 2 ? [['changes', 'What changed'] as [string, string]] : []),
    ...(targets(current(editions)) === undefined ? [] : [['targets', 'What was aimed at'] as [string, string]]),
    ['method', 'How it was measured'],
  ];
  return html`<nav aria-label="Contents"><ol>
${sections.map(
  ({ row, answer }) =>
    html`<li><a href="#${row.id}"><span class="year">${row.year}</span> ${row.question}</a>${answer === undefined ? html` <small>not measured</small>` : ''}</li>
`,
)}</ol><ul>${rest.map(([id, title]) => html`<li><a href="#${id}">${title}</a></li>\n`)}</ul></nav>`;
}

function argument({ row, answer, charts }: Section, editions: Editions): Markup {
  const { id, year, question, measured, scenarios } = row;
  const edition = current(editions);
  const sides = ARGUMENTS.find(({ title }) => title === row.argument);
  // A document is written by one run: what is there is measured again.
  const there = [...new Set(edition.document.figures.map(({ scenario }) => scenario))];
  const absent = scenarios.filter((name) => !there.includes(name));
  return html`<section id="${id}" aria-labelledby="${id}-title">
<p class="year">${year}</p>
<h2 id="${id}-title">${question}</h2>
${answer === undefined ? '' : html`<p class="answer">${answer}</p>`}
<p>${measured}</p>
${sides === undefined ? '' : sidesTable(sides, editions)}
${charts.map(figure)}
${absent.length === 0 ? '' : html`<p class="absent">${absent.length === scenarios.length ? 'Not measured yet' : `Not measured: ${absent.join(', ')}`}. <code>${commandFor([...there, ...absent])}</code> measures it with the rest of this page.</p>`}
</section>
`;
}

function figure({ chart, table }: Drawn): Markup {
  const { id, title, reading } = chart;
  const dashed = chart.kind === 'lines' && chart.lines.some(({ before }) => before);
  return html`<figure id="${id}">
<figcaption><h3 id="${id}-title">${title}</h3><p id="${id}-reading">${reading}${dashed ? ' Dashed: before.' : ''}</p>${key(chart)}</figcaption>
<div class="frame" id="${id}-plot" tabindex="0" role="group" aria-label="${title}: chart; the arrow keys go from value to value"></div>
<p class="unseen" id="${id}-spoken" aria-live="polite"></p>
<noscript><p class="absent">The chart needs JavaScript; its numbers are below.</p></noscript>
<details><summary>The numbers</summary>${dataTable(table, `${title}: the numbers`)}</details>
</figure>
`;
}

/** What colours and shapes are; of lines only where their ends have no room for names. */
function key(chart: Chart): Markup {
  if (chart.kind === 'stacks')
    return html`<ul class="key">${chart.key.map(({ who, tone }) => html`<li><i style="background:var(--tone-${tone})"></i>${who}</li>`)}</ul>`;
  const lines = chart.lines.filter(({ before }) => before !== true);
  return html`<ul class="key narrow">${lines.map(({ name, tone }) => html`<li style="color:var(--tone-${tone})"><span aria-hidden="true">${SYMBOLS[tone].character}</span> ${name}</li>`)}</ul>`;
}

/** Changes that are shown at once. */
const LARGEST = 12;

function changed(editions: Editions): Markup | undefined {
  const found = changes(editions);
  if (found === undefined) return undefined;
  const { table, compared, byChance, tooFew, machines } = found;
  return html`<section id="changes" aria-labelledby="changes-title">
<h2 id="changes-title">What changed</h2>
<p class="answer">${table.rows.length} of ${plural(compared, 'figure')} surely changed.</p>
<p>Rounds are compared, each as a multiple of its own floor where it has one: the change is the Hodges-Lehmann estimate, its bounds are those of the Mann-Whitney distribution. ${byChance < 0.5 ? '' : `By chance alone some ${Math.round(byChance)} would be sure. `}${tooFew === 0 ? '' : `Of ${plural(tooFew, 'figure')} there are too few rounds to be sure of anything at 95\u00a0%: four in each file can. `}${machines.length === 0 ? '' : html`<strong class="doubt">The machines differ. ${machines.map((line) => `${capital(line)}. `)}</strong>`}</p>
${table.rows.length === 0 ? '' : dataTable({ ...table, rows: table.rows.slice(0, LARGEST) }, 'What changed most')}
${table.rows.length <= LARGEST ? '' : html`<details><summary>All ${table.rows.length}</summary>${dataTable(table, 'What changed')}</details>`}
</section>
`;
}

function aims(edition: Edition): Markup | undefined {
  const table = targets(edition);
  if (table === undefined) return undefined;
  const reached = edition.document.figures.filter((one) => one.target !== undefined && one.reached === true).length;
  return html`<section id="targets" aria-labelledby="targets-title">
<h2 id="targets-title">What was aimed at</h2>
<p class="answer">${reached} of ${plural(table.rows.length, 'target')} reached.</p>
${dataTable(table, 'What was aimed at')}
</section>
`;
}

function method(editions: Editions, licences: readonly Licence[]): Markup {
  return html`<section id="method" aria-labelledby="method-title">
<h2 id="method-title">How it was measured</h2>
<p>The guest is z/Architecture machine code in a worker thread; the VMM, the host kernel and the hardware have threads of their own. It times its own operations: one by one, or in batches where one is shorter than the clock can tell, and then a sample is the mean of its batch. What warms up is left out.</p>
<p>A <em>floor</em> is a bare chain of the same hand-offs between as many threads, without any work, taken in the same round as what is compared with it. Of two guests on one wire it is what comes where no frame needs to be mapped. A p50 is the median over the rounds of each round’s median, so that one noisy round does not decide; distributions are those of all rounds together. Times of a model in TypeScript are not times of hardware: what carries over is which steps a path has, and what they cost against each other.</p>
${editions.map(
  (
    edition,
  ) => html`<details><summary>All ${edition.document.figures.length} figures of ${edition.label}</summary>${dataTable(allFigures(edition), `All figures of ${edition.label}`)}</details>
`,
)}${licences.length === 0 ? '' : html`<details><summary>What draws the charts, and its licences</summary>${licences.map(({ name, text }) => html`<h4>${name}</h4><pre>${text}</pre>`)}</details>`}</section>
`;
}
