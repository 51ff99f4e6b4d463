/** What a boot tells at its end on standard error. */
import { processOfActor, shortName } from '../../kernel/lib/shared_map.ts';
import type { Deadlock } from '../../kernel/lib/simulated.ts';
import type { MachineResult, TimedCommand } from '../config.ts';
import type { WaitingVm } from '../simulate.ts';
import { vmName } from '../vms.ts';

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

/** What a run of several machines that was cut tells of those that waited all along, a line each. */
export function waitingText(waiting: readonly WaitingVm[]): string {
  return waiting
    .map(({ vm, sinceNs }) => {
      const since = `since ${(sinceNs / 1e6).toFixed(3)} ms`;
      return `minivisor: ${vmName(vm)} has waited ${since} for an interruption that did not come: it has no timer set\n`;
    })
    .join('');
}

/** Why a simulated run cannot go on, and what to do. @param count virtual machines of the host */
export function deadlockText({ actors }: Pick<Deadlock, 'actors'>, count: number): string {
  const vms = [...new Set(actors.map(processOfActor))].filter((vm) => vm !== undefined).map(vmName);
  const several = vms.length === 1 ? `the guest of ${vms[0]} waits` : `the guests of ${vms.join(' and ')} wait`;
  const who = count === 1 ? 'the guest waits' : several;
  const command = count === 1 || vms[0] === vmName(0) ? 'COMMAND' : `${vms[0]}: COMMAND`;
  return (
    `${who} for an interruption that cannot come, for no I/O and no timer is under way: give it one at a time of the ` +
    `machine (--at 'TIME:${command}'; console_input for its console), or run it on threads (without --sim)`
  );
}

/**
 * The `--at` commands whose time did not come before the run ended, in one line; nothing when all came.
 * @param whose what has ended: the run, or one virtual machine of several
 */
export function notGiven(commands: readonly TimedCommand[] = [], endedNs: number, whose = 'the run'): string {
  const late = commands.filter(({ ns }) => ns > endedNs).map(({ time, command }) => `${time}:${command}`);
  if (late.length === 0) return '';
  return `minivisor: --at: ${whose} ended at ${(endedNs / 1e6).toFixed(3)} ms, before ${late.join(', ')}\n`;
}
