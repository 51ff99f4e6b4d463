/**
 * Power-on of the physical machine: what is plugged where, written into shared memory once, before any actor looks.
 */
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';
import { installDevices, type SubchannelConfig } from './css/install_devices.ts';
import { installHostBridge } from './phb/host_bridge.ts';

/** What is plugged in. */
export interface PhysicalMachine {
  readonly drives: readonly SubchannelConfig[];
  /** A PCI host bridge with the DMA port in its first partitionable endpoint. */
  readonly dmaPort: boolean;
}

export function powerOn(memory: HostMemory, map: SharedMap, machine: PhysicalMachine): void {
  installDevices(memory, map.css, machine.drives);
  if (machine.dmaPort)
    installHostBridge(memory, map.phb, { firstFrame: map.firstFrame, pes: [{ device: 'dma_port' }] });
}
