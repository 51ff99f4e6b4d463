/**
 * Making the copied CCWs host-physical (ccwchain_fetch_ccw, ccwchain_fetch_tic and around; vfio-ccw facts 3.4). Every
 * CCW with data gets an IDAL of format-2 words in host memory, made of the guest's IDAL or of its direct address.
 *
 * Of all steps of an I/O these cost most, so on threads nothing here sleeps or makes a generator unless it must: guest
 * memory is read and pinned by the backend's `try` calls, and by the sleeping ones only when those cannot.
 *
 * As in Linux the blocks of a direct READ BACKWARD are taken as if it were read forward: inside its first block it works,
 * behind it the channel finds an IDAW off its boundary (program check).
 */
import { CCW_CMD, CCW_FLAG, CCW1, type Ccw1 } from '../../include/arch/s390/ccw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { VFIO_DMA_MAP_FLAG } from '../../include/uapi/vfio.ts';
import { blockAddresses, CCW_SIZE, idawBlock, idawCount, idawSize, movesData } from '../../lib/ccw_program.ts';
import { offsetInPage, PAGE_SIZE } from '../../lib/host_memory.ts';
import { u64 } from '../../lib/struct.ts';
import type { Task } from '../../lib/task.ts';
import { raceWindow } from '../../vfio/race_window.ts';
import { type CpContext, type Segment, segmentCcw, segmentWith } from './vfio_ccw_cp_chain.ts';

/** Bytes of a format-2 IDAW, the only kind in the translated program. */
const IDAW_SIZE = u64.size;
/** High and low word of a page at the end of the 64-bit address space: invalid on any machine, so a program check. */
const NOWHERE_HIGH = 0xffffffff;
const NOWHERE_LOW = 0xfffff000;
/** Pins are always for both: the channel may write under any command by data chaining. */
const PROT = VFIO_DMA_MAP_FLAG.READ | VFIO_DMA_MAP_FLAG.WRITE;
const AT = CCW1.offset;

/** Translates one segment; returns how many pages it pinned. @throws Errno; `segment` knows what is to be released */
export function* translateSegment(context: CpContext, segments: readonly Segment[], segment: Segment): Task<number> {
  const { actor, memory } = context.kernel;
  const ccw = segmentCcw(context, segment, 0);
  const before = segment.pins.length;
  for (let index = 0; index < segment.length; index++, ccw.address += CCW_SIZE) {
    if (actor.simulated) yield* raceWindow(actor);
    const cda = memory.dv.getUint32(ccw.address + AT.cda);
    if (memory.u8[ccw.address + AT.cmd] === CCW_CMD.TIC) {
      translateTic(context, segments, ccw, cda);
      continue;
    }
    const words = tryDataAddresses(context, ccw, cda);
    if (words === 0) yield* translateData(context, segment, ccw, yield* dataAddresses(context, ccw, cda));
    else if (!tryTranslateData(context, segment, ccw, IOVAS, words))
      yield* pinRest(context, segment, IOVAS.slice(0, words));
  }
  return segment.pins.length - before;
}

/** The target inside the segment that has it, whatever its alignment: the channel checks that. */
function translateTic({ kernel, device }: CpContext, segments: readonly Segment[], ccw: Ccw1, cda: number): void {
  const target = segmentWith(segments, cda);
  if (target === undefined) throw new Errno('EFAULT', `${device.name}: TIC to 0x${cda.toString(16)}`);
  kernel.memory.dv.setUint32(ccw.address + AT.cda, target.hpa + (cda - target.gpa));
}

/**
 * Gives a copied CCW its IDAL and pins what it needs. @param iovas where its data is: one address per block.
 * @returns pages pinned. @throws Errno; `segment` knows what is to be released
 */
export function* translateData(
  context: CpContext,
  segment: Segment,
  ccw: Ccw1,
  iovas: readonly number[],
): Task<number> {
  const before = segment.pins.length;
  if (!tryTranslateData(context, segment, ccw, iovas, iovas.length)) yield* pinRest(context, segment, iovas);
  return segment.pins.length - before;
}

/**
 * {@link translateData} without sleeping, with the first `words` addresses: false when some of the blocks are still to be
 * {@link pinRest pinned}.
 */
function tryTranslateData(
  context: CpContext,
  segment: Segment,
  ccw: Ccw1,
  iovas: ArrayLike<number>,
  words: number,
): boolean {
  const { memory, actor } = context.kernel;
  const { dv } = memory;
  const at = ccw.address;
  const cmd = memory.u8[at + AT.cmd];
  const flags = memory.u8[at + AT.flags];
  const moves = movesData({ cmd, flags, count: dv.getUint16(at + AT.count) });
  const idal = segment.idals.alloc(words + 1);
  // A simulated run sleeps before every pin.
  let pinning = moves && !actor.simulated;
  let idaw = idal;
  for (let i = 0; i < words; i++, idaw += IDAW_SIZE) {
    const iova = iovas[i];
    pinning = pinning && tryPinBlock(context, segment, idaw, iova);
    if (pinning) continue;
    // Until a word has a pinned page it has an address that no machine has. For a CCW that moves nothing it keeps that:
    // under data chaining the first command decides, not this CCW's, and the channel may use the words after all.
    dv.setUint32(idaw, NOWHERE_HIGH);
    dv.setUint32(idaw + 4, NOWHERE_LOW + offsetInPage(iova));
  }
  // One word more than reading forward takes: reading backward may want it.
  dv.setUint32(idaw, NOWHERE_HIGH);
  dv.setUint32(idaw + 4, NOWHERE_LOW);
  dv.setUint32(at + AT.cda, idal);
  memory.u8[at + AT.flags] = flags | CCW_FLAG.IDA;
  return !moves || pinning;
}

