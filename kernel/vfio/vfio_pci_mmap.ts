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
    const { start } = this.#kernel.mm.mmapDevice(`${this.#name} BAR ${bar}`, { pe, bar, offset }, length);
    const mapping = { start, size: length, bar, offset, present: false };
    this.#mappings.push(mapping);
    if (this.#reachable) this.#enter(mapping, true);
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
      const { mm } = this.#kernel;
      const { unmapped } = mm;
      if (this.#gone()) break;
      const taken = () => !this.#reachable && this.#mappings.some((m) => m.present);
      yield* until('BAR mappings', () => mm.unmapped !== unmapped || taken());
      if (mm.unmapped !== unmapped) continue;
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
    // At registers nobody is afterwards whom their own lock has not let in.
    for (const mapping of taken)
      for (let at = 0; at < mapping.size; at += PAGE_SIZE) {
        const hpa = this.#frame(mapping, at);
        while (hpa !== undefined && this.#kernel.mm.space.frames.refs(hpa) !== 0) yield* preempt();
      }
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
        present ? this.#entry(mapping, at) | PTE.PRESENT | PTE.WRITE : 0,
      );
  }
  /** The frame under a page of a mapping; undefined for registers. */
  #frame({ bar, offset }: Mapping, at: number): number | undefined {
    const memory = this.#function.bridge.barMemory(this.#function.pe, bar);
    const inMemory = offset + at - (memory?.offset ?? 0);
    return memory !== undefined && inMemory >= 0 && inMemory < memory.size ? memory.hpa + inMemory : undefined;
  }
  #entry(mapping: Mapping, at: number): number {
    const hpa = this.#frame(mapping, at);
    if (hpa === undefined) return PTE.IO;
    // Nobody moves what is the device's.
    this.#kernel.mm.space.frames.setFlags(hpa, PG.UNMOVABLE);
    return hpa;
  }

  /** An access that reached the device: mappings that were taken away come back. */
  restore(): void {
    if (this.#mappings.length === 0 || this.#gone() || !this.#reachable) return;
    for (const mapping of this.#mappings) if (!mapping.present) this.#enter(mapping, true);
  }
}
