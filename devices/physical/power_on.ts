/**
 * Power-on of the physical machine: what is plugged where, written into shared memory once, before any actor looks.
 */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';
import { installDevices, type SubchannelConfig } from './css/install_devices.ts';
import type { NicOptions } from './net/wire.ts';
import type { PciDeviceName } from './phb/device.ts';
import { installHostBridge } from './phb/host_bridge.ts';

/** What is plugged in. */
export interface PhysicalMachine {
  readonly drives: readonly SubchannelConfig[];
  /** A DMA port is in the first partitionable endpoint of the PCI host bridge. */
  readonly dmaPort: boolean;
  /** How many of them there are, each in an endpoint of its own; one at most when omitted. */
  readonly dmaPorts?: number;
  /** Each is in a partitionable endpoint of its own, behind the DMA port's; none when omitted. */
  readonly nics?: readonly NicOptions[];
  /** A Freescale SoC with PAMUs, message banks and DMA channels; `classic`: the first generation of message banks. */
  readonly pamu?: { readonly classic?: boolean; readonly iommu?: 'pamu' | 'type1' };
}

/** What a machine does not have is not loaded either. */
export async function powerOn(memory: HostMemory, map: SharedMap, machine: PhysicalMachine): Promise<void> {
  installDevices(memory, map.css, machine.drives);
  const { firstFrame } = map;
  const { nics = [], pamu, dmaPorts = machine.dmaPort ? 1 : 0 } = machine;
  const ports = Array.from({ length: dmaPorts }, (): PciDeviceName => 'dma_port');
  const devices = [...ports, ...nics.map((): PciDeviceName => 'e1000')];
  installHostBridge(memory, map.phb, { firstFrame, pes: devices.map((device) => ({ device })) });
  if (nics.length > 0) {
    const { installNics } = await import('./net/install_nics.ts');
    installNics(memory, map.phb, map.net, nics, ports.length);
  }
  if (pamu !== undefined) {
    const { installFslSoc } = await import('./pamu/fsl_soc.ts');
    installFslSoc(memory, map.soc, { firstFrame, msi: pamu.classic ? 'classic' : 'v4.3' });
  }
  if (pamu?.iommu === 'type1') {
    const { installIommu4k } = await import('./iommu/page_iommu.ts');
    installIommu4k(memory, map.soc);
  }
}
