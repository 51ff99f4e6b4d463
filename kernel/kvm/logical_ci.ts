/**
 * H_LOGICAL_CI_LOAD and H_LOGICAL_CI_STORE in the kernel (PAPR; Linux arch/powerpc/kvm/book3s.c,
 * kvmppc_h_logical_ci_load): what real mode and virtual mode have in common. An address in a memory slot whose user pages
 * are a device's BAR is reached here, on the thread that asks, as a CPU reaches the pages of a BAR that QEMU has mapped
 * into its guest. Everything else is H_TOO_HARD: an address in no such slot (RAM too), a size or an alignment that cannot
 * be, a mapping that the kernel has taken away (memory space off, a frozen PE, a reset). The VMM has the last word on
 * those, so that every tier answers alike.
 *
 * Shared memory only, and no sleep; in real mode the registers' lock is only tried. A reset of a device waits for the DMA
 * under way, some microseconds. Values are the bytes in address order, read as a big-endian
 * number; registers are little-endian.
 */
import { messagesPending, pinAsserted } from '../../devices/physical/phb/interrupts.ts';
import { lockMmio, MmioPort, tryLockMmio, unlockMmio } from '../../devices/physical/phb/mmio.ts';
import { vectorsSent } from '../../devices/physical/phb/msix.ts';
import { freezeState } from '../../devices/physical/phb/pe.ts';
import { HCALL_RETURN } from '../include/arch/ppc/hcall.ts';
import { AddressSpace, FAULT, PTE } from '../lib/address_space.ts';
import { Doorbell } from '../lib/doorbell.ts';
import type { HostMemory } from '../lib/host_memory.ts';
import { Memslots } from '../lib/memslots.ts';
import type { SharedMap } from '../lib/shared_map.ts';
import type { Tracer } from '../lib/trace.ts';

const { H_SUCCESS, H_TOO_HARD } = HCALL_RETURN;
/** 2^32: the weight of a high word. */
const WORD = 0x1_0000_0000;
/** What the kernel is told of: see {@link LogicalCi.#news}. */
const PIN = 1;
const MESSAGES = 2;
const FROZEN = 4;
/** The engine of PE n's device is actor `dma<n>`. */
const ENGINE = /^dma(\d+)$/;

