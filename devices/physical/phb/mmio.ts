/**
 * The bus in front of the devices' registers: decoding, freeze, injected errors, and one access at a time. Linux does an
 * access on whatever CPU asks for it; here the kernel does, and a vCPU in real mode, so the register side of a device
 * belongs to whoever holds its PE's `mmioLock`. What the device's engine shares with that side is in the device's file.
 *
 * `mmioLock` is taken before a device's own lock and before dmaLock, never after one of them.
 */
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import type { Tracer } from '../../../kernel/lib/trace.ts';
import { accessFits, allOnes, PCI_COMMAND, pciCommand } from './config_space.ts';
import { deviceNumbered, type PciDevice } from './device.ts';
import {
  FREEZE,
  freezePe,
  freezeState,
  INJECT,
  injectedError,
  lockDma,
  PE,
  PE_ERROR,
  PES,
  peBlock,
  unlockDma,
} from './pe.ts';

const MMIO_LOCK_AT = PE.offset.mmioLock;
const PRESENT_AT = PE.offset.present;
const DEVICE_AT = PE.offset.device;

/** The device behind a PE; undefined when there is no such PE, or nothing behind it. */
export function deviceBehind(memory: HostMemory, phbBase: number, pe: number): PciDevice | undefined {
  if (!Number.isInteger(pe) || pe < 0 || pe >= PES) return undefined;
  const block = peBlock(phbBase, pe);
  return memory.load(block + PRESENT_AT) === 0 ? undefined : deviceNumbered(memory.load(block + DEVICE_AT));
}

/** Takes a PE's `mmioLock`: nobody is at the device's registers. */
export function lockMmio(memory: HostMemory, block: number): void {
  memory.lock(block + MMIO_LOCK_AT);
}
/** Takes it if it is free; false when it is not. */
export function tryLockMmio(memory: HostMemory, block: number): boolean {
  return memory.cas(block + MMIO_LOCK_AT, 0, 1) === 0;
}
/** Releases it. */
export function unlockMmio(memory: HostMemory, block: number): void {
  memory.unlock(block + MMIO_LOCK_AT);
}

/** One thread's way to the bus. */
export class MmioPort {
  readonly #memory: HostMemory;
  readonly #base: number;
  readonly #doorbells: readonly (Doorbell | undefined)[];
  readonly #tracer: Tracer | undefined;

  /** @param doorbells by PE, of the actor that runs the device's engine */
  constructor(
    memory: HostMemory,
    phbBase: number,
    doorbells: readonly (Doorbell | undefined)[],
    tracer: Tracer | undefined,
  ) {
    this.#memory = memory;
    this.#base = phbBase;
    this.#doorbells = doorbells;
    this.#tracer = tracer;
  }

  /** HPA of a PE's block, for its lock. */
  block(pe: number): number {
    return peBlock(this.#base, pe);
  }

  /**
   * Loads from a BAR, with `mmioLock` held. @param size 1, 2 or 4. @returns the little-endian value; all ones when nobody
   * answers: PE frozen or absent, no such BAR, memory decoding off, access unaligned or outside
   */
  load(pe: number, bar: number, offset: number, size: number): number {
    const device = this.decode(pe, bar, offset, size);
    if (device === undefined || this.#frozen(pe, FREEZE.MMIO_STOPPED)) return allOnes(size);
    if (this.fails(pe, INJECT.LOAD, offset, size)) return allOnes(size);
    return device.read(this.#memory, peBlock(this.#base, pe), offset, size);
  }

  /** Stores, with `mmioLock` held; dropped where {@link load} gives all ones, but see the DMA port's CONTROL. */
  store(pe: number, bar: number, offset: number, size: number, value: number): void {
    const device = this.decode(pe, bar, offset, size);
    if (device === undefined) return;
    if (this.#frozen(pe, FREEZE.MMIO_STOPPED) && !device.passesFreeze(offset, size, value)) return;
    if (this.fails(pe, INJECT.STORE, offset, size)) return;
    if (device.write(this.#memory, peBlock(this.#base, pe), offset, size, value)) this.#doorbells[pe]?.ring();
  }

  /** The device that answers to an access; undefined when none does. */
  decode(pe: number, bar: number, offset: number, size: number): PciDevice | undefined {
    const device = deviceBehind(this.#memory, this.#base, pe);
    if (device === undefined || bar !== 0 || !accessFits(offset, size, device.identity.bar0Size)) return undefined;
    if (this.#frozen(pe, FREEZE.RESET_ACTIVE)) return undefined;
    const decodes = (pciCommand(this.#memory, peBlock(this.#base, pe)) & PCI_COMMAND.MEMORY) !== 0;
    return decodes ? device : undefined;
  }

  /** True when loads and stores of a BAR reach the device: memory space is on, the PE is not frozen or in reset. */
  enabled(pe: number): boolean {
    // Asked for before the kernel sleeps, each time: what is looked at first decides as a rule.
    const block = peBlock(this.#base, pe);
    if ((freezeState(this.#memory, block) & (FREEZE.MMIO_STOPPED | FREEZE.RESET_ACTIVE)) !== 0) return false;
    if ((pciCommand(this.#memory, block) & PCI_COMMAND.MEMORY) === 0) return false;
    return deviceBehind(this.#memory, this.#base, pe) !== undefined;
  }

  #frozen(pe: number, bit: number): boolean {
    return (freezeState(this.#memory, peBlock(this.#base, pe)) & bit) !== 0;
  }

  /** An access that meets an injected error freezes the PE, and is not carried out. */
  fails(pe: number, kind: number, offset: number, size: number): boolean {
    const block = peBlock(this.#base, pe);
    if (this.#memory.load(block + PE.offset.inject) === 0) return false;
    if (!injectedError(this.#memory, block, kind, BigInt(offset))) return false;
    lockDma(this.#memory, block);
    const error = { reason: PE_ERROR.INJECTED, address: BigInt(offset), length: size };
    freezePe(this.#memory, this.#base, pe, error, this.#tracer);
    unlockDma(this.#memory, block);
    return true;
  }
}
