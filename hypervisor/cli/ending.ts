/** What a boot tells at its end on standard error. */
import { processOfActor, shortName } from '../../kernel/lib/shared_map.ts';
import type { MachineResult, TimedCommand } from '../config.ts';

/** What a vCPU's thread tells at its end, as far as it is shown. */
interface CpuReport {
  readonly instructions: number;
  readonly psw: string;
  readonly lastInstructions: readonly string[];
  readonly missing: readonly string[];
}

/** A run, as far as its ending goes. */
interface EndedRun {
  readonly result: Pick<MachineResult, 'status' | 'reason'>;
  /** Of each virtual machine, where there are several. */
  readonly results?: readonly Pick<MachineResult, 'status'>[];
  /** What each actor returned, by name. */
  readonly actors: Readonly<Record<string, unknown>>;
}

/**
 * Why a run did not end well, and where each CPU was; nothing when it did.
 * @param interrupted why it was cut, if it was: then the last instructions of a CPU tell little, as it is anywhere
 */
export function endingText(
  { result, results = [result], actors }: EndedRun,
  interrupted: string | undefined,
  verbose: boolean,
): string {
  if (interrupted === undefined && result.status === 0) return '';
  const reason = interrupted === undefined ? result.reason : `the guest was stopped: ${interrupted}`;
  const of = new Set<number | undefined>([...results.keys()].filter((vm) => results[vm].status !== 0));
  const cpus = Object.entries(actors)
    .filter(
      ([name]) => shortName(name).startsWith('vcpu') && (interrupted !== undefined || of.has(processOfActor(name))),
    )
    .map(([name, actor]) => ({ name, ...(actor as CpuReport) }))
    .filter(({ instructions }) => instructions > 0);
  return [
    // The cause comes before what came of it.
    ...cpus
      .filter(({ missing }) => missing.length > 0)
      .map(({ name, missing }) => `${name}: no such instruction here: ${missing.join(', ')}\n`),
    `minivisor: ${reason}\n`,
    ...cpus.map((cpu) => whereabouts(cpu, interrupted === undefined || verbose)),
  ].join('');
}

function whereabouts({ name, psw, lastInstructions }: CpuReport & { readonly name: string }, listed: boolean): string {
  if (!listed || lastInstructions.length === 0) return `${name}: PSW ${psw}\n`;
  return `${name}: PSW ${psw}; last instructions:\n${lastInstructions.map((line) => `  ${line}\n`).join('')}`;
}

/** The `--at` commands whose time did not come before the run ended, in one line; nothing when all came. */
export function notGiven(commands: readonly TimedCommand[] = [], endedNs: number): string {
  const late = commands.filter(({ ns }) => ns > endedNs).map(({ time, command }) => `${time}:${command}`);
  if (late.length === 0) return '';
  return `minivisor: --at: the run ended at ${(endedNs / 1e6).toFixed(3)} ms, before ${late.join(', ')}\n`;
}
