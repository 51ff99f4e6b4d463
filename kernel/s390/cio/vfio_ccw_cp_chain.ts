/**
 * Copying a guest's channel program: segments of CCWs that follow each other, connected by transfers in channel
 * (ccwchain_handle_ccw and around; vfio-ccw facts 3.4). Every CCW is read from the guest once; what it writes there
 * later is not seen.
 */
import { CCW_CMD, CCW_FLAG, CCW0, CCW1, type Ccw1 } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0, type Orb } from '../../include/arch/s390/orb.ts';
import { Errno } from '../../include/uapi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import type { Task } from '../../lib/task.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { VfioDevice, VfioKernelUsers } from '../../vfio/vfio.ts';
import type { DmaPool } from './dma_pool.ts';

/** Most CCWs of a segment (CCWCHAIN_LEN_MAX), and segments of a program (CCWCHAIN_COUNT_MAX). */
export const CCWCHAIN_LEN_MAX = 256;
export const CCWCHAIN_COUNT_MAX = 16;
const { size: CCW_SIZE } = CCW1;

/** What a translation works with. */
export interface CpContext {
  readonly kernel: Kernel;
  readonly pool: DmaPool;
  readonly device: VfioDevice;
  readonly users: VfioKernelUsers;
  /** The guest's ORB, copied. */
  readonly orb: Orb;
}

/** Pages pinned by one call. */
export interface Pin {
  /** Page address. */
  readonly iova: number;
  readonly count: number;
}

/** The data of one CCW: its IDAL in host memory and what is pinned for it (struct page_array). */
export interface CcwData {
  readonly idal: number;
  readonly pins: Pin[];
}

/** CCWs that follow each other (struct ccwchain). */
export interface Segment {
  /** Where the guest has it. */
  readonly gpa: number;
  /** Where the copy is. One slot of zeros follows: an invalid command, should status modifier skip the last CCW. */
  readonly hpa: number;
  readonly length: number;
  /** What has been translated, one entry per CCW with data. */
  readonly data: CcwData[];
}

/** Whether `address` is that of one of the `length` CCWs from `head`, or inside one. */
function isWithin(address: number, head: number, length: number): boolean {
  return address >= head && address <= head + (length - 1) * CCW_SIZE;
}

/** The first segment that contains the guest CCW at `gpa`. */
export function segmentWith(segments: readonly Segment[], gpa: number): Segment | undefined {
  return segments.find((segment) => isWithin(gpa, segment.gpa, segment.length));
}

/** A view of CCW `index` of the host's copy. */
export function segmentCcw({ kernel }: CpContext, segment: Segment, index: number): Ccw1 {
  return CCW1.at(kernel.memory.dv, segment.hpa + index * CCW_SIZE);
}

/** Copies the program from the ORB's address on. @throws Errno, and nothing stays allocated */
export function* buildSegments(context: CpContext): Task<Segment[]> {
  const segments: Segment[] = [];
  try {
    yield* build(context, segments, context.orb.cpa);
    return segments;
  } catch (error) {
    freeSegments(context, segments);
    throw error;
  }
}

/** One segment and, depth first, those its transfers lead to. */
function* build(context: CpContext, segments: Segment[], gpa: number): Task {
  const { device, pool, kernel } = context;
  if (segments.length >= CCWCHAIN_COUNT_MAX)
    throw new Errno('EINVAL', `${device.name}: channel program of more than ${CCWCHAIN_COUNT_MAX} segments`);
  const copy = yield* readCcws(context, gpa);
  const length = countCcws(context, copy, gpa);
  const segment: Segment = { gpa, hpa: pool.alloc((length + 1) * CCW_SIZE), length, data: [] };
  kernel.memory.bytes(segment.hpa, length * CCW_SIZE).set(copy.subarray(0, length * CCW_SIZE));
  segments.push(segment);
  for (let index = 0; index < length; index++) {
    const ccw = segmentCcw(context, segment, index);
    if (ccw.cmd !== CCW_CMD.TIC || segmentWith(segments, ccw.cda) !== undefined) continue;
    yield* raceWindow(kernel.actor);
    yield* build(context, segments, ccw.cda);
  }
}

/** As many CCWs as a segment can have, whether or not it has them, as format 1: memory that ends earlier is refused. */
function* readCcws({ users, orb }: CpContext, gpa: number): Task<Uint8Array> {
  const copy = new Uint8Array(CCWCHAIN_LEN_MAX * CCW_SIZE);
  yield* users.dmaRw(gpa, copy, false);
  if (ORB_CTRL0.get(orb.ctrl0, 'F') === 1) return copy;
  const dv = new DataView(copy.buffer);
  for (let at = 0; at < copy.length; at += CCW_SIZE) convertFormat0(dv, at);
  return copy;
}

/** convert_ccw0_to_ccw1, in place. A format-0 TIC is any code with low digit 8; its flags and count mean nothing. */
function convertFormat0(dv: DataView, at: number): void {
  const { cmd, cdaHigh, cda, flags, count } = fields(CCW0.at(dv, at));
  const tic = (cmd & 0x0f) === CCW_CMD.TIC;
  const ccw = CCW1.at(dv, at);
  ccw.cmd = tic ? CCW_CMD.TIC : cmd;
  ccw.flags = tic ? 0 : flags;
  ccw.count = tic ? 0 : count;
  ccw.cda = cdaHigh * 0x10000 + cda;
}

/** The values, for the view is about to be written over. */
function fields({ cmd, cdaHigh, cda, flags, count }: ReturnType<typeof CCW0.at>) {
  return { cmd, cdaHigh, cda, flags, count };
}

/** ccwchain_calc_length: up to the first CCW that neither chains nor leads back into the segment. @throws Errno EINVAL */
function countCcws({ device }: CpContext, copy: Uint8Array, gpa: number): number {
  const ccw = CCW1.at(new DataView(copy.buffer));
  for (let length = 1; length <= CCWCHAIN_LEN_MAX; length++) {
    ccw.address = (length - 1) * CCW_SIZE;
    const chains = (ccw.flags & (CCW_FLAG.CC | CCW_FLAG.DC)) !== 0;
    const loops = ccw.cmd === CCW_CMD.TIC && isWithin(ccw.cda, gpa, length);
    if (!chains && !loops) return length;
  }
  throw new Errno('EINVAL', `${device.name}: more than ${CCWCHAIN_LEN_MAX} CCWs from 0x${gpa.toString(16)}`);
}

/** Unpins and frees. Does not sleep. */
export function freeSegments({ pool, users, device }: CpContext, segments: readonly Segment[]): void {
  for (const segment of segments) {
    for (const { idal, pins } of segment.data) {
      for (const { iova, count } of pins) users.unpinPages(device, iova, count);
      pool.free(idal);
    }
    segment.data.length = 0;
    pool.free(segment.hpa);
  }
}
