/** `info vms`: the virtual machines of the host. */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';
import { VM_STATE, type VmState, vmState } from '../../kernel/lib/vm_state.ts';
import { table } from '../cli/table.ts';
import type { VmSummary } from '../config.ts';
import { vmName } from '../vms.ts';

/** A virtual machine and what it does. */
export interface VmRow extends VmSummary {
  readonly state: VmState;
}

const STATES: Readonly<Record<VmState, string>> = {
  [VM_STATE.SET_UP]: 'being set up',
  [VM_STATE.RUNNING]: 'running',
  [VM_STATE.PAUSED]: 'paused',
  [VM_STATE.ENDED]: 'ended',
};

/** The machines with what each does now. @param map any thread's */
export function vmRows(memory: HostMemory, map: SharedMap, vms: readonly VmSummary[]): VmRow[] {
  return vms.map((vm, number) => ({ ...vm, state: vmState(memory, map, number) }));
}

/** The listing. @param current the machine that lines without a name go to: it is marked, as QEMU marks a CPU */
export function vmsTable(vms: readonly VmRow[], current?: number): string {
  const rows = vms.map(({ guest = '', memory, cpus, state }, vm) => [
    `${vmName(vm)}${vm === current ? ' *' : ''}`,
    STATES[state],
    `${memory / 2 ** 20} MiB`,
    `${cpus}`,
    guest,
  ]);
  return table(['Machine', 'State', 'Memory', 'CPUs', 'Guest'], rows, '<<>><');
}
