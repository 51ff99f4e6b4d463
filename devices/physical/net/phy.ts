/**
 * The PHY behind MDIC: an M88E1011 as a table of registers (IEEE 802.3-2018, clause 22; manual, table 10-1). It never
 * takes time: negotiation is complete whenever the cable is alive.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { NIC_PART, PHY_REGISTERS, STATE_AT } from './nic_area.ts';

/** Registers that code names. */
const PHY = { CONTROL: 0, STATUS: 1, SPECIFIC_STATUS: 17 } as const;
/** PHY control bits (802.3, table 22-7). */
const CONTROL = { RESET: 0x8000, LOOPBACK: 0x4000, POWER_DOWN: 0x0800, ISOLATE: 0x0400, RESTART: 0x0200 } as const;
/** PHY status: negotiation complete, link (802.3, table 22-8). */
const STATUS_LINK = 0x0024;
/** M88 specific status: link, and speed and duplex resolved (manual, table 10-18). */
const SPECIFIC_LINK = 0x0c00;

interface Row {
  readonly name: string;
  readonly reset: number;
  /** Bits software can change. */
  readonly mask?: number;
}

/** By register number; the others read zero. */
const ROWS: Readonly<Record<number, Row>> = {
  0: { name: 'control', reset: 0x1140, mask: 0x7d80 },
  1: { name: 'status', reset: 0x7949 },
  2: { name: 'id1', reset: 0x0141 },
  3: { name: 'id2', reset: 0x0c20 },
  4: { name: 'advertisement', reset: 0x0de1, mask: 0xafff },
  5: { name: 'link partner ability', reset: 0x41e1 },
  6: { name: 'negotiation expansion', reset: 0x0001 },
  9: { name: '1000BASE-T control', reset: 0x0e00, mask: 0xff00 },
  10: { name: '1000BASE-T status', reset: 0x3c00 },
  15: { name: 'extended status', reset: 0x3000 },
  16: { name: 'M88 specific control', reset: 0x0360, mask: 0xffff },
  17: { name: 'M88 specific status', reset: 0xa000 },
  18: { name: 'M88 interrupt enable', reset: 0, mask: 0xffff },
  20: { name: 'M88 extended specific control', reset: 0x0d60, mask: 0xffff },
};

/** The address of the PHY on its bus, and of all other addresses nobody answers (manual 13.4.8: 00001b). */
const ADDRESS = 1;
/** MDIC: fields of the word, ready and error (manual, table 13-15). */
const MDIC = { WRITE: 1, READ: 2, READY: 1 << 28, INTERRUPT: 1 << 29, ERROR: 1 << 30 } as const;

const phyAt = (area: number, register: number) => area + NIC_PART.phy + register * 4;

/** Power-on state, or what PHY reset leaves. */
export function resetPhy(memory: HostMemory, area: number): void {
  for (let i = 0; i < PHY_REGISTERS; i++) memory.store(phyAt(area, i), ROWS[i]?.reset ?? 0);
}

/** True when the PHY gives the MAC a link. */
export function phyLink(memory: HostMemory, area: number): boolean {
  const control = memory.load(phyAt(area, PHY.CONTROL));
  if ((control & (CONTROL.POWER_DOWN | CONTROL.ISOLATE)) !== 0) return false;
  return (control & CONTROL.LOOPBACK) !== 0 || memory.load(area + STATE_AT.carrier) !== 0;
}

/** True when the PHY sends back what the MAC sends. */
export function phyLoopback(memory: HostMemory, area: number): boolean {
  return (memory.load(phyAt(area, PHY.CONTROL)) & CONTROL.LOOPBACK) !== 0;
}

function readPhy(memory: HostMemory, area: number, register: number): number {
  const value = memory.load(phyAt(area, register));
  if (!phyLink(memory, area)) return value;
  if (register === PHY.STATUS) return value | STATUS_LINK;
  return register === PHY.SPECIFIC_STATUS ? value | SPECIFIC_LINK : value;
}

function writePhy(memory: HostMemory, area: number, register: number, value: number): void {
  if (register === PHY.CONTROL && (value & CONTROL.RESET) !== 0) {
    resetPhy(memory, area);
    return;
  }
  const mask = ROWS[register]?.mask ?? 0;
  const at = phyAt(area, register);
  memory.store(at, (memory.load(at) & ~mask) | (value & mask));
}

/** What MDIC holds after it was written; the access is done at once. `ERROR` for a PHY or an operation there is not. */
export function mdic(memory: HostMemory, area: number, value: number): number {
  const register = (value >>> 16) & 0x1f;
  const operation = (value >>> 26) & 3;
  const kept = value & ~(MDIC.READY | MDIC.ERROR);
  if (((value >>> 21) & 0x1f) !== ADDRESS || (operation !== MDIC.READ && operation !== MDIC.WRITE))
    return (kept | MDIC.READY | MDIC.ERROR) >>> 0;
  if (operation === MDIC.WRITE) {
    writePhy(memory, area, register, value & 0xffff);
    return (kept | MDIC.READY) >>> 0;
  }
  return ((kept & ~0xffff) | MDIC.READY | readPhy(memory, area, register)) >>> 0;
}

/** Whether an access that MDIC names asked for an interrupt. */
export function mdicInterrupt(value: number): boolean {
  return (value & MDIC.INTERRUPT) !== 0;
}
