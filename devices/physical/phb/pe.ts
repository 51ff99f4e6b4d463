/**
 * Partitionable endpoints: the unit that a PCI host bridge isolates. They exist from power-on, before any virtual
 * machine; each has one block of shared state.
 *
 * | bytes of the block | written by | how |
 * |---|---|---|
 * | present, rid, device, firstFrame | the thread that powers on, once | plain, before other threads start |
 * | mmioLock | whoever is at the device's registers: the kernel, or a vCPU in real mode | spin lock; see `mmio.ts` |
 * | dmaLock | hardware: around each translation with its data movement; kernel: around changes of a TVE | spin lock |
 * | TVEs | kernel, holding dmaLock | read by hardware holding dmaLock |
 * | killSequence | whoever kills TCEs: kernel, or a vCPU in real mode | atomic add; see `tce_cache.ts` |
 * | TCE cache | hardware, holding dmaLock, installs; killers remove | atomic words; see `tce_cache.ts` |
 * | freeze | hardware and kernel set bits, kernel clears them | atomic or, and |
 * | error log | whoever freezes, holding dmaLock, before it sets the freeze bits | seen by those who saw the bits |
 * | inject, its address and mask | kernel, `inject` last; whoever it hits clears it, once | `inject` atomic |
 * | configuration space | kernel | atomic words; the command register is read by whoever does MMIO |
 * | interrupts, msix | the device and the kernel | atomic words; see `interrupts.ts`, `msix.ts` |
 * | device registers, buffer | the device's file says | |
 *
 * dmaLock stands for the bridge's rule that an invalidation completes after the DMA that used what it invalidates:
 * whoever has taken and released it after a change knows that no DMA goes on that began before the change.
 */

import { DMA_WINDOWS } from '../../../kernel/include/arch/ppc/tce.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { nested, struct, u16, u32, u64, type View } from '../../../kernel/lib/struct.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';

/** Partitionable endpoints of the bridge. */
export const PES = 16;
/** Bytes of a PE's block; the last page of it is the device's buffer. */
export const PE_BLOCK_SIZE = 0x2000;
/** Bytes of the bridge's area. */
export const PHB_AREA_SIZE = PES * PE_BLOCK_SIZE;

/** Where the parts of a PE's block lie, in bytes from its start. */
export const PE_PART = {
  state: 0,
  interrupts: 0xe0,
  device: 0x100,
  config: 0x200,
  msix: 0x300,
  tceCache: 0x400,
  buffer: 0x1000,
} as const;

/** A translation-validation entry: one DMA window. Empty when `entries` is 0. */
export const TVE = struct(
  'tve',
  'le',
  {
    /** HPA of the TCE table. */
    tableHpa: u32,
    entries: u32,
    /** log2 of the IOMMU page. */
    pageShift: u32,
    /** Levels of the table. */
    levels: u16,
    /** log2 of the entries in a level; 0 in a table of one level. */
    levelShift: u16,
    /** Bus address of the first entry. */
    busOffset: u64,
  },
  { size: 24 },
);

/** A PE's state, native byte order. */
export const PE = struct(
  'pe',
  'le',
  {
    present: u32,
    /** Requester ID of the device: bus << 8 | device << 3 | function. */
    rid: u32,
    /** Which device is behind the PE: a row of `device.ts`. */
    device: u32,
    /** DMA below this HPA is refused: the machine's own areas lie there. */
    firstFrame: u32,
    dmaLock: u32,
    killSequence: u32,
    freeze: u32,
    errorReason: u32,
    errorAddress: u64,
    errorLength: u32,
    /** Freezes since power-on. */
    errorCount: u32,
    tve0: nested(TVE),
    tve1: nested(TVE),
    /** Kind of the next access that fails, a row of {@link INJECT} plus 1; 0: none. */
    inject: u32,
    mmioLock: u32,
    /** It fails when its address agrees with this one in the bits of the mask. */
    injectAddress: u64,
    injectMask: u64,
  },
  { size: 120, offsets: { dmaLock: 16, errorAddress: 32, tve0: 48, tve1: 72, inject: 96, injectAddress: 104 } },
);

/** Bits of `freeze`. A frozen PE answers loads with all ones, drops stores and refuses DMA; others go on (PAPR, EEH). */
export const FREEZE = { MMIO_STOPPED: 1, DMA_STOPPED: 2, RESET_ACTIVE: 4 } as const;
/** What an error stops. */
export const FREEZE_BOTH = FREEZE.MMIO_STOPPED | FREEZE.DMA_STOPPED;

