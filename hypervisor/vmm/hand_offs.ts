/** How often a thread of the machine has handed another one something: for each operation's row in the arguments table. */
import { KVM_RUN } from '../../kernel/include/uapi/kvm_run.ts';
import { ringCounter } from '../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';

/** Counts rings of doorbells, and what virtual mode hands over without one. The returned function tells how many there were. */
export function handOffCounter(memory: HostMemory, map: SharedMap): () => number {
  const rings = ringCounter(memory, map);
  const pages = map.vcpus.map(({ run }) => KVM_RUN.at(memory.dv, run));
  return () => pages.reduce((sum, { hcall_seen, hcall_unrung }) => sum + hcall_seen + hcall_unrung, rings());
}
