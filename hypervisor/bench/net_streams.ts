/** What the net guest streams, which of its series is which stream, and what is aimed at. */

/** Ways of mapping in the order of the guest's series (guest/programs/net/ways.h). */
export const WAYS = ['exit to the VMM', 'kernel, virtual mode', 'kernel, real mode', 'big window'] as const;

/** Bytes of a frame, as the guest sends them: 1500 and 9000 of payload. */
export const FRAME_SIZES = [1514, 9014] as const;

/** The first of the guest's series: two for each way of mapping (guest/programs/net/ways.h, MARK_SERIES). */
const FIRST_SERIES = 16;

/** Number of a stream's series: of the frames that came. @param way index in {@link WAYS} @param size in {@link FRAME_SIZES} */
export function streamSeries(way: number, size: number): number {
  return FIRST_SERIES + way * FRAME_SIZES.length + size;
}

/**
 * What moving the calls into the kernel brought: 220 to 750..1020 MB/s with a 10 Gbit/s adapter (A. Kardashevskiy, "KVM:
 * PPC: Add support for IOMMU in-kernel handling", v9, August 2013).
 */
export const PUBLISHED_GAIN = 'published: 3.4x to 4.6x';
/** What is aimed at. */
export const WANTED_GAIN = 5;
