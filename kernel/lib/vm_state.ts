/** What each virtual machine of a host is doing, a word for each: written by its VMM, read by whoever lists them. */
import type { HostMemory } from './host_memory.ts';
import type { SharedMap } from './shared_map.ts';

/** As QEMU's RunState, as far as it is told apart here. SET_UP: its devices are not there yet. */
export const VM_STATE = { SET_UP: 0, RUNNING: 1, PAUSED: 2, ENDED: 3 } as const;

/** A value of {@link VM_STATE}. */
export type VmState = (typeof VM_STATE)[keyof typeof VM_STATE];

/** Bytes that the words of `vms` virtual machines take. */
export const vmStatesSize = (vms: number): number => vms * 4;

/** Tells what machine `vm` does from now on. */
export function setVmState(memory: HostMemory, map: SharedMap, vm: number, state: VmState): void {
  memory.store(map.vmStates + vmStatesSize(vm), state);
}

/** What machine `vm` does. */
export function vmState(memory: HostMemory, map: SharedMap, vm: number): VmState {
  return memory.load(map.vmStates + vmStatesSize(vm)) as VmState;
}
