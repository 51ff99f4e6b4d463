/** Pinning and access for in-kernel users of a type1 container (mediated devices). Rules: vfio-tce facts 2.4. */

import { Errno } from '../include/uapi/errno.ts';
import { VFIO_DMA_MAP_FLAG } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Mutex, Task } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import { raceWindow } from './race_window.ts';
import type { VfioDevice, VfioKernelUsers } from './vfio.ts';
import type { Type1Dma, Type1DmaTree } from './vfio_iommu_type1_dma.ts';

/** Most pages of one vfio_pin_pages (VFIO_PIN_PAGES_MAX_ENTRIES: a page of pointers). */
export const VFIO_PIN_PAGES_MAX_ENTRIES = PAGE_SIZE / 8;

const hex = (value: number) => `0x${value.toString(16)}`;

export class Type1KernelUsers implements VfioKernelUsers {
  readonly #kernel: Kernel;
  readonly #tree: Type1DmaTree;
  readonly #lock: Mutex;
  readonly #v2: boolean;
  /** Devices that let go of pages when asked: without one nobody may pin. */
  readonly #devices: VfioDevice[] = [];

  constructor(kernel: Kernel, tree: Type1DmaTree, lock: Mutex, v2: boolean) {
    this.#kernel = kernel;
    this.#tree = tree;
    this.#lock = lock;
    this.#v2 = v2;
  }

  registerDevice(device: VfioDevice): void {
    if (device.dmaUnmap !== undefined) this.#devices.push(device);
  }
  unregisterDevice(device: VfioDevice): void {
    const index = this.#devices.indexOf(device);
    if (index >= 0) this.#devices.splice(index, 1);
  }

  /** vfio_notify_dma_unmap: every device lets go of `entry`; called without the lock, for the devices unpin and reset. */
  *notifyUnmap(entry: Type1Dma): Task {
    for (const device of [...this.#devices]) {
      yield* raceWindow(this.#kernel.actor);
      yield* device.dmaUnmap?.(entry.iova, entry.size) ?? nothing();
    }
  }

  *pinPages(device: VfioDevice, iova: number, count: number, prot: number): Task<number[]> {
    if (count > VFIO_PIN_PAGES_MAX_ENTRIES) throw new Errno('E2BIG', `${device.name}: pin ${count} pages`);
    if (!this.#v2) throw new Errno('EACCES', `${device.name}: pin in a type1 (v1) container`);
    yield* this.#lock.lock();
    const hpas: number[] = [];
    try {
      if (this.#devices.length === 0) throw new Errno('EINVAL', `${device.name}: no device that can unpin`);
      while (hpas.length < count) {
        hpas.push(yield* this.#pin(device, iova + hpas.length * PAGE_SIZE, prot));
        yield* raceWindow(this.#kernel.actor);
      }
      this.#kernel.tracer.point(EVENT.mm_pin, this.#hva(iova), count);
      return hpas;
    } catch (error) {
      this.#unpin(iova, hpas.length);
      throw error;
    } finally {
      this.#lock.unlock();
    }
  }

  *#pin(device: VfioDevice, iova: number, prot: number): Task<number> {
    const entry = this.#tree.find(iova, PAGE_SIZE);
    if (entry === undefined || entry.unmapping)
      throw new Errno('EINVAL', `${device.name}: iova ${hex(iova)} not mapped`);
    if ((entry.prot & prot) !== prot) throw new Errno('EPERM', `${device.name}: iova ${hex(iova)} not writable`);
    const pinned = entry.pins.get(iova);
    if (pinned !== undefined) {
      pinned.references++;
      return pinned.hpa;
    }
    // What is pinned, and whether for writing, is the entry's matter and not the caller's.
    const vaddr = entry.vaddr + (iova - entry.iova);
    const { mm } = this.#kernel;
    const hpa = yield* mm.pinPage(vaddr, (entry.prot & VFIO_DMA_MAP_FLAG.WRITE) !== 0);
    try {
      mm.account(1);
    } catch (error) {
      mm.unpinPage(vaddr, hpa, false);
      throw error;
    }
    entry.pins.set(iova, { hpa, references: 1 });
    return hpa;
  }

  /** The process's address of a mapped `iova`, for traces; 0 when it is not mapped. */
  #hva(iova: number): number {
    const entry = this.#tree.find(iova, 1);
    return entry === undefined ? 0 : entry.vaddr + (iova - entry.iova);
  }

  unpinPages(device: VfioDevice, iova: number, count: number): void {
    const hva = this.#hva(iova);
    const done = this.#unpin(iova, count);
    this.#kernel.tracer.point(EVENT.mm_unpin, hva, done);
    if (done < count) this.#kernel.log(`${device.name}: unpin of iova ${hex(iova + done * PAGE_SIZE)}: not mapped`);
  }

  /** Drops a reference of each page; stops at the first iova outside every mapping and returns how many it passed. */
  #unpin(iova: number, count: number): number {
    for (let i = 0; i < count; i++) {
      const at = iova + i * PAGE_SIZE;
      const entry = this.#tree.find(at, PAGE_SIZE);
      if (entry === undefined) return i;
      const page = entry.pins.get(at);
      if (page !== undefined && --page.references === 0) this.#release(entry, at, page.hpa);
    }
    return count;
  }

  #release(entry: Type1Dma, iova: number, hpa: number): void {
    const { mm } = this.#kernel;
    entry.pins.delete(iova);
    mm.unpinPage(entry.vaddr + (iova - entry.iova), hpa, (entry.prot & VFIO_DMA_MAP_FLAG.WRITE) !== 0);
    mm.unaccount(1);
  }

  /** Unpins whatever a mapping still holds, when its container goes. */
  releaseAll(entry: Type1Dma): void {
    for (const [iova, { hpa }] of [...entry.pins]) this.#release(entry, iova, hpa);
  }

  *dmaRw(iova: number, bytes: Uint8Array, write: boolean): Task {
    yield* this.#lock.lock();
    try {
      for (let done = 0; done < bytes.length; ) {
        const at = iova + done;
        const entry = this.#tree.find(at, 1);
        if (entry === undefined) throw new Errno('EINVAL', `iova ${hex(at)} not mapped`);
        // Reading permission is asked of writers too: a write-only mapping can be written by devices only.
        const needed = VFIO_DMA_MAP_FLAG.READ | (write ? VFIO_DMA_MAP_FLAG.WRITE : 0);
        if ((entry.prot & needed) !== needed) throw new Errno('EPERM', `iova ${hex(at)}`);
        const length = Math.min(bytes.length - done, entry.iova + entry.size - at);
        yield* this.#kernel.mm.space.copy(entry.vaddr + (at - entry.iova), bytes.subarray(done, done + length), write);
        done += length;
      }
    } finally {
      this.#lock.unlock();
    }
  }
}

function* nothing(): Task {}
