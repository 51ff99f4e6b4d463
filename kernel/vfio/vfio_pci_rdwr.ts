/** read(2) and write(2) on a vfio-pci device: BAR and configuration space (drivers/vfio/pci/vfio_pci_rdwr.c, vfio_pci_config.c). */
import type { HostBridge } from '../../devices/physical/phb/host_bridge.ts';
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_PCI, VFIO_PCI_OFFSET_SHIFT } from '../include/uapi/vfio.ts';

/** Bytes between two regions in the file; offsets lie above 2^32, so they are taken apart by division. */
const REGION_STRIDE = 2 ** VFIO_PCI_OFFSET_SHIFT;
/** Bytes of BAR 0 of the devices behind the host bridge; they have no other BAR. */
const BAR0_SIZE = 0x2000;
/** Bytes of conventional configuration space. */
const CONFIG_SIZE = 256;
/** Command register and its memory-space bit (PCI 3.0, table 6-1). */
const PCI_COMMAND = 0x04;
const PCI_COMMAND_MEMORY = 0x2;

/** Size of each region; 0: the device does not have it. */
export const REGION_SIZE: readonly number[] = Array.from({ length: VFIO_PCI.NUM_REGIONS }, (_, index) => {
  if (index === VFIO_PCI.BAR0_REGION_INDEX) return BAR0_SIZE;
  return index === VFIO_PCI.CONFIG_REGION_INDEX ? CONFIG_SIZE : 0;
});

/** File offset of a region (VFIO_PCI_INDEX_TO_OFFSET). */
export function regionOffset(index: number): number {
  return index * REGION_STRIDE;
}

/** The bus accesses of one device. */
export class VfioPciRegions {
  readonly #bridge: HostBridge;
  readonly #pe: number;

  constructor(bridge: HostBridge, pe: number) {
    this.#bridge = bridge;
    this.#pe = pe;
  }

  /** At most `count` bytes from file offset `position`. @throws Errno EINVAL outside every region, EIO with memory decoding off */
  read(count: number, position: number): Uint8Array {
    const place = this.#place(count, position);
    const bytes = new Uint8Array(place.count);
    for (const { at, size } of accesses(place)) {
      const value =
        place.index === VFIO_PCI.CONFIG_REGION_INDEX
          ? this.#bridge.configRead(this.#pe, place.offset + at, size)
          : this.#bridge.mmioRead(this.#pe, place.index, place.offset + at, size);
      for (let i = 0; i < size; i++) bytes[at + i] = Math.floor(value / 2 ** (8 * i)) % 256;
    }
    return bytes;
  }

  /** Writes; returns how many bytes lay inside the region. @throws as {@link read} */
  write(bytes: Uint8Array, position: number): number {
    const place = this.#place(bytes.length, position);
    for (const { at, size } of accesses(place)) {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
      if (place.index === VFIO_PCI.CONFIG_REGION_INDEX)
        this.#bridge.configWrite(this.#pe, place.offset + at, size, value);
      else this.#bridge.mmioWrite(this.#pe, place.index, place.offset + at, size, value);
    }
    return place.count;
  }

  #place(count: number, position: number): Place {
    const index = Math.floor(position / REGION_STRIDE);
    const offset = position - index * REGION_STRIDE;
    const size = REGION_SIZE[index] ?? 0;
    if (!(position >= 0) || offset >= size)
      throw new Errno('EINVAL', `vfio-pci region ${index}, offset 0x${offset.toString(16)}`);
    // An access would be an error on the bus (CVE-2020-12888): it does not get there.
    if (index !== VFIO_PCI.CONFIG_REGION_INDEX && !this.#memoryEnabled())
      throw new Errno('EIO', 'vfio-pci: memory space is disabled in the command register');
    return { index, offset, count: Math.min(count, size - offset) };
  }

  #memoryEnabled(): boolean {
    return (this.#bridge.configRead(this.#pe, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) !== 0;
  }
}

interface Place {
  readonly index: number;
  /** In the region. */
  readonly offset: number;
  readonly count: number;
}

/** The largest aligned pieces of at most 4 bytes. */
function* accesses({ offset, count }: Place): Iterable<{ readonly at: number; readonly size: number }> {
  for (let at = 0; at < count; ) {
    const size = [4, 2, 1].find((bytes) => (offset + at) % bytes === 0 && count - at >= bytes) as number;
    yield { at, size };
    at += size;
  }
}
