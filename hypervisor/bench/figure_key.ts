/** What makes two figures of two runs figures of the same thing. */
import type { Figure } from './figures.ts';

/** Parameters that are results, not cases: they differ from run to run. */
const RESULTS: readonly string[] = ['timesExitPath', 'killsPerCall', 'pinsPerCcw'];

/** Scenario, name, side, unit and case, whatever order the parameters are in. */
export function figureKey({ scenario, name, column = '', unit, parameters = {} }: Figure): string {
  const cases = Object.entries(parameters)
    .filter(([key]) => !RESULTS.includes(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([scenario, name, column, unit, cases]);
}
