/** CPU models: which facilities a machine's CPUs report. */
import { TOY_FACILITIES } from '../kernel/include/arch/s390/facilities.ts';
import type { CpuModel } from './cpu/cpu.ts';

/** The CPU of machine `toy`. */
export const TOY_MODEL: CpuModel = {
  facilities: TOY_FACILITIES,
  // Version FF is "running under a hypervisor"; serial number, machine type 2817 (z196).
  cpuId: 0xff00_0001_2817_8000n,
};
