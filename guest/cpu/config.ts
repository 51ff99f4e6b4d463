/** What a CPU is made with: its model, its addresses, and the machine around it. */
import type { Cpu } from './cpu.ts';

/** What identifies the CPU to the guest. */
export interface CpuModel {
  /** Facility bits (STFLE numbering) that are one. */
  readonly facilities: readonly number[];
  /** The 64-bit CPU identification stored by STIDP. SA22-7832 chapter 10 "STORE CPU ID". */
  readonly cpuId: bigint;
}

/** What the CPU needs from the machine it is in. All run on the CPU's own thread. */
export interface CpuBus {
  /** Host-physical address of a 4 KiB frame; -1: no such storage; -2: being moved, try again. */
  translate(absolutePage: number, write: boolean): number;
  /** Code was translated from this frame: stores by others must be told with `invalidatePage`. */
  markCode(hpa: number): void;
  /** TOD clock: 2^12 units per microsecond, unsigned 64 bit. */
  tod(): bigint;
  /** DIAGNOSE X'5E0'; false: leave `run` with 'hypercall'. */
  hypercall(cpu: Cpu): boolean;
  /**
   * DIAGNOSE X'5E0' without a detour, best a WebAssembly function: 1 when the call is done, its arguments and results
   * being general registers 1 to 5 and 2 to 3 of the state block; 0 when nothing was changed, and `hypercall` follows.
   */
  readonly fastHypercall?: () => number;
  /**
   * Every other CPU is to drop its translations before this one executes another instruction; this one has done so and
   * leaves `run` now. Absent where there is no other CPU.
   */
  readonly quiesce?: () => void;
  /** The guest executed an instruction the core does not have. */
  onMissing(mnemonic: string, text: Uint8Array, address: bigint): void;
}

/** Where one CPU keeps its things, and which one it is. */
export interface CpuConfig {
  readonly stateBase: number;
  readonly tlbBase: number;
  readonly pcCacheBase: number;
  /** One storage key per frame of host memory: see `kernel/lib/storage_keys.ts`. */
  readonly storageKeys: number;
  /** CPU address (STAP). */
  readonly address: number;
  readonly model: CpuModel;
}
