/** A vCPU's descriptor (virt/kvm/kvm_main.c, kvm_vm_ioctl_create_vcpu; arch/s390/kvm/kvm-s390.c). */

import { KVM_S390_INTERRUPT, KVM_S390_MEM_OP } from '../include/uapi/ioctl.ts';
import { KVM_RUN, RUN_LOCAL_INTERRUPTS } from '../include/uapi/kvm_run.ts';
import { LocalInterrupts } from '../lib/local_interrupts.ts';
import type { Task } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import { File } from '../syscall/file.ts';
import { ioctlOperation, row } from '../syscall/ioctl.ts';
import { injectLocal } from './interrupt.ts';
import { vcpuMemOp } from './mem_op.ts';

/** The descriptor of CPU `address`. @param release what the virtual machine does when it is closed. */
export function vcpuFile({ kernel, map, requests }: TceContext, address: number, release: () => Task): File {
  const { run } = map.vcpus[address];
  const local = new LocalInterrupts(kernel.memory, run + RUN_LOCAL_INTERRUPTS);
  const ioctl = ioctlOperation(kernel, [
    row(KVM_S390_INTERRUPT, function* (_, interrupt) {
      const state = kernel.memory.load(run + KVM_RUN.offset.cpu_state);
      const { type, parm, parm64 } = interrupt;
      kernel.tracer.point(EVENT.kvm_s390_inject_vcpu, address, type, parm, Number(parm64));
      requests.request(address, injectLocal({ local, state }, interrupt));
      return 0;
    }),
    row(KVM_S390_MEM_OP, (_, op) => vcpuMemOp(kernel, address, op, (program) => local.addProgram(program))),
  ]);
  return new File(`anon_inode:kvm-vcpu:${address}`, { ioctl, release });
}
