/**
 * mmap(2) of a BAR (vfio_pci_core_mmap): those of its pages that are plain memory. A mapping is taken away as soon as
 * loads through it would not reach the device: memory space off, reset (CVE-2020-12888: the access would be an error on
 * the bus), and a frozen PE, where the bridge answers for the device. Linux leaves the last to the bridge; here nothing
 * stands between a mapped page and who uses it. The next read or write of the BAR by the descriptor, once they reach the
 * device again, puts the mapping back: there is no page fault that could (vfio_pci_mmap_fault).
 */
import { Errno } from '../include/uapi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { PTE } from '../lib/address_space.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { preempt, type Task, until } from '../lib/task.ts';
import type { PciFunction } from './vfio_pci_function.ts';

interface Mapping {
  readonly start: number;
  readonly size: number;
  readonly hpa: number;
  /** Loads and stores reach the pages. */
  present: boolean;
}

export class VfioPciMmap {
  readonly #kernel: Kernel;
  readonly #function: PciFunction;
  readonly #name: string;
  #mappings: Mapping[] = [];
  #watched = false;

  constructor(kernel: Kernel, fn: PciFunction, name: string) {
    this.#kernel = kernel;
    this.#function = fn;
    this.#name = name;
  }

  /**
   * Maps `[offset, offset + length)` of a BAR; `length` is whole pages. @throws Errno EINVAL for what is no memory, ENOMEM
   */
  map(bar: number, offset: number, length: number): number {
    const memory = this.#function.bridge.barMemory(this.#function.pe, bar);
    if (memory === undefined || offset < memory.offset || offset + length > memory.offset + memory.size)
      throw new Errno('EINVAL', `${this.#name}: BAR ${bar} cannot be mapped at 0x${offset.toString(16)}`);
    const hpa = memory.hpa + offset - memory.offset;
    const { start } = this.#kernel.mm.mmapFrames(`${this.#name} BAR ${bar}`, hpa, length);
    const mapping = { start, size: length, hpa, present: true };
    this.#mappings.push(mapping);
    if (!this.#reachable) this.#takeAway();
    if (!this.#watched) {
      this.#watched = true;
      this.#kernel.actor.spawn(`${this.#name} mappings`, this.#watch());
    }
    return start;
  }

  get #reachable(): boolean {
    return this.#function.bridge.mmioEnabled(this.#function.pe);
  }

  /** Takes mappings away from a PE that froze by itself. Ends with the last mapping. */
  *#watch(): Task {
    for (;;) {
      yield* until('BAR mappings', () => this.#gone() || (!this.#reachable && this.#mappings.some((m) => m.present)));
      if (this.#gone()) break;
      yield* this.zap();
    }
    this.#watched = false;
  }

  /** Forgets what user space has unmapped; true when nothing is left. */
  #gone(): boolean {
    const { vmas } = this.#kernel.mm;
    if (this.#mappings.some(({ start }) => !vmas.some((vma) => vma.start === start)))
      this.#mappings = this.#mappings.filter(({ start }) => vmas.some((vma) => vma.start === start));
    return this.#mappings.length === 0;
  }

  /** vfio_pci_zap_bars: nobody uses the pages by these mappings any more when it returns. */
  *zap(): Task {
    const taken = this.#takeAway();
    for (const { hpa, size } of taken)
      for (let at = hpa; at < hpa + size; at += PAGE_SIZE)
        while (this.#kernel.mm.space.frames.refs(at) !== 0) yield* preempt();
  }
  #takeAway(): readonly Mapping[] {
    this.#gone();
    const taken = this.#mappings.filter(({ present }) => present);
    for (const mapping of taken) this.#enter(mapping, false);
    return taken;
  }
  #enter(mapping: Mapping, present: boolean): void {
    const { memory, mm } = this.#kernel;
    mapping.present = present;
    for (let at = 0; at < mapping.size; at += PAGE_SIZE)
      memory.store(
        mm.space.entryAddress(mapping.start + at),
        present ? (mapping.hpa + at) | PTE.PRESENT | PTE.WRITE : 0,
      );
  }

  /** An access that reached the device: mappings that were taken away come back. */
  restore(): void {
    if (this.#mappings.length === 0 || this.#gone() || !this.#reachable) return;
    for (const mapping of this.#mappings) if (!mapping.present) this.#enter(mapping, true);
  }
}
