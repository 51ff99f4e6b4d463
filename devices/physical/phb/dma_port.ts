/**
 * The DMA port: a device that moves up to 4 KiB between memory and its own buffer, the smallest that shows what a
 * TCE allows. BAR 0, little-endian:
 *
 * | offset | register | |
 * |---|---|---|
 * | 000 | ID | R: 4D564450 |
 * | 004 | STATUS | R: 1 busy, 2 done, 4 error |
 * | 008 | CONTROL | W: 1 memory to buffer, 2 buffer to memory, 4 reset |
 * | 00C | LENGTH | RW: bytes, 1 to 4096; a start with another value is an error |
 * | 010, 014 | ADDRESS_LO, _HI | RW: bus address |
 * | 018 | INTERRUPT | RW: 1 the end of a transfer interrupts |
 * | 01C | CAUSE | R: ends since, 2 done, 4 error; W: takes the bits back that are 1 |
 * | 1000-1FFF | buffer | RW; memory without side effects: it may be mapped |
 * | 2000, 3000 | MSI-X table, pending bits | of two vectors: 0 done, 1 error |
 *
 * Interrupts go out as messages once MSI-X is enabled, else by INTA#, which is asserted while CAUSE is not 0. Reset turns
 * them off.
 * Registers take 4-byte accesses; the buffer any size. Writes to LENGTH and ADDRESS, and starts, are ignored while the
 * port is busy. A start without the command register's bus-master bit is an error (PCI 3.0, table 6-1). DMA that the
 * bridge refuses is an error too, and the PE freezes: loads give all ones until it is thawed, then STATUS shows the error.
 *
 * **A deviation**: CONTROL = 4 reaches the port though its PE is frozen, and thaws it: a function-level reset with the
 * recovery that would follow it. Real recovery goes through the kernel (EEH) and works here as well.
 *
 * Shared state: `state` holds STATUS in bits 0-2, the transfer's direction (CONTROL's value) in bits 3-4, and in the
 * rest a generation that every start and reset advances. The kernel changes it on register writes, the engine once at
 * the end of a transfer, both by compare-and-exchange: an engine whose transfer was reset, even if another began
 * meanwhile, finds a different word, stops, and reports nothing. LENGTH and ADDRESS are written by the kernel only
 * while the port is not busy, read by the engine only while it is; `state` carries them over. The buffer has no owner:
 * software that touches it during a transfer sees bytes of either side, as on real hardware.
 */

import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { struct, u32 } from '../../../kernel/lib/struct.ts';
import type { Actor, Task } from '../../../kernel/lib/task.ts';
import { preempt, until } from '../../../kernel/lib/task.ts';
import { EVENT, type Tracer } from '../../../kernel/lib/trace.ts';
import { allOnes, PCI_COMMAND, pciCommand } from './config_space.ts';
import type { PciDevice } from './device.ts';
import { PCIE_BOUNDARY, translateHeld } from './dma.ts';
import { setPin } from './interrupts.ts';
import { msixEnabled, readMsixPending, readMsixTable, resetMsix, sendVector, writeMsixTable } from './msix.ts';
import { checkFirstFrame, drainDma, FREEZE_BOTH, lockDma, PE_PART, peBlock, thawPe, unlockDma } from './pe.ts';

/** BAR 0 offsets. */
export const DMA_PORT = {
  ID: 0x00,
  STATUS: 0x04,
  CONTROL: 0x08,
  LENGTH: 0x0c,
  ADDRESS_LO: 0x10,
  ADDRESS_HI: 0x14,
  INTERRUPT: 0x18,
  CAUSE: 0x1c,
  BUFFER: 0x1000,
  MSIX_TABLE: 0x2000,
  MSIX_PENDING: 0x3000,
} as const;
/** The ID register: "MVDP". */
export const DMA_PORT_ID = 0x4d564450;
/** STATUS bits. */
export const DMA_PORT_STATUS = { BUSY: 1, DONE: 2, ERROR: 4 } as const;
/** CONTROL commands. */
export const DMA_PORT_CONTROL = { MEMORY_TO_BUFFER: 1, BUFFER_TO_MEMORY: 2, RESET: 4 } as const;
/** Bytes of the buffer, and the longest transfer. */
export const DMA_PORT_BUFFER_SIZE = 4096;
/** MSI-X vectors: a transfer is done; it ended in error. */
export const DMA_PORT_VECTOR = { DONE: 0, ERROR: 1 } as const;
/** Bytes of BAR 0. */
const BAR0_SIZE = 0x4000;

