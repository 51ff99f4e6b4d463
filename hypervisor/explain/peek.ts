/** Looks into the memory of a machine that stands still, by each of its kinds of address. Copies: the machine goes on. */
import { SYSCALL_SLOT } from '../../kernel/include/uapi/syscall.ts';
import { AddressSpace } from '../../kernel/lib/address_space.ts';
import { type HostMemory, PAGE_SIZE } from '../../kernel/lib/host_memory.ts';
import { Memslots } from '../../kernel/lib/memslots.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';

/** A machine's memory and where everything is in it. */
export interface MachineMemory {
  readonly memory: HostMemory;
  readonly map: SharedMap;
}

/** Bytes and where they were. */
export interface Placed {
  readonly bytes: Uint8Array;
  /** Host-physical address. */
  readonly hpa: number;
}

export class Peek implements MachineMemory {
  readonly memory: HostMemory;
  readonly map: SharedMap;
  readonly #space: AddressSpace;
  readonly #memslots: Memslots;

  constructor({ memory, map }: MachineMemory) {
    this.memory = memory;
    this.map = map;
    this.#space = new AddressSpace(memory, map);
    this.#memslots = new Memslots(memory, map.memslots);
  }

  /** Bytes at a host-physical address. */
  host(hpa: number, length: number): Uint8Array {
    return this.memory.bytes(hpa, length).slice();
  }
  /** Bytes at an address of the VMM process. @throws Error where nothing is mapped */
  user(va: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, PAGE_SIZE - ((va + done) % PAGE_SIZE));
      bytes.set(this.memory.bytes(this.frame(va + done), part), done);
      done += part;
    }
    return bytes;
  }
  /** Bytes at a guest-physical address. @throws Error outside RAM */
  guest(gpa: number, length: number): Uint8Array {
    return this.user(this.hva(gpa), length);
  }

  /** The arguments of the system call in a slot of the line between VMM and kernel. */
  syscall(slot: number): number[] {
    const at = this.map.syscalls + slot * SYSCALL_SLOT.size + SYSCALL_SLOT.offset.args;
    return Array.from({ length: 6 }, (_, i) => this.memory.dv.getFloat64(at + 8 * i, true));
  }

  /** The VMM's address of a guest-physical one. @throws Error outside RAM */
  hva(gpa: number): number {
    const hva = this.#memslots.hva(gpa);
    if (hva < 0) throw new Error(`guest-physical address 0x${gpa.toString(16)} is no RAM`);
    return hva;
  }
  /** Host-physical address of an address of the VMM process, at this moment. @throws Error where nothing is mapped */
  frame(va: number): number {
    const inPage = va % PAGE_SIZE;
    const hpa = this.#space.lookup(va - inPage, false);
    if (hpa < 0) throw new Error(`nothing is mapped at 0x${va.toString(16)}`);
    return hpa + inPage;
  }
}
