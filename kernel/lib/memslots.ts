/**
 * Memory slots: which guest-physical range is which range of the VMM's address space (KVM_SET_USER_MEMORY_REGION).
 * The kernel writes them; every thread reads. Entry: guest address, size, user address (doubles), and, where the user
 * pages are a device's BAR, the PE and
 * the BAR (bits 8 on) and the offset in it in the two words of the fourth.
 *
 * Slots of RAM and slots of BARs have a table each, so that nothing that looks for RAM ever finds a device. A slot's number
 * is in use in one of them at most.
 */
import type { HostMemory } from './host_memory.ts';

export interface Memslot {
  readonly gpa: number;
  readonly size: number;
  readonly hva: number;
}

/** A slot whose user pages are a BAR of a device. */
export interface DeviceSlot extends Memslot {
  readonly pe: number;
  readonly bar: number;
  /** Of the slot's first byte in the BAR. */
  readonly offset: number;
}

/** An entry: where its doubles lie, in bytes, and its size. */
export const MEMSLOT = { offset: { gpa: 0, size: 8, hva: 16 }, size: 32 } as const;
const ENTRY = MEMSLOT.size;
/** Where the BAR's number is beside the PE's. */
const BAR_SHIFT = 8;
/** Slots (KVM_USER_MEM_SLOTS is larger; two machines' worth of RAM and tables fit). */
export const MEMSLOTS = 32;

export class Memslots {
  readonly #memory: HostMemory;
  readonly #base: number;
  readonly #devices: number;
  constructor(memory: HostMemory, base: number) {
    this.#memory = memory;
    this.#base = base;
    this.#devices = base + MEMSLOTS * ENTRY;
  }
  /** The slot with that number; size 0 when unused. */
  get(slot: number): Memslot {
    const at = this.#base + slot * ENTRY;
    const { dv } = this.#memory;
    return { gpa: dv.getFloat64(at, true), size: dv.getFloat64(at + 8, true), hva: dv.getFloat64(at + 16, true) };
  }
  /** Writes a slot; size 0 removes it. */
  set(slot: number, value: Memslot): void {
    const at = this.#base + slot * ENTRY;
    const { dv } = this.#memory;
    dv.setFloat64(at + 8, 0, true);
    dv.setFloat64(at, value.gpa, true);
    dv.setFloat64(at + 16, value.hva, true);
    dv.setFloat64(at + 8, value.size, true);
  }
  // Slots of devices' BARs

  /** The device slot with that number; size 0 when unused. */
  getDevice(slot: number): DeviceSlot {
    const at = this.#devices + slot * ENTRY;
    const { dv } = this.#memory;
    return {
      gpa: dv.getFloat64(at, true),
      size: dv.getFloat64(at + 8, true),
      hva: dv.getFloat64(at + 16, true),
      pe: this.devicePe(at),
      bar: this.deviceBar(at),
      offset: dv.getUint32(at + 28, true),
    };
  }
  /** Writes a device slot; size 0 removes it. */
  setDevice(slot: number, value: DeviceSlot): void {
    const at = this.#devices + slot * ENTRY;
    const { dv } = this.#memory;
    dv.setFloat64(at + 8, 0, true);
    dv.setFloat64(at, value.gpa, true);
    dv.setFloat64(at + 16, value.hva, true);
    dv.setUint32(at + 24, value.pe | (value.bar << BAR_SHIFT), true);
    dv.setUint32(at + 28, value.offset, true);
    dv.setFloat64(at + 8, value.size, true);
  }
  /** Place of the device slot that guest-physical `gpa` is in, for the functions below; 0 when it is in none. */
  deviceSlot(gpa: number): number {
    const { dv } = this.#memory;
    for (let at = this.#devices; at < this.#devices + MEMSLOTS * ENTRY; at += ENTRY) {
      const size = dv.getFloat64(at + 8, true);
      if (size === 0) continue;
      const offset = gpa - dv.getFloat64(at, true);
      if (offset >= 0 && offset < size) return at;
    }
    return 0;
  }
  /** User address of an address in a device slot. */
  deviceHva(place: number, gpa: number): number {
    const { dv } = this.#memory;
    return dv.getFloat64(place + 16, true) + gpa - dv.getFloat64(place, true);
  }
  devicePe(place: number): number {
    return this.#memory.i32[(place + 24) >>> 2] & ((1 << BAR_SHIFT) - 1);
  }
  deviceBar(place: number): number {
    return this.#memory.i32[(place + 24) >>> 2] >>> BAR_SHIFT;
  }
  /** Offset of an address in its BAR. */
  deviceOffset(place: number, gpa: number): number {
    const { dv } = this.#memory;
    return dv.getUint32(place + 28, true) + gpa - dv.getFloat64(place, true);
  }

  /** User address of guest-physical `gpa`, or -1 when it is in no slot. */
  hva(gpa: number): number {
    const { dv } = this.#memory;
    for (let at = this.#base; at < this.#base + MEMSLOTS * ENTRY; at += ENTRY) {
      const size = dv.getFloat64(at + 8, true);
      if (size === 0) continue;
      const offset = gpa - dv.getFloat64(at, true);
      if (offset >= 0 && offset < size) return dv.getFloat64(at + 16, true) + offset;
    }
    return -1;
  }
  /** Guest-physical address of user address `hva`, or -1. */
  gpa(hva: number): number {
    for (let slot = 0; slot < MEMSLOTS; slot++) {
      const { gpa, size, hva: start } = this.get(slot);
      if (size !== 0 && hva >= start && hva < start + size) return gpa + (hva - start);
    }
    return -1;
  }
}
