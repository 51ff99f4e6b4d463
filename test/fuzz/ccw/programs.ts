/** Random channel programs, valid and hostile: what fast-check draws and shrinks, and how it is laid out in storage. */
import * as fc from 'fast-check';
import { ORB_CTRL0 } from '../../../kernel/include/arch/s390/orb.ts';
import type { OrbFields } from '../../support/io_script.ts';
import { KNOWN, type Orb } from './translation_model.ts';

/** Guest storage, and where the first program's region begins; a region has CCWs, lists and data. */
export const STORAGE = 16 << 20;
export const FIRST_REGION = KNOWN;
export const REGION = 0x10000;
const SEGMENT_SPAN = 0x400;
const LISTS = 0x1000;
const CONTROLS = 0x2000;
const DATA = 0x3000;
/** Room for data before the next region; longer data goes on there, which is as good as any other place. */
const DATA_SPAN = 0xc000;

/** Where a CCW's data is. */
interface Data {
  readonly how: 'direct' | 'list' | 'outside' | 'list outside' | 'bad list';
  readonly offset: number;
  /** Places of the blocks behind the first, in blocks. */
  readonly blocks: readonly number[];
}
interface Command {
  readonly kind: 'command';
  readonly cmd: number;
  readonly chain: 'command' | 'data' | 'none';
  readonly flags: number;
  readonly count: number;
  readonly data: Data;
  /** What a prepare-ending command finds. */
  readonly control: number;
}
interface Transfer {
  readonly kind: 'tic';
  readonly segment: number;
  readonly index: number;
  readonly odd: boolean;
  readonly flags: number;
}
export interface Program {
  readonly orb: Omit<Orb, 'cpa'>;
  readonly segments: readonly (readonly (Command | Transfer)[])[];
}

const rarely = <T>(weight: number, usual: T, ...others: T[]) =>
  fc.oneof({ arbitrary: fc.constant(usual), weight }, ...others.map((o) => ({ arbitrary: fc.constant(o), weight: 1 })));

const command = fc.record({
  kind: fc.constant('command' as const),
  cmd: fc.oneof(
    { arbitrary: fc.constantFrom(0x01, 0x02, 0x02, 0x0c, 0x03, 0x0b, 0x04, 0xe4, 0x13), weight: 30 },
    { arbitrary: fc.constantFrom(0x00, 0x10, 0x18, 0x05, 0x17, 0xff), weight: 1 },
  ),
  chain: fc.oneof(
    { arbitrary: fc.constant('command' as const), weight: 12 },
    { arbitrary: fc.constant('data' as const), weight: 3 },
    { arbitrary: fc.constant('none' as const), weight: 1 },
  ),
  // SLI, skip, PCI, and what nobody allowed: suspend and MIDAW.
  flags: fc
    .tuple(rarely(1, 0x20, 0), rarely(9, 0, 0x10), rarely(9, 0, 0x08), rarely(60, 0, 0x02, 0x01))
    .map(([a, b, c, d]) => a | b | c | d),
  count: fc.oneof(
    { arbitrary: fc.integer({ min: 0, max: 64 }), weight: 4 },
    { arbitrary: fc.integer({ min: 1, max: 9000 }), weight: 4 },
    { arbitrary: fc.constantFrom(0, 7, 8, 32, 2048, 4096, 8192, 65535), weight: 2 },
  ),
  data: fc.record({
    how: fc.oneof(
      { arbitrary: fc.constant('direct' as const), weight: 20 },
      { arbitrary: fc.constant('list' as const), weight: 14 },
      { arbitrary: fc.constantFrom('outside' as const, 'list outside' as const, 'bad list' as const), weight: 1 },
    ),
    offset: fc.oneof(
      fc.integer({ min: 0, max: DATA_SPAN }),
      fc.nat(23).map((n) => n * 0x800),
    ),
    blocks: fc.array(fc.nat(10), { minLength: 4, maxLength: 4 }),
  }),
  control: fc.oneof(fc.constant(0), fc.constantFrom(0x40, 0x02, 0x01, 0x80, 0x20)),
}) satisfies fc.Arbitrary<Command>;

const transfer = fc.record({
  kind: fc.constant('tic' as const),
  segment: fc.nat(3),
  index: fc.nat(12),
  odd: rarely(30, false, true),
  flags: rarely(30, 0, 0x40),
}) satisfies fc.Arbitrary<Transfer>;

const segment = fc.array(fc.oneof({ arbitrary: command, weight: 9 }, { arbitrary: transfer, weight: 1 }), {
  minLength: 1,
  maxLength: 8,
});

