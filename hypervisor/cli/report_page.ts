/** `minivisor report`: one HTML page from what `minivisor bench --json` wrote. */
import { basename, resolve } from 'node:path';
import { readBenchDocument } from '../bench/read_document.ts';
import type { Edition, Editions } from '../report/editions.ts';
import { UserError } from '../user_error.ts';
import type { Command } from './commands.ts';
import { type OptionRow, optionsHelp, parseOptions } from './options.ts';
import { checkOutput, writeText } from './output_file.ts';

const OPTIONS: readonly OptionRow[] = [
  { name: 'output', alias: ['o'], kind: 'text', value: 'FILE', default: 'report.html', help: 'the page' },
];

const HOW = 'minivisor bench --json out.json measures one';

/** What the page calls the documents: their files' names, or the whole paths where those are the same. */
function labels(files: readonly string[]): string[] {
  const short = files.map((file) => basename(file).replace(/\.json$/i, ''));
  return new Set(short).size === files.length ? short : [...files];
}

function editions(files: readonly string[]): Editions {
  const names = labels(files);
  const [first, second] = files.map((file, i): Edition => ({ label: names[i], document: readBenchDocument(file) }));
  return second === undefined ? [first] : [first, second];
}

/** @throws UserError where the files make no page */
function check(files: readonly string[], output: string): void {
  if (files.length === 0) throw new UserError(`report: give a file of measurements; ${HOW}`);
  if (files.length > 2)
    throw new UserError(
      `report ${files.join(' ')}: give one file, or two: the one before a change and the one after it`,
    );
  const paths = files.map((file) => resolve(file));
  if (paths[0] === paths[1])
    throw new UserError(
      `report ${files.join(' ')}: the same file twice; give the one before a change and the one after it`,
    );
  if (paths.includes(resolve(output)))
    throw new UserError(`--output ${output}: is the file of measurements; give another place`);
}

export const report: Command = {
  name: 'report',
  summary: 'writes one HTML page of charts and tables from what bench measured',
  help: () =>
    [
      'usage: minivisor report FILE.json [AFTER.json] [OPTIONS]',
      '',
      `  FILE.json   what minivisor bench wrote: ${HOW}`,
      '  AFTER.json  a second one: what FILE.json has stands beside it as what was before',
      '',
      'The page has a section for each argument: the question, the answer, its sides next to each other, and charts of',
      'latencies by percentile, of the steps of a path, of throughput, of what grows with groups, devices, program length',
      'and pages, each with its numbers in a table. It is one file that needs no network. What was not measured is said',
      'there, with the command that measures it.',
      '',
      optionsHelp(OPTIONS),
      '',
    ].join('\n'),
  async run(words) {
    const { values, rest: files } = parseOptions('report', OPTIONS, words);
    const output = values.output as string;
    check(files, output);
    checkOutput('output', output);
    const documents = editions(files);
    for (const [i, { document }] of documents.entries())
      if (document.figures.length === 0) throw new UserError(`report ${files[i]}: no figures are in it; ${HOW}`);
    // A bundler and a histogram library, that no other command needs to wait for.
    const [{ pageParts }, { reportPage }] = await Promise.all([
      import('../report/bundle.ts'),
      import('../report/page.ts'),
    ]);
    const page = reportPage(documents, await pageParts());
    writeText('output', output, page);
    process.stdout.write(`${output}: ${Math.ceil(Buffer.byteLength(page) / 1024)} KiB; open it in a browser\n`);
    return 0;
  },
};
