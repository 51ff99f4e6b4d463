/**
 * LIOBN tables (QEMU hw/ppc/spapr_iommu.c; vfio-tce facts 7.1): the guest's view of a DMA window, and who must be told of
 * every change to it.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { TCE_PERMISSION_MASK, TCE_SIZE } from '../../../kernel/include/arch/ppc/tce.ts';
import { KVM_CHECK_EXTENSION, KVM_CREATE_SPAPR_TCE_64 } from '../../../kernel/include/uapi/ioctl.ts';
import { KVM_CAP, kvm_create_spapr_tce_64 } from '../../../kernel/include/uapi/kvm.ts';
import { PAGE_SIZE } from '../../../kernel/lib/host_memory.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import { low32 } from '../../../kernel/lib/words64.ts';
import { heapStorage, mappedStorage, type TceStorage } from './tce_storage.ts';

/** Is told of changes to a table (QEMU's IOMMUNotifier): VFIO keeps the hardware's table in step. */
export interface IommuNotifier {
  /** The entry of the page at bus address `ioba` now allows what `tce` says. */
  map(ioba: number, tce: bigint): Task;
  /** The page at bus address `ioba` is gone. */
  unmap(ioba: number): Task;
}

/** What a table translates. */
export interface SpaprTceGeometry {
  /** 32 bits. */
  readonly liobn: number;
  /** Bus address of the first page, bytes. */
  readonly busOffset: number;
  readonly pageShift: number;
  /** Entries. */
  readonly nbTable: number;
}

export interface SpaprTceOptions extends SpaprTceGeometry {
  /** A VFIO device sits behind the table. */
  readonly needVfio: boolean;
  /** Ask KVM for the table. With false every hypercall ends in the VMM. */
  readonly kvm?: boolean;
  /** HPA of a VMM address, for the pages of KVM's table. */
  readonly mapped: (va: number) => number;
}

/** An entry that lets the device do something. */
export const isLive = (tce: bigint) => (low32(tce) & TCE_PERMISSION_MASK) !== 0;

export class SpaprTceTable implements SpaprTceGeometry {
  readonly liobn: number;
  readonly busOffset: number;
  readonly pageShift: number;
  readonly nbTable: number;
  /** Bytes of a page. */
  readonly pageSize: number;
  readonly notifiers: IommuNotifier[] = [];
  #needVfio: boolean;
  #fd: number;
  #storage: TceStorage;
  #mapping: { readonly va: number; readonly length: number } | undefined;

  private constructor(
    options: SpaprTceOptions,
    fd: number,
    storage: TceStorage,
    mapping?: { readonly va: number; readonly length: number },
  ) {
    this.liobn = options.liobn;
    this.busOffset = options.busOffset;
    this.pageShift = options.pageShift;
    this.pageSize = 2 ** options.pageShift;
    this.nbTable = options.nbTable;
    this.#needVfio = options.needVfio;
    this.#fd = fd;
    this.#storage = storage;
    this.#mapping = mapping;
  }

  /** Makes a table: KVM's when it has them, and when it can serve VFIO if VFIO is needed; else one in the heap. @throws Errno */
  static *create(machine: Machine, options: SpaprTceOptions): Task<SpaprTceTable> {
    const { sys, vmFd } = machine;
    // A table of KVM's that could not reach VFIO would swallow the hypercalls: the VMM could never tell VFIO of them.
    const usable =
      options.kvm !== false &&
      (yield* sys.ioctl(vmFd, KVM_CHECK_EXTENSION, KVM_CAP.SPAPR_TCE_64)) > 0 &&
      (!options.needVfio || (yield* sys.ioctl(vmFd, KVM_CHECK_EXTENSION, KVM_CAP.SPAPR_TCE_VFIO)) > 0);
    if (!usable) return new SpaprTceTable(options, -1, heapStorage(options.nbTable));
    const args = kvm_create_spapr_tce_64.make({
      liobn: options.liobn,
      page_shift: options.pageShift,
      flags: 0,
      offset: options.busOffset / 2 ** options.pageShift,
      size: options.nbTable,
    });
    const fd = yield* sys.ioctlStruct(vmFd, KVM_CREATE_SPAPR_TCE_64, args);
    const length = Math.ceil((options.nbTable * TCE_SIZE) / PAGE_SIZE) * PAGE_SIZE;
    try {
      const va = yield* sys.mmap(fd, length);
      const hpas = Array.from({ length: length / PAGE_SIZE }, (_, i) => options.mapped(va + i * PAGE_SIZE));
      return new SpaprTceTable(options, fd, mappedStorage(sys.memory, hpas), { va, length });
    } catch (error) {
      yield* sys.close(fd);
      throw error;
    }
  }