const { BUSY, DONE, ERROR } = DMA_PORT_STATUS;
const STATUS_MASK = 7;
const COMMAND_SHIFT = 3;
const COMMAND_MASK = 3;
const GENERATION_SHIFT = 8;

/** The port's part of the PE's block, native byte order. The engine sets bits of `cause`, the kernel clears them. */
const PORT = struct(
  'dma_port',
  'le',
  { state: u32, length: u32, addressLo: u32, addressHi: u32, interrupt: u32, cause: u32 },
  { size: 24 },
);
const at = (block: number, field: keyof typeof PORT.offset) => block + PE_PART.device + PORT.offset[field];

/** The next generation of `old` with the given status and command. */
function nextState(old: number, status: number, command = 0): number {
  return (((old >>> GENERATION_SHIFT) + 1) << GENERATION_SHIFT) | (command << COMMAND_SHIFT) | status;
}

/** Advances the state; `next` sees the current one and may refuse by returning undefined. */
function advance(memory: HostMemory, block: number, next: (old: number) => number | undefined): boolean {
  for (;;) {
    const old = memory.load(at(block, 'state'));
    const wanted = next(old);
    if (wanted === undefined) return false;
    // Fails only when the engine has just ended its transfer, which it does once: at most two turns.
    if (memory.cas(at(block, 'state'), old, wanted) === old) return true;
  }
}

function start(memory: HostMemory, block: number, command: number): boolean {
  const length = memory.load(at(block, 'length')) >>> 0;
  const good = length >= 1 && length <= DMA_PORT_BUFFER_SIZE;
  const started = advance(memory, block, (old) => {
    if ((old & BUSY) !== 0) return undefined;
    return good ? nextState(old, BUSY, command) : nextState(old, ERROR);
  });
  return started && good;
}

/** Ends whatever the port does and waits for the transaction under way. */
function stop(memory: HostMemory, block: number): void {
  advance(memory, block, (old) => nextState(old, 0));
  drainDma(memory, block);
}

function control(memory: HostMemory, block: number, value: number): boolean {
  switch (value) {
    case DMA_PORT_CONTROL.MEMORY_TO_BUFFER:
    case DMA_PORT_CONTROL.BUFFER_TO_MEMORY:
      return start(memory, block, value);
    case DMA_PORT_CONTROL.RESET:
      clearCause(memory, block);
      stop(memory, block); // before the thaw: the old transfer must not freeze the PE again
      thawPe(memory, block, FREEZE_BOTH);
      return false;
    default:
      return false;
  }
}

/** A plain register: writable while the port is idle. */
function plain(field: 'length' | 'addressLo' | 'addressHi'): Register {
  return {
    read: (memory, block) => memory.load(at(block, field)) >>> 0,
    write: (memory, block, value) => {
      if ((memory.load(at(block, 'state')) & BUSY) === 0) memory.store(at(block, field), value);
      return false;
    },
  };
}

/**
 * INTA# is asserted while there is a cause. Engine and kernel come here after they changed that; whoever is last has
 * seen what the other one did.
 */
function showCause(memory: HostMemory, block: number): void {
  for (;;) {
    const cause = memory.load(at(block, 'cause'));
    const on = memory.load(at(block, 'interrupt')) !== 0;
    setPin(memory, block, on && cause !== 0 && !msixEnabled(memory, block));
    if (memory.load(at(block, 'cause')) === cause) return;
  }
}

/** INTERRUPT and CAUSE after a reset. */
function clearCause(memory: HostMemory, block: number): void {
  memory.store(at(block, 'interrupt'), 0);
  memory.store(at(block, 'cause'), 0);
  showCause(memory, block);
}

interface Register {
  readonly read?: (memory: HostMemory, block: number) => number;
  readonly write?: (memory: HostMemory, block: number, value: number) => boolean;
}

