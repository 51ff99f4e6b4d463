/**
 * The IOMMUs of a type1 container: as long as there is one, every mapping is pinned as a whole, charged, and mapped in
 * each of them (vfio_pin_map_dma, vfio_iommu_replay, vfio_unmap_unpin; vfio-tce facts 2.1, 2.2).
 */
import { Errno } from '../include/uapi/errno.ts';
import { VFIO_DMA_MAP_FLAG } from '../include/uapi/vfio.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
import type { Mm } from '../mm/mm.ts';
import type { IommuDomain } from './vfio.ts';
import type { Type1Dma, Type1State } from './vfio_iommu_type1_dma.ts';

export class Type1Domains {
  readonly #mm: Mm;
  readonly #state: Type1State;
  readonly #domains: IommuDomain[] = [];

  constructor(mm: Mm, state: Type1State) {
    this.#mm = mm;
    this.#state = state;
  }

  /** An IOMMU joins: everything is mapped in it, or nothing. @throws Errno EINVAL, EFAULT, ENOMEM */
  *add(domain: IommuDomain): Task {
    const mapped: Type1Dma[] = [];
    const first = this.#domains.length === 0;
    domain.attach?.();
    try {
      for (const entry of this.#state.tree) {
        if (first) yield* this.#pin(entry);
        try {
          domain.map(entry.iova, entry.frames as number[], entry.prot);
        } catch (error) {
          if (first) this.#unpin(entry);
          throw error;
        }
        mapped.push(entry);
      }
    } catch (error) {
      for (const entry of mapped) {
        domain.unmap(entry.iova, entry.size);
        if (first) this.#unpin(entry);
      }
      domain.detach?.();
      throw error;
    }
    this.#domains.push(domain);
    this.#state.domains = this.#domains.length;
  }

  /** An IOMMU leaves, if it is one of them. With the last one pages are held for mediated devices only. */
  remove(domain: IommuDomain): void {
    const at = this.#domains.indexOf(domain);
    if (at < 0) return;
    this.#domains.splice(at, 1);
    this.#state.domains = this.#domains.length;
    domain.detach?.();
    for (const entry of this.#state.tree) {
      domain.unmap(entry.iova, entry.size);
      if (this.#domains.length > 0) continue;
      // Until now the device could write every page without a word.
      if (entry.dirty !== undefined) for (let page = 0; page < entry.size / PAGE_SIZE; page++) entry.dirty.add(page);
      this.#unpin(entry);
    }
  }

  /** A new mapping. @throws Errno EINVAL, EFAULT, ENOMEM: nothing of it stays */
  *map(entry: Type1Dma): Task {
    if (this.#domains.length === 0) return;
    yield* this.#pin(entry);
    const done: IommuDomain[] = [];
    try {
      for (const domain of this.#domains) {
        domain.map(entry.iova, entry.frames as number[], entry.prot);
        done.push(domain);
      }
    } catch (error) {
      for (const domain of done) domain.unmap(entry.iova, entry.size);
      this.#unpin(entry);
      throw error;
    }
  }

  /** A mapping goes: out of every IOMMU first, and only then are its pages free to move. */
  unmap(entry: Type1Dma): void {
    if (entry.frames === undefined) return;
    for (const domain of this.#domains) domain.unmap(entry.iova, entry.size);
    this.#unpin(entry);
  }

  /** Pins all pages. Those that mediated devices have pinned are charged already. @throws Errno EFAULT, ENOMEM */
  *#pin(entry: Type1Dma): Task {
    const mm = this.#mm;
    const pages = entry.size / PAGE_SIZE;
    const write = (entry.prot & VFIO_DMA_MAP_FLAG.WRITE) !== 0;
    if (pages > mm.space.frames.end / PAGE_SIZE)
      throw new Errno('ENOMEM', `MAP_DMA of ${pages} pages: more than the machine has`);
    const charge = pages - entry.pins.size;
    mm.account(charge, entry.lockCap);
    const frames: number[] = [];
    try {
      while (frames.length < pages) frames.push(yield* mm.pinPage(entry.vaddr + frames.length * PAGE_SIZE, write));
    } catch (error) {
      for (const [i, hpa] of frames.entries()) mm.unpinPage(entry.vaddr + i * PAGE_SIZE, hpa, false);
      mm.unaccount(charge);
      throw error;
    }
    entry.frames = frames;
  }

  #unpin(entry: Type1Dma): void {
    const mm = this.#mm;
    const dirty = (entry.prot & VFIO_DMA_MAP_FLAG.WRITE) !== 0;
    for (const [i, hpa] of (entry.frames ?? []).entries()) mm.unpinPage(entry.vaddr + i * PAGE_SIZE, hpa, dirty);
    mm.unaccount(entry.size / PAGE_SIZE - entry.pins.size);
    entry.frames = undefined;
  }
}