/** Why a PE froze. */
export const PE_ERROR = {
  NONE: 0,
  /** The window that the bus address selects is not set. */
  NO_WINDOW: 1,
  /** The bus address is beyond the window's last entry. */
  OUT_OF_RANGE: 2,
  /** The entry does not allow this direction. */
  NO_PERMISSION: 3,
  /** The entry names memory the host does not have, or the machine's own areas. */
  BAD_ADDRESS: 4,
  /** The kernel froze it: error injection, or a reset about to begin. */
  REQUESTED: 5,
  /** An error that software injected. */
  INJECTED: 6,
} as const;

/** What an injected error hits (OPAL_ERR_INJECT_TYPE's functions, include/uapi/asm/eeh.h, without their addresses). */
export const INJECT = { LOAD: 0, CONFIG_LOAD: 1, STORE: 2, CONFIG_STORE: 3, DMA_READ: 4, DMA_WRITE: 5 } as const;

export type PeErrorName = keyof typeof PE_ERROR;

/** Name of a reason, for people. */
export function peErrorName(reason: number): PeErrorName {
  const row = Object.entries(PE_ERROR).find(([, number]) => number === reason);
  return (row?.[0] ?? 'NONE') as PeErrorName;
}

/** HPA of a PE's block. @throws RangeError for a PE number the bridge does not have. */
export function peBlock(phbBase: number, pe: number): number {
  if (!(Number.isInteger(pe) && pe >= 0 && pe < PES))
    throw new RangeError(`PE ${pe}: the host bridge has 0 to ${PES - 1}`);
  return phbBase + pe * PE_BLOCK_SIZE;
}

/** @throws Error when a thread was given another first frame than the bridge was installed with. */
export function checkFirstFrame(memory: HostMemory, phbBase: number, firstFrame: number): void {
  const installed = memory.load(phbBase + PE.offset.firstFrame) >>> 0;
  if (installed !== firstFrame)
    throw new Error(`host bridge: first frame ${firstFrame} given, but installed with ${installed}; install it first`);
}

/** The TVE of a window. Read and written with dmaLock held. */
export function tveAt(memory: HostMemory, block: number, window: number): View<typeof TVE.fields> {
  if (!(window >= 0 && window < DMA_WINDOWS)) throw new RangeError(`DMA window ${window}: a PE has 0 and 1`);
  return TVE.at(memory.dv, block + PE.offset.tve0 + window * TVE.size);
}

/** A constant, not a property: every DMA looks. */
const INJECT_AT = PE.offset.inject;
/** A constant, not a property: kills are on the hypercall path. */
const DMA_LOCK_AT = PE.offset.dmaLock;

/** Takes dmaLock: DMA of this PE stands still. */
export function lockDma(memory: HostMemory, block: number): void {
  memory.lock(block + DMA_LOCK_AT);
}
/** Releases dmaLock. */
export function unlockDma(memory: HostMemory, block: number): void {
  memory.unlock(block + DMA_LOCK_AT);
}

/**
 * Returns when every DMA that was under way has ended. One that begins later takes the lock after this read of it,
 * so it sees all that the caller stored before: nothing to wait for when the lock is free.
 */
export function drainDma(memory: HostMemory, block: number): void {
  if (memory.load(block + DMA_LOCK_AT) === 0) return;
  lockDma(memory, block);
  unlockDma(memory, block);
}

/** The freeze bits of a PE. */
export function freezeState(memory: HostMemory, block: number): number {
  return memory.load(block + PE.offset.freeze);
}

/**
 * Whether an access meets the error that was injected for its kind; it is used up then.
 * @param address in the BAR, in configuration space, or on the bus. DMA: the caller holds dmaLock.
 */
export function injectedError(memory: HostMemory, block: number, kind: number, address: bigint): boolean {
  if (memory.load(block + INJECT_AT) !== kind + 1) return false;
  const { injectAddress, injectMask } = PE.at(memory.dv, block);
  if ((address & injectMask) !== (injectAddress & injectMask)) return false;
  return memory.cas(block + INJECT_AT, kind + 1, 0) === kind + 1;
}

/** Clears freeze bits; the error log keeps its last error. */
export function thawPe(memory: HostMemory, block: number, bits: number): void {
  memory.and(block + PE.offset.freeze, ~bits);
}

/** Logs an error and freezes the PE. The caller holds dmaLock. */
export function freezePe(
  memory: HostMemory,
  phbBase: number,
  pe: number,
  error: { readonly reason: number; readonly address: bigint; readonly length: number },
  tracer?: Tracer,
): void {
  const block = peBlock(phbBase, pe);
  const log = PE.at(memory.dv, block);
  log.errorReason = error.reason;
  log.errorAddress = error.address;
  log.errorLength = error.length;
  log.errorCount++;
  memory.or(block + PE.offset.freeze, FREEZE_BOTH);
  tracer?.point(EVENT.pe_freeze, pe, Number(error.address), error.reason);
}
