/**
 * Words of the CPU state block as plain numbers, for the run loop's frequent questions (masks, low halves of control
 * registers, hypercall arguments): no bigint, no view object per question.
 */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { cpu_state } from '../cpu/state.ts';

/** Bits of the PSW mask's high word (SA22-7832 chapter 4, "Program-Status Word"; bit 0 is 0x80000000). */
export const PSW_IO = 0x02000000;
export const PSW_EXTERNAL = 0x01000000;
export const PSW_MACHINE_CHECK = 0x00040000;
export const PSW_PROBLEM = 0x00010000;

/** CR0 bits, low word (chapter 6, "External Interruption"). */
export const CR0_EMERGENCY = 0x4000;
export const CR0_EXTERNAL_CALL = 0x2000;
export const CR0_CLOCK_COMPARATOR = 0x800;
export const CR0_CPU_TIMER = 0x400;
export const CR0_SERVICE = 0x200;
/** CR14 bit 35: channel-report-pending subclass mask. */
export const CR14_CHANNEL_REPORT = 0x10000000;

export class Registers {
  readonly #i32: Int32Array;
  readonly #gpr: number;
  readonly #cr: number;
  readonly #mask: number;
  /** HPA of the general registers: sixteen 64-bit words, native order. */
  readonly gprs: number;

  constructor(memory: HostMemory, stateBase: number) {
    this.gprs = stateBase + cpu_state.offset.gpr;
    this.#i32 = memory.i32;
    this.#gpr = (stateBase + cpu_state.offset.gpr) >>> 2;
    this.#cr = (stateBase + cpu_state.offset.cr) >>> 2;
    this.#mask = ((stateBase + cpu_state.offset.pswMask) >>> 2) + 1;
  }
  // Words are signed: unsigned ones of 2^31 and more would be boxed on the hypercall path.
  /** High word of a general register, signed. */
  gprHigh(n: number): number {
    return this.#i32[this.#gpr + 2 * n + 1];
  }
  /** Low word of a general register, signed. */
  gprLow(n: number): number {
    return this.#i32[this.#gpr + 2 * n];
  }
  /** Writes both words. */
  setGpr(n: number, high: number, low: number): void {
    this.#i32[this.#gpr + 2 * n + 1] = high;
    this.#i32[this.#gpr + 2 * n] = low;
  }
  /** Writes a small signed number, sign-extended to 64 bits. */
  setGprSigned(n: number, value: number): void {
    this.setGpr(n, value < 0 ? 0xffffffff : 0, value);
  }
  /** Low word (bits 32-63) of a control register, signed. */
  crLow(n: number): number {
    return this.#i32[this.#cr + 2 * n];
  }
  /** True when the bit of the PSW mask's high word is one. */
  masked(bit: number): boolean {
    return (this.#i32[this.#mask] & bit) !== 0;
  }
  /** Interruption subclasses open in CR6, as `0x80 >> isc`; 0 while the PSW's I/O mask is off. */
  openIscs(): number {
    return this.masked(PSW_IO) ? this.crLow(6) >>> 24 : 0;
  }
}
