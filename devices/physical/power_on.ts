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
  /** The DMA port is in the first partitionable endpoint of the PCI host bridge. */
  readonly dmaPort: boolean;
}

export function powerOn(memory: HostMemory, map: SharedMap, machine: PhysicalMachine): void {
  installDevices(memory, map.css, machine.drives);
  installHostBridge(memory, map.phb, {
    firstFrame: map.firstFrame,
    pes: machine.dmaPort ? [{ device: 'dma_port' }] : [],
  });
}
