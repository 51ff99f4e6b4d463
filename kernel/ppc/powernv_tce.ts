/**
 * What only the kernel's thread can do to hardware TCE tables, for it has memory to give and may pin: levels are added
 * when the first entry in them is mapped (arch/powerpc/platforms/powernv/pci-ioda-tce.c, pnv_tce), and in the tables of
 * a v1 container, whose memory nobody registered, each page is pinned when it is mapped. Both serve virtual mode and
 * VFIO's ioctls alike; real mode says H_TOO_HARD.
 */
import { exchangeTce, linkTceLevel, tceLevel } from '../../devices/physical/phb/tce_table.ts';
import { HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { TCE_PCI_WRITE, TCE_PERMISSION_MASK, TCE_SIZE } from '../include/arch/ppc/tce.ts';
import { IOMMU_TABLE, TABLE_PINS } from '../kvm/kvm_area.ts';
import { BUSY, mappedAddress } from '../lib/address_space.ts';
import { type HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import type { Mm } from '../mm/mm.ts';
import type { Process } from '../process.ts';
import { HARDWARE_PERMISSION, TCE_BATCH, TceOps, type TceOpsOptions, USERSPACE_SIZE } from './tce_ops.ts';

const { H_SUCCESS } = HCALL_RETURN;

/** Host pages of one level: above the lowest entries only, there `it_userspace` words behind them. */
export function levelPages(shift: number, lowest: boolean): number {
  return Math.ceil(((TCE_SIZE + (lowest ? USERSPACE_SIZE : 0)) * 2 ** shift) / PAGE_SIZE);
}

export class PowernvTce extends TceOps {
  /** User address of a page that was on the move when it was to be pinned; 0 when none was since this was cleared. */
  moving = 0;
  readonly #mm: Mm;

  /** @param process whose tables and memory it is about */
  constructor(memory: HostMemory, { map, mm }: Process, phbBase: number, options: TceOpsOptions) {
    super(memory, map.kvm, phbBase, options);
    this.#mm = mm;
  }

  protected override grow(table: number, entry: number): boolean {
    const { memory } = this;
    const mm = this.#mm;
    const { table: root, levels, levelShift } = IOMMU_TABLE.at(memory.dv, table);
    for (let level = levels - 2; level >= 0; level--) {
      if (tceLevel(memory, root, levels, levelShift, entry, 0, level) !== 0) continue;
      const pages = levelPages(levelShift, level === 0);
      const next = mm.pages.allocPages(pages);
      if (next === undefined) return false;
      memory.bytes(next, pages * PAGE_SIZE).fill(0);
      const above = tceLevel(memory, root, levels, levelShift, entry, 0, level + 1);
      linkTceLevel(memory, above, level + 1, levelShift, entry, next);
    }
    return true;
  }

  #pins(table: number, bits: number): boolean {
    return (this.memory.load(table + IOMMU_TABLE.offset.pins) & bits) === bits;
  }

  override mappable(table: number, page: number, count: number): boolean {
    if (!this.#pins(table, TABLE_PINS.PINS)) return super.mappable(table, page, count);
    // Beyond what one call pins at once the VMM must decide.
    if (!this.#pins(table, TABLE_PINS.ENABLED) || count > TCE_BATCH) return false;
    const { space } = this.#mm;
    for (let va = page * PAGE_SIZE; va < (page + count) * PAGE_SIZE; va += PAGE_SIZE) {
      const hpa = space.lookup(va, false);
      if (hpa === BUSY) this.moving = va;
      if (hpa < 0) return false;
    }
    return true;
  }

  override map(table: number, first: number, page: number, count: number, permission: number, later = false): number {
    if (!this.#pins(table, TABLE_PINS.PINS)) return super.map(table, first, page, count, permission, later);
    const write = (permission & TCE_PCI_WRITE) !== 0;
    for (let i = 0; i < count; i++) {
      const va = (page + i) * PAGE_SIZE;
      const hpa = this.#mm.tryPinPage(va, write);
      if (hpa === BUSY) this.moving = va;
      if (hpa < 0) return i;
      this.exchangePinned(table, first + i, hpa | HARDWARE_PERMISSION[permission]);
    }
    return count;
  }

  override unmap(table: number, first: number, count: number, later = false): number {
    if (!this.#pins(table, TABLE_PINS.PINS)) return super.unmap(table, first, count, later);
    const hardware = this.#hardware(table);
    const old: number[] = [];
    for (let i = 0; i < count; i++) old.push(exchangeTce(this.memory, hardware, first + i, 0));
    if (old.some((tce) => (tce & TCE_PERMISSION_MASK) !== 0)) this.kill(table, first, count);
    for (const tce of old) this.#unpin(tce);
    return H_SUCCESS;
  }

  /** Sets an entry whose page was pinned for it: exchange, kill, unpin what it named before. */
  exchangePinned(table: number, entry: number, tce: number): void {
    const old = exchangeTce(this.memory, this.#hardware(table), entry, tce);
    this.kill(table, entry, 1);
    this.#unpin(old);
  }

  #hardware(table: number): number {
    return this.memory.load(table + IOMMU_TABLE.offset.table);
  }

  #unpin(tce: number): void {
    if ((tce & TCE_PERMISSION_MASK) === 0) return;
    const mm = this.#mm;
    const hpa = tce - (tce % PAGE_SIZE);
    // 0 when the page was unmapped meanwhile: then nobody translates code from it either.
    const mapping = mm.space.frames.mapping(hpa);
    const va = mapping === 0 ? 0 : mappedAddress(mapping);
    mm.unpinPage(va, hpa, (tce & TCE_PCI_WRITE) !== 0);
  }
}