/** Registers by offset; the others read zero and ignore writes. */
const REGISTERS: Readonly<Record<number, Register>> = {
  [DMA_PORT.ID]: { read: () => DMA_PORT_ID },
  [DMA_PORT.STATUS]: { read: (memory, block) => memory.load(at(block, 'state')) & STATUS_MASK },
  [DMA_PORT.CONTROL]: { write: control },
  [DMA_PORT.LENGTH]: plain('length'),
  [DMA_PORT.ADDRESS_LO]: plain('addressLo'),
  [DMA_PORT.ADDRESS_HI]: plain('addressHi'),
  [DMA_PORT.INTERRUPT]: {
    read: (memory, block) => memory.load(at(block, 'interrupt')),
    write: (memory, block, value) => {
      memory.store(at(block, 'interrupt'), value & 1);
      showCause(memory, block);
      return false;
    },
  },
  [DMA_PORT.CAUSE]: {
    read: (memory, block) => memory.load(at(block, 'cause')),
    write: (memory, block, value) => {
      memory.and(at(block, 'cause'), ~value);
      showCause(memory, block);
      return false;
    },
  },
};

/** A page of the BAR by what is behind it. */
function pageOf(offset: number): 'registers' | 'buffer' | 'table' | 'pending' {
  if (offset < DMA_PORT.BUFFER) return 'registers';
  if (offset < DMA_PORT.MSIX_TABLE) return 'buffer';
  return offset < DMA_PORT.MSIX_PENDING ? 'table' : 'pending';
}

const bufferAt = (block: number, offset: number) => block + PE_PART.buffer + offset - DMA_PORT.BUFFER;

/** The port's register side. */
export const dmaPort: PciDevice = {
  name: 'dma_port',
  identity: {
    // 1234 is what QEMU's own teaching device (edu, 1234:11e8) uses; no current vendor holds it. 4D56 is "MV".
    vendor: 0x1234,
    device: 0x4d56,
    revision: 1,
    classCode: 0x088000, // system peripheral, other (PCI Code and ID Assignment Specification, class 08)
    bar0Size: BAR0_SIZE,
    interruptPin: 1,
    msix: { vectors: 2, table: DMA_PORT.MSIX_TABLE, pending: DMA_PORT.MSIX_PENDING },
  },
  mappable: DMA_PORT.MSIX_TABLE,
  memory: { offset: DMA_PORT.BUFFER, size: DMA_PORT_BUFFER_SIZE, at: PE_PART.buffer },
  read(memory, block, offset, size) {
    const page = pageOf(offset);
    if (page !== 'buffer') {
      if (size !== 4) return allOnes(size);
      if (page === 'table') return readMsixTable(memory, block, offset - DMA_PORT.MSIX_TABLE);
      if (page === 'pending') return readMsixPending(memory, block, offset - DMA_PORT.MSIX_PENDING);
      return REGISTERS[offset]?.read?.(memory, block) ?? 0;
    }
    const bytes = memory.bytes(bufferAt(block, offset), size);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[i];
    return value;
  },
  write(memory, block, offset, size, value) {
    const page = pageOf(offset);
    if (page !== 'buffer') {
      if (size !== 4) return false;
      if (page === 'table') writeMsixTable(memory, block, offset - DMA_PORT.MSIX_TABLE, value);
      return page === 'registers' && (REGISTERS[offset]?.write?.(memory, block, value >>> 0) ?? false);
    }
    const bytes = memory.bytes(bufferAt(block, offset), size);
    for (let i = 0; i < size; i++) bytes[i] = value >>> (8 * i);
    return false;
  },
  passesFreeze: (offset, size, value) =>
    offset === DMA_PORT.CONTROL && size === 4 && value >>> 0 === DMA_PORT_CONTROL.RESET,
  reset(memory, block) {
    stop(memory, block);
    for (const field of ['length', 'addressLo', 'addressHi'] as const) memory.store(at(block, field), 0);
    clearCause(memory, block);
    resetMsix(memory, block);
    memory.bytes(block + PE_PART.buffer, DMA_PORT_BUFFER_SIZE).fill(0);
  },
};