export const program: fc.Arbitrary<Program> = fc.record({
  orb: fc.record({
    format1: rarely(3, true, false),
    h: fc.boolean(),
    t: fc.boolean(),
    key: rarely(15, 0, 5),
    l: fc.boolean(),
    i: rarely(9, false, true),
    lpm: rarely(30, 0x80, 0xff, 0, 0x40),
  }),
  segments: fc.array(segment, { minLength: 1, maxLength: 3 }),
});

/** Writes program number `n` into storage; returns its ORB. */
export function layOut(storage: Uint8Array, n: number, { orb, segments }: Program): Orb {
  const base = FIRST_REGION + n * REGION;
  const dv = new DataView(storage.buffer, storage.byteOffset, storage.length);
  let lists = base + LISTS;
  let controls = base + CONTROLS;
  const block = !orb.h || orb.t ? 2048 : 4096;

  const list = (first: number, count: number, blocks: readonly number[]): number => {
    const size = orb.h ? 8 : 4;
    const words = [first];
    const n = Math.min(40, Math.ceil(((first % block) + Math.max(1, count)) / block));
    for (let i = 1; i < n; i++) words.push(base + DATA + 0x1000 + blocks[i % blocks.length] * block);
    const at = lists;
    for (const [i, word] of words.entries()) {
      if (orb.h) dv.setBigUint64(at + i * 8, BigInt(word));
      else dv.setUint32(at + i * 4, word);
    }
    lists += Math.ceil((words.length * size) / 8) * 8;
    return at;
  };
  const address = ({ cmd, count, data, control }: Command): { cda: number; ida: boolean } => {
    if (cmd === 0x13) {
      const at = controls;
      storage.set([control, 0x08, 0x10, 0, 0, 0, 0, 0], at);
      controls += 8;
      return { cda: at, ida: false };
    }
    const first = base + DATA + data.offset;
    switch (data.how) {
      case 'direct':
        return { cda: first, ida: false };
      case 'list':
        return { cda: list(first, count, data.blocks), ida: true };
      case 'outside':
        return { cda: STORAGE - 16, ida: false };
      case 'list outside':
        return { cda: STORAGE - 2, ida: true };
      case 'bad list':
        // The second block does not begin at its boundary.
        return { cda: list(first, count, [data.blocks[0] + 0.25, data.blocks[1] + 0.5]), ida: true };
    }
  };
  const place = (s: number, i: number) => base + (s % segments.length) * SEGMENT_SPAN + i * 8;
  for (const [s, ccws] of segments.entries()) {
    for (const [i, ccw] of ccws.entries()) {
      let cmd = 0x08;
      let flags = 0;
      let count = 0;
      let cda = 0;
      if (ccw.kind === 'tic') {
        cda = place(ccw.segment, ccw.index) + (ccw.odd ? 4 : 0);
        flags = ccw.flags;
      } else {
        ({ cmd, count } = ccw);
        // A prepare-ending command's data is what was put there: no chaining into something else, nothing skipped.
        const chain = ccw.cmd === 0x13 && ccw.chain === 'data' ? 'command' : ccw.chain;
        const where = address(ccw);
        cda = where.cda;
        if (ccw.cmd === 0x13) count = 8;
        const last = i + 1 === ccws.length;
        flags = ccw.flags | (where.ida ? 0x04 : 0);
        if (!last) flags |= { command: 0x40, data: 0x80, none: 0 }[chain];
      }
      const at = place(s, i);
      if (orb.format1) {
        dv.setUint32(at, (cmd << 24) | (flags << 16) | count);
        dv.setUint32(at + 4, cda);
      } else {
        dv.setUint32(at, (cmd << 24) | (cda & 0xffffff));
        dv.setUint32(at + 4, (flags << 24) | count);
      }
    }
  }
  return { ...orb, cpa: base };
}

/** The ORB as the guest has it. */
export function orbFields(orb: Orb): OrbFields {
  const { mask } = ORB_CTRL0;
  const bits = [orb.format1 && mask.F, orb.h && mask.H, orb.t && mask.T, orb.i && mask.I, mask.P];
  const ctrl0 = bits.reduce<number>((sum, bit) => sum | (bit || 0), 0);
  return { cpa: orb.cpa, lpm: orb.lpm, ctrl0: ORB_CTRL0.set(ctrl0, 'key', orb.key), ctrl1: orb.l ? 0x80 : 0 };
}