  get needVfio(): boolean {
    return this.#needVfio;
  }
  /** KVM's descriptor of the table, or -1 for one in the heap. */
  get fd(): number {
    return this.#fd;
  }

  /**
   * The first VFIO device comes to sit behind the table, or the last one goes. KVM's table stays unless KVM could not
   * tell VFIO of changes to it; then the entries move to one in the heap, and every hypercall ends in the VMM.
   * (spapr_tce_set_need_vfio.) @throws Errno; Error when nothing would change: a mistake of the caller's
   */
  *setNeedVfio(machine: Machine, needVfio: boolean): Task {
    if (needVfio === this.#needVfio) throw new Error(`LIOBN 0x${this.liobn.toString(16)}: need_vfio is set already`);
    this.#needVfio = needVfio;
    if (!needVfio || this.#fd < 0) return;
    if ((yield* machine.sys.ioctl(machine.vmFd, KVM_CHECK_EXTENSION, KVM_CAP.SPAPR_TCE_VFIO)) > 0) return;
    const heap = heapStorage(this.nbTable);
    for (let index = 0; index < this.nbTable; index++) heap.set(index, this.get(index));
    yield* this.release(machine);
    this.#storage = heap;
  }

  /** Index of the entry for `ioba`; undefined when it is not page-aligned or not in the window. */
  index(ioba: bigint): number | undefined {
    // A number above 2^53 is rounded, to a multiple of the page size if it is one; its low word is exact.
    const index = (Number(ioba) - this.busOffset) / this.pageSize;
    return index >= 0 && index < this.nbTable && this.aligned(low32(ioba)) ? index : undefined;
  }
  /** Whether an address begins a page. @param low its low word */
  aligned(low: number): boolean {
    return (low & (this.pageSize - 1)) === 0;
  }
  /** Bus address of an entry's page. */
  ioba(index: number): number {
    return this.busOffset + index * this.pageSize;
  }
  /** The guest's view of an entry. */
  get(index: number): bigint {
    return this.#storage.get(index);
  }
  /** Changes the guest's view and tells every notifier. Entries without permission are unmapped, whatever else they hold. */
  *put(index: number, tce: bigint): Task {
    this.#storage.set(index, tce);
    const ioba = this.ioba(index);
    const { notifiers } = this;
    const live = isLive(tce);
    for (let i = 0; i < notifiers.length; i++) yield* live ? notifiers[i].map(ioba, tce) : notifiers[i].unmap(ioba);
  }

  /** Adds a notifier and tells it of every entry that is live, unless the table is known to be empty. */
  *addNotifier(notifier: IommuNotifier, empty = false): Task {
    this.notifiers.push(notifier);
    if (empty) return;
    for (let index = 0; index < this.nbTable; index++) {
      const tce = this.get(index);
      if (isLive(tce)) yield* notifier.map(this.ioba(index), tce);
    }
  }
  removeNotifier(notifier: IommuNotifier): void {
    const at = this.notifiers.indexOf(notifier);
    if (at >= 0) this.notifiers.splice(at, 1);
  }

  /** Machine reset: nothing is mapped any more. */
  *reset(): Task {
    for (let index = 0; index < this.nbTable; index++) if (this.get(index) !== 0n) yield* this.put(index, 0n);
  }
  /** Gives the table back to KVM. */
  *release(machine: Machine): Task {
    const mapping = this.#mapping;
    const fd = this.#fd;
    this.#mapping = undefined;
    this.#fd = -1;
    if (mapping !== undefined) yield* machine.sys.munmap(mapping.va, mapping.length);
    if (fd >= 0) yield* machine.sys.close(fd);
  }
}
