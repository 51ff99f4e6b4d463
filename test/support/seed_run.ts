/** One simulated boot of the toy guest, as a task for a pool thread. */

import { createHash } from 'node:crypto';
import type { MachineConfig } from '../../hypervisor/config.ts';
import { simulate, traceText } from '../../hypervisor/simulate.ts';

export interface SeedResult {
  readonly seed: number;
  readonly status: number;
  readonly console: string;
  readonly traceHash: string;
  readonly steps: number;
  readonly kernel: unknown;
}

/** A boot for each seed: one CPU or two, every tier, every fourth with frames on the move. */
export function seedWords(seed: number): string[] {
  const tier = ['real', 'virtual', 'user'][seed % 3];
  const words = ['--sim', '--seed', `${seed}`, '--cpus', `${1 + (seed % 2)}`, '--tce', tier];
  return [...words, '--append', 'bench=0', '--memory', '16M', ...(seed % 4 === 3 ? ['--memory-pressure'] : [])];
}

/** Boots with every trace event on; @throws Error naming the seed. */
export async function runSeed(config: MachineConfig): Promise<SeedResult> {
  try {
    const run = await simulate(config);
    const traceHash = createHash('sha256').update(traceText(run.trace)).digest('hex');
    return {
      seed: config.seed,
      status: run.result.status,
      console: run.console,
      traceHash,
      steps: run.steps,
      kernel: run.actors.kernel,
    };
  } catch (error) {
    throw new Error(
      `seed ${config.seed}: ${(error as Error).message}; replay with: minivisor boot --sim --seed ${config.seed}`,
      { cause: error },
    );
  }
}
