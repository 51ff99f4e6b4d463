/** Which tier answers TCE hypercalls: real mode, virtual mode, or the VMM (minivisor's H_MINIVISOR_TIER). */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { KVM_ENABLE_CAP } from '../../../kernel/include/uapi/ioctl.ts';
import { KVM_CAP, kvm_enable_cap } from '../../../kernel/include/uapi/kvm.ts';
import type { Task } from '../../../kernel/lib/task.ts';

export type TceTier = 'real' | 'virtual' | 'vmm';

/** H_MINIVISOR_TIER's argument. */
export const TIER_NUMBERS: readonly TceTier[] = ['real', 'virtual', 'vmm'];

/** What each tier needs of KVM: its handlers enabled, and the MMU mode in which real mode may run (hash) or not (radix). */
const TIERS: Readonly<Record<TceTier, { readonly enabled: 0 | 1; readonly radix: 0 | 1 }>> = {
  real: { enabled: 1, radix: 0 },
  virtual: { enabled: 1, radix: 1 },
  vmm: { enabled: 0, radix: 0 },
};

/** The hypercalls on TCEs that KVM may handle. */
const TCE_HCALLS = [HCALL.H_GET_TCE, HCALL.H_PUT_TCE, HCALL.H_STUFF_TCE, HCALL.H_PUT_TCE_INDIRECT] as const;

/** KVM_ENABLE_CAP on the VM. */
function* enableCap(machine: Machine, cap: number, arg0: number, arg1 = 0): Task {
  yield* machine.sys.ioctlStruct(machine.vmFd, KVM_ENABLE_CAP, kvm_enable_cap.make({ cap, flags: 0, arg0, arg1 }));
}

function* enableHcalls(machine: Machine, hcalls: readonly number[], enabled: 0 | 1): Task {
  for (const hcall of hcalls) {
    try {
      yield* enableCap(machine, KVM_CAP.PPC_ENABLE_HCALL, hcall, enabled);
    } catch (error) {
      // KVM has no handler for this one: it ends in the VMM whatever the tier.
      if (!(error instanceof Errno) || error.code !== 'EINVAL') throw error;
    }
  }
}

/** Lets KVM do accesses to mapped BARs itself (QEMU kvmppc_enable_logical_ci_hcalls). @throws Errno */
export function enableLogicalCi(machine: Machine): Task {
  return enableHcalls(machine, [HCALL.H_LOGICAL_CI_LOAD, HCALL.H_LOGICAL_CI_STORE], 1);
}

/** Switches to a tier; calls after it take the new way. @throws Errno other than EINVAL for a hypercall KVM does not know */
export function* setTceTier(machine: Machine, tier: TceTier): Task {
  const { enabled, radix } = TIERS[tier];
  yield* enableHcalls(machine, TCE_HCALLS, enabled);
  yield* enableCap(machine, KVM_CAP.PPC_MMU_RADIX, radix);
}
