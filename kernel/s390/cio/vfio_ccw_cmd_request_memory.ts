/**
 * The memory behind a no-IOMMU group: the process's own. The 2016 RFC pins with get_user_pages_fast whatever address user
 * space names; there are no mappings that an address would have to be in, so nothing here can refuse one that is the
 * VMM's own and not its guest's. Pinned pages are charged against the locked-memory limit, which the RFC forgot.
 */
import { Errno } from '../../include/uapi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import { PAGE_SIZE } from '../../lib/host_memory.ts';
import type { Task } from '../../lib/task.ts';
import { EVENT } from '../../lib/trace.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { VfioDevice } from '../../vfio/vfio.ts';
import type { CpMemory } from './vfio_ccw_cp_chain.ts';

export class UserMemory implements CpMemory {
  readonly #kernel: Kernel;
  /** Pages pinned, by user address. */
  readonly #pins = new Map<number, { readonly hpa: number; references: number }>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** copy_from_user, copy_to_user. @throws Errno EFAULT */
  *dmaRw(address: number, bytes: Uint8Array, write: boolean): Task {
    yield* this.#kernel.mm.space.copy(address, bytes, write);
  }

  /** Pins for writing, always. @throws Errno EFAULT, ENOMEM: nothing stays pinned */
  *pinPages(device: VfioDevice, address: number, count: number): Task<number[]> {
    const hpas: number[] = [];
    try {
      while (hpas.length < count) {
        hpas.push(yield* this.#pin(device, address + hpas.length * PAGE_SIZE));
        yield* raceWindow(this.#kernel.actor);
      }
      this.#kernel.tracer.point(EVENT.mm_pin, address, count);
      return hpas;
    } catch (error) {
      this.#unpin(address, hpas.length);
      throw error;
    }
  }

  *#pin(device: VfioDevice, page: number): Task<number> {
    const { mm } = this.#kernel;
    const pinned = this.#pins.get(page);
    if (pinned !== undefined) {
      pinned.references++;
      return pinned.hpa;
    }
    let hpa: number;
    try {
      hpa = yield* mm.pinPage(page, true);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      throw new Errno(error.code, `${device.name}: user address 0x${page.toString(16)}`);
    }
    try {
      mm.account(1);
    } catch (error) {
      mm.unpinPage(page, hpa, false);
      throw error;
    }
    this.#pins.set(page, { hpa, references: 1 });
    return hpa;
  }

  unpinPages(_device: VfioDevice, address: number, count: number): void {
    this.#unpin(address, count);
    this.#kernel.tracer.point(EVENT.mm_unpin, address, count);
  }

  #unpin(address: number, count: number): void {
    const { mm } = this.#kernel;
    for (let page = address; page < address + count * PAGE_SIZE; page += PAGE_SIZE) {
      const pinned = this.#pins.get(page);
      if (pinned === undefined || --pinned.references > 0) continue;
      this.#pins.delete(page);
      mm.unpinPage(page, pinned.hpa, true);
      mm.unaccount(1);
    }
  }
}
