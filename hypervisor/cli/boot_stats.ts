/** `boot --stats`: when the guests began, what the process took, and what everybody counted. */
import { actorName } from '../../kernel/lib/shared_map.ts';
import type { MachineResult } from '../config.ts';
import type { ThreadedRun } from '../launch.ts';
import { vmName } from '../vms.ts';

/** What one virtual machine did. */
interface MachineStats {
  /** Milliseconds from the start of the process to the first instruction; left out when none was executed. */
  readonly firstInstructionMs?: number;
  /** System calls of its VMM. */
  readonly systemCalls: number;
  /** Exits that its VMM served, by their reason. */
  readonly exits: Readonly<Record<string, number>>;
}

/** What the file says: of the whole host first, that is of all machines together. */
export interface BootStats extends MachineStats {
  /** The life of the process so far, ms. */
  readonly wallMs: number;
  readonly peakRssMiB: number;
  /** Each of several virtual machines. */
  readonly machines?: Readonly<Record<string, MachineStats>>;
  /** What each thread told at its end. */
  readonly actors: ThreadedRun['actors'];
}

/** What it needs of a run. */
type StatsRun = Pick<ThreadedRun, 'results' | 'switchedOn' | 'actors'>;

/** @param used what the process has taken so far */
export function bootStats(run: StatsRun, used: Pick<BootStats, 'wallMs' | 'peakRssMiB'>): BootStats {
  const each = run.results.map((result, vm) => machineStats(run, result, vm));
  const begun = each.flatMap(({ firstInstructionMs }) => firstInstructionMs ?? []);
  return {
    ...(begun.length === 0 ? {} : { firstInstructionMs: Math.min(...begun) }),
    ...used,
    systemCalls: each.reduce((sum, { systemCalls }) => sum + systemCalls, 0),
    exits: sums(each.map(({ exits }) => exits)),
    ...(each.length === 1 ? {} : { machines: Object.fromEntries(each.map((stats, vm) => [vmName(vm), stats])) }),
    actors: run.actors,
  };
}

function machineStats(
  { switchedOn, actors }: StatsRun,
  { systemCalls, exits }: MachineResult,
  vm: number,
): MachineStats {
  // 0 is a CPU that never ran: the machine could not be set up.
  const { firstRun } = actors[actorName(vm, 'vcpu0')] as { readonly firstRun: number };
  const first = firstRun === 0 ? {} : { firstInstructionMs: switchedOn + firstRun / 1e6 };
  return { ...first, systemCalls, exits };
}

/** Counts added up name by name. */
function sums(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const [name, count] of counts.flatMap((one) => Object.entries(one))) total[name] = (total[name] ?? 0) + count;
  return total;
}
