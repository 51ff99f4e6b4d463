/**
 * Channel-program translation (drivers/s390/cio/vfio_ccw_cp.c; vfio-ccw facts 3.4): the guest's program is copied
 * once into host memory, its data pages are pinned, and every address in the copy is made host-physical.
 */
import { ORB, ORB_CTRL0, ORB_CTRL1, type Orb } from '../../include/arch/s390/orb.ts';
import type { Scsw } from '../../include/arch/s390/scsw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import { PAGE_SIZE } from '../../lib/host_memory.ts';
import type { Task } from '../../lib/task.ts';
import type { VfioDevice, VfioKernelUsers } from '../../vfio/vfio.ts';
import type { DmaPool } from './dma_pool.ts';
import { buildSegments, type CpContext, freeSegments, type Segment, segmentWith } from './vfio_ccw_cp_chain.ts';
import { translateSegment } from './vfio_ccw_cp_translate.ts';

/** Bytes of a CCW. */
const CCW_SIZE = 8;

export class ChannelProgram {
  readonly #kernel: Kernel;
  readonly #pool: DmaPool;
  #context: CpContext | undefined;
  #segments: Segment[] = [];
  #sequence = 0;
  #warned = false;
  /** The guest's ORB, copied, and what the host makes of it. One program at a time: made once. */
  readonly #guestOrb = ORB.make();
  readonly #hostOrb = ORB.make();

  constructor(kernel: Kernel, pool: DmaPool) {
    this.#kernel = kernel;
    this.#pool = pool;
  }

  /** Number of the program translated now, counted from 1; 0 when there is none. */
  get sequence(): number {
    return this.#context === undefined ? 0 : this.#sequence;
  }

  /**
   * cp_init: copies the program. @param device who pins. @returns how many CCWs it has.
   * @throws Errno EBUSY when one is there already; EINVAL and others, and nothing stays allocated
   */
  *init(device: VfioDevice, users: VfioKernelUsers, orb: Orb): Task<number> {
    if (this.#context !== undefined)
      throw new Errno('EBUSY', `${device.name}: a channel program is translated already`);
    if (ORB_CTRL0.get(orb.ctrl0, 'P') === 0 && !this.#warned) {
      this.#warned = true;
      this.#kernel.log(
        `vfio-ccw ${device.name}: prefetching channel program even though prefetch not specified in ORB`,
      );
    }
    ORB.copy(this.#guestOrb, orb);
    const context = { kernel: this.#kernel, pool: this.#pool, device, users, orb: this.#guestOrb };
    this.#segments = yield* buildSegments(context);
    this.#context = context;
    this.#sequence++;
    let ccws = 0;
    for (const { length } of this.#segments) ccws += length;
    return ccws;
  }

  /** cp_prefetch: pins and translates. @returns pages pinned. @throws Errno; what was translated is released by {@link free} */
  *prefetch(): Task<number> {
    const context = this.#context;
    if (context === undefined) throw new Errno('EINVAL', 'no channel program');
    let pages = 0;
    for (const segment of this.#segments) pages += yield* translateSegment(context, this.#segments, segment);
    return pages;
  }

  /** cp_get_orb: the host's ORB, until the next call. @throws Errno EIO without a program */
  orbFor(intparm: number, lpm: number): Orb {
    if (this.#context === undefined) throw new Errno('EIO', 'no channel program');
    const orb = this.#hostOrb;
    ORB.copy(orb, this.#context.orb);
    orb.intparm = intparm;
    // The translation makes format-1 CCWs and format-2 IDAWs; those that stood for 2K blocks still do.
    if (ORB_CTRL0.get(orb.ctrl0, 'H') === 0) orb.ctrl0 |= ORB_CTRL0.mask.T;
    orb.ctrl0 |= ORB_CTRL0.mask.F | ORB_CTRL0.mask.H;
    // No address in the copy is one of a MIDAL: without the control its flag is a program check, as MIDA with IDA is.
    orb.ctrl1 &= ~ORB_CTRL1.mask.D;
    if (orb.lpm === 0) orb.lpm = lpm;
    orb.cpa = this.#segments[0].hpa;
    return orb;
  }

  /** cp_update_scsw: the CCW address as the guest knows it. */
  updateScsw(scsw: Scsw): void {
    if (this.#context === undefined) return;
    const { cpa } = scsw;
    // One past the last CCW is where a program ends, one more where it stopped at the terminator behind it.
    const segment = this.#segments.find(({ hpa, length }) => cpa >= hpa && cpa <= hpa + (length + 1) * CCW_SIZE);
    if (segment !== undefined) scsw.cpa = segment.gpa + (cpa - segment.hpa);
  }

  /** cp_iova_pinned: a page of `[iova, iova + size)` is pinned for the program. */
  iovaPinned(iova: number, size: number): boolean {
    if (this.#context === undefined) return false;
    const first = Math.floor(iova / PAGE_SIZE);
    const last = Math.floor((iova + size - 1) / PAGE_SIZE);
    for (const { pins } of this.#segments)
      for (const iova of pins) if (iova / PAGE_SIZE >= first && iova / PAGE_SIZE <= last) return true;
    return false;
  }

  /** The host address of guest CCW `gpa`, for tests and state inspection. */
  hostAddress(gpa: number): number | undefined {
    const segment = segmentWith(this.#segments, gpa);
    return segment === undefined ? undefined : segment.hpa + (gpa - segment.gpa);
  }

  /** cp_free: unpins and frees everything; nothing to do without a program. Does not sleep. */
  free(): void {
    const context = this.#context;
    if (context === undefined) return;
    this.#context = undefined;
    freeSegments(context, this.#segments);
    this.#segments = [];
  }
}
