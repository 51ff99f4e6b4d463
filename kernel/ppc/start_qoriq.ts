/** Starts the host's support of the Freescale SoC: the IOMMU that the chip has, its backend in VFIO, the platform devices. */
import type { Iommu4kUnit } from '../../devices/physical/iommu/page_iommu.ts';
import type { Kernel } from '../kernel.ts';
import { registerFslPamu } from '../vfio/vfio_iommu_fsl_pamu.ts';
import type { VfioCore } from '../vfio/vfio_main.ts';
import { vfioPlatformDriver } from '../vfio/vfio_platform.ts';
import type { FslPamu } from './fsl_pamu.ts';
import type { FslSocBus } from './fsl_soc_bus.ts';
import { Iommu4k, iommu4kGroups } from './iommu4k.ts';
import { addPlatformDevices, LIODNS, pamuGroups, type Qoriq, startPamu, startQoriq } from './qoriq.ts';

/** What was started; one of the two IOMMUs. */
export interface Soc {
  readonly host: Qoriq;
  readonly pamu?: FslPamu;
  readonly iommu4k?: Iommu4k;
}

/**
 * To be called at boot, before user space.
 * @param unit a chip that has a 4K-page IOMMU in place of PAMUs: type1 drives it, and must be registered
 */
export function startSoc(kernel: Kernel, vfio: VfioCore, bus: FslSocBus, unit?: Iommu4kUnit): Soc {
  const host = startQoriq(kernel, bus);
  host.platform.registerDriver(vfioPlatformDriver(host, vfio));
  if (unit !== undefined) {
    const iommu4k = new Iommu4k(host, unit, LIODNS);
    addPlatformDevices(host, vfio, iommu4kGroups(iommu4k));
    return { host, iommu4k };
  }
  const withPamu = startPamu(host);
  registerFslPamu(vfio, withPamu);
  addPlatformDevices(host, vfio, pamuGroups(withPamu));
  return { host, pamu: withPamu.pamu };
}
