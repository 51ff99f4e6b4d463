/** What KVM calls an interruption that a vCPU takes: in its exit statistics, and in its trace events. */
import { KVM_S390, kvmS390IntIo } from '../../kernel/include/uapi/kvm.ts';
import { SIE } from '../../kernel/include/uapi/kvm_exit_stat.ts';
import type { InterruptionType } from './interrupts.ts';

/** What calls a CPU out of the guest for an interruption; SIE has no code of its own for machine checks. */
export const REQUESTED: Readonly<Record<InterruptionType, number>> = {
  'machine check': SIE.HOST_INTERRUPTION,
  external: SIE.EXTERNAL_REQUEST,
  io: SIE.IO_REQUEST,
};

/** KVM_S390_* type of an interruption, for traces. */
export function interruptType(type: InterruptionType, code: number, subsystemId: number): number {
  if (type === 'io') return kvmS390IntIo(0, subsystemId >>> 24, (subsystemId >>> 17) & 3, subsystemId & 0xffff);
  return type === 'external' ? EXTERNAL_TYPES + code : KVM_S390.MCHK;
}
/** Types of external interruptions are the code below this (include/uapi/linux/kvm.h, KVM_S390_INT_SERVICE). */
const EXTERNAL_TYPES = 0xffff_0000;
