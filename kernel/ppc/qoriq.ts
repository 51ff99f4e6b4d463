/**
 * The Freescale SoC as the kernel's drivers see it, and how it comes up (arch/powerpc/platforms/85xx): interrupts, the IOMMU
 * in front of the DMA channels, MSI banks, then the platform devices, each in the IOMMU group of its LIODN.
 */
import { DMA_CHANNELS, QBMAN_NODES } from '../include/arch/ppc/fsl_soc.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../lib/task.ts';
import type { IommuGroup } from '../vfio/vfio.ts';
import type { VfioCore } from '../vfio/vfio_main.ts';
import { FslMsi } from './fsl_msi.ts';
import { FslPamu } from './fsl_pamu.ts';
import { PamuGroup } from './fsl_pamu_group.ts';
import { type LiodnAttributes, QBMAN_ATTRIBUTES } from './fsl_pamu_omt.ts';
import type { FslSocBus } from './fsl_soc_bus.ts';
import { FslDma } from './fsldma.ts';
import { Mpic } from './mpic.ts';
import { type GroupOwner, PlatformBus, PlatformDevice } from './platform_bus.ts';

/** What every driver of the SoC needs. */
export interface Qoriq {
  readonly kernel: Kernel;
  readonly bus: FslSocBus;
  readonly mpic: Mpic;
  readonly msi: FslMsi;
  readonly platform: PlatformBus;
  /** The host's own DMA. */
  readonly dma: FslDma;
}

/** A SoC whose devices are behind PAMUs. */
export interface QoriqPamu extends Qoriq {
  readonly pamu: FslPamu;
}

/** What an IOMMU driver gives the groups. */
export interface GroupFactory {
  readonly options: Parameters<VfioCore['allocateGroup']>[0];
  readonly owner: GroupOwner;
}

/** All but the IOMMU and the devices. */
export function startQoriq(kernel: Kernel, bus: FslSocBus): Qoriq {
  const mpic = new Mpic(kernel, bus);
  const platform = new PlatformBus(kernel);
  const qoriq: { dma?: FslDma } & Omit<Qoriq, 'dma'> = { kernel, bus, mpic, msi: new FslMsi(bus, mpic), platform };
  qoriq.dma = new FslDma(qoriq as Qoriq);
  platform.registerDriver(qoriq.dma.driver);
  return qoriq as Qoriq;
}

/** LIODNs of the DMA channels, each once. */
export const LIODNS: readonly number[] = [...new Set(DMA_CHANNELS.map(({ liodn }) => liodn))];

/**
 * The devices appear, each in the group of its LIODN, and are offered to the drivers that are registered. To be called at
 * boot, before user space: it probes to the end before it returns.
 */
export function addPlatformDevices(
  { platform }: Qoriq,
  vfio: Pick<VfioCore, 'allocateGroup'>,
  group: (liodn: number) => GroupFactory,
): void {
  const groups = new Map<number, { readonly group: IommuGroup; readonly owner: GroupOwner }>();
  for (const node of DMA_CHANNELS) {
    let known = groups.get(node.liodn);
    if (known === undefined) {
      const { options, owner } = group(node.liodn);
      known = { group: vfio.allocateGroup({ ...options, permanent: true }), owner };
      groups.set(node.liodn, known);
    }
    finish(platform.addDevice(new PlatformDevice(node, known.group, known.owner)));
  }
}

/** The SoC with PAMUs: every LIODN may go everywhere until somebody says otherwise. */
export function startPamu(qoriq: Qoriq): QoriqPamu {
  const liodns = new Map<number, LiodnAttributes>(LIODNS.map((liodn) => [liodn, {}]));
  for (const node of QBMAN_NODES) for (const liodn of node.liodns) liodns.set(liodn, QBMAN_ATTRIBUTES[node.compatible]);
  return { ...qoriq, pamu: new FslPamu(qoriq.kernel, qoriq.bus, qoriq.mpic, liodns) };
}

/** The groups of {@link startPamu}. */
export function pamuGroups({ pamu }: QoriqPamu): (liodn: number) => GroupFactory {
  return (liodn) => {
    const owner = new PamuGroup(pamu, liodn);
    return { options: { emulated: false, liodn: owner }, owner };
  };
}

/** At boot there is nobody to wait for: every wait of the probes is ready. */
function finish(boot: Task): void {
  while (boot.next().done !== true);
}