/** A word of registers, which are little-endian, as the guest's number. */
function swap32(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
/** A value of 1, 2 or 4 bytes with its bytes the other way round. */
function swap(value: number, size: number): number {
  return swap32(value) >>> (32 - 8 * size);
}

export interface LogicalCiOptions {
  readonly tracer?: Tracer;
  /** Rung when an access has made a device interrupt; absent on the kernel's thread, which looks by itself. */
  readonly kernel?: Doorbell;
}

/** One for each thread that answers. */
export class LogicalCi {
  /** What the last successful {@link load} found. */
  outHi = 0;
  outLo = 0;
  readonly #memory: HostMemory;
  readonly #slots: Memslots;
  readonly #space: AddressSpace;
  readonly #bus: MmioPort;
  readonly #kernel: Doorbell | undefined;
  /** Where the last address that {@link #find} found is: in which BAR of which PE. */
  #pe = 0;
  #bar = 0;
  #offset = 0;
  /** Its page-table entry. */
  #entry = 0;

  constructor(memory: HostMemory, map: SharedMap, phbBase: number, { tracer, kernel }: LogicalCiOptions) {
    const engines: Doorbell[] = [];
    for (const { name, doorbell } of map.actors) {
      const pe = ENGINE.exec(name)?.[1];
      if (pe !== undefined) engines[Number(pe)] = new Doorbell(memory, doorbell);
    }
    this.#memory = memory;
    this.#slots = new Memslots(memory, map.memslots);
    this.#space = new AddressSpace(memory, map);
    this.#bus = new MmioPort(memory, phbBase, engines, tracer);
    this.#kernel = kernel;
  }

  /** Whether the kernel can reach an address: it is in a device's slot, and mapped. */
  reaches(addressHi: number, addressLo: number): boolean {
    return this.#find(1, addressHi, addressLo);
  }

  /**
   * H_LOGICAL_CI_LOAD(size, address). @param wait true: waits for whoever is at the registers now; H_TOO_HARD else
   * @returns H_SUCCESS with {@link outHi}, {@link outLo}, or H_TOO_HARD with nothing done
   */
  load(sizeHi: number, size: number, addressHi: number, addressLo: number, wait: boolean): number {
    if (sizeHi !== 0 || !this.#find(size, addressHi, addressLo)) return H_TOO_HARD;
    const block = this.#bus.block(this.#pe);
    if (!this.#enter(block, wait)) return H_TOO_HARD;
    const level = this.#news(block);
    this.#loadRegisters(size);
    this.#leave(block, level);
    return H_SUCCESS;
  }

  /** H_LOGICAL_CI_STORE(size, address, value): as {@link load}. */
  store(
    sizeHi: number,
    size: number,
    addressHi: number,
    addressLo: number,
    valueHi: number,
    valueLo: number,
    wait: boolean,
  ): number {
    if (sizeHi !== 0 || !this.#find(size, addressHi, addressLo)) return H_TOO_HARD;
    const block = this.#bus.block(this.#pe);
    if (!this.#enter(block, wait)) return H_TOO_HARD;
    const level = this.#news(block);
    this.#storeRegisters(size, valueHi, valueLo);
    this.#leave(block, level);
    return H_SUCCESS;
  }

  /** Looks an access up, its device and its mapping. False: it is not for the kernel. */
  #find(size: number, addressHi: number, addressLo: number): boolean {
    if ((size !== 1 && size !== 2 && size !== 4 && size !== 8) || (addressLo & (size - 1)) !== 0) return false;
    const gpa = (addressHi >>> 0) * WORD + (addressLo >>> 0);
    const slot = this.#slots.deviceSlot(gpa);
    if (slot === 0) return false;
    const entry = this.#space.entryAddress(this.#slots.deviceHva(slot, gpa));
    if (entry === FAULT || (this.#memory.load(entry) & PTE.PRESENT) === 0) return false;
    this.#entry = entry;
    this.#pe = this.#slots.devicePe(slot);
    this.#bar = this.#slots.deviceBar(slot);
    this.#offset = this.#slots.deviceOffset(slot, gpa);
    return true;
  }

  /**
   * Takes the registers' lock; false when it is not free, or the mapping is gone: whoever takes a mapping away does so
   * before it takes the lock for what comes next, a reset or another owner.
   */
  #enter(block: number, wait: boolean): boolean {
    if (wait) lockMmio(this.#memory, block);
    else if (!tryLockMmio(this.#memory, block)) return false;
    if ((this.#memory.load(this.#entry) & PTE.PRESENT) !== 0) return true;
    unlockMmio(this.#memory, block);
    return false;
  }
  /** @param before what {@link #news} said before the access */
  #leave(block: number, before: number): void {
    const after = this.#news(block);
    unlockMmio(this.#memory, block);
    // Messages are taken away by the kernel at any time: those there now may be new.
    if ((after & ~before) !== 0 || (after & MESSAGES) !== 0) this.#kernel?.ring();
  }
  /** What of a device the kernel waits for: bits. */
  #news(block: number): number {
    if (this.#kernel === undefined) return 0;
    const messages = messagesPending(this.#memory, block) || vectorsSent(this.#memory, block);
    return (
      (pinAsserted(this.#memory, block) ? PIN : 0) |
      (messages ? MESSAGES : 0) |
      (freezeState(this.#memory, block) !== 0 ? FROZEN : 0)
    );
  }

  #loadRegisters(size: number): void {
    const at = this.#offset;
    if (size === 8) {
      // Two accesses of the bus, the lower first, as read(2) of the descriptor has them.
      this.outHi = swap32(this.#bus.load(this.#pe, this.#bar, at, 4));
      this.outLo = swap32(this.#bus.load(this.#pe, this.#bar, at + 4, 4));
    } else {
      this.outHi = 0;
      this.outLo = swap(this.#bus.load(this.#pe, this.#bar, at, size), size);
    }
  }
  #storeRegisters(size: number, valueHi: number, valueLo: number): void {
    const at = this.#offset;
    if (size === 8) {
      this.#bus.store(this.#pe, this.#bar, at, 4, swap32(valueHi) >>> 0);
      this.#bus.store(this.#pe, this.#bar, at + 4, 4, swap32(valueLo) >>> 0);
    } else this.#bus.store(this.#pe, this.#bar, at, size, swap(valueLo, size));
  }
}
