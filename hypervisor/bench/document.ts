/**
 * What `minivisor bench --json FILE` writes, and `bench compare` and `report` read. `bench.schema.json` beside this file
 * is its JSON schema; a change that old readers would misread gets a new number.
 */
import type { Figure } from './figures.ts';

export const BENCH_SCHEMA = 'minivisor-bench-2';

/** Where it was measured. */
export interface BenchMachine {
  /** `v20.20.2` */
  readonly node: string;
  /** `linux x64` */
  readonly platform: string;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly memoryMiB: number;
  /** How waits were done: who spins, who sleeps (kernel/lib/wait_strategy.ts). */
  readonly waits: string;
  /** Runnable threads of all programs when it began: the average of the last minute. */
  readonly loadAverage?: number;
}

export interface BenchDocument {
  readonly schema: typeof BENCH_SCHEMA;
  /** Version of minivisor. */
  readonly version: string;
  /** When it began, ISO 8601, UTC. */
  readonly started: string;
  /** How long it took. */
  readonly seconds?: number;
  readonly rounds: number;
  readonly machine: BenchMachine;
  readonly figures: readonly Figure[];
}
