/** Which frames a NIC takes (manual 3.2.1 and 9.2): by destination address, then by VLAN. */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { RAH, RCTL, RECEIVE_ADDRESSES, REG } from './e1000_regs.ts';

/** Bytes of the two addresses: a VLAN tag or the type field follows. */
export const ADDRESSES_SIZE = 12;
/** Type field that announces a tag (IEEE 802.1Q, 9.6), when VET is zero as software often leaves it. */
const TAG_TYPE = 0x8100;

/** What the filter says of a frame. */
export const FILTER = {
  REFUSED: 0,
  EXACT: 1,
  /** Passed by the hash only: software has to look itself. */ INEXACT: 2,
} as const;

/** Where the 12 bits of the hash begin in the last 16 of the address, by RCTL.MO (manual, table 13-67). */
const HASH_SHIFT = [4, 3, 2, 0] as const;

/** Compares a frame with the receive addresses. @param low, high the address at each place: destination and source. */
function exact(memory: HostMemory, area: number, frame: number): boolean {
  const { dv } = memory;
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
    const rah = memory.load(area + REG.RAH + i * 8);
    if ((rah & RAH.AV) === 0) continue;
    const select = (rah >>> RAH.AS_SHIFT) & 3;
    if (select > 1) continue; // reserved
    const at = frame + select * 6;
    if (dv.getUint16(at + 4, true) !== (rah & 0xffff)) continue;
    if (dv.getUint32(at, true) === memory.load(area + REG.RAL + i * 8) >>> 0) return true;
  }
  return false;
}

/** The bit of the multicast table that a destination address selects. */
function hashed(memory: HostMemory, area: number, frame: number, rctl: number): boolean {
  const upper = memory.u8[frame + 4] | (memory.u8[frame + 5] << 8);
  const hash = (upper >>> HASH_SHIFT[(rctl >>> RCTL.MO_SHIFT) & 3]) & 0xfff;
  return (memory.load(area + REG.MTA + (hash >>> 5) * 4) & (1 << (hash & 31))) !== 0;
}

/** True for the address of all stations. */
export function isBroadcast(memory: HostMemory, frame: number): boolean {
  return memory.dv.getUint32(frame, true) === 0xffff_ffff && memory.dv.getUint16(frame + 4, true) === 0xffff;
}

/** Filters by address. @param frame HPA of at least {@link ADDRESSES_SIZE} bytes. @returns a value of {@link FILTER}. */
export function filterAddress(memory: HostMemory, area: number, frame: number, rctl: number): number {
  const group = (memory.u8[frame] & 1) !== 0;
  if (exact(memory, area, frame)) return FILTER.EXACT;
  if (group) {
    if ((rctl & RCTL.MPE) !== 0) return FILTER.EXACT;
    if ((rctl & RCTL.BAM) !== 0 && isBroadcast(memory, frame)) return FILTER.EXACT;
    return hashed(memory, area, frame, rctl) ? FILTER.INEXACT : FILTER.REFUSED;
  }
  return (rctl & RCTL.UPE) !== 0 ? FILTER.EXACT : FILTER.REFUSED;
}

/** The type field that announces a tag to this NIC. */
export function tagType(memory: HostMemory, area: number): number {
  return memory.load(area + REG.VET) & 0xffff || TAG_TYPE;
}

/** The tag of a frame; -1 when it has none. */
export function tagOf(memory: HostMemory, area: number, frame: number, length: number): number {
  if (length < ADDRESSES_SIZE + 4) return -1;
  if (memory.dv.getUint16(frame + ADDRESSES_SIZE) !== tagType(memory, area)) return -1;
  return memory.dv.getUint16(frame + ADDRESSES_SIZE + 2);
}

/** Filters by VLAN, when RCTL.VFE says so: untagged frames pass, tagged ones need their bit of the table. */
export function filterVlan(memory: HostMemory, area: number, tag: number, rctl: number): boolean {
  if ((rctl & RCTL.VFE) === 0 || tag < 0) return true;
  if ((rctl & RCTL.CFIEN) !== 0 && ((tag & 0x1000) !== 0) !== ((rctl & RCTL.CFI) !== 0)) return false;
  const id = tag & 0xfff;
  return (memory.load(area + REG.VFTA + (id >>> 5) * 4) & (1 << (id & 31))) !== 0;
}
