/**
 * MSI-X of the device behind a PE: the vectors' table, what is pending, and the messages that reached the kernel (PCI
 * Local Bus Specification 3.0, section 6.8.2). A device with the capability puts table and pending bits into BAR 0.
 *
 * | bytes of the part | written by | how |
 * |---|---|---|
 * | 0-7F table, 16 bytes a vector | kernel (MMIO) | atomic words |
 * | 80 sent: a bit for each vector | whoever sends adds, the kernel takes all | atomic or, exchange |
 * | 84 pending: a bit for each vector | the device adds; whoever finds the vector unmasked takes | atomic or, and |
 *
 * A device that finds its vector masked makes it pending and looks again; the kernel unmasks and then looks for what is
 * pending. Whatever the order, one of the two takes the bit and sends.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { MSIX_AT, PCI_COMMAND, pciCommand } from './config_space.ts';
import { FREEZE, freezeState, PE_PART } from './pe.ts';

/** Most vectors of a device. */
export const MSIX_VECTORS = 8;
/** Bytes of an entry, and the word in it whose bit 0 masks the vector. */
const ENTRY = 16;
const VECTOR_CONTROL = 12;
const MASKED = 1;
const SENT = 0x80;
const PENDING = 0x84;
/** Bits of the control register, the upper half of the capability's first word. */
const ENABLE = 0x8000_0000;
const MASK_ALL = 0x4000_0000;

const part = (block: number) => block + PE_PART.msix;
const control = (memory: HostMemory, block: number) => memory.load(block + PE_PART.config + MSIX_AT);

/** True when the device sends messages and leaves its pin alone. */
export function msixEnabled(memory: HostMemory, block: number): boolean {
  return (control(memory, block) & ENABLE) !== 0;
}

function masked(memory: HostMemory, block: number, vector: number): boolean {
  if ((control(memory, block) & MASK_ALL) !== 0) return true;
  return (memory.load(part(block) + vector * ENTRY + VECTOR_CONTROL) & MASKED) !== 0;
}

/**
 * The device has something to say on a vector. @returns true when a message went out: a hardware thread then rings the
 * kernel's doorbell. It is a write to memory, so it is lost without bus mastering and on a frozen PE.
 */
export function sendVector(memory: HostMemory, block: number, vector: number): boolean {
  if (!msixEnabled(memory, block)) return false;
  memory.or(part(block) + PENDING, 1 << vector);
  return sendPending(memory, block, vector);
}

/** Sends what is pending on a vector, if it may. */
function sendPending(memory: HostMemory, block: number, vector: number): boolean {
  if (!msixEnabled(memory, block) || masked(memory, block, vector)) return false;
  const bit = 1 << vector;
  if ((memory.and(part(block) + PENDING, ~bit) & bit) === 0) return false;
  if ((pciCommand(memory, block) & PCI_COMMAND.MASTER) === 0) return false;
  if ((freezeState(memory, block) & FREEZE.DMA_STOPPED) !== 0) return false;
  memory.or(part(block) + SENT, bit);
  return true;
}

/** After masks were changed: sends whatever is pending and may go. */
export function sendPendingVectors(memory: HostMemory, block: number): void {
  for (let vector = 0; vector < MSIX_VECTORS; vector++) sendPending(memory, block, vector);
}

/** True when messages have come that the kernel has not taken. */
export function vectorsSent(memory: HostMemory, block: number): boolean {
  return memory.load(part(block) + SENT) !== 0;
}
/** Takes the messages that have come: a bit for each vector. */
export function takeVectors(memory: HostMemory, block: number): number {
  return memory.exchange(part(block) + SENT, 0) >>> 0;
}

/** Loads an aligned word of the table; 0 behind it. */
export function readMsixTable(memory: HostMemory, block: number, offset: number): number {
  return offset < MSIX_VECTORS * ENTRY ? memory.load(part(block) + offset) >>> 0 : 0;
}
/** Stores an aligned word of the table. */
export function writeMsixTable(memory: HostMemory, block: number, offset: number, value: number): void {
  if (offset >= MSIX_VECTORS * ENTRY) return;
  memory.store(part(block) + offset, value);
  if (offset % ENTRY === VECTOR_CONTROL) sendPending(memory, block, Math.floor(offset / ENTRY));
}
/** Loads a word of the pending bits. */
export function readMsixPending(memory: HostMemory, block: number, offset: number): number {
  return offset === 0 ? memory.load(part(block) + PENDING) >>> 0 : 0;
}

/** After a reset: every vector masked, nothing pending. */
export function resetMsix(memory: HostMemory, block: number): void {
  for (let at = 0; at < MSIX_VECTORS * ENTRY; at += 4)
    memory.store(part(block) + at, at % ENTRY === VECTOR_CONTROL ? MASKED : 0);
  memory.store(part(block) + PENDING, 0);
  memory.store(part(block) + SENT, 0);
}
