/**
 * A NIC's part of shared memory: its registers, its memories and the receiving ends of its cable.
 *
 * The register side is whoever does MMIO, the kernel or a vCPU in real mode, one at a time: it holds the PE's mmioLock.
 *
 * | words | written by | how |
 * |---|---|---|
 * | registers: control, ring bases and lengths, tails, filters | register side | atomic store |
 * | registers: RDH, TDH, STATUS, ICR, statistics | engine and register side | holding `lock` |
 * | state.lock | both | spin lock, a few dozen instructions |
 * | state.rxEpoch, txEpoch | register side: + 1 whenever what the engine knows of a ring becomes void | holding `lock`; the engine compares before each transaction (under dmaLock) and before each change of registers (under `lock`) |
 * | state.asserted | engine sets, register side clears | holding `lock` |
 * | state.txIdle, rxStalled | engine | set before its last look at the tail; the register side reads it after it stored the tail, and rings only when it is set: one of the two sees the other |
 * | state.halted | engine sets (DMA was refused), reset clears | holding `lock` |
 * | state.carrier | power-on; then whoever plugs the cable | atomic store, then the engine's doorbell |
 * | phy, eeprom, state.ee* | register side | |
 * | transmit buffer | engine | |
 * | FIFO and cable rings | `frame_ring.ts` | |
 *
 * The lock and the PE's dmaLock are never held together; mmioLock is taken before either. After a reset has advanced the
 * epochs and drained dmaLock, no transaction of the time before is under way, and none of its results reaches a register.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { AREA } from '../../../kernel/lib/shared_map.ts';
import { struct, u32 } from '../../../kernel/lib/struct.ts';
import { PE_PART } from '../phb/pe.ts';
import { FRAME_RING_HEADER } from './frame_ring.ts';

/** Bytes of one NIC's area. */
export const NIC_AREA_SIZE = AREA.nic;
/** Bytes of the registers, at the same offsets as in BAR 0. */
export const REGISTERS_SIZE = 0x6000;
/** Words of the PHY and of the EEPROM (93C46: 64 words of 16 bits), each in a word of its own. */
export const PHY_REGISTERS = 32;
export const EEPROM_WORDS = 64;
/** Bytes of the receive FIFO's memory (manual: 64 KB packet buffer), and of each direction of a cable. */
export const FIFO_CAPACITY = 0x1_0000;
export const CABLE_CAPACITY = 0x2_0000;

/** Where the parts lie. */
export const NIC_PART = {
  registers: 0,
  state: 0x6000,
  phy: 0x6100,
  eeprom: 0x6200,
  /** The frame being put together for sending. */
  transmit: 0x8000,
  fifo: 0x1_0000,
  /** Frames on their way to this NIC. */
  inbound: 0x2_2000,
  /** Frames on their way to the host at the far end of a cable that leads to no other NIC. */
  far: 0x4_4000,
} as const;
if (NIC_PART.far + FRAME_RING_HEADER + CABLE_CAPACITY > NIC_AREA_SIZE) throw new Error('the parts of a NIC overlap');

/** Words of {@link NIC_PART}.state, native byte order. */
const NIC_STATE = struct(
  'nic_state',
  'le',
  {
    lock: u32,
    rxEpoch: u32,
    txEpoch: u32,
    /** The interrupt is out and not yet taken back. */
    asserted: u32,
    txIdle: u32,
    rxStalled: u32,
    halted: u32,
    /** The far end of the cable is alive. */
    carrier: u32,
    /** Microwire interface: bits shifted in, how many, bits still to go out, the word they come from. */
    eeIn: u32,
    eeCount: u32,
    eeLeft: u32,
    eeWord: u32,
  },
  { size: 48 },
);

/** Offset of each state word in the area. */
export const STATE_AT = Object.fromEntries(
  Object.entries(NIC_STATE.offset).map(([field, offset]) => [field, NIC_PART.state + offset]),
) as { readonly [K in keyof typeof NIC_STATE.offset]: number };

/** The area of the NIC behind a PE: the first word of the device's part of the block, written at power-on. */
export function nicArea(memory: HostMemory, block: number): number {
  return memory.load(block + PE_PART.device) >>> 0;
}

/** Which NIC of the configuration this is: the second word. */
export function nicNumber(memory: HostMemory, block: number): number {
  return memory.load(block + PE_PART.device + 4);
}

/** Written once, at power-on. */
export function setNicArea(memory: HostMemory, block: number, area: number, number: number): void {
  memory.store(block + PE_PART.device, area);
  memory.store(block + PE_PART.device + 4, number);
}

/** Takes the lock of the registers that both sides change. */
export function lockNic(memory: HostMemory, area: number): void {
  memory.lock(area + STATE_AT.lock);
}
/** Releases it. */
export function unlockNic(memory: HostMemory, area: number): void {
  memory.unlock(area + STATE_AT.lock);
}
