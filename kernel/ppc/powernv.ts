/**
 * The host's sPAPR DMA hardware as the kernel's drivers see it: the host bridge, the tables, preregistered memory, and
 * one table group per PE (arch/powerpc/platforms/powernv). One object in the kernel's thread.
 */
import type { HostBridge } from '../../devices/physical/phb/host_bridge.ts';
import type { Kernel } from '../kernel.ts';
import type { VcpuRequests } from '../kvm/vcpu_requests.ts';
import { MmIommuRegions } from './mm_iommu_regions.ts';
import { PowernvTce } from './powernv_tce.ts';
import { TableGroup } from './table_group.ts';

export class Powernv {
  readonly kernel: Kernel;
  readonly bridge: HostBridge;
  /** Table changes made by the kernel's thread. */
  readonly ops: PowernvTce;
  readonly regions: MmIommuRegions;
  readonly requests: VcpuRequests;
  /** By PE number; undefined where there is no PE. */
  readonly groups: readonly (TableGroup | undefined)[];

  /** @param phbBase the host bridge's area. */
  constructor(kernel: Kernel, bridge: HostBridge, phbBase: number, requests: VcpuRequests) {
    this.kernel = kernel;
    this.bridge = bridge;
    this.requests = requests;
    this.ops = new PowernvTce(kernel, phbBase, {
      written: (va, hpa) => kernel.mm.space.written(va, hpa),
      tracer: kernel.tracer,
    });
    this.regions = new MmIommuRegions(kernel, requests);
    const groups: (TableGroup | undefined)[] = [];
    for (const pe of bridge.pes()) groups[pe] = new TableGroup(this, pe);
    this.groups = groups;
  }
}
