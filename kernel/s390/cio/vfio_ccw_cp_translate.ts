/**
 * Making the copied CCWs host-physical (ccwchain_fetch_ccw, ccwchain_fetch_tic and around; vfio-ccw facts 3.4). Every
 * CCW with data gets an IDAL of format-2 words in host memory, made of the guest's IDAL or of its direct address.
 */
import { CCW_CMD, CCW_FLAG, type Ccw1 } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../include/arch/s390/orb.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { VFIO_DMA_MAP_FLAG } from '../../include/uapi/vfio.ts';
import { PAGE_SIZE } from '../../lib/host_memory.ts';
import { u32, u64, u64n } from '../../lib/struct.ts';
import type { Task } from '../../lib/task.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import { type CcwData, type CpContext, type Segment, segmentCcw, segmentWith } from './vfio_ccw_cp_chain.ts';

/** Bytes of a format-2 IDAW, the only kind in the translated program. */
const IDAW_SIZE = u64.size;
/** Blocks that an IDAW stands for (vfio-ccw facts 1.5). */
const BLOCK_4K = 4096;
const BLOCK_2K = 2048;

/** A page at the end of the 64-bit address space: an invalid address on any machine, so a program check. */
const NOWHERE = 0xffff_ffff_ffff_f000n;

/** Translates one segment; returns how many pages it pinned. @throws Errno; `segment.data` has what is to be released */
export function* translateSegment(context: CpContext, segments: readonly Segment[], segment: Segment): Task<number> {
  let pages = 0;
  for (let index = 0; index < segment.length; index++) {
    yield* raceWindow(context.kernel.actor);
    const ccw = segmentCcw(context, segment, index);
    if (ccw.cmd === CCW_CMD.TIC) translateTic(context, segments, ccw);
    else pages += yield* translateData(context, segment, ccw);
  }
  return pages;
}

/** The target inside the segment that has it, whatever its alignment: the channel checks that. */
function translateTic({ device }: CpContext, segments: readonly Segment[], ccw: Ccw1): void {
  const target = segmentWith(segments, ccw.cda);
  if (target === undefined) throw new Errno('EFAULT', `${device.name}: TIC to 0x${ccw.cda.toString(16)}`);
  ccw.cda = target.hpa + (ccw.cda - target.gpa);
}

function* translateData(context: CpContext, segment: Segment, ccw: Ccw1): Task<number> {
  const { pool, kernel } = context;
  const iovas = yield* dataAddresses(context, ccw);
  const data: CcwData = { idal: pool.alloc((iovas.length + 1) * IDAW_SIZE), pins: [] };
  segment.data.push(data);
  const { dv } = kernel.memory;
  // Until a word has a pinned page it has an address that no machine has. For a CCW that moves nothing it keeps that:
  // under data chaining the first command decides, not this CCW's, and the channel may use the words after all.
  for (const [i, iova] of iovas.entries())
    u64.set(dv, data.idal + i * IDAW_SIZE, NOWHERE + BigInt(iova % PAGE_SIZE), false);
  // One word more than reading forward takes: reading backward may want it.
  u64.set(dv, data.idal + iovas.length * IDAW_SIZE, NOWHERE, false);
  if (movesData(ccw)) yield* pinAndFill(context, data, iovas);
  ccw.cda = data.idal;
  ccw.flags |= CCW_FLAG.IDA;
  return data.pins.reduce((pages, { count }) => pages + count, 0);
}

/** idal_is_2k: the guest's IDAWs, or those made for it, are of 2K blocks. */
function is2k({ orb }: CpContext): boolean {
  return ORB_CTRL0.get(orb.ctrl0, 'H') === 0 || ORB_CTRL0.get(orb.ctrl0, 'T') === 1;
}

/** Where the data of a CCW is: one address per block. Each guest IDAW is read once. */
function* dataAddresses(context: CpContext, ccw: Ccw1): Task<number[]> {
  const block = is2k(context) ? BLOCK_2K : BLOCK_4K;
  // A count of 0 moves nothing, but the CCW still gets one word.
  const bytes = ccw.count === 0 ? 1 : ccw.count;
  const list = (ccw.flags & CCW_FLAG.IDA) !== 0 ? ccw.cda : undefined;
  const first = list === undefined ? ccw.cda : (yield* readIdaws(context, list, 1))[0];
  const count = Math.ceil(((first % block) + bytes) / block);
  if (list !== undefined) {
    const rest = yield* readIdaws(context, list + idawSize(context), count - 1);
    return [first, ...rest];
  }
  const start = first - (first % block);
  return Array.from({ length: count }, (_, i) => (i === 0 ? first : start + i * block));
}

/** Bytes of one of the guest's IDAWs. */
function idawSize({ orb }: CpContext): number {
  return ORB_CTRL0.get(orb.ctrl0, 'H') === 1 ? u64.size : u32.size;
}

function* readIdaws(context: CpContext, gpa: number, count: number): Task<number[]> {
  if (count === 0) return [];
  const size = idawSize(context);
  const type = size === u64.size ? u64n : u32;
  const bytes = new Uint8Array(count * size);
  yield* context.users.dmaRw(gpa, bytes, false);
  yield* raceWindow(context.kernel.actor);
  const dv = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, i) => type.get(dv, i * size, false));
}

/** ccw_does_data_transfer. Skipping counts for input only; a no-operation transfers nothing whatever its count. */
function movesData({ cmd, flags, count }: Ccw1): boolean {
  if (count === 0 || cmd === CCW_CMD.NOOP) return false;
  if ((flags & CCW_FLAG.SKIP) === 0) return true;
  return !isInput(cmd);
}

/** Read, read backward or sense (command bits, vfio-ccw facts 1.5). */
function isInput(cmd: number): boolean {
  return (cmd & 0x03) === 0x02 || (cmd & 0x0f) === 0x0c || (cmd & 0x0f) === 0x04;
}

/** Pins the pages of every block and writes the host's IDAWs. */
function* pinAndFill(context: CpContext, data: CcwData, iovas: readonly number[]): Task {
  const { users, device, kernel } = context;
  const prot = VFIO_DMA_MAP_FLAG.READ | VFIO_DMA_MAP_FLAG.WRITE;
  const { dv } = kernel.memory;
  for (let done = 0; done < iovas.length; ) {
    const count = contiguous(context, iovas, done);
    const iova = pageOf(iovas[done]);
    const hpas = yield* users.pinPages(device, iova, count, prot);
    // No pause between the pin and its record: who unmaps the page finds it there.
    data.pins.push({ iova, count });
    for (const [i, hpa] of hpas.entries()) {
      const at = data.idal + (done + i) * IDAW_SIZE;
      u64n.set(dv, at, hpa + (iovas[done + i] % PAGE_SIZE), false);
    }
    done += count;
  }
}

function pageOf(iova: number): number {
  return iova - (iova % PAGE_SIZE);
}

/** How many addresses from `from` on are in pages that follow each other. Blocks of 2K are pinned one by one. */
function contiguous(context: CpContext, iovas: readonly number[], from: number): number {
  let count = 1;
  if (is2k(context)) return count;
  while (from + count < iovas.length && pageOf(iovas[from + count]) === pageOf(iovas[from]) + count * PAGE_SIZE)
    count++;
  return count;
}
