/** Pinning and access for in-kernel users of a type1 container (mediated devices). Rules: vfio-tce facts 2.4. */

import { Errno } from '../include/uapi/errno.ts';
import { VFIO_DMA_MAP_FLAG } from '../include/uapi/vfio.ts';
import type { Kernel } from '../kernel.ts';
import { BUSY, FAULT } from '../lib/address_space.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { Task } from '../lib/task.ts';
import { EVENT } from '../lib/trace.ts';
import type { Mm } from '../mm/mm.ts';
import { raceWindow } from './race_window.ts';
import type { VfioDevice, VfioKernelUsers } from './vfio.ts';
import type { Type1Dma, Type1State } from './vfio_iommu_type1_dma.ts';

/** Most pages of one vfio_pin_pages (VFIO_PIN_PAGES_MAX_ENTRIES: a page of pointers). */
export const VFIO_PIN_PAGES_MAX_ENTRIES = PAGE_SIZE / 8;

const hex = (value: number) => `0x${value.toString(16)}`;

export class Type1KernelUsers implements VfioKernelUsers {
  readonly #kernel: Kernel;
  readonly #mm: Mm;
  readonly #state: Type1State;
  /** Devices that let go of pages when asked: without one nobody may pin. */
  readonly #devices: VfioDevice[] = [];

