/** KVM_CHECK_EXTENSION: what this KVM can do, one row each (virt/kvm/kvm_main.c, arch/powerpc and arch/s390 parts). */
import { KVM_CAP, MEM_OP_MAX_SIZE, MEMOP_EXTENSION_BASE } from '../include/uapi/kvm.ts';

const PRESENT: ReadonlySet<number> = new Set([
  KVM_CAP.SPAPR_TCE,
  KVM_CAP.SPAPR_MULTITCE,
  KVM_CAP.DEVICE_CTRL,
  KVM_CAP.PPC_ENABLE_HCALL,
  KVM_CAP.SPAPR_TCE_64,
  KVM_CAP.SPAPR_TCE_VFIO,
  KVM_CAP.PPC_MMU_RADIX,
  KVM_CAP.SPAPR_TCE_BIND_VFIO,
]);

/** The answer: 0 when absent. */
export function checkExtension(extension: number, vcpus: number): number {
  if (extension === KVM_CAP.MAX_VCPUS) return vcpus;
  if (extension === KVM_CAP.S390_MEM_OP) return MEM_OP_MAX_SIZE;
  if (extension === KVM_CAP.S390_MEM_OP_EXTENSION) return MEMOP_EXTENSION_BASE;
  return PRESENT.has(extension) ? 1 : 0;
}
