/**
 * The second stage of the RFC's translation (drivers/vfio/ccw/ccwchain.c of the RFC): a program that user space has
 * written for the kernel, its CCWs in one buffer, its addresses those of the process (see VFIO_CCW_CHAIN). Copied once,
 * then made host-physical by what the merged driver uses too.
 *
 * Unlike the RFC every offset is checked, a no-operation and a skipped or empty transfer need no address, and IDAWs of
 * 2K are taken where the ORB says so.
 */
import { CCW_CMD } from '../../include/arch/s390/ccw.ts';
import { ORB, ORB_CTRL0, type Orb } from '../../include/arch/s390/orb.ts';
import type { Scsw } from '../../include/arch/s390/scsw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import { VFIO_CCW_CHAIN } from '../../include/uapi/vfio.ts';
import { CCW_SIZE } from '../../lib/ccw_program.ts';
import { u64n } from '../../lib/struct.ts';
import type { Task } from '../../lib/task.ts';
import { Idals } from './idals.ts';
import { type CpContext, freeSegments, type Segment, segmentCcw } from './vfio_ccw_cp_chain.ts';
import { dataAddresses, translateData } from './vfio_ccw_cp_translate.ts';

/** SCSW.cpa for an address that is none of the program's: the host's addresses are not user space's to know. */
const NO_CCW = 0x7fff_ffff;

export class UserProgram {
  readonly #context: CpContext;
  readonly #segment: Segment;
  /** The upper half of the buffer: user addresses of data and IDALs. */
  readonly #addresses: DataView;

  private constructor(context: CpContext, segment: Segment, addresses: DataView) {
    this.#context = context;
    this.#segment = segment;
    this.#addresses = addresses;
  }

  /** ccwchain_alloc: copies the buffer. @throws Errno EINVAL for `nr`, EFAULT, ENOMEM: nothing stays allocated */
  static *copy(context: CpContext, buffer: number, nr: number): Task<UserProgram> {
    const { kernel, pool, device } = context;
    if (nr < 1 || nr > VFIO_CCW_CHAIN.LEN_MAX) throw new Errno('EINVAL', `${device.name}: ${nr} CCWs`);
    const bytes = yield* kernel.mm.space.copyIn(buffer, VFIO_CCW_CHAIN.SIZE);
    const hpa = pool.alloc((nr + 1) * CCW_SIZE);
    kernel.memory.u8.set(bytes.subarray(0, nr * CCW_SIZE), hpa);
    const segment = { gpa: 0, hpa, length: nr, idals: new Idals(pool, nr), pins: [] };
    return new UserProgram(context, segment, new DataView(bytes.buffer, VFIO_CCW_CHAIN.CDA_OFFSET));
  }

  /** ccwchain_prefetch: pins and translates. @returns pages pinned. @throws Errno; {@link free} releases what was translated */
  *prefetch(): Task<number> {
    const { length } = this.#segment;
    let pages = 0;
    for (let index = 0; index < length; index++) pages += yield* this.#fetch(index);
    return pages;
  }

  *#fetch(index: number): Task<number> {
    const ccw = segmentCcw(this.#context, this.#segment, index);
    const offset = ccw.cda;
    if (ccw.cmd === CCW_CMD.TIC) {
      if (offset >= this.#segment.length * CCW_SIZE)
        throw this.#bad(index, `transfer to offset 0x${offset.toString(16)}`);
      ccw.cda = this.#segment.hpa + offset;
      return 0;
    }
    if (offset % u64n.size !== 0 || offset >= this.#addresses.byteLength)
      throw this.#bad(index, `data at offset 0x${offset.toString(16)}`);
    const address = u64n.get(this.#addresses, offset, true);
    const iovas = yield* dataAddresses(this.#context, ccw, address);
    return yield* translateData(this.#context, this.#segment, ccw, iovas);
  }

  #bad(index: number, what: string): Errno {
    return new Errno('EINVAL', `${this.#context.device.name}: CCW ${index}: ${what}`);
  }

  /** The host's ORB. */
  orbFor(intparm: number, lpm: number): Orb {
    const orb = ORB.make();
    ORB.copy(orb, this.#context.orb);
    orb.intparm = intparm;
    orb.ctrl0 |= ORB_CTRL0.mask.F;
    if (orb.lpm === 0) orb.lpm = lpm;
    orb.cpa = this.#segment.hpa;
    return orb;
  }

  /** ccwchain_update_scsw: the CCW address becomes an offset in the buffer. */
  updateScsw(scsw: Scsw): void {
    const { hpa, length } = this.#segment;
    const offset = scsw.cpa - hpa;
    // One past the last CCW, and one more where a program stopped at the terminator behind it.
    scsw.cpa = offset >= 0 && offset <= (length + 1) * CCW_SIZE ? offset : NO_CCW;
  }

  /** ccwchain_free: unpins and frees. Does not sleep; once only. */
  free(): void {
    freeSegments(this.#context, [this.#segment]);
  }
}
