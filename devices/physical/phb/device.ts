/**
 * What a device behind a PE is to the bridge, and which devices there are. The register side runs on the thread that
 * does the access, with the PE's mmioLock held (`mmio.ts`); engines run on hardware threads and share the device's part of the PE's block.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { e1000 } from '../net/e1000.ts';
import type { ConfigIdentity } from './config_space.ts';
import { dmaPort } from './dma_port.ts';

/** The register side of a device. Offsets are in BAR 0; accesses are aligned and inside it; values little-endian. */
export interface PciDevice {
  readonly name: string;
  readonly identity: ConfigIdentity;
  /** Reads 1, 2 or 4 bytes. */
  read(memory: HostMemory, block: number, offset: number, size: number): number;
  /** Writes; returns true when the device's engine has something new to look at. */
  write(memory: HostMemory, block: number, offset: number, size: number, value: number): boolean;
  /** True for a store that reaches the device though its PE is frozen. */
  passesFreeze(offset: number, size: number, value: number): boolean;
  /** Bytes of BAR 0 from its beginning that software may map; all of it when omitted. MSI-X structures are for the host alone. */
  readonly mappable?: number;
  /** Bytes of BAR 0 that are memory without side effects, whole pages: software may map them. `at`: in the PE's block. */
  readonly memory?: { readonly offset: number; readonly size: number; readonly at: number };
  /** Back to power-on state; returns when nothing of the device's earlier work goes on. */
  reset(memory: HostMemory, block: number): void;
}

/** Devices by the number kept in a PE's block; 0 is an empty slot. */
const DEVICES: readonly (PciDevice | undefined)[] = [undefined, dmaPort, e1000];

/** Name of a device, as a configuration gives it. */
export type PciDeviceName = 'none' | 'dma_port' | 'e1000';
/** The number of each device. */
export const PCI_DEVICE: Readonly<Record<PciDeviceName, number>> = { none: 0, dma_port: 1, e1000: 2 };

/** The device with a number; undefined for an empty slot. */
export function deviceNumbered(number: number): PciDevice | undefined {
  return DEVICES[number];
}
