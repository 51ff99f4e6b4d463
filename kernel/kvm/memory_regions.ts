/** KVM_SET_USER_MEMORY_REGION: the guest-physical memory map, in shared memory (virt/kvm/kvm_main.c, __kvm_set_memory_region). */
import { Errno } from '../include/uapi/errno.ts';
import type { kvm_userspace_memory_region } from '../include/uapi/kvm.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { MEMSLOTS, type Memslot, Memslots } from '../lib/memslots.ts';
import type { View } from '../lib/struct.ts';
import { Mutex, type Task } from '../lib/task.ts';
import type { Mm } from '../mm/mm.ts';
import type { TceContext } from '../ppc/tce_context.ts';
import type { VcpuRequests } from './vcpu_requests.ts';

/** Largest guest-physical address plus one that numbers here hold exactly. */
const LIMIT = 2 ** 53;

export class MemoryRegions {
  readonly #mm: Mm;
  readonly #memslots: Memslots;
  readonly #requests: VcpuRequests;
  readonly #mutex = new Mutex('slots_lock');

  constructor({ kernel, map, mm, requests }: TceContext) {
    this.#mm = mm;
    this.#memslots = new Memslots(kernel.memory, map.memslots);
    this.#requests = requests;
  }

  /** @throws Errno EINVAL for what cannot be, EEXIST when it overlaps another slot */
  *set(region: View<typeof kvm_userspace_memory_region.fields>): Task<number> {
    const { slot, flags, guest_phys_addr: gpa, memory_size: size, userspace_addr: hva } = region;
    const unaligned = [gpa, size, hva].some((value) => value % PAGE_SIZE !== 0);
    if (flags !== 0 || slot >= MEMSLOTS || unaligned || gpa + size > LIMIT || hva + size > LIMIT)
      throw new Errno('EINVAL', `memory slot ${slot} at 0x${gpa.toString(16)}, size 0x${size.toString(16)}`);
    yield* this.#mutex.lock();
    try {
      const old = this.#used(slot);
      this.#check(slot, gpa, size, old.size);
      // Withdrawn first, and out of every vCPU's translations, before something else appears at these addresses.
      if (old.size !== 0) {
        this.#withdraw(slot);
        yield* this.#requests.flushAll('memory slot in use');
      }
      if (size !== 0) this.#install(slot, { gpa, size, hva });
    } finally {
      this.#mutex.unlock();
    }
    return 0;
  }

  /** What is installed under a number, RAM or a BAR; size 0 for nothing. */
  #used(slot: number): Memslot {
    const ram = this.#memslots.get(slot);
    return ram.size !== 0 ? ram : this.#memslots.getDevice(slot);
  }
  #withdraw(slot: number): void {
    const [ram, device] = [this.#memslots.get(slot), this.#memslots.getDevice(slot)];
    if (ram.size !== 0) this.#memslots.set(slot, { ...ram, size: 0 });
    if (device.size !== 0) this.#memslots.setDevice(slot, { ...device, size: 0 });
  }
  /** User pages that are a device's BAR are no RAM: only accesses to the bus reach them (`logical_ci.ts`). */
  #install(slot: number, value: Memslot): void {
    const vma = this.#mm.vma(value.hva, value.size);
    if (vma?.device === undefined) this.#memslots.set(slot, value);
    else {
      const { pe, bar, offset } = vma.device;
      this.#memslots.setDevice(slot, { ...value, pe, bar, offset: offset + value.hva - vma.start });
    }
  }

  #check(slot: number, gpa: number, size: number, oldSize: number): void {
    if (size === 0 && oldSize === 0) throw new Errno('EINVAL', `memory slot ${slot} does not exist`);
    // A slot is moved or deleted, never resized.
    if (size !== 0 && oldSize !== 0 && size !== oldSize) throw new Errno('EINVAL', `memory slot ${slot}: size changed`);
    for (let other = 0; other < MEMSLOTS; other++) {
      const there = this.#used(other);
      if (size === 0 || other === slot || there.size === 0) continue;
      if (gpa < there.gpa + there.size && there.gpa < gpa + size)
        throw new Errno('EEXIST', `memory slot ${slot} overlaps slot ${other} at 0x${there.gpa.toString(16)}`);
    }
  }

  /** The virtual machine goes: no slot is left. */
  *clear(): Task {
    for (let slot = 0; slot < MEMSLOTS; slot++) this.#withdraw(slot);
    yield* this.#requests.flushAll('memory slots in use');
  }
}
