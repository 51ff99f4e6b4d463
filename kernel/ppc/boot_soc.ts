/** Finds the Freescale SoC of the physical machine and starts the host's support of it. */
import { hasIommu4k, Iommu4kUnit } from '../../devices/physical/iommu/page_iommu.ts';
import { FslSoc } from '../../devices/physical/pamu/fsl_soc.ts';
import type { Kernel } from '../kernel.ts';
import type { VfioCore } from '../vfio/vfio_main.ts';
import { startSoc } from './start_qoriq.ts';

/** To be called at boot, before user space, on a machine that has the SoC. */
export function bootSoc(kernel: Kernel, vfio: VfioCore): void {
  const { memory, map, tracer } = kernel;
  const soc = new FslSoc(memory, map.soc, { eloDoorbell: kernel.doorbell('elo0'), tracer });
  startSoc(kernel, vfio, soc, hasIommu4k(memory, map.soc) ? new Iommu4kUnit(memory, map.soc) : undefined);
}