  constructor(kernel: Kernel, state: Type1State) {
    this.#kernel = kernel;
    this.#mm = kernel.mm;
    this.#state = state;
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
    const { lock } = this.#state;
    const { actor, tracer } = this.#kernel;
    const mm = this.#mm;
    this.#mayPin(device);
    yield* lock.lock();
    const hpas: number[] = [];
    try {
      this.#canPin(device);
      while (hpas.length < count) {
        const at = iova + hpas.length * PAGE_SIZE;
        const entry = this.#entry(device, at, prot);
        const hpa = this.#pin(entry, at);
        if (hpa >= 0) hpas.push(hpa);
        else yield* mm.settle(entry.vaddr + (at - entry.iova));
        yield* raceWindow(actor);
      }
      tracer.point(EVENT.mm_pin, this.#hva(iova), count);
      return hpas;
    } catch (error) {
      this.#unpin(iova, hpas.length);
      throw error;
    } finally {
      lock.unlock();
    }
  }

  tryPinPage(device: VfioDevice, iova: number, prot: number): number {
    const { lock } = this.#state;
    this.#mayPin(device);
    // Nothing sleeps from here to the end, so that the lock need not be held, only be free.
    if (lock.held) return -1;
    this.#canPin(device);
    const entry = this.#entry(device, iova, prot);
    const hpa = this.#pin(entry, iova);
    if (hpa < 0) return -1;
    this.#kernel.tracer.point(EVENT.mm_pin, entry.vaddr + (iova - entry.iova), 1);
    return hpa;
  }

  /** @throws Errno EACCES */
  #mayPin(device: VfioDevice): void {
    if (!this.#state.v2) throw new Errno('EACCES', `${device.name}: pin in a type1 (v1) container`);
  }
  /** Under the lock. @throws Errno EBUSY, EINVAL */
  #canPin(device: VfioDevice): void {
    if (this.#state.invalidVaddrs > 0) throw new Errno('EBUSY', `${device.name}: addresses are being updated`);
    if (this.#devices.length === 0) throw new Errno('EINVAL', `${device.name}: no device that can unpin`);
  }

  /** The mapping of a page that may be pinned for `prot`. @throws Errno EINVAL, EPERM */
  #entry(device: VfioDevice, iova: number, prot: number): Type1Dma {
    const entry = this.#state.tree.find(iova, PAGE_SIZE);
    if (entry === undefined || entry.unmapping)
      throw new Errno('EINVAL', `${device.name}: iova ${hex(iova)} not mapped`);
    if ((entry.prot & prot) !== prot) throw new Errno('EPERM', `${device.name}: iova ${hex(iova)} not writable`);
    return entry;
  }

  /** One reference more for a page: its HPA, or BUSY while it is being moved. @throws Errno EFAULT, ENOMEM */
  #pin(entry: Type1Dma, iova: number): number {
    const mm = this.#mm;
    const page = (iova - entry.iova) / PAGE_SIZE;
    let hpa = entry.pins.reference(page);
    if (hpa < 0) {
      // What is pinned, and whether for writing, is the entry's matter and not the caller's.
      const vaddr = entry.vaddr + (iova - entry.iova);
      hpa = mm.tryPinPage(vaddr, (entry.prot & VFIO_DMA_MAP_FLAG.WRITE) !== 0);
      if (hpa === FAULT) throw new Errno('EFAULT', `pin 0x${vaddr.toString(16)}`);
      if (hpa === BUSY) return BUSY;
      try {
        // Where an IOMMU maps the entry, MAP_DMA has charged its pages.
        if (this.#state.domains === 0) mm.account(1, entry.lockCap);
      } catch (error) {
        mm.unpinPage(vaddr, hpa, false);
        throw error;
      }
      entry.pins.add(page, hpa);
    }
    // A device that has the page may write it at any time.
    entry.dirty?.add(page);
    return hpa;
  }

  /** The process's address of a mapped `iova`, for traces; 0 when it is not mapped. */
  #hva(iova: number): number {
    const entry = this.#state.tree.find(iova, 1);
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
      const entry = this.#state.tree.find(at, PAGE_SIZE);
      if (entry === undefined) return i;
      const page = (at - entry.iova) / PAGE_SIZE;
      const hpa = entry.pins.unreference(page);
      if (hpa >= 0) this.#release(entry, page, hpa);
    }
    return count;
  }

  /** Gives a frame back that nobody holds any more. */
  #release(entry: Type1Dma, page: number, hpa: number): void {
    const mm = this.#mm;
    mm.unpinPage(entry.vaddr + page * PAGE_SIZE, hpa, (entry.prot & VFIO_DMA_MAP_FLAG.WRITE) !== 0);
    if (this.#state.domains === 0) mm.unaccount(1);
  }

  /** Unpins whatever a mapping still holds, when its container goes. */
  releaseAll(entry: Type1Dma): void {
    for (const page of entry.pins.pages()) this.#release(entry, page, entry.pins.drop(page));
  }

  *dmaRw(iova: number, bytes: Uint8Array, write: boolean): Task {
    const { lock } = this.#state;
    yield* lock.lock();
    try {
      for (let done = 0; done < bytes.length; ) {
        const at = iova + done;
        const entry = this.#accessible(at, write);
        const length = Math.min(bytes.length - done, entry.iova + entry.size - at);
        yield* this.#mm.space.copy(entry.vaddr + (at - entry.iova), bytes.subarray(done, done + length), write);
        if (write) markDirty(entry, at, length);
        done += length;
      }
    } finally {
      lock.unlock();
    }
  }

  tryDmaRead(iova: number, bytes: Uint8Array): boolean {
    if (this.#state.lock.held) return false;
    const entry = this.#accessible(iova, false);
    if (iova + bytes.length > entry.iova + entry.size) return false;
    const vaddr = entry.vaddr + (iova - entry.iova);
    const result = this.#mm.tryCopyIn(vaddr, bytes);
    if (result === FAULT) throw new Errno('EFAULT', `address 0x${vaddr.toString(16)}`);
    return result !== BUSY;
  }

  /** The mapping of a byte that the kernel may read or write. @throws Errno EBUSY, EINVAL, EPERM */
  #accessible(iova: number, write: boolean): Type1Dma {
    if (this.#state.invalidVaddrs > 0) throw new Errno('EBUSY', `iova ${hex(iova)}: addresses are being updated`);
    const entry = this.#state.tree.find(iova, 1);
    if (entry === undefined) throw new Errno('EINVAL', `iova ${hex(iova)} not mapped`);
    // Reading permission is asked of writers too: a write-only mapping can be written by devices only.
    const needed = VFIO_DMA_MAP_FLAG.READ | (write ? VFIO_DMA_MAP_FLAG.WRITE : 0);
    if ((entry.prot & needed) !== needed) throw new Errno('EPERM', `iova ${hex(iova)}`);
    return entry;
  }
}

/** The kernel wrote `length` bytes from `iova` on. */
function markDirty({ dirty, iova: start }: Type1Dma, iova: number, length: number): void {
  if (dirty === undefined) return;
  const last = Math.floor((iova + length - 1 - start) / PAGE_SIZE);
  for (let page = Math.floor((iova - start) / PAGE_SIZE); page <= last; page++) dirty.add(page);
}

function* nothing(): Task {}
