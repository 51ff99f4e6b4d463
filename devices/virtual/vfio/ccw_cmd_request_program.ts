/**
 * The first stage of the 2016 RFC's translation: the guest's channel program becomes one that the kernel takes from user
 * space (VFIO_CCW_CHAIN): its CCWs one after another in a buffer of the VMM's, its addresses the VMM's own. All is parsed
 * here, and the data addresses once more in the kernel: that is the price of two steps.
 *
 * Every word of the guest is read once. What the guest may not name, or the buffer cannot hold, is refused as the merged
 * driver would refuse it: the guest gets the same unit exception.
 */
import type { GuestMemory } from '../../../hypervisor/machine_api.ts';
import { CCW_CMD, CCW_FLAG, CCW1, type Ccw1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { ORB_CTRL0, type Orb } from '../../../kernel/include/arch/s390/orb.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { VFIO_CCW_CHAIN } from '../../../kernel/include/uapi/vfio.ts';
import {
  CCW_SIZE,
  convertFormat0,
  countCcws,
  idawBlock,
  idawCount,
  idawSize,
  isWithinCcws,
  movesData,
} from '../../../kernel/lib/ccw_program.ts';
import { u32, u64n } from '../../../kernel/lib/struct.ts';
import type { Task } from '../../../kernel/lib/task.ts';

/** Most IDAWs of one CCW: 65535 bytes in blocks of 2K, the first one begun at its end (SA22-7832 chapter 15). */
const IDAWS_MAX = idawCount(2047, 65535, 2048);
/** Bytes that a program may need: the buffer, and behind it an IDAL for each CCW. */
export const ARENA_SIZE = VFIO_CCW_CHAIN.SIZE + VFIO_CCW_CHAIN.LEN_MAX * IDAWS_MAX * u64n.size;

/** CCWs that follow each other, here and there. */
interface Placed {
  /** Where the guest has them. */
  readonly gpa: number;
  /** Where they are in the buffer. A word of zeros follows, an invalid command, should status modifier skip the last one. */
  readonly offset: number;
  readonly length: number;
}

export class UserChannelProgram {
  readonly #memory: GuestMemory;
  readonly #orb: Orb;
  readonly #arena: number;
  readonly #bytes = new Uint8Array(ARENA_SIZE);
  readonly #dv = new DataView(this.#bytes.buffer);
  readonly #segments: Placed[] = [];
  #end: number = VFIO_CCW_CHAIN.SIZE;

  private constructor(memory: GuestMemory, orb: Orb, arena: number) {
    this.#memory = memory;
    this.#orb = orb;
    this.#arena = arena;
  }

  /**
   * Translates the program of a guest's ORB. @param arena VMM address of {@link ARENA_SIZE} bytes, where it is to lie
   * @throws Errno EFAULT for an address that is no RAM, EINVAL for more CCWs than the buffer takes
   */
  static *translate(memory: GuestMemory, orb: Orb, arena: number): Task<UserChannelProgram> {
    const program = new UserChannelProgram(memory, orb, arena);
    yield* program.#place(orb.cpa);
    for (const { offset, length } of program.#segments)
      for (let at = offset; at < offset + length * CCW_SIZE; at += CCW_SIZE) yield* program.#fetch(at);
    return program;
  }

  /** What is to be stored at the arena. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#end);
  }
  /** CCWs in the buffer, the words of zeros between segments included. */
  get ccws(): number {
    const last = this.#segments[this.#segments.length - 1];
    return last.offset / CCW_SIZE + last.length;
  }
  get idaws(): number {
    return (this.#end - VFIO_CCW_CHAIN.SIZE) / u64n.size;
  }
  /** ORB.ctrl0 as the program is now: CCWs of format 1, IDAWs of format 2; those that stood for 2K blocks still do. */
  get ctrl0(): number {
    const { F, H, T } = ORB_CTRL0.mask;
    const { ctrl0 } = this.#orb;
    return ctrl0 | F | H | ((ctrl0 & H) === 0 ? T : 0);
  }

  /** The guest's address of a CCW that the kernel names by its offset; 0 for none. */
  guestAddress(offset: number): number {
    // One past the last CCW is where a program ends, one more where it stopped at the word of zeros.
    const segment = this.#segments.find((s) => offset >= s.offset && offset <= s.offset + (s.length + 1) * CCW_SIZE);
    return segment === undefined ? 0 : segment.gpa + (offset - segment.offset);
  }

  /** The segment at `gpa` and, depth first, those its transfers in channel lead to. */
  *#place(gpa: number): Task {
    const previous = this.#segments[this.#segments.length - 1];
    const offset = previous === undefined ? 0 : previous.offset + (previous.length + 1) * CCW_SIZE;
    const room = VFIO_CCW_CHAIN.LEN_MAX - offset / CCW_SIZE;
    const copy = yield* this.#readCcws(gpa);
    const there = Math.floor(copy.length / CCW_SIZE);
    const length = countCcws(new DataView(copy.buffer), gpa, Math.min(room, there));
    if (length === undefined)
      throw there < room
        ? this.#fault('CCW', gpa + copy.length)
        : new Errno('EINVAL', `channel program of more than ${VFIO_CCW_CHAIN.LEN_MAX} CCWs`);
    this.#bytes.set(copy.subarray(0, length * CCW_SIZE), offset);
    this.#segments.push({ gpa, offset, length });
    for (let at = offset; at < offset + length * CCW_SIZE; at += CCW_SIZE) {
      const { cmd, cda } = this.#ccw(at);
      if (cmd === CCW_CMD.TIC && this.#segmentWith(cda) === undefined) yield* this.#place(cda);
    }
  }

  /** As many CCWs as the buffer takes at most, or up to the end of RAM; as format 1. */
  *#readCcws(gpa: number): Task<Uint8Array> {
    const length = Math.min(VFIO_CCW_CHAIN.LEN_MAX * CCW_SIZE, this.#memory.size - gpa);
    if (length <= 0) throw this.#fault('CCW', gpa);
    const copy = yield* this.#memory.read(gpa, length);
    if (ORB_CTRL0.get(this.#orb.ctrl0, 'F') === 0) convertFormat0(new DataView(copy.buffer));
    return copy;
  }

  #ccw(at: number): Ccw1 {
    return CCW1.at(this.#dv, at);
  }
  #segmentWith(gpa: number): Placed | undefined {
    return this.#segments.find((segment) => isWithinCcws(gpa, segment.gpa, segment.length));
  }

  /** Gives the CCW at this offset addresses that the kernel understands. */
  *#fetch(at: number): Task {
    const ccw = this.#ccw(at);
    const { cda } = ccw;
    if (ccw.cmd === CCW_CMD.TIC) {
      const target = this.#segmentWith(cda) as Placed;
      ccw.cda = target.offset + (cda - target.gpa);
      return;
    }
    const address = (ccw.flags & CCW_FLAG.IDA) === 0 ? this.#directAddress(ccw) : yield* this.#idal(ccw);
    u64n.set(this.#dv, VFIO_CCW_CHAIN.CDA_OFFSET + at, address, true);
    ccw.cda = at;
  }

  /** RAM is one mapping of the VMM: what follows each other there does so here. */
  #directAddress(ccw: Ccw1): number {
    // What moves nothing needs no address, and may name any.
    return movesData(ccw) ? this.#hva('data', ccw.cda, ccw.count) : 0;
  }

  /** The VMM's own copy of a guest's IDAL: format-2 words with the VMM's addresses. Returns where it is. */
  *#idal(ccw: Ccw1): Task<number> {
    const { ctrl0 } = this.#orb;
    const size = idawSize(ctrl0);
    const [first] = yield* this.#readIdaws(ccw.cda, 1, size);
    const count = idawCount(first, ccw.count, idawBlock(ctrl0));
    const iovas = [first, ...(yield* this.#readIdaws(ccw.cda + size, count - 1, size))];
    const idal = this.#end;
    const moves = movesData(ccw);
    for (const iova of iovas) {
      u64n.set(this.#dv, this.#end, moves ? this.#hva('data', iova, 1) : 0, false);
      this.#end += u64n.size;
    }
    return this.#arena + idal;
  }

  *#readIdaws(gpa: number, count: number, size: number): Task<number[]> {
    if (count === 0) return [];
    this.#hva('IDAL', gpa, count * size);
    const bytes = yield* this.#memory.read(gpa, count * size);
    const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const type = size === u64n.size ? u64n : u32;
    return Array.from({ length: count }, (_, i) => type.get(dv, i * size, false));
  }

  /** @throws Errno EFAULT when not all of the bytes are RAM */
  #hva(what: string, gpa: number, length: number): number {
    const hva = this.#memory.hva(gpa);
    if (hva < 0 || this.#memory.hva(gpa + length - 1) < 0) throw this.#fault(what, gpa);
    return hva;
  }
  #fault(what: string, gpa: number): Errno {
    return new Errno('EFAULT', `${what} at 0x${gpa.toString(16)}`);
  }
}
