/**
 * What vfio-ccw makes of a guest's channel program, as a plain model: which programs it refuses, and which addresses the
 * channel then sees (vfio-ccw facts 3.4). It reads the guest's storage once, when the program is started.
 */

/** A channel program's controls that matter. */
export interface Orb {
  readonly format1: boolean;
  /** Format-2 IDAWs. */
  readonly h: boolean;
  /** 2K blocks with format-2 IDAWs. */
  readonly t: boolean;
  readonly key: number;
  /** Incorrect-length suppression for immediate commands. */
  readonly l: boolean;
  readonly i: boolean;
  readonly lpm: number;
  readonly cpa: number;
}

export interface HostCcw {
  readonly cmd: number;
  readonly flags: number;
  readonly count: number;
  /** TIC: where it leads, in the numbering of {@link Segment.at}. */
  readonly target: number;
  /** Data: addresses of the blocks in guest storage; undefined = no storage. */
  readonly words: readonly (number | undefined)[];
}

/** CCWs that follow each other. `at` numbers their places so that those of two segments never meet. */
export interface Segment {
  readonly gpa: number;
  readonly at: number;
  readonly ccws: HostCcw[];
}

/** The kernel refuses the program. */
export class Refused extends Error {}
/** The program reaches storage whose contents the model does not know: the guest's own. */
export class Elsewhere extends Error {}
/** Storage from here on is known. */
export const KNOWN = 0x400000;

const FLAG = { DC: 0x80, CC: 0x40, SKIP: 0x10, IDA: 0x04 } as const;
const STRIDE = 0x10000;

interface Raw {
  cmd: number;
  flags: number;
  count: number;
  cda: number;
}

/** @param storage all of the guest's; @throws Refused, Elsewhere */
export function translate(storage: Uint8Array, orb: Orb): Segment[] {
  const dv = new DataView(storage.buffer, storage.byteOffset, storage.length);
  const raw: { gpa: number; ccws: Raw[] }[] = [];
  const inside = (address: number, gpa: number, length: number) => address >= gpa && address <= gpa + (length - 1) * 8;

  const fetch = (gpa: number): Raw => {
    if (gpa < KNOWN) throw new Elsewhere();
    const cmd = dv.getUint8(gpa);
    if (orb.format1)
      return { cmd, flags: dv.getUint8(gpa + 1), count: dv.getUint16(gpa + 2), cda: dv.getUint32(gpa + 4) };
    const cda = dv.getUint32(gpa) & 0xffffff;
    if ((cmd & 0x0f) === 8) return { cmd: 8, flags: 0, count: 0, cda };
    return { cmd, flags: dv.getUint8(gpa + 4), count: dv.getUint16(gpa + 6), cda };
  };

  const build = (gpa: number): void => {
    if (raw.length === 16) throw new Refused('segments');
    if (gpa + 2048 > storage.length) throw new Refused('CCWs outside storage');
    const ccws: Raw[] = [];
    for (;;) {
      if (ccws.length === 256) throw new Refused('length');
      const ccw = fetch(gpa + ccws.length * 8);
      ccws.push(ccw);
      const loops = ccw.cmd === 8 && inside(ccw.cda, gpa, ccws.length);
      if ((ccw.flags & (FLAG.CC | FLAG.DC)) === 0 && !loops) break;
    }
    raw.push({ gpa, ccws });
    for (const { cmd, cda } of ccws) if (cmd === 8 && !raw.some((s) => inside(cda, s.gpa, s.ccws.length))) build(cda);
  };
  build(orb.cpa);

  const block = !orb.h || orb.t ? 2048 : 4096;
  const wordSize = orb.h ? 8 : 4;
  const word = (address: number): number => {
    if (address + wordSize > storage.length) throw new Refused('IDAW outside storage');
    if (address < KNOWN) throw new Elsewhere();
    return orb.h ? Number(dv.getBigUint64(address)) : dv.getUint32(address);
  };
  const wordsOf = ({ cmd, flags, count, cda }: Raw): (number | undefined)[] => {
    const list = (flags & FLAG.IDA) !== 0;
    const first = list ? word(cda) : cda;
    const n = Math.ceil(((first % block) + Math.max(count, 1)) / block);
    const words = [first];
    for (let i = 1; i < n; i++) words.push(list ? word(cda + i * wordSize) : first - (first % block) + i * block);
    const input = (cmd & 3) === 2 || (cmd & 15) === 12 || (cmd & 15) === 4;
    const moves = count > 0 && cmd !== 3 && !((flags & FLAG.SKIP) !== 0 && input);
    if (!moves) return words.map(() => undefined);
    for (const address of words) if (address - (address % 4096) + 4096 > storage.length) throw new Refused('data');
    return words;
  };
  return raw.map(({ gpa, ccws }, s) => ({
    gpa,
    at: (s + 1) * STRIDE,
    ccws: ccws.map((ccw): HostCcw => {
      const { cmd, count, cda } = ccw;
      if (cmd !== 8) return { cmd, flags: ccw.flags | FLAG.IDA, count, target: 0, words: wordsOf(ccw) };
      const to = raw.findIndex((other) => inside(cda, other.gpa, other.ccws.length));
      return { cmd, flags: ccw.flags, count, target: (to + 1) * STRIDE + (cda - raw[to].gpa), words: [] };
    }),
  }));
}

/** The guest address of a place, or undefined when it is behind every segment. */
export function guestAddress(segments: readonly Segment[], place: number): number | undefined {
  const segment = segments.find((s) => place >= s.at && place <= s.at + s.ccws.length * 8);
  return segment === undefined ? undefined : segment.gpa + (place - segment.at);
}

/** The CCW at a place; behind a segment's last one there is a slot of zeros. */
export function ccwAt(segments: readonly Segment[], place: number): HostCcw {
  const segment = segments.find((s) => place >= s.at && place <= s.at + s.ccws.length * 8) as Segment;
  return segment.ccws[(place - segment.at) / 8] ?? { cmd: 0, flags: 0, count: 0, target: 0, words: [] };
}
