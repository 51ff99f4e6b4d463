/**
 * Guest TCE tables as kernel objects: KVM_CREATE_SPAPR_TCE, the descriptor, and the hardware tables that hang under a
 * table (arch/powerpc/kvm/book3s_64_vio.c: kvm_vm_ioctl_create_spapr_tce, kvm_spapr_tce_attach_iommu_group,
 * kvm_spapr_tce_release_iommu_group).
 *
 * The pages of the guest view are allocated here, all of them and in a row, so that real mode never lacks one; Linux
 * allocates each when it is first needed.
 */
import { TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { Errno } from '../include/uapi/errno.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
import type { IommuTable } from '../ppc/iommu_table.ts';
import type { TableGroup } from '../ppc/table_group.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import { File } from '../syscall/file.ts';
import { KVM_AREA, KVM_STT, KVM_STTS, KVM_TCE_LINKS } from './kvm_area.ts';

/** IOMMU page shifts that a table may have (Linux kvm_vm_ioctl_create_spapr_tce). */
const PAGE_SHIFT_RANGE = { least: 12, most: 34 } as const;
/** Bytes that the descriptor of a table is charged for, beside a pointer per page (sizeof kvmppc_spapr_tce_table, rounded). */
const STT_BYTES = 128;
const POINTER = 8;

/** What KVM_CREATE_SPAPR_TCE_64 asks for; offset and size in IOMMU pages. */
export interface SpaprTceArguments {
  readonly liobn: number;
  readonly pageShift: number;
  readonly offset: number;
  readonly size: number;
}

/** Who can bring a hardware table: a group (kvm-vfio's attributes), or a container's descriptor (KVM_SPAPR_TCE_BIND_VFIO). */
export type LinkHolder = TableGroup | File;

/** A hardware table under a guest table: kept as long as one of those who brought it is attached. */
interface Link {
  readonly table: IommuTable;
  /** Address of the word in the slot. */
  readonly at: number;
  readonly holders: Set<LinkHolder>;
}

export class SpaprTceTable {
  readonly liobn: number;
  readonly pageShift: number;
  readonly offset: number;
  readonly size: number;
  /** HPA of the guest view. */
  readonly view: number;
  /** The slot in shared memory. */
  readonly slot: number;
  readonly #host: TceContext;
  readonly #pages: number;
  readonly #charged: number;
  readonly #links: Link[] = [];
  /** Containers that are bound, each with a reference. */
  readonly #bound = new Set<File>();
  readonly #mappings: number[] = [];

  /** @throws Errno EINVAL for a geometry that no table can have, ENOMEM, EBUSY when the LIOBN has a table */
  constructor(host: TceContext, args: SpaprTceArguments, taken: boolean) {
    checkGeometry(args);
    const pages = Math.ceil((args.size * TCE_SIZE) / PAGE_SIZE);
    const charged = pages + Math.ceil((STT_BYTES + pages * POINTER) / PAGE_SIZE);
    const { mm } = host;
    mm.account(charged);
    const slot = taken ? undefined : freeSlot(host);
    const view = slot === undefined ? undefined : mm.pages.allocPages(pages);
    if (slot === undefined || view === undefined) {
      mm.unaccount(charged);
      throw new Errno(taken ? 'EBUSY' : 'ENOMEM', `TCE table for LIOBN 0x${args.liobn.toString(16)}`);
    }
    this.#host = host;
    this.#pages = pages;
    this.#charged = charged;
    this.liobn = args.liobn;
    this.pageShift = args.pageShift;
    this.offset = args.offset;
    this.size = args.size;
    this.slot = slot;
    this.view = view;
    this.#publish();
  }

  /** The word by which vCPUs find the slot. */
  get #pointer(): number {
    const { kvm } = this.#host.map;
    return kvm + KVM_AREA.sttPointer + ((this.slot - kvm - KVM_AREA.stt) / KVM_STT.size) * 4;
  }

  #publish(): void {
    const { memory } = this.#host.kernel;
    const stt = KVM_STT.at(memory.dv, this.slot);
    stt.liobn = this.liobn;
    stt.pageShift = this.pageShift;
    stt.size = this.size;
    stt.offsetHi = Math.floor(this.offset / 2 ** 32);
    stt.offsetLo = this.offset >>> 0;
    stt.view = this.view;
    stt.subpages = 0;
    stt.tablesEnd = 0;
    stt.tables.fill(0);
    memory.store(this.#pointer, this.slot);
  }

  /** Hardware tables attached now, each with the number of those who brought it. */
  attached(): { readonly table: IommuTable; readonly holders: number }[] {
    return this.#links.map(({ table, holders }) => ({ table, holders: holders.size }));
  }

  /**
   * Hangs the first of the tables that fits under this one. The same holder again changes nothing; another group of the
   * container shares the link, as does the container. @param start bus address at which the table must start
   * @throws Errno EINVAL when no table fits, ENOMEM when there are too many
   */
  attach(tables: readonly (IommuTable | undefined)[], holder: LinkHolder, start?: bigint): void {
    const starts = ({ startAddress }: IommuTable) => start === undefined || start === BigInt(startAddress);
    const table = tables.find((one) => one !== undefined && this.#fits(one) && starts(one));
    if (table === undefined) throw new Errno('EINVAL', `no DMA window fits LIOBN 0x${this.liobn.toString(16)}`);
    const link = this.#links.find((one) => one.table === table);
    if (link !== undefined) {
      link.holders.add(holder);
      return;
    }
    const { memory } = this.#host.kernel;
    for (let at = this.slot + KVM_STT.offset.tables, i = 0; i < KVM_TCE_LINKS; i++, at += 4) {
      if (memory.load(at) !== 0) continue;
      this.#links.push({ table: table.get(), at, holders: new Set([holder]) });
      memory.store(at, table.slot);
      this.#measure();
      return;
    }
    throw new Errno('ENOMEM', `LIOBN 0x${this.liobn.toString(16)}: ${KVM_TCE_LINKS} hardware tables are attached`);
  }

  /** Tells real mode how far to look, and how much work an entry is. */
  #measure(): void {
    const { memory } = this.#host.kernel;
    const { offset } = KVM_STT;
    const end = Math.max(0, ...this.#links.map(({ at }) => at + 4 - this.slot - offset.tables));
    const subpages = Math.max(0, ...this.#links.map(({ table }) => 2 ** (this.pageShift - table.pageShift)));
    memory.store(this.slot + offset.subpages, subpages);
    memory.store(this.slot + offset.tablesEnd, end);
  }

  /** Page not larger than the guest's, same start, at least as long (kvm_spapr_tce_attach_iommu_group). */
  #fits(table: IommuTable): boolean {
    return (
      table.pageShift <= this.pageShift &&
      table.startAddress === this.offset * 2 ** this.pageShift &&
      table.entries * 2 ** table.pageShift >= this.size * 2 ** this.pageShift
    );
  }

  /** A holder leaves: links that no other one needs go. One that brought nothing changes nothing. */
  *detach(holder: LinkHolder): Task {
    for (const link of [...this.#links]) {
      if (!link.holders.delete(holder) || link.holders.size > 0) continue;
      yield* this.#unlink(link);
    }
  }

  /**
   * KVM_SPAPR_TCE_BIND_VFIO: the container's window that fits hangs under this table, whichever groups come and go.
   * @throws Errno EIO when the container has no TCE tables, EEXIST when it is bound and its window still there, EINVAL
   *   when none fits, ENOMEM
   */
  bind(container: File, tables: readonly (IommuTable | undefined)[] | undefined): void {
    if (tables === undefined) throw new Errno('EIO', `${container.name} has no TCE tables`);
    if (this.#links.some(({ table, holders }) => holders.has(container) && tables.includes(table)))
      throw new Errno('EEXIST', `LIOBN 0x${this.liobn.toString(16)} is bound to it`);
    this.attach(tables, container);
    if (!this.#bound.has(container)) this.#bound.add(container.get());
  }
  /** KVM_SPAPR_TCE_UNBIND_VFIO. @throws Errno ENOENT when the container is not bound */
  *unbind(container: File): Task {
    if (!this.#bound.delete(container)) throw new Errno('ENOENT', `LIOBN 0x${this.liobn.toString(16)}: not bound`);
    yield* this.detach(container);
    yield* container.put();
  }

  *#unlink(link: Link): Task {
    this.#links.splice(this.#links.indexOf(link), 1);
    // While vCPUs may still use the table, the place in the slot is empty but the reference is held.
    this.#host.kernel.memory.store(link.at, 0);
    this.#measure();
    yield* this.#host.requests.flushAll('hardware TCE table in use');
    yield* link.table.put();
  }

  /** Maps the guest view for the VMM (kvm_spapr_tce_mmap). @throws Errno EINVAL outside the table */
  mmap(length: number, offset: number): number {
    if (offset % PAGE_SIZE !== 0 || offset < 0 || offset + length > this.#pages * PAGE_SIZE)
      throw new Errno('EINVAL', `mmap of 0x${length.toString(16)} bytes of a TCE table`);
    const vma = this.#host.mm.mmapFrames('kvm-spapr-tce', this.view + offset, length);
    this.#mappings.push(vma.start);
    return vma.start;
  }

  /** The descriptor is closed: mappings of the view that are left go with it. */
  *release(): Task {
    const { mm } = this.#host;
    const { memory } = this.#host.kernel;
    memory.store(this.#pointer, 0);
    while (this.#links.length > 0) yield* this.#unlink(this.#links[0]);
    for (const container of [...this.#bound]) yield* this.unbind(container);
    yield* this.#host.requests.flushAll('TCE table in use');
    for (const start of this.#mappings) if (mm.vmas.some((vma) => vma.start === start)) mm.munmap(start);
    mm.pages.freePages(this.view, this.#pages);
    mm.unaccount(this.#charged);
    memory.store(this.slot + KVM_STT.offset.view, 0);
  }
}

function checkGeometry({ liobn, pageShift, offset, size }: SpaprTceArguments): void {
  const end = (offset + size) * 2 ** pageShift;
  const good =
    liobn < 2 ** 32 &&
    size > 0 &&
    pageShift >= PAGE_SHIFT_RANGE.least &&
    pageShift <= PAGE_SHIFT_RANGE.most &&
    end < 2 ** 64;
  if (!good) throw new Errno('EINVAL', `TCE table: page shift ${pageShift}, offset ${offset}, size ${size}`);
  // Beyond any host memory: refused before the locked-memory account, whose numbers it would not fit.
  if (size * TCE_SIZE >= 2 ** 31) throw new Errno('ENOMEM', `TCE table of ${size} entries`);
}

/** A slot is free when it is neither live nor waiting for the grace period of its release. */
function freeSlot({ kernel: { memory }, map }: TceContext): number | undefined {
  for (let i = 0; i < KVM_STTS; i++) {
    const slot = map.kvm + KVM_AREA.stt + i * KVM_STT.size;
    if (memory.load(slot + KVM_STT.offset.view) === 0) return slot;
  }
  return undefined;
}

/** The descriptor of a table. @param release what the virtual machine does when it is closed. */
export function spaprTceFile(table: SpaprTceTable, release: () => Task): File {
  return new File(
    'anon_inode:kvm-spapr-tce',
    {
      *mmap(length, offset) {
        return table.mmap(length, offset);
      },
      release,
    },
    table,
  );
}
