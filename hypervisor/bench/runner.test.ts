import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Figure } from './figures.ts';
import { runScenarios } from './runner.ts';
import { eachRound, type Scenario } from './scenario.ts';
import { measured } from './series.ts';
import { IMAGE } from './toy_run.ts';

/** A scenario that measures nothing; the folder it was given. */
function idle(name: string, end?: Error): Scenario & { folder: string } {
  const scenario = {
    name,
    summary: '',
    seconds: 1,
    folder: '',
    async run(context: Parameters<Scenario['run']>[0]): Promise<Figure[]> {
      scenario.folder = context.folder;
      expect(existsSync(join(context.folder, IMAGE))).toBe(true);
      const rounds: number[][] = [];
      await eachRound(context, async (round) => {
        context.progress('waiting');
        rounds.push([round]);
      });
      if (end !== undefined) throw end;
      return [measured({ scenario: name, name: 'x', rounds })];
    },
  };
  return scenario;
}

function observer() {
  const seen: string[] = [];
  return {
    seen,
    scenario: ({ name }: Scenario, index: number) => void seen.push(`${index}: ${name}`),
    round: (number: number, of: number) => void seen.push(`${number} of ${of}`),
    doing: (what: string) => void seen.push(what),
    measured: (figures: readonly Figure[]) => void seen.push(`${figures.length} measured`),
  };
}

test('scenarios run one after the other, round by round, in a folder that is gone afterwards', async () => {
  const scenarios = [idle('a'), idle('b')];
  const at = observer();
  const figures = await runScenarios(scenarios, 2, at);
  expect(figures.map(({ scenario, samples }) => [scenario, samples])).toEqual([
    ['a', 2],
    ['b', 2],
  ]);
  const rounds = ['1 of 2', 'waiting', '2 of 2', 'waiting'];
  expect(at.seen).toEqual(['0: a', ...rounds, '1 measured', '1: b', ...rounds, '1 measured']);
  expect(existsSync(scenarios[0].folder)).toBe(false);
});

test('a scenario that fails ends the run, and the folder goes too', async () => {
  const failing = idle('a', new Error('the guest failed'));
  await expect(runScenarios([failing, idle('b')], 1, observer())).rejects.toThrow('the guest failed');
  expect(existsSync(failing.folder)).toBe(false);
});