/** Pins the page of one block and writes its IDAW, without a pause in between: who unmaps the page finds it recorded. */
function tryPinBlock({ users, device, kernel }: CpContext, segment: Segment, idaw: number, iova: number): boolean {
  const page = iova - offsetInPage(iova);
  const hpa = users.tryPinPage === undefined ? -1 : users.tryPinPage(device, page, PROT);
  if (hpa < 0) return false;
  fill(kernel.memory.dv, segment, idaw, iova, page, hpa);
  return true;
}

function fill(dv: DataView, segment: Segment, idaw: number, iova: number, page: number, hpa: number): void {
  segment.pins.push(page);
  dv.setUint32(idaw, 0);
  dv.setUint32(idaw + 4, hpa + (iova - page));
}

/** Pins the blocks of the segment's last IDAL that have no page yet. */
function* pinRest(context: CpContext, segment: Segment, iovas: ArrayLike<number>): Task {
  const { users, device, kernel } = context;
  const idal = segment.idals.last;
  for (let i = 0; i < iovas.length; i++) {
    const idaw = idal + i * IDAW_SIZE;
    if (kernel.memory.dv.getUint32(idaw) !== NOWHERE_HIGH) continue;
    if (kernel.actor.simulated) yield* raceWindow(kernel.actor);
    if (tryPinBlock(context, segment, idaw, iovas[i])) continue;
    const page = iovas[i] - offsetInPage(iovas[i]);
    const [hpa] = yield* users.pinPages(device, page, 1, PROT);
    fill(kernel.memory.dv, segment, idaw, iovas[i], page, hpa);
  }
}

/** Where the data of a CCW is: one address per block. Each IDAW is read once. @param address of the data or of its IDAL */
export function* dataAddresses(context: CpContext, ccw: Ccw1, address: number): Task<number[]> {
  const { ctrl0 } = context.orb;
  const block = idawBlock(ctrl0);
  const { flags, count } = ccw;
  if ((flags & CCW_FLAG.IDA) === 0) return blockAddresses(address, count, block);
  const bytes = new Uint8Array(idawSize(ctrl0) * certain(count, block));
  yield* context.users.dmaRw(address, bytes, false);
  yield* raceWindow(context.kernel.actor);
  const iovas = idaws(bytes, idawSize(ctrl0));
  const more = idawCount(iovas[0], count, block) - iovas.length;
  if (more === 0) return iovas;
  const rest = new Uint8Array(idawSize(ctrl0) * more);
  yield* context.users.dmaRw(address + bytes.length, rest, false);
  yield* raceWindow(context.kernel.actor);
  return [...iovas, ...idaws(rest, idawSize(ctrl0))];
}

/** IDAWs that a CCW has wherever its first one points; where that is not the start of a block there is one more. */
function certain(count: number, block: number): number {
  return idawCount(0, count, block);
}

/**
 * {@link dataAddresses} without sleeping: how many addresses {@link IOVAS} has now, or 0 when it cannot be done. Guests
 * have IDALs as a rule, so that nothing is allocated for one.
 */
function tryDataAddresses({ kernel, users, orb }: CpContext, ccw: Ccw1, address: number): number {
  const { dv } = kernel.memory;
  const block = idawBlock(orb.ctrl0);
  const count = dv.getUint16(ccw.address + AT.count);
  if ((dv.getUint8(ccw.address + AT.flags) & CCW_FLAG.IDA) === 0) {
    const words = idawCount(address, count, block);
    IOVAS[0] = address;
    for (let i = 1; i < words; i++) IOVAS[i] = IOVAS[i - 1] + block - (IOVAS[i - 1] & (block - 1));
    return words;
  }
  if (kernel.actor.simulated || users.tryDmaRead === undefined) return 0;
  const size = idawSize(orb.ctrl0);
  let words = certain(count, block);
  // The word that may not be wanted comes along where it cannot be refused: in the page of the others.
  if (offsetInPage(address) + (words + 1) * size <= PAGE_SIZE) words++;
  if (!users.tryDmaRead(address, BUFFERS[words * size])) return 0;
  take(BUFFERS[words * size], size, 0);
  const wanted = idawCount(IOVAS[0], count, block);
  if (wanted <= words) return wanted;
  if (!users.tryDmaRead(address + words * size, BUFFERS[size])) return 0;
  take(BUFFERS[size], size, words);
  return wanted;
}

/** Most IDAWs of a CCW, 65535 bytes in blocks of 2K that begin in the middle of one, and one more. */
const IDAWS_MAX = idawCount(2047, 65535, 2048) + 1;
/**
 * Where the data of the CCW being translated is, and buffers for IDALs by their size: the kernel has one thread, and
 * between filling and use nothing sleeps.
 */
const IOVAS = new Float64Array(IDAWS_MAX);
const BUFFERS = Array.from({ length: IDAWS_MAX * u64.size + 1 }, (_, size) => new Uint8Array(size));

/** IDAWs of `size` bytes become addresses from number `first` on. */
function take(bytes: Uint8Array, size: number, first: number): void {
  for (let at = 0, i = first; at < bytes.length; at += size, i++) IOVAS[i] = idaw(bytes, at, size);
}

/** IDAWs of `size` bytes as numbers. */
function idaws(bytes: Uint8Array, size: number): number[] {
  return Array.from({ length: bytes.length / size }, (_, i) => idaw(bytes, i * size, size));
}

/** An IDAW of format 1 (4 bytes) or 2. */
function idaw(bytes: Uint8Array, at: number, size: number): number {
  return size === 4 ? word(bytes, at) : word(bytes, at) * 0x1_0000_0000 + word(bytes, at + 4);
}
function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
