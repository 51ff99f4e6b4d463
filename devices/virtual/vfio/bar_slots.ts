/**
 * Memory slots of mapped BARs: what KVM reaches without leaving the kernel (QEMU accel/kvm/kvm-all.c, kvm_set_phys_mem,
 * told by the memory listener when the guest moves a BAR or switches memory space). Called with the machine's lock.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { KVM_SET_USER_MEMORY_REGION } from '../../../kernel/include/uapi/ioctl.ts';
import { kvm_userspace_memory_region } from '../../../kernel/include/uapi/kvm.ts';
import type { Task } from '../../../kernel/lib/task.ts';

/** A part of a BAR that the VMM has mapped, and where the guest has it. */
export interface BarArea {
  readonly gpa: number;
  readonly size: number;
  readonly va: number;
}

/** Slot 0 is RAM; KVM has 32. */
const FIRST_SLOT = 1;
const END_SLOT = 32;

export class BarSlots {
  readonly #machine: Machine;
  /** By slot number. */
  readonly #used = new Map<number, BarArea & { readonly owner: object }>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Slots in use. */
  get count(): number {
    return this.#used.size;
  }

  /**
   * Makes `areas`, which do not overlap, all that KVM reaches of an owner's. What it cannot take is reached by exits, as
   * before: that costs time, and nothing else.
   */
  *update(owner: object, areas: readonly BarArea[]): Task {
    const missing = [...areas];
    for (const [slot, used] of [...this.#used]) {
      if (used.owner !== owner) continue;
      const same = missing.findIndex(({ gpa, size, va }) => gpa === used.gpa && size === used.size && va === used.va);
      if (same >= 0) {
        missing.splice(same, 1);
        continue;
      }
      // What KVM has not let go of is not free for another.
      if (yield* this.#set(slot, { ...used, size: 0 })) this.#used.delete(slot);
    }
    for (const area of missing) {
      const slot = this.#free();
      if (slot !== undefined && (yield* this.#set(slot, area))) this.#used.set(slot, { ...area, owner });
    }
  }

  #free(): number | undefined {
    for (let slot = FIRST_SLOT; slot < END_SLOT; slot++) if (!this.#used.has(slot)) return slot;
    return undefined;
  }

  /** @returns whether KVM has taken it */
  *#set(slot: number, { gpa, size, va }: BarArea): Task<boolean> {
    const { sys, vmFd } = this.#machine;
    const region = { slot, flags: 0, guest_phys_addr: gpa, memory_size: size, userspace_addr: va };
    try {
      yield* sys.ioctlStruct(vmFd, KVM_SET_USER_MEMORY_REGION, kvm_userspace_memory_region.make(region));
      return true;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.#machine.log(`kvm: memory slot ${slot} for a BAR at 0x${gpa.toString(16)}: ${error.message}`);
      return false;
    }
  }
}
