/** `minivisor bench`: runs scenarios and prints their figures beside the floors of the same run. */
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { stopwatch } from '../../kernel/lib/clock.ts';
import { after } from '../../kernel/lib/host_timer.ts';
import { type Figure, type PerOperation, showNs, showRatio } from '../bench/figures.ts';
import { runScenarios, SCENARIOS } from '../bench/scenarios.ts';
import { UserError } from '../user_error.ts';
import { BenchProgress, PROGRESS_MS } from './bench_progress.ts';
import type { Command } from './commands.ts';
import { type OptionRow, optionsHelp, parseOptions } from './options.ts';
import { checkOutput, writeOutput } from './output_file.ts';
import { sideBySide } from './side_by_side.ts';
import { table } from './table.ts';

const OPTIONS: readonly OptionRow[] = [
  {
    name: 'rounds',
    kind: 'number',
    value: 'N',
    min: 1,
    max: 100,
    default: '3',
    help: 'repetitions of each subject and its floor; medians over them are shown',
  },
  { name: 'json', kind: 'text', value: 'FILE', help: 'write the figures to a file too' },
];

function show(figure: Figure, value: number): string {
  switch (figure.unit) {
    case 'ns':
      return showNs(value);
    case 'bytes/op':
      return value.toFixed(1);
    case 'ioctls':
    case 'bytes':
    case 'lines':
      return value.toFixed(0);
    default:
      return value.toFixed(value < 100 ? 1 : 0);
  }
}

function figuresTable(figures: readonly Figure[]): string {
  const alone = figures.filter(({ column }) => column === undefined);
  const sides = figures.filter(({ column }) => column !== undefined);
  const withUnit = (f: Figure) => (f.unit === 'ns' ? show(f, f.p50) : `${show(f, f.p50)} ${f.unit}`);
  return [
    ...(alone.length === 0 ? [] : [oneByOne(alone)]),
    ...(sides.length === 0 ? [] : [sideBySide(sides, withUnit)]),
  ].join('\n');
}

function oneByOne(figures: readonly Figure[]): string {
  const counted = figures.some((f) => f.perOperation !== undefined);
  const rows = figures.map((f) => [
    f.scenario,
    f.name,
    show(f, f.p50),
    f.p99 === undefined ? '' : show(f, f.p99),
    f.unit === 'ns' ? '' : f.unit,
    `${f.operations}`,
    f.ratio === undefined ? '' : showRatio(f.ratio, f.part),
    ...(counted ? [f.perOperation === undefined ? '' : perOperation(f.perOperation)] : []),
    f.target === undefined ? '' : `${f.target}: ${f.reached === true ? 'reached' : 'missed'}`,
  ]);
  const each = counted ? ['exits, calls, hand-offs each'] : [];
  return table(
    ['scenario', 'what', 'p50', 'p99', 'unit', 'operations', 'of floor', ...each, 'target'],
    rows,
    `<<>><>>${counted ? '>' : ''}<`,
  );
}

function perOperation({ exits, systemCalls, handOffs }: PerOperation): string {
  return [exits, systemCalls, handOffs].map((count) => count.toFixed(1)).join(', ');
}

function machine() {
  return {
    node: process.version,
    platform: `${platform()} ${arch()}`,
    cpus: availableParallelism(),
    cpuModel: cpus()[0]?.model ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    waits: availableParallelism() >= 4 ? 'four CPUs or more' : 'two CPUs',
  };
}

export const bench: Command = {
  name: 'bench',
  summary: 'measures the paths beside bare hand-off floors of the same run',
  help: () => {
    const width = Math.max(...SCENARIOS.map((s) => s.name.length)) + 2;
    return [
      'usage: minivisor bench [SCENARIO...] [OPTIONS]',
      '',
      ...SCENARIOS.map(
        (s) => `  ${s.name.padEnd(width)}${s.summary}${s.long === true ? ' (only when named: takes minutes)' : ''}`,
      ),
      '',
      'Without SCENARIO all that are not marked run, one after the other: that takes minutes too; --rounds 1 is the',
      `quickest. Progress goes to standard error: where that is no terminal, a line every ${PROGRESS_MS / 1000} s at most.`,
      '',
      optionsHelp(OPTIONS),
      '',
    ].join('\n');
  },
  async run(words) {
    const { values, rest } = parseOptions('bench', OPTIONS, words);
    const unknown = rest.find((name) => !SCENARIOS.some((s) => s.name === name));
    if (unknown !== undefined)
      throw new UserError(
        `bench ${unknown}: unknown scenario; give some of ${SCENARIOS.map((s) => s.name).join(', ')}`,
      );
    checkOutput('json', values.json as string | undefined);
    const chosen = SCENARIOS.filter((s) => (rest.length === 0 ? s.long !== true : rest.includes(s.name)));
    const where = machine();
    process.stdout.write(`${where.cpuModel}, ${where.cpus} CPUs, ${where.platform}, Node ${where.node}\n`);
    const write = (text: string) => process.stderr.write(text);
    const progress = new BenchProgress(process.stderr.isTTY === true, { elapsed: stopwatch(), after, write });
    const figures = await runScenarios(chosen, values.rounds as number, (what) => progress.show(what)).finally(() =>
      progress.end(),
    );
    process.stdout.write(figuresTable(figures));
    if (values.json !== undefined)
      writeOutput('json', values.json as string, { schema: 'minivisor-bench-1', machine: where, figures });
    return 0;
  },
};
