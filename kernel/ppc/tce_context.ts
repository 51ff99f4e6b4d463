/**
 * What one process has of the sPAPR DMA hardware: its preregistered memory (mm_context_t's iommu_group_mem_list), the slots
 * of its tables, and the vCPUs that may be using either in real mode. One for each process of the host.
 */
import type { Kernel } from '../kernel.ts';
import { VcpuRequests } from '../kvm/vcpu_requests.ts';
import type { SharedMap } from '../lib/shared_map.ts';
import type { Mm } from '../mm/mm.ts';
import type { Process } from '../process.ts';
import { MmIommuRegions } from './mm_iommu_regions.ts';
import { PowernvTce } from './powernv_tce.ts';

export class TceContext {
  readonly kernel: Kernel;
  readonly process: Process;
  readonly mm: Mm;
  /** The shared map as the process sees it. */
  readonly map: SharedMap;
  /** Table changes made by the kernel's thread. */
  readonly ops: PowernvTce;
  readonly regions: MmIommuRegions;
  readonly requests: VcpuRequests;

  /** @param attentionOffset offset of the `attention` word in a vCPU's state block (guest/cpu/state.ts). */
  constructor(kernel: Kernel, process: Process, phbBase: number, attentionOffset: number) {
    const { mm, map } = process;
    this.kernel = kernel;
    this.process = process;
    this.mm = mm;
    this.map = map;
    this.requests = new VcpuRequests(kernel.memory, map, attentionOffset);
    this.ops = new PowernvTce(kernel.memory, process, phbBase, {
      written: (va, hpa) => mm.space.written(va, hpa),
      tracer: kernel.tracer,
    });
    this.regions = new MmIommuRegions(kernel, process, this.requests);
  }
}
