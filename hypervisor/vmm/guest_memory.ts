/** Guest RAM as the VMM reaches it: guest-physical to the VMM's mapping, then through its page table. */
import { Errno } from '../../kernel/include/uapi/errno.ts';
import { AddressSpace } from '../../kernel/lib/address_space.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import type { SharedMap } from '../../kernel/lib/shared_map.ts';
import type { Task } from '../../kernel/lib/task.ts';
import { type GuestMemory, PGM, ProgramInterruption } from '../machine_api.ts';

export class GuestRam implements GuestMemory {
  readonly size: number;
  readonly space: AddressSpace;
  #start = -1;

  constructor(memory: HostMemory, map: SharedMap, size: number) {
    this.space = new AddressSpace(memory, map);
    this.size = size;
  }
  /** Says where the RAM is mapped. */
  mapped(start: number): void {
    this.#start = start;
  }
  hva(gpa: number): number {
    return gpa >= 0 && gpa < this.size ? this.#start + gpa : -1;
  }
  /** Guest-physical address of a VMM address, or -1 outside RAM. */
  gpa(va: number): number {
    const gpa = va - this.#start;
    return this.#start >= 0 && gpa >= 0 && gpa < this.size ? gpa : -1;
  }
  *read(gpa: number, length: number): Task<Uint8Array> {
    const bytes = new Uint8Array(length);
    yield* this.#copy(gpa, bytes, false);
    return bytes;
  }
  *write(gpa: number, bytes: Uint8Array): Task {
    yield* this.#copy(gpa, bytes, true);
  }
  *#copy(gpa: number, bytes: Uint8Array, write: boolean): Task {
    if (!(gpa >= 0 && gpa + bytes.length <= this.size)) throw new ProgramInterruption(PGM.ADDRESSING);
    if (bytes.length === 0) return;
    if (this.space.tryCopy(this.#start + gpa, bytes, write)) return;
    try {
      yield* this.space.copy(this.#start + gpa, bytes, write);
    } catch (error) {
      if (error instanceof Errno) throw new ProgramInterruption(PGM.ADDRESSING);
      throw error;
    }
  }
}
