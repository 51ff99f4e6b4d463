/** read(2) and write(2) on a vfio-pci device: BARs and configuration space (drivers/vfio/pci/vfio_pci_rdwr.c). */
import { Errno } from '../include/uapi/errno.ts';
import { littleEndian, littleEndianBytes, PCI_CFG_SPACE_SIZE } from '../include/uapi/pci_regs.ts';
import { VFIO_PCI, VFIO_PCI_OFFSET_SHIFT } from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';
import { accesses, type VfioPciConfig } from './vfio_pci_config.ts';
import type { PciFunction } from './vfio_pci_function.ts';

/** Bytes between two regions in the file; offsets lie above 2^32, so they are taken apart by division. */
const REGION_STRIDE = 2 ** VFIO_PCI_OFFSET_SHIFT;

/** File offset of a region (VFIO_PCI_INDEX_TO_OFFSET). */
export function regionOffset(index: number): number {
  return index * REGION_STRIDE;
}
/** Region and place in it of a file offset. */
export function regionOf(position: number): { readonly index: number; readonly offset: number } {
  const index = Math.floor(position / REGION_STRIDE);
  return { index, offset: position - index * REGION_STRIDE };
}

/** Bytes of a region; 0: the device does not have it. */
export function regionSize(fn: PciFunction, index: number): number {
  return index === VFIO_PCI.CONFIG_REGION_INDEX ? PCI_CFG_SPACE_SIZE : (fn.barSizes[index] ?? 0);
}

/** The accesses of one device. */
export class VfioPciRegions {
  readonly #function: PciFunction;
  readonly #config: () => VfioPciConfig;
  readonly #reached: () => void;

  /** @param config configuration space of this open. @param reached called after an access to a BAR with memory space on */
  constructor(fn: PciFunction, config: () => VfioPciConfig, reached: () => void) {
    this.#function = fn;
    this.#config = config;
    this.#reached = reached;
  }

  /** At most `count` bytes from file offset `position`. @throws Errno EINVAL outside every region, EIO with memory decoding off */
  read(count: number, position: number): Uint8Array {
    const place = this.#place(count, position);
    const { index, offset } = place;
    if (index === VFIO_PCI.CONFIG_REGION_INDEX) return this.#config().read(offset, place.count);
    const { bridge, pe } = this.#function;
    const bytes = new Uint8Array(place.count);
    for (const { at, size } of accesses(offset, place.count))
      bytes.set(littleEndianBytes(bridge.mmioRead(pe, index, at, size), size), at - offset);
    this.#reached();
    return bytes;
  }

  /** Writes; returns how many bytes lay inside the region. @throws as {@link read} */
  *write(bytes: Uint8Array, position: number): Task<number> {
    const { index, offset, count } = this.#place(bytes.length, position);
    if (index === VFIO_PCI.CONFIG_REGION_INDEX) {
      yield* this.#config().write(offset, bytes.subarray(0, count));
      return count;
    }
    const { bridge, pe } = this.#function;
    for (const { at, size } of accesses(offset, count))
      bridge.mmioWrite(pe, index, at, size, littleEndian(bytes, at - offset, size));
    this.#reached();
    return count;
  }

  #place(count: number, position: number): { readonly index: number; readonly offset: number; readonly count: number } {
    const { index, offset } = regionOf(position);
    const size = regionSize(this.#function, index);
    if (!(position >= 0) || offset >= size)
      throw new Errno('EINVAL', `vfio-pci region ${index}, offset 0x${offset.toString(16)}`);
    // An access would be an error on the bus (CVE-2020-12888): it does not get there.
    if (index !== VFIO_PCI.CONFIG_REGION_INDEX && !this.#function.memoryEnabled)
      throw new Errno('EIO', 'vfio-pci: memory space is disabled in the command register');
    return { index, offset, count: Math.min(count, size - offset) };
  }
}
