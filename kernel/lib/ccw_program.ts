/**
 * Reading channel programs, for whoever translates one: the kernel (vfio_ccw_cp.c) and, in the design of 2016, the VMM
 * before it. What a program is, not what its addresses mean (SA22-7832 chapter 15; vfio-ccw facts 1.5, 3.4).
 */
import { CCW_CMD, CCW_FLAG, CCW0, CCW1, type Ccw1 } from '../include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../include/arch/s390/orb.ts';
import { u32, u64 } from './struct.ts';

/** Bytes of a CCW of either format. */
export const CCW_SIZE = CCW1.size;
/** Fields are read by offset, not by a view: a program has up to 255 CCWs and is read for every I/O. */
const AT = CCW1.offset;
const AT0 = CCW0.offset;
const CHAINS = CCW_FLAG.CC | CCW_FLAG.DC;
/** Blocks that an IDAW stands for. */
const BLOCK_4K = 4096;
const BLOCK_2K = 2048;

/** Whether `address` is that of one of the `length` CCWs from `head`, or inside one. */
export function isWithinCcws(address: number, head: number, length: number): boolean {
  return address >= head && address <= head + (length - 1) * CCW_SIZE;
}

/**
 * CCWs that follow each other from the first one in `dv`, which is at `address`: up to the first that neither chains
 * nor leads back among them (ccwchain_calc_length). Undefined when there are more than `limit`.
 */
export function countCcws(dv: DataView, address: number, limit: number): number | undefined {
  for (let length = 1; length <= limit; length++) {
    const at = (length - 1) * CCW_SIZE;
    if ((dv.getUint8(at + AT.flags) & CHAINS) !== 0) continue;
    const loops = dv.getUint8(at + AT.cmd) === CCW_CMD.TIC && isWithinCcws(dv.getUint32(at + AT.cda), address, length);
    if (!loops) return length;
  }
  return undefined;
}

/** Makes every CCW in `dv` one of format 1. A format-0 TIC is any code with low digit 8; its flags and count mean nothing. */
export function convertFormat0(dv: DataView): void {
  for (let at = 0; at + CCW_SIZE <= dv.byteLength; at += CCW_SIZE) {
    const cmd = dv.getUint8(at + AT0.cmd);
    const cda = dv.getUint8(at + AT0.cdaHigh) * 0x10000 + dv.getUint16(at + AT0.cda);
    const flags = dv.getUint8(at + AT0.flags);
    const count = dv.getUint16(at + AT0.count);
    const tic = (cmd & 0x0f) === CCW_CMD.TIC;
    dv.setUint8(at + AT.cmd, tic ? CCW_CMD.TIC : cmd);
    dv.setUint8(at + AT.flags, tic ? 0 : flags);
    dv.setUint16(at + AT.count, tic ? 0 : count);
    dv.setUint32(at + AT.cda, cda);
  }
}

/** ccw_does_data_transfer. Skipping counts for input only; a no-operation transfers nothing whatever its count. */
export function movesData({ cmd, flags, count }: Pick<Ccw1, 'cmd' | 'flags' | 'count'>): boolean {
  if (count === 0 || cmd === CCW_CMD.NOOP) return false;
  if ((flags & CCW_FLAG.SKIP) === 0) return true;
  // Read, read backward and sense are input.
  return !((cmd & 0x03) === 0x02 || (cmd & 0x0f) === 0x0c || (cmd & 0x0f) === 0x04);
}

/** Bytes of one of the program's IDAWs. @param ctrl0 of its ORB */
export function idawSize(ctrl0: number): number {
  return ORB_CTRL0.get(ctrl0, 'H') === 1 ? u64.size : u32.size;
}

/** Bytes an IDAW of the program stands for, whether it has any or they are made for it. @param ctrl0 of its ORB */
export function idawBlock(ctrl0: number): number {
  return ORB_CTRL0.get(ctrl0, 'H') === 0 || ORB_CTRL0.get(ctrl0, 'T') === 1 ? BLOCK_2K : BLOCK_4K;
}

/** IDAWs for `count` bytes that begin at `first`. A count of 0 moves nothing, but the CCW still gets one word. */
export function idawCount(first: number, count: number, block: number): number {
  // Blocks are powers of two; the remainder of a number beyond 32 bits is slow, its low bits are not.
  return Math.ceil(((first & (block - 1)) + (count === 0 ? 1 : count)) / block);
}

/** Addresses of the blocks of directly addressed data. */
export function blockAddresses(first: number, count: number, block: number): number[] {
  const addresses = [first];
  const start = first - (first % block);
  for (let i = 1, n = idawCount(first, count, block); i < n; i++) addresses.push(start + i * block);
  return addresses;
}
