/**
 * KVM's place in the host's memory management (virt/kvm/kvm_main.c, kvm_mmu_notifier_*): cached translations go before
 * a page moves, and stale translated code is reported.
 */
import type { Kernel } from '../kernel.ts';
import type { MmuNotifier } from '../mm/mm.ts';
import type { VcpuRequests } from './vcpu_requests.ts';

/** Registers with the kernel's memory management. @returns takes the registration back */
export function registerMmuNotifier(kernel: Kernel, requests: VcpuRequests): () => void {
  const beforeMove: MmuNotifier = () => requests.flushAll('vCPUs to drop a translation');
  kernel.mm.notifiers.add(beforeMove);
  kernel.mm.space.onCodeWritten = (va) => requests.codeWritten(va);
  return () => {
    kernel.mm.notifiers.delete(beforeMove);
    kernel.mm.space.onCodeWritten = () => {};
  };
}
