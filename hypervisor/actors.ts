/**
 * The actors of a machine: which module runs each, and how it is configured. Both schedulers start from this table;
 * modules are named by URL because each belongs to a folder with a thread of its own.
 */
import type { HostMemory } from '../kernel/lib/host_memory.ts';
import { actorName, processMap, type SharedMap, type SharedMapConfig } from '../kernel/lib/shared_map.ts';
import { load } from '../kernel/lib/typescript.js';
import type { MachineConfig, MachineResult } from './config.ts';
import { dmaPorts, vmConfigs } from './vms.ts';

export interface ActorRow {
  readonly name: string;
  readonly module: string;
  readonly config: unknown;
  /** Number of the VMM process whose thread it is; none for the host's own. */
  readonly process?: number;
  /** Hardware threads run in a pool, the others on threads of their own. */
  readonly hardware: boolean;
}

const url = (path: string) => new URL(path, import.meta.url).href;

/** Names of the hardware threads: the channel I/O processors that serve a device, then the engine of each PE's device, then others. */
export function hardwareNames(config: MachineConfig): string[] {
  const iops = new Set(config.drives.map((drive) => drive.iop ?? 0));
  const names = [...iops].sort((a, b) => a - b).map((iop) => `iop${iop}`);
  const pes = dmaPorts(config) + (config.nics?.length ?? 0);
  const engines = [...Array.from({ length: pes }, (_, pe) => `dma${pe}`), ...(config.pamu ? ['elo0'] : [])];
  return [...(names.length === 0 ? ['iop0'] : names), ...engines];
}

/** What the memory map depends on. */
export function mapConfig(config: MachineConfig): SharedMapConfig {
  const [first, ...others] = vmConfigs(config).map(({ memory: guestMemory, cpus: vcpus }) => ({ guestMemory, vcpus }));
  return { ...first, others, hardware: hardwareNames(config), nics: config.nics?.length };
}

/** Exits are counted, and timed, where somebody may ask for them: at the end, or by `info exits`. */
function countsExits({ exits, monitor, at = [] }: MachineConfig): boolean {
  return exits === true || monitor === true || at.length > 0;
}

/** The table. */
export function actorTable(config: MachineConfig): ActorRow[] {
  const { drives, lockLimit, seed, memoryPressure, todBase, dmaPort, pamu, nics = [] } = config;
  return [
    {
      name: 'kernel',
      module: url('../kernel/start.ts'),
      config: { lockLimit, seed, memoryPressure, drives, dmaPort, pamu },
      hardware: false,
    },
    ...hardwareNames(config).map((name) => ({
      name,
      module: url('../devices/physical/start.ts'),
      config: { name, drives, seed, nics, todBase },
      hardware: true,
    })),
    ...vmConfigs(config).flatMap((vm, process) => vmActors(vm, process)),
  ];
}

/** The threads of one VMM process. */
function vmActors(config: MachineConfig, process: number): ActorRow[] {
  const { cpus, memory, todBase } = config;
  return [
    { name: actorName(process, 'vmm'), module: url('./vmm/start.ts'), config, process, hardware: false },
    ...Array.from({ length: cpus }, (_, index) => ({
      name: actorName(process, `vcpu${index}`),
      module: url('../guest/start.ts'),
      config: { index, todBase, memory, exits: countsExits(config) },
      process,
      hardware: false,
    })),
  ];
}

/** The shared map as an actor sees it. */
export function actorMap(map: SharedMap, { process }: ActorRow): SharedMap {
  return process === undefined ? map : processMap(map, process);
}

/** How each virtual machine's run ended, from what the actors returned at their end. */
export function vmResults(config: MachineConfig, actors: Readonly<Record<string, unknown>>): MachineResult[] {
  return vmConfigs(config).map((_, process) => actors[actorName(process, 'vmm')] as MachineResult);
}

/** Plugs the physical machine together in shared memory; before any actor starts. */
export async function powerOn(memory: HostMemory, map: SharedMap, config: MachineConfig): Promise<void> {
  const physical = (await load(url('../devices/physical/power_on.ts'))) as {
    powerOn(memory: HostMemory, map: SharedMap, machine: MachineConfig & { dmaPorts: number }): Promise<void>;
  };
  await physical.powerOn(memory, map, { ...config, dmaPorts: dmaPorts(config) });
}
