/**
 * Copying a guest's channel program: segments of CCWs that follow each other, connected by transfers in channel
 * (ccwchain_handle_ccw and around; vfio-ccw facts 3.4). Every CCW is read from the guest once; what it writes there
 * later is not seen.
 *
 * A program has up to 255 CCWs and is translated for every I/O: fields are read by offset, and nothing is allocated
 * per CCW.
 */
import { CCW_CMD, CCW1, type Ccw1 } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0, type Orb } from '../../include/arch/s390/orb.ts';
import { Errno } from '../../include/uapi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import { CCW_SIZE, convertFormat0, countCcws, isWithinCcws } from '../../lib/ccw_program.ts';
import type { Task } from '../../lib/task.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import type { VfioDevice, VfioKernelUsers } from '../../vfio/vfio.ts';
import type { DmaPool } from './dma_pool.ts';
import { Idals } from './idals.ts';

/** Bytes that are copied at once. */
const WORD = 4;

/** Most CCWs of a segment (CCWCHAIN_LEN_MAX), and segments of a program (CCWCHAIN_COUNT_MAX). */
export const CCWCHAIN_LEN_MAX = 256;
export const CCWCHAIN_COUNT_MAX = 16;

/** Reaching and pinning the memory that a program's addresses mean: mapped iovas of a container, or a process's own. */
export type CpMemory = Omit<VfioKernelUsers, 'registerDevice' | 'unregisterDevice'>;

/** What a translation works with. */
export interface CpContext {
  readonly kernel: Kernel;
  readonly pool: DmaPool;
  readonly device: VfioDevice;
  readonly users: CpMemory;
  /** The guest's ORB, copied. */
  readonly orb: Orb;
}

/** CCWs that follow each other (struct ccwchain). */
export interface Segment {
  /** Where the guest has it. */
  readonly gpa: number;
  /** Where the copy is. One slot of zeros follows: an invalid command, should status modifier skip the last CCW. */
  readonly hpa: number;
  readonly length: number;
  /** IDALs in host memory: one for each CCW translated so far that is no transfer. */
  readonly idals: Idals;
  /** Addresses of pages pinned for them, one entry for each pin (struct page_array). */
  readonly pins: number[];
}

/** The first segment that contains the guest CCW at `gpa`. */
export function segmentWith(segments: readonly Segment[], gpa: number): Segment | undefined {
  for (const segment of segments) if (isWithinCcws(gpa, segment.gpa, segment.length)) return segment;
  return undefined;
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
  const { dv } = tryReadCcws(context, gpa) ? READ : yield* readCcws(context, gpa);
  const length = countCcws(dv, gpa, CCWCHAIN_LEN_MAX);
  if (length === undefined)
    throw new Errno('EINVAL', `${device.name}: more than ${CCWCHAIN_LEN_MAX} CCWs from 0x${gpa.toString(16)}`);
  const hpa = pool.alloc((length + 1) * CCW_SIZE);
  for (let at = 0; at < length * CCW_SIZE; at += WORD) kernel.memory.dv.setInt32(hpa + at, dv.getInt32(at));
  segments.push({ gpa, hpa, length, idals: new Idals(pool, length), pins: [] });
  // From here on the host's copy: the one read may be of another program already.
  for (let at = hpa; at < hpa + length * CCW_SIZE; at += CCW_SIZE) {
    if (kernel.memory.u8[at] !== CCW_CMD.TIC) continue;
    const target = kernel.memory.dv.getUint32(at + CCW1.offset.cda);
    if (segmentWith(segments, target) !== undefined) continue;
    if (kernel.actor.simulated) yield* raceWindow(kernel.actor);
    yield* build(context, segments, target);
  }
}

/** CCWs as they were read. */
interface ReadCcws {
  readonly ccws: Uint8Array;
  readonly dv: DataView;
}
function room(): ReadCcws {
  const ccws = new Uint8Array(CCWCHAIN_LEN_MAX * CCW_SIZE);
  return { ccws, dv: new DataView(ccws.buffer) };
}
/** What {@link tryReadCcws} read: good until somebody else does. */
const READ = room();

/**
 * As many CCWs as a segment can have, whether or not it has them, as format 1: memory that ends earlier is refused.
 * @returns false when that meant waiting
 */
function tryReadCcws({ users, orb }: CpContext, gpa: number): boolean {
  if (users.tryDmaRead?.(gpa, READ.ccws) !== true) return false;
  if ((orb.ctrl0 & ORB_CTRL0.mask.F) === 0) convertFormat0(READ.dv);
  return true;
}
/** {@link tryReadCcws} where it means waiting. */
function* readCcws({ users, orb }: CpContext, gpa: number): Task<ReadCcws> {
  const read = room();
  yield* users.dmaRw(gpa, read.ccws, false);
  if ((orb.ctrl0 & ORB_CTRL0.mask.F) === 0) convertFormat0(read.dv);
  return read;
}

/** Unpins and frees, once: the segments are of no use afterwards. Does not sleep. */
export function freeSegments({ pool, users, device }: CpContext, segments: readonly Segment[]): void {
  for (const { hpa, idals, pins } of segments) {
    for (let i = 0; i < pins.length; i++) users.unpinPages(device, pins[i], 1);
    idals.free();
    pool.free(hpa);
  }
}
