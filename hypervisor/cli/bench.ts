/** `minivisor bench`: runs scenarios and prints their figures beside the floors of the same run. */
import { resolve } from 'node:path';
import { stopwatch } from '../../kernel/lib/clock.ts';
import { after, isoTime } from '../../kernel/lib/host_timer.ts';
import { argumentsText } from '../bench/arguments.ts';
import { BENCH_SCHEMA, type BenchDocument } from '../bench/document.ts';
import type { Figure } from '../bench/figures.ts';
import { histogramLog } from '../bench/histogram_log.ts';
import { busySigns, showMachine, thisMachine } from '../bench/machine.ts';
import { Remaining } from '../bench/remaining.ts';
import { runScenarios } from '../bench/runner.ts';
import type { Scenario } from '../bench/scenario.ts';
import { SCENARIOS } from '../bench/scenarios.ts';
import { UserError } from '../user_error.ts';
import { version } from '../version.ts';
import { benchCompare, COMPARE_HELP } from './bench_compare.ts';
import { BenchProgress, PROGRESS_MS, REPEAT_MS } from './bench_progress.ts';
import { figuresTable } from './bench_table.ts';
import type { Command } from './commands.ts';
import { didYouMean } from './nearest.ts';
import { type OptionRow, optionsHelp, parseOptions } from './options.ts';
import { checkOutput, writeOutput, writeText } from './output_file.ts';

const OPTIONS: readonly OptionRow[] = [
  {
    name: 'rounds',
    kind: 'number',
    value: 'N',
    min: 1,
    max: 100,
    default: '3',
    help: 'repetitions of each subject and its floor; medians over them are shown; bench compare needs 4 or more',
  },
  {
    name: 'json',
    kind: 'text',
    value: 'FILE',
    help: 'write figures, rounds and distributions to a file too (hypervisor/bench/bench.schema.json)',
  },
  {
    name: 'hlog',
    kind: 'text',
    value: 'FILE',
    help: 'write the distributions as an HdrHistogram log too, a tag per figure, values in picoseconds',
  },
];

/** Files that a run writes at its end. */
interface Outputs {
  readonly json?: string;
  readonly hlog?: string;
}

const WIDTH = Math.max(...SCENARIOS.map(({ name }) => name.length)) + 2;

const HELP = [
  'usage: minivisor bench [SCENARIO...] [OPTIONS]',
  '       minivisor bench compare A.json B.json [OPTIONS]',
  '',
  ...SCENARIOS.map(
    ({ name, summary, long }) =>
      `  ${name.padEnd(WIDTH)}${summary}${long === true ? ' (only when named: takes minutes)' : ''}`,
  ),
  '',
  'Without SCENARIO all that are not marked run, one after the other: that takes minutes too; --rounds 1 is the',
  `quickest. Progress goes to standard error: where that is no terminal, a line every ${PROGRESS_MS / 1000} to ${REPEAT_MS / 1000} s.`,
  '',
  optionsHelp(OPTIONS),
  '',
  'The table: p50 to p99.9 are medians over the rounds, of samples after warm-up; max is the largest of all; of rates',
  'they are the slow end. "of floor" is the median over the rounds of p50 divided by the p50 of the floor, bare hand-offs',
  'between as many threads (of wire: frames that need no mapping), taken in the same round; a round whose floor took more',
  'than twice that of the best one has no say. "spread of rounds" is the lowest and the highest of these ratios, or of the',
  'medians where there is no floor. Sides next to each other have half of that, in per cent of the p50, behind ±. Ctrl-C',
  'ends a run with what has been measured until then.',
  '',
  COMPARE_HELP,
].join('\n');

/**
 * Runs the scenarios with progress on standard error.
 * @param interrupted told of what was measured, and where it was, when the user ends the run
 */
