/** Runs scenarios one after the other, in a folder of their own, and tells how far they are. */
import { join } from 'node:path';
import { createToyVolume } from '../cli/dasd.ts';
import { inFolder } from '../temporary_folder.ts';
import type { Figure } from './figures.ts';
import type { Scenario } from './scenario.ts';
import { IMAGE } from './toy_run.ts';

/** What is told while scenarios run. */
export interface RunObserver {
  /** A scenario begins. @param index from 0 */
  scenario(scenario: Scenario, index: number): void;
  /** One of its rounds begins. @param number from 1 */
  round(number: number, of: number): void;
  /** What is being done in it. */
  doing(what: string): void;
  /** It has ended with these figures. */
  measured(figures: readonly Figure[]): void;
}

/** Runs scenarios; their figures, in order. @throws UserError when one fails */
export async function runScenarios(
  scenarios: readonly Scenario[],
  rounds: number,
  observer: RunObserver,
): Promise<Figure[]> {
  return await inFolder('minivisor-bench', async (folder) => {
    createToyVolume(join(folder, IMAGE));
    const figures: Figure[] = [];
    for (const [index, scenario] of scenarios.entries()) {
      observer.scenario(scenario, index);
      const context = {
        rounds,
        folder,
        round: (number: number, of: number) => observer.round(number, of),
        progress: (what: string) => observer.doing(what),
      };
      const measured = await scenario.run(context);
      observer.measured(measured);
      figures.push(...measured);
    }
    return figures;
  });
}