/** What an engine works on. */
export interface DmaEngineOptions {
  readonly memory: HostMemory;
  readonly phbBase: number;
  /** As the bridge was installed with. */
  readonly firstFrame: number;
  readonly pe: number;
  readonly tracer?: Tracer;
  /** Rung after an interrupt. */
  readonly kernelDoorbell?: Doorbell;
}

/** The end of a transfer interrupts, if software asked for that. */
function interrupt({ memory, phbBase, pe, kernelDoorbell }: DmaEngineOptions, moved: boolean): void {
  const block = peBlock(phbBase, pe);
  if (memory.load(at(block, 'interrupt')) === 0) return;
  memory.or(at(block, 'cause'), moved ? DONE : ERROR);
  if (msixEnabled(memory, block)) sendVector(memory, block, moved ? DMA_PORT_VECTOR.DONE : DMA_PORT_VECTOR.ERROR);
  else showCause(memory, block);
  kernelDoorbell?.ring();
}

/** Moves one transaction, holding dmaLock; false when it was refused or the port was reset. */
function transact(options: DmaEngineOptions, started: number, done: number, length: number): boolean {
  const { memory, phbBase, pe, tracer } = options;
  const block = peBlock(phbBase, pe);
  const toMemory = ((started >>> COMMAND_SHIFT) & COMMAND_MASK) === DMA_PORT_CONTROL.BUFFER_TO_MEMORY;
  lockDma(memory, block);
  try {
    if (memory.load(at(block, 'state')) !== started) return false;
    if ((pciCommand(memory, block) & PCI_COMMAND.MASTER) === 0) return false;
    const hpa = translateHeld(memory, phbBase, pe, busAddress(memory, block) + BigInt(done), length, toMemory, tracer);
    if (hpa === undefined) return false;
    const buffer = block + PE_PART.buffer + done;
    if (toMemory) memory.u8.copyWithin(hpa, buffer, buffer + length);
    else memory.u8.copyWithin(buffer, hpa, hpa + length);
    return true;
  } finally {
    unlockDma(memory, block);
  }
}

function busAddress(memory: HostMemory, block: number): bigint {
  const high = BigInt(memory.load(at(block, 'addressHi')) >>> 0);
  return (high << 32n) | BigInt(memory.load(at(block, 'addressLo')) >>> 0);
}

/** Moves a transfer's transactions; false when one failed. Anything may happen between two of them. */
function* transfer(options: DmaEngineOptions, started: number): Task<boolean> {
  const { memory, phbBase, pe } = options;
  const block = peBlock(phbBase, pe);
  const total = memory.load(at(block, 'length')) >>> 0;
  const inPage = (memory.load(at(block, 'addressLo')) >>> 0) % PCIE_BOUNDARY;
  for (let done = 0; done < total; ) {
    yield* preempt();
    const length = Math.min(total - done, PCIE_BOUNDARY - ((inPage + done) % PCIE_BOUNDARY));
    if (!transact(options, started, done, length)) return false;
    done += length;
  }
  return true;
}

function* engine(options: DmaEngineOptions): Task {
  const { memory, phbBase, pe, tracer } = options;
  const block = peBlock(phbBase, pe);
  const state = at(block, 'state');
  for (;;) {
    yield* until(`start of the DMA port of PE ${pe}`, () => (memory.load(state) & BUSY) !== 0);
    const started = memory.load(state);
    if ((started & BUSY) === 0) continue; // reset before it began
    const command = (started >>> COMMAND_SHIFT) & COMMAND_MASK;
    tracer?.point(
      EVENT.dma_port_start,
      pe,
      Number(busAddress(memory, block)),
      memory.load(at(block, 'length')),
      command,
    );
    const moved = yield* transfer(options, started);
    tracer?.point(EVENT.dma_port_end, pe, moved ? DONE : ERROR);
    const ended = memory.cas(state, started, (started & ~STATUS_MASK) | (moved ? DONE : ERROR)) === started;
    if (ended) interrupt(options, moved);
  }
}

/** Starts the engine of the DMA port behind a PE; it waits on the actor's doorbell, which `HostBridge` rings. */
export function spawnDmaEngine(actor: Actor, options: DmaEngineOptions): void {
  checkFirstFrame(options.memory, options.phbBase, options.firstFrame);
  actor.spawn(`dma port of PE ${options.pe}`, engine(options));
}