async function measure(
  scenarios: readonly Scenario[],
  rounds: number,
  interrupted: (document: BenchDocument, where: string) => void,
): Promise<BenchDocument> {
  const machine = thisMachine();
  const started = isoTime();
  process.stdout.write(`${showMachine(machine)}\n`);
  const elapsed = stopwatch();
  const remaining = new Remaining(scenarios, rounds, elapsed);
  const write = (text: string) => process.stderr.write(text);
  const progress = new BenchProgress(process.stderr.isTTY === true, {
    elapsed,
    after,
    write,
    left: () => remaining.left(),
  });
  let where = '';
  let round = '';
  const figures: Figure[] = [];
  const document = (): BenchDocument => {
    const seconds = Math.round(elapsed()) / 1000;
    return { schema: BENCH_SCHEMA, version: version(), started, seconds, rounds, machine, figures };
  };
  // Before the one that removes the folder of the run and ends the process.
  const interrupt = () => {
    progress.end();
    interrupted(document(), `${where}${round}`);
  };
  process.once('SIGINT', interrupt);
  try {
    await runScenarios(scenarios, rounds, {
      scenario({ name }, index) {
        remaining.scenario();
        where = scenarios.length === 1 ? name : `${name} (${index + 1} of ${scenarios.length})`;
        round = '';
        progress.show(where);
      },
      round(number, of) {
        remaining.round(number, of);
        round = `: round ${number} of ${of}`;
        progress.show(`${where}${round}`);
      },
      doing(what) {
        progress.show(`${where}${round}: ${what}`);
      },
      measured(of) {
        figures.push(...of);
      },
    });
    return document();
  } finally {
    process.off('SIGINT', interrupt);
    progress.end();
  }
}

/** What a run has measured: tables, and the files that are wanted. */
function tell(document: BenchDocument, { json, hlog }: Outputs): void {
  process.stdout.write(figuresTable(document.figures));
  const closing = argumentsText(document.figures);
  if (closing !== '') process.stdout.write(`\n${closing}`);
  for (const sign of busySigns(document.machine, document.figures)) process.stdout.write(`${sign}\n`);
  if (json !== undefined) writeOutput('json', json, document);
  if (hlog !== undefined) writeText('hlog', hlog, histogramLog(document));
}

/** The same of a run that the user ends: no reason to lose the scenarios that had come to their end. */
function tellInterrupted(document: BenchDocument, where: string, outputs: Outputs): void {
  if (document.figures.length > 0) tell(document, outputs);
  const kept = document.figures.length === 0 ? 'nothing was measured' : 'above is what had been measured by then';
  process.stderr.write(`minivisor: bench: interrupted in ${where}; ${kept}\n`);
}

async function run(words: readonly string[]): Promise<number> {
  const { values, rest } = parseOptions('bench', OPTIONS, words);
  const unknown = rest.find((name) => !SCENARIOS.some((s) => s.name === name));
  if (unknown !== undefined) {
    const names = SCENARIOS.map(({ name }) => name);
    throw new UserError(
      `bench ${unknown}: unknown scenario; ${didYouMean(unknown, names)}give some of ${names.join(', ')}, or compare A.json B.json`,
    );
  }
  const outputs = values as Outputs;
  const { json, hlog } = outputs;
  checkOutput('json', json);
  checkOutput('hlog', hlog);
  if (json !== undefined && hlog !== undefined && resolve(json) === resolve(hlog))
    throw new UserError(`--json and --hlog both write ${json}; give each a file of its own`);
  const chosen = SCENARIOS.filter((s) => (rest.length === 0 ? s.long !== true : rest.includes(s.name)));
  const rounds = values.rounds as number;
  tell(await measure(chosen, rounds, (document, where) => tellInterrupted(document, where, outputs)), outputs);
  return 0;
}

export const bench: Command = {
  name: 'bench',
  summary: 'measures the paths beside bare hand-off floors of the same run, and compares two such runs',
  help: () => HELP,
  async run(words) {
    return words[0] === 'compare' ? benchCompare(words.slice(1)) : await run(words);
  },
};
