/**
 * KVM's place in the host's memory management (virt/kvm/kvm_main.c, kvm_mmu_notifier_*): cached translations go before
 * a page moves, and stale translated code is reported.
 */
import type { Mm, MmuNotifier } from '../mm/mm.ts';
import type { VcpuRequests } from './vcpu_requests.ts';

/** Registers with the memory management of the machine's process. @returns takes the registration back */
export function registerMmuNotifier(mm: Mm, requests: VcpuRequests): () => void {
  const beforeMove: MmuNotifier = () => requests.flushAll('vCPUs to drop a translation');
  mm.notifiers.add(beforeMove);
  mm.space.onCodeWritten = (va) => requests.codeWritten(va);
  return () => {
    mm.notifiers.delete(beforeMove);
    mm.space.onCodeWritten = () => {};
  };
}
