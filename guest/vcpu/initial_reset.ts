/** The initial CPU reset that SIGP orders (SA22-7832 chapter 4, "Initial CPU Reset"). */
import type { Cpu } from '../cpu/cpu.ts';
import { cpu_state } from '../cpu/state.ts';

/** Places in the state block that it leaves alone: general and floating-point registers; access registers. */
const KEPT = [
  { offset: cpu_state.offset.gpr, end: cpu_state.offset.cr },
  { offset: cpu_state.offset.ar, end: cpu_state.offset.fpc },
] as const;

/** Resets a CPU, whose own reset clears the general registers too. */
export function initialReset(cpu: Cpu): void {
  const { u8 } = cpu.memory;
  const { address } = cpu.state;
  const kept = KEPT.map(({ offset, end }) => ({
    at: address + offset,
    bytes: u8.slice(address + offset, address + end),
  }));
  cpu.reset();
  for (const { at, bytes } of kept) u8.set(bytes, at);
}
