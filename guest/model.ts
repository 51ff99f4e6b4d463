/** CPU models: which facilities a machine's CPUs report. */
import type { CpuModel } from './cpu/cpu.ts';

/**
 * The CPU of machine `toy`. Facilities (SA22-7832 chapter 4, "Facility Indications"; s390x facts section 1): 0 N3, 1 and
 * 2 z/Architecture, 7 STFLE, 18 long displacement, 21 extended immediate, 25 store-clock-fast, 27 MVCOS, 32
 * compare-and-swap-and-store, 33 compare-and-swap-and-store 2, 34 general-instructions extension, 35 execute
 * extensions, 45 distinct operands and the rest of z196.
 */
export const TOY_MODEL: CpuModel = {
  facilities: [0, 1, 2, 7, 18, 21, 25, 34, 35, 45],
  // Version FF is "running under a hypervisor"; serial number, machine type 2817 (z196).
  cpuId: 0xff00_0001_2817_8000n,
};
