/**
 * mmap(2) of a BAR (vfio_pci_core_mmap): pages that are plain memory, which the process then has as memory, and pages of
 * registers, which only KVM can use on its behalf (`kernel/kvm/logical_ci.ts`); the process itself gets EFAULT there, and
 * reads and writes the descriptor: in this machine only that reaches a bus. A mapping is taken away as soon as
 * loads through it would not reach the device: memory space off, reset (CVE-2020-12888: the access would be an error on
 * the bus), and a frozen PE, where the bridge answers for the device. Linux leaves the last to the bridge; here nothing
 * stands between a mapped page and who uses it. The next read or write of the BAR by the descriptor, once they reach the
 * device again, puts the mapping back: there is no page fault that could (vfio_pci_mmap_fault).
 */
import { Errno } from '../include/uapi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { PTE } from '../lib/address_space.ts';
import { PG } from '../lib/frames.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { preempt, type Task, until } from '../lib/task.ts';
import type { Mm } from '../mm/mm.ts';
import type { PciFunction } from './vfio_pci_function.ts';

interface Mapping {
  readonly start: number;
  readonly size: number;
  readonly bar: number;
  /** In the BAR. */
  readonly offset: number;
  /** Loads and stores reach the pages. */
  present: boolean;
}

export class VfioPciMmap {
  readonly #kernel: Kernel;
  readonly #function: PciFunction;
  readonly #name: string;
  /** The process that has the device, since it mapped something. */
  #mm: Mm | undefined;
  #mappings: Mapping[] = [];
  #watched = false;

  constructor(kernel: Kernel, fn: PciFunction, name: string) {
    this.#kernel = kernel;
    this.#function = fn;
    this.#name = name;
  }

  /**
   * Maps `[offset, offset + length)` of a BAR, whole pages. @throws Errno EINVAL for what cannot be mapped, ENOMEM
   */
  map(bar: number, offset: number, length: number): number {
    const { bridge, pe } = this.#function;
    const whole = length > 0 && (offset | length) % PAGE_SIZE === 0;
    if (!whole || offset + length > bridge.barMappable(pe, bar))
      throw new Errno('EINVAL', `${this.#name}: BAR ${bar} cannot be mapped at 0x${offset.toString(16)}`);
    const { mm } = this.#kernel;
    this.#mm = mm;
    const { start } = mm.mmapDevice(`${this.#name} BAR ${bar}`, { pe, bar, offset }, length);
    const mapping = { start, size: length, bar, offset, present: false };
    this.#mappings.push(mapping);
    if (this.#reachable) this.#enter(mm, mapping, true);
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
      const mm = this.#mm;
      if (mm === undefined || this.#gone(mm)) break;
      const { unmapped } = mm;
      const changed = () => mm.unmapped !== unmapped || this.#mm !== mm;
      const taken = () => !this.#reachable && this.#mappings.some((m) => m.present);
      yield* until('BAR mappings', () => changed() || taken());
      if (changed()) continue;
      yield* this.zap();
    }
    this.#watched = false;
  }

  /** Forgets what user space has unmapped; true when nothing is left. */
  #gone({ vmas }: Mm): boolean {
    if (this.#mappings.some(({ start }) => !vmas.some((vma) => vma.start === start)))
      this.#mappings = this.#mappings.filter(({ start }) => vmas.some((vma) => vma.start === start));
    return this.#mappings.length === 0;
  }

  /** vfio_pci_zap_bars: nobody uses the pages by these mappings any more when it returns. */
  *zap(): Task {
    const mm = this.#mm;
    if (mm === undefined) return;
    const taken = this.#takeAway(mm);
    // At registers nobody is afterwards whom their own lock has not let in.
    for (const mapping of taken)
      for (let at = 0; at < mapping.size; at += PAGE_SIZE) {
        const hpa = this.#frame(mapping, at);
        while (hpa !== undefined && mm.space.frames.refs(hpa) !== 0) yield* preempt();
      }
  }
  #takeAway(mm: Mm): readonly Mapping[] {
    this.#gone(mm);
    const taken = this.#mappings.filter(({ present }) => present);
    for (const mapping of taken) this.#enter(mm, mapping, false);
    return taken;
  }

  /**
   * The device is closed: mappings that were not unmapped never come back, for the next who opens it may be another
   * process. (In Linux a mapping keeps the device open.)
   */
  *release(): Task {
    yield* this.zap();
    this.#mappings = [];
    this.#mm = undefined;
  }

  #enter(mm: Mm, mapping: Mapping, present: boolean): void {
    const { memory } = this.#kernel;
    mapping.present = present;
    for (let at = 0; at < mapping.size; at += PAGE_SIZE)
      memory.store(
        mm.space.entryAddress(mapping.start + at),
        present ? this.#entry(mm, mapping, at) | PTE.PRESENT | PTE.WRITE : 0,
      );
  }
  /** The frame under a page of a mapping; undefined for registers. */
  #frame({ bar, offset }: Mapping, at: number): number | undefined {
    const memory = this.#function.bridge.barMemory(this.#function.pe, bar);
    const inMemory = offset + at - (memory?.offset ?? 0);
    return memory !== undefined && inMemory >= 0 && inMemory < memory.size ? memory.hpa + inMemory : undefined;
  }
  #entry(mm: Mm, mapping: Mapping, at: number): number {
    const hpa = this.#frame(mapping, at);
    if (hpa === undefined) return PTE.IO;
    // Nobody moves what is the device's.
    mm.space.frames.setFlags(hpa, PG.UNMOVABLE);
    return hpa;
  }

  /** An access that reached the device: mappings that were taken away come back. */
  restore(): void {
    const mm = this.#mm;
    if (mm === undefined || this.#mappings.length === 0 || this.#gone(mm) || !this.#reachable) return;
    for (const mapping of this.#mappings) if (!mapping.present) this.#enter(mm, mapping, true);
  }
}
