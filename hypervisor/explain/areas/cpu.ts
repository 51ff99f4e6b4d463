/** A CPU of the guest while it stands still. */
import { cpu_state } from '../../../guest/cpu/state.ts';
import type { MachineMemory, Placed } from '../peek.ts';

/** General registers 0 to 15, native byte order. */
export function generalRegisters({ memory, map }: MachineMemory, cpu: number): Placed {
  const hpa = map.vcpus[cpu].state + cpu_state.offset.gpr;
  return { bytes: memory.bytes(hpa, cpu_state.fields.gpr.size).slice(), hpa };
}
