/**
 * The regions behind a device's BARs as the guest's loads and stores reach them (QEMU vfio_region_read, _write): by
 * mappings where the kernel offers them, else by read and write; with MSI-X, its structures lie over them.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_REGION_INFO_FLAG } from '../../../kernel/include/uapi/vfio.ts';
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { RegionInfo } from './device.ts';

/** Something that answers in place of a part of a region. */
export interface BarOverlay {
  readonly offset: number;
  readonly size: number;
  /** Offsets count from the overlay's beginning. */
  read(offset: number, length: number): Uint8Array;
  write(offset: number, bytes: Uint8Array): Task;
}

/** A part of a region that is mapped. */
export interface BarMapping {
  readonly offset: number;
  readonly size: number;
  readonly va: number;
}

/** The parts of a region that can be mapped: whole pages inside it. */
function mappable({ flags, size, mappable: areas }: RegionInfo): readonly { offset: number; size: number }[] {
  if ((flags & VFIO_REGION_INFO_FLAG.MMAP) === 0) return [];
  return (areas ?? [{ offset: 0, size }]).filter(
    (area) =>
      area.size > 0 &&
      area.offset % PAGE_SIZE === 0 &&
      area.size % PAGE_SIZE === 0 &&
      area.offset + area.size <= Math.ceil(size / PAGE_SIZE) * PAGE_SIZE,
  );
}

export class VfioBar {
  readonly region: RegionInfo;
  readonly overlays: BarOverlay[] = [];
  readonly #machine: Machine;
  readonly #fd: number;
  readonly #what: string;
  #mappings: readonly BarMapping[] = [];

  /** @param name of the device */
  constructor(machine: Machine, fd: number, name: string, region: RegionInfo) {
    this.#machine = machine;
    this.#fd = fd;
    this.region = region;
    this.#what = `${name} BAR ${region.index}`;
  }
  get size(): number {
    return this.region.size;
  }

  /** Maps what can be mapped (vfio_region_mmap); what cannot after all is read and written. */
  *map(): Task {
    const { sys } = this.#machine;
    const mappings: BarMapping[] = [];
    for (const { offset, size } of mappable(this.region))
      try {
        mappings.push({ offset, size, va: yield* sys.mmap(this.#fd, size, this.region.offset + offset) });
      } catch (error) {
        this.#complain(error);
      }
    this.#mappings = mappings;
  }
  *unmap(): Task {
    const mappings = this.#mappings;
    this.#mappings = [];
    for (const { va, size } of mappings) yield* this.#machine.sys.munmap(va, size);
  }

  /** The mapped parts that nothing lies over. */
  get direct(): readonly BarMapping[] {
    return this.#mappings.filter(
      ({ offset, size }) => !this.overlays.some((o) => offset < o.offset + o.size && o.offset < offset + size),
    );
  }

  #overlay(offset: number, length: number): BarOverlay | undefined {
    return this.overlays.find((o) => offset >= o.offset && offset + length <= o.offset + o.size);
  }
  /** The VMM's address of a part of the region; -1 where it is not mapped. */
  #va(offset: number, length: number): number {
    const found = this.#mappings.find((m) => offset >= m.offset && offset + length <= m.offset + m.size);
    return found === undefined ? -1 : found.va + offset - found.offset;
  }
  /** Errors are the user's to see; on the guest's bus nobody answered. */
  #complain(error: unknown): void {
    if (!(error instanceof Errno)) throw error;
    this.#machine.log(error.message);
  }

  /** The bytes in address order; all ones when the kernel refuses, as on a bus where nothing answers. */
  *read(offset: number, length: number): Task<Uint8Array> {
    const overlay = this.#overlay(offset, length);
    if (overlay !== undefined) return overlay.read(offset - overlay.offset, length);
    const { sys } = this.#machine;
    const va = this.#va(offset, length);
    if (va >= 0)
      try {
        return yield* sys.load(va, length);
      } catch (error) {
        // The kernel has taken the mapping away: a read tells why.
        if (!(error instanceof Errno) || error.code !== 'EFAULT') throw error;
      }
    try {
      const bytes = yield* sys.pread(this.#fd, length, this.region.offset + offset, this.#what);
      if (bytes.length === length) return bytes;
    } catch (error) {
      this.#complain(error);
    }
    return new Uint8Array(length).fill(0xff);
  }

  /** Dropped when the kernel refuses. */
  *write(offset: number, bytes: Uint8Array): Task {
    const overlay = this.#overlay(offset, bytes.length);
    if (overlay !== undefined) return yield* overlay.write(offset - overlay.offset, bytes);
    const { sys } = this.#machine;
    const va = this.#va(offset, bytes.length);
    if (va >= 0)
      try {
        return yield* sys.store(va, bytes);
      } catch (error) {
        if (!(error instanceof Errno) || error.code !== 'EFAULT') throw error;
      }
    try {
      yield* sys.pwrite(this.#fd, bytes, this.region.offset + offset, this.#what);
    } catch (error) {
      this.#complain(error);
    }
  }
}
