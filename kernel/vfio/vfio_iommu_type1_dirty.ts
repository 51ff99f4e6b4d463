/**
 * Dirty pages of a type1 container: what a migrating VMM has to send again (vfio-tce facts 2.3). Dirty is what mediated
 * devices have pinned, since they may write it at any time, and what the kernel wrote for them (vfio_dma_rw). Where an
 * IOMMU maps memory for a device that pins nothing by itself, every page is dirty: such a device says nothing.
 *
 * A bitmap in user memory has one bit for each page, the first one in the lowest bit of its first byte.
 */
import { Errno } from '../include/uapi/errno.ts';
import type { vfio_bitmap } from '../include/uapi/vfio.ts';
import type { AddressSpace } from '../lib/address_space.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { View } from '../lib/struct.ts';
import type { Task } from '../lib/task.ts';
import { END_OF_ADDRESSES, type Type1Dma, type Type1State } from './vfio_iommu_type1_dma.ts';

/** Most pages of a bitmap (DIRTY_BITMAP_PAGES_MAX, INT_MAX). */
const DIRTY_BITMAP_PAGES_MAX = 2 ** 31 - 1;
/** Bits of the words that bitmaps are made of. */
const WORD_BITS = 64;
/** Most bytes of a bitmap (DIRTY_BITMAP_SIZE_MAX). */
export const DIRTY_BITMAP_SIZE_MAX = bitmapBytes(DIRTY_BITMAP_PAGES_MAX);
/** Bits that are put together before they are copied to the user: what fits a page. */
const CHUNK_BITS = PAGE_SIZE * 8;

/** Bytes of whole words for so many pages (DIRTY_BITMAP_BYTES). */
function bitmapBytes(pages: number): number {
  return (Math.ceil(pages / WORD_BITS) * WORD_BITS) / 8;
}

/** verify_bitmap_size and the checks around. @param size bytes of address space. @throws Errno EINVAL */
export function checkBitmap(bitmap: View<typeof vfio_bitmap.fields>, size: number): void {
  const refuse = (what: string) => new Errno('EINVAL', `dirty bitmap: ${what}`);
  if (bitmap.pgsize !== PAGE_SIZE) throw refuse(`pages of 0x${bitmap.pgsize.toString(16)} bytes`);
  const least = bitmapBytes(Math.floor(size / PAGE_SIZE));
  if (least === 0 || bitmap.size < least || bitmap.size > DIRTY_BITMAP_SIZE_MAX)
    throw refuse(`${bitmap.size} bytes for 0x${size.toString(16)} bytes of memory`);
  if (bitmap.data + bitmap.size > END_OF_ADDRESSES) throw refuse(`at 0x${bitmap.data.toString(16)}`);
}

/** vfio_dma_bitmap_alloc: begins to note dirty pages of a mapping; what is pinned is dirty. @throws Errno EINVAL when it is too large */
export function trackDirty(entry: Type1Dma): void {
  if (entry.size / PAGE_SIZE > DIRTY_BITMAP_PAGES_MAX)
    throw new Errno('EINVAL', `dirty pages of iova 0x${entry.iova.toString(16)}: 0x${entry.size.toString(16)} bytes`);
  entry.dirty = pinnedPages(entry);
}

/** VFIO_IOMMU_DIRTY_PAGES_FLAG_START: all mappings or none. @throws Errno EINVAL */
export function startTracking(state: Type1State): void {
  if (state.dirtyTracking) return;
  try {
    for (const entry of state.tree) trackDirty(entry);
    state.dirtyTracking = true;
  } finally {
    if (!state.dirtyTracking) forget(state);
  }
}

/** VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP. */
export function stopTracking(state: Type1State): void {
  state.dirtyTracking = false;
  forget(state);
}

function forget(state: Type1State): void {
  for (const entry of state.tree) entry.dirty = undefined;
}

/** Pages that devices have now: dirty until they are unpinned, however often they are reported. */
function pinnedPages(entry: Type1Dma): Set<number> {
  return new Set(entry.pins.pages());
}

/** VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP: reports whole mappings, and begins anew with what is pinned. @throws Errno EINVAL, EFAULT */
export function* reportDirty(
  state: Type1State,
  space: AddressSpace,
  iova: number,
  size: number,
  bitmap: number,
): Task<void> {
  const inside = state.tree.bisected(iova, size);
  if (inside !== undefined)
    throw new Errno('EINVAL', `dirty bitmap of iova 0x${iova.toString(16)} bisects iova 0x${inside.iova.toString(16)}`);
  for (const entry of state.tree.within(iova, size)) {
    yield* reportEntry(state, space, entry, iova, bitmap);
    entry.dirty = pinnedPages(entry);
  }
}

/**
 * update_user_bitmap: the bits of one mapping, in whole words. Bits below its first one, in the same word, keep what the
 * user has there: a mapping before it has just been reported, or lies outside of the request.
 * @param base iova of the bitmap's first bit. @throws Errno EFAULT
 */
export function* reportEntry(
  state: Type1State,
  space: AddressSpace,
  entry: Type1Dma,
  base: number,
  bitmap: number,
): Task<void> {
  const first = (entry.iova - base) / PAGE_SIZE;
  const end = first + entry.size / PAGE_SIZE;
  const all = state.domains > 0 && entry.frames !== undefined;
  // Page numbers in order, so that every chunk takes its own from the front.
  const dirty = all ? [] : [...(entry.dirty ?? [])].sort((a, b) => a - b);
  let next = 0;
  for (let at = first - (first % WORD_BITS); at < end; at += CHUNK_BITS) {
    const bits = Math.min(CHUNK_BITS, Math.ceil((end - at) / WORD_BITS) * WORD_BITS);
    const bytes = new Uint8Array(bits / 8);
    if (at < first) yield* keepBelow(space, bytes, first - at, bitmap + at / 8);
    if (all) for (let bit = Math.max(at, first); bit < Math.min(at + bits, end); bit++) setBit(bytes, bit - at);
    for (; next < dirty.length && dirty[next] + first < at + bits; next++) setBit(bytes, dirty[next] + first - at);
    yield* space.copy(bitmap + at / 8, bytes, true);
  }
}

/** Takes the lowest `count` bits, less than a word, from user memory. */
function* keepBelow(space: AddressSpace, bytes: Uint8Array, count: number, from: number): Task<void> {
  const word = yield* space.copyIn(from, WORD_BITS / 8);
  for (let bit = 0; bit < count; bit++) if ((word[bit >>> 3] & (1 << (bit & 7))) !== 0) setBit(bytes, bit);
}

function setBit(bytes: Uint8Array, bit: number): void {
  bytes[bit >>> 3] |= 1 << (bit & 7);
}
