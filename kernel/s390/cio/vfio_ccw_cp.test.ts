import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CcwFields, CcwFixture, NOTHING, RAM } from '../../../test/support/ccw_fixture.ts';
import { CCW_FLAG, CCW1 } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../include/arch/s390/orb.ts';
import { PTE } from '../../lib/address_space.ts';
import type { Task } from '../../lib/task.ts';

const { DC, CC, SLI, SKIP, IDA } = CCW_FLAG;
const { F, P, H, T, S } = ORB_CTRL0.mask;
const NOP = 0x03;
const READ = 0x02;
const WRITE = 0x01;
const TIC = 0x08;
/** An address outside guest memory. */
const JUNK = 0x7ead_0000;
const NOWHERE = 0xffff_ffff_ffff_f000n;

function opened(options = {}): CcwFixture {
  const t = new CcwFixture(options);
  t.run(t.openAll());
  return t;
}

/** The ORB the channel subsystem got. */
const hostOrb = (t: CcwFixture) => t.css.subchannels[0].orb;
const hostCcw = (t: CcwFixture, hpa: number) => CCW1.at(t.memory.dv, hpa);
/** The IDAL of a host CCW, `count` words. */
const idal = (t: CcwFixture, hpa: number, count: number) =>
  Array.from({ length: count }, (_, i) => t.memory.dv.getBigUint64(hostCcw(t, hpa).cda + 8 * i));
/** Host address of a guest byte now. */
const host = (t: CcwFixture, gpa: number) => BigInt(t.kernel.mm.space.lookup(t.ram.start + gpa, true) + (gpa % 4096));
const words = (size: 4 | 8, values: readonly number[]) => {
  const bytes = new Uint8Array(size * values.length);
  const dv = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) dv.setUint32(i * size + size - 4, value);
  return bytes;
};
function finish(t: CcwFixture): void {
  t.css.present(0);
  t.settle();
}

test('the host ORB: format 1, format-2 IDAWs, own parameter; everything else the guest said', () => {
  const t = opened();
  t.program(0x1000, [[NOP, 0, 0, 0]]);
  t.run(t.ssch(0x1000, { ctrl0: 0x3000 | F | P | S, lpm: 0, ctrl1: 0x80 }));
  const orb = hostOrb(t);
  expect(orb.ctrl0).toBe(0x3000 | F | P | S | H | T);
  expect([orb.intparm, orb.lpm, orb.ctrl1]).toEqual([0x10000, 0x80, 0x80]);
  expect(orb.cpa).toBe(t.device.cp.hostAddress(0x1000));
  finish(t);
  t.run(t.ssch(0x1000, { ctrl0: F | P | H }));
  expect(hostOrb(t).ctrl0).toBe(F | P | H);
});

test('a direct CCW gets an IDAL of 2K blocks when the guest uses format-1 IDAWs, of 4K blocks with format 2', () => {
  const t = opened();
  t.program(0x1000, [[READ, SLI, 0x1800, 0x3c00]]);
  t.run(t.ssch(0x1000));
  expect([hostCcw(t, hostOrb(t).cpa).flags, hostCcw(t, hostOrb(t).cpa).count]).toEqual([SLI | IDA, 0x1800]);
  const blocks = [0x3c00, 0x4000, 0x4800, 0x5000].map((gpa) => host(t, gpa));
  expect(idal(t, hostOrb(t).cpa, 5)).toEqual([...blocks, NOWHERE]);
  finish(t);
  t.run(t.ssch(0x1000, { ctrl0: F | P | H }));
  expect(idal(t, hostOrb(t).cpa, 4)).toEqual([host(t, 0x3c00), host(t, 0x4000), host(t, 0x5000), NOWHERE]);
});

test.each([
  ['format 1, 2K', 0, 4, [0x3400, 0x9800, 0x5000], 0x400 + 0x800 + 1],
  ['format 2, 2K', H | T, 8, [0x3400, 0x9800, 0x5000], 0x400 + 0x800 + 1],
  ['format 2, 4K', H, 8, [0x3400, 0x9000, 0x5000], 0xc00 + 0x1000 + 1],
] as const)("a guest's IDAL, %s, is copied and translated word by word", (_name, ctrl0, size, list, count) => {
  const t = opened();
  t.poke(0x2000 + (size === 4 ? 4 : 8), words(size, list));
  t.program(0x1000, [[WRITE, IDA, count, 0x2000 + (size === 4 ? 4 : 8)]]);
  t.run(t.ssch(0x1000, { ctrl0: F | P | ctrl0 }));
  expect(idal(t, hostOrb(t).cpa, 4)).toEqual([...list.map((gpa) => host(t, gpa)), NOWHERE]);
  expect(t.held).toBe('3 pins, 3 locked, 2 blocks');
  finish(t);
  expect(t.held).toBe(NOTHING);
});

test('2K blocks in one page are pinned once each, and unpinned as often', () => {
  const t = opened();
  t.program(0x1000, [[READ, 0, 4096, 0x3000]]);
  t.run(t.ssch(0x1000));
  expect(t.held).toBe('1 pins, 1 locked, 2 blocks');
  expect(t.trace().find((r) => r.event === 'vfio_ccw_K2')?.args).toEqual([0, 0x1000, 2]);
  finish(t);
  expect(t.held).toBe(NOTHING);
});

test('format-0 CCWs become format 1, with every form of transfer', () => {
  const t = opened();
  // 02 READ at 003000, CC, count 16; F8 TIC to 001018 with flags and count that mean nothing; skipped; NOP.
  t.poke(0x1000, Uint8Array.from([0x02, 0x00, 0x30, 0x00, 0x40, 0, 0, 16]));
  t.poke(0x1008, Uint8Array.from([0xf8, 0x00, 0x10, 0x18, 0xff, 0, 0xff, 0xff]));
  t.poke(0x1018, Uint8Array.from([0x03, 0x00, 0x00, 0x00, 0x20, 0, 0, 1]));
  t.run(t.ssch(0x1000, { ctrl0: P }));
  const at = hostOrb(t).cpa;
  expect([hostCcw(t, at).cmd, hostCcw(t, at).flags, hostCcw(t, at).count]).toEqual([READ, CC | IDA, 16]);
  const tic = hostCcw(t, at + 8);
  expect([tic.cmd, tic.flags, tic.count, tic.cda]).toEqual([TIC, 0, 0, t.device.cp.hostAddress(0x1018)]);
  expect(hostCcw(t, tic.cda).cmd).toBe(NOP);
});

test.each<[string, [number, CcwFields[]][], number, number]>([
  // name, segments of CCWs, CCWs counted, DMA blocks: one per segment and one per CCW that is no TIC
  [
    'loop back over a search',
    [
      [
        0x1000,
        [
          [0x31, CC, 5, 0x3000],
          [TIC, 0, 0, 0x1000],
          [READ, 0, 8, 0x3100],
        ],
      ],
    ],
    3,
    2,
  ],
  [
    'TIC to itself ends nothing',
    [
      [
        0x1000,
        [
          [TIC, 0, 0, 0x1000],
          [NOP, 0, 1, 0],
        ],
      ],
    ],
    2,
    2,
  ],
  [
    'far and back into the middle',
    [
      [
        0x1000,
        [
          [NOP, CC, 1, 0],
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x5000],
        ],
      ],
      [
        0x5000,
        [
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x1008],
        ],
      ],
    ],
    5,
    4,
  ],
  [
    'two TICs to one segment',
    [
      [
        0x1000,
        [
          [0x31, CC, 5, 0x3000],
          [TIC, 0, 0, 0x1000],
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x5000],
        ],
      ],
      [
        0x5000,
        [
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x5000],
          [NOP, 0, 1, 0],
        ],
      ],
    ],
    7,
    4,
  ],
])('segments: %s', (_name, segments, ccws, blocks) => {
  const t = opened();
  for (const [gpa, list] of segments) t.program(gpa, list);
  t.run(t.ssch(0x1000));
  expect(t.trace().find((r) => r.event === 'vfio_ccw_K1')?.args).toEqual([0, 0x1000, ccws]);
  // One for the CCWs of a segment, one for their IDALs.
  expect(t.host.pool.live).toBe(blocks);
  for (const [gpa, list] of segments)
    for (const [i, [cmd, , , cda]] of list.entries()) {
      const hpa = t.device.cp.hostAddress(gpa + 8 * i) as number;
      expect(hostCcw(t, hpa).cmd).toBe(cmd);
      if (cmd === TIC) expect(hostCcw(t, hpa).cda).toBe(t.device.cp.hostAddress(cda));
    }
  finish(t);
  expect(t.held).toBe(NOTHING);
});

test.each([
  [256, 124],
  [257, 'EINVAL'],
])('%i CCWs in a segment: %s', (count, expected) => {
  const t = opened();
  const chain = Array.from({ length: count }, (_, i): CcwFields => [NOP, i + 1 < count ? CC : 0, 1, 0]);
  t.program(0x1000, chain);
  expect(t.outcome(t.ssch(0x1000))).toBe(expected);
  if (expected === 'EINVAL') expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
});

test('nothing is read behind the 256th CCW, whatever it holds', () => {
  const t = opened();
  t.program(
    0x1000,
    Array.from({ length: 300 }, (): CcwFields => [NOP, CC, 1, 0]),
  );
  expect(t.outcome(t.ssch(0x1000))).toBe('EINVAL');
});

test.each([
  [16, 124],
  [17, 'EINVAL'],
])('%i segments: %s', (count, expected) => {
  const t = opened();
  for (let i = 0; i < count; i++)
    t.program(
      0x1000 * (i + 1),
      i + 1 < count
        ? [
            [NOP, CC, 1, 0],
            [TIC, 0, 0, 0x1000 * (i + 2)],
          ]
        : [[NOP, 0, 1, 0]],
    );
  expect(t.outcome(t.ssch(0x1000))).toBe(expected);
  if (expected === 'EINVAL') expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
});

test.each<[string, CcwFields]>([
  ['NOP', [NOP, SLI, 64, JUNK]],
  ['NOP with an IDAL is read, but its words are not pinned', [NOP, IDA, 64, 0x2000]],
  ['read with skip', [READ, SKIP, 4096, JUNK]],
  ['sense with skip', [0x04, SKIP, 32, JUNK]],
  ['read backward with skip', [0x0c, SKIP, 4096, JUNK]],
  ['write of nothing', [WRITE, SLI, 0, JUNK]],
])('%s pins nothing, whatever its address', (_name, ccw) => {
  const t = opened();
  t.poke(0x2000, words(4, [JUNK]));
  t.program(0x1000, [ccw]);
  t.run(t.ssch(0x1000));
  expect(t.held).toBe('0 pins, 0 locked, 2 blocks');
  expect(idal(t, hostOrb(t).cpa, 1)[0] >= NOWHERE).toBe(true);
});

test('a CCW that says no data but is data-chained to a read has no address a guest chose', () => {
  const t = opened();
  t.program(0x1000, [
    [READ, DC, 8, 0x3000],
    [NOP, 0, 4096, 0x10_0000],
  ]);
  t.run(t.ssch(0x1000));
  expect(idal(t, hostOrb(t).cpa + 8, 2).every((word) => word >= NOWHERE)).toBe(true);
});

test('skip does not count for output', () => {
  const t = opened();
  t.program(0x1000, [[WRITE, SKIP, 16, 0x3000]]);
  t.run(t.ssch(0x1000));
  expect(t.held).toBe('1 pins, 1 locked, 2 blocks');
});

test('behind the last CCW stands an invalid command', () => {
  const t = opened();
  t.program(0x1000, [
    [NOP, 0, 1, 0],
    [READ, 0, 8, 0x3000],
  ]);
  t.run(t.ssch(0x1000));
  expect([...t.memory.bytes(hostOrb(t).cpa + 8, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

const GOOD = Array.from({ length: 5 }, (_, i): CcwFields => [READ, CC, 4096, 0x8000 + i * 0x2000]);

test.each<[string, CcwFields[], (t: CcwFixture) => Task<unknown> | undefined, string]>([
  ['data outside memory', [[READ, 0, 8, JUNK]], () => undefined, 'EINVAL'],
  ['IDAL outside memory', [[READ, IDA, 8, JUNK]], () => undefined, 'EINVAL'],
  ['last word of the IDAL outside memory', [[READ, IDA, 0x1000, 0x2000]], () => undefined, 'EINVAL'],
  ['TIC outside memory', [[TIC, 0, 0, JUNK]], () => undefined, 'EINVAL'],
  ['read-only page', [[READ, 0, 8, 0x10_0000]], (t) => t.mapDma(0x10_0000, t.ram.start, 4096, 1), 'EPERM'],
  ['mapped, but no memory', [[READ, 0, 8, 0x10_0000]], (t) => t.mapDma(0x10_0000, 0x1000, 4096), 'EFAULT'],
])('an error after five good CCWs releases their pins once: %s', (_name, bad, prepare, expected) => {
  const t = opened();
  const preparation = prepare(t);
  if (preparation !== undefined) t.run(preparation);
  t.poke(0x2000, words(4, [0x3400, JUNK, JUNK]));
  t.program(0x1000, [...GOOD, ...bad]);
  expect(t.outcome(t.ssch(0x1000))).toBe(expected);
  expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
  expect(t.css.executed.filter((line) => line.startsWith('ssch'))).toEqual([]);
  t.program(0x1000, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(0x1000))).toBe(124);
});

test('the locked-memory limit is ENOMEM, and nothing stays', () => {
  const t = opened({ lockLimit: 3 });
  t.program(0x1000, [...GOOD, [NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(0x1000))).toBe('ENOMEM');
  expect(t.held).toBe(NOTHING);
});

test('a short program in the last 2 KiB of memory is refused, as the whole segment is read', () => {
  const t = opened();
  t.program(RAM - 8, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(RAM - 8))).toBe('EINVAL');
  t.program(RAM - 2048, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(RAM - 2048))).toBe(124);
});

test('a guest that rewrites its first IDAW meanwhile cannot make the list longer or shorter', () => {
  for (let seed = 0; seed < 30; seed++) {
    const t = opened({ seed });
    t.program(0x1000, [[READ, IDA, 0x800, 0x2000]]);
    t.poke(0x2000, words(4, [0x3000, 0x4000]));
    const rewrite = function* (): Task<number> {
      for (let i = 0; i < 20; i++) {
        t.poke(0x2000, words(4, [i % 2 === 0 ? 0x3400 : 0x3000]));
        yield { what: 'guest', ready: () => true };
      }
      return 0;
    };
    t.runAll([t.ssch(0x1000), rewrite()]);
    const [first, second, third] = idal(t, hostOrb(t).cpa, 3);
    const offset = first % 4096n;
    // One word when the block is used from its start, two when not: never a mixture.
    if (offset === 0n) expect(second).toBe(NOWHERE);
    else expect([offset, second, third]).toEqual([0x400n, host(t, 0x4000), NOWHERE]);
  }
});

test('what the guest writes to its program after SSCH is not seen', () => {
  const t = opened();
  t.program(0x1000, [[READ, 0, 8, 0x3000]]);
  t.run(t.ssch(0x1000));
  t.program(0x1000, [[WRITE, 0, 8, 0x3000]]);
  expect(hostCcw(t, hostOrb(t).cpa).cmd).toBe(READ);
});

test('the CCW address of the status is the one the guest knows', () => {
  const t = opened();
  t.program(0x1000, [
    [NOP, CC, 1, 0],
    [TIC, 0, 0, 0x5000],
  ]);
  t.program(0x5000, [
    [NOP, CC, 1, 0],
    [NOP, 0, 1, 0],
  ]);
  t.run(t.ssch(0x1000));
  const end = (t.device.cp.hostAddress(0x5008) as number) + 8;
  t.css.present(0, { cpa: end });
  t.settle();
  expect(t.run(t.irb()).cpa).toBe(0x5010);
});

test('transport mode, reserved ORB bits and a program off its boundary', () => {
  const t = opened();
  t.program(0x1000, [[NOP, 0, 1, 0]]);
  expect(t.outcome(t.ssch(0x1000, { ctrl0: F | P | ORB_CTRL0.mask.B }))).toBe('EOPNOTSUPP');
  expect(t.outcome(t.ssch(0x1000, { ctrl1: 0x02 }))).toBe('EIO');
  expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
});

test('MIDAWs are not for passed-through programs: without the control the flag is a program check', () => {
  const t = opened();
  t.program(0x1000, [[READ, CCW_FLAG.MIDA, 16, 0x3000]]);
  t.run(t.ssch(0x1000, { ctrl1: 0x40 | 0x80 }));
  expect(hostOrb(t).ctrl1).toBe(0x80);
  expect(hostCcw(t, hostOrb(t).cpa).flags).toBe(CCW_FLAG.MIDA | IDA);
});

test('P = 0 is prefetched all the same and noted once', () => {
  const t = opened();
  t.program(0x1000, [[NOP, 0, 1, 0]]);
  for (let i = 0; i < 2; i++) {
    expect(t.outcome(t.ssch(0x1000, { ctrl0: F }))).toBe(124);
    finish(t);
  }
  expect(t.log.filter((line) => line.includes('prefetch not specified'))).toHaveLength(1);
});

test('no program whatever leaks, crashes or reaches beyond what is pinned', () => {
  const address = fc.oneof(
    fc.integer({ min: 0, max: RAM }),
    fc.constantFrom(0x1000, 0x1008, 0x2000, JUNK, 0xffff_ffff),
  );
  const ccw = fc.tuple(
    fc.oneof(fc.constantFrom(1, 2, 3, 4, 8, 12, 0x18), fc.nat(255)),
    fc.nat(255),
    fc.nat(65535),
    address,
  );
  fc.assert(
    fc.property(fc.array(ccw, { minLength: 1, maxLength: 40 }), fc.nat(0xffff), fc.nat(1000), (ccws, ctrl0, seed) => {
      const t = opened({ seed });
      t.program(0x1000, ccws as CcwFields[]);
      const result = t.outcome(t.ssch(0x1000, { ctrl0 }));
      if (result === 124) {
        const frames = new Set([...hpasOf(t)]);
        for (const hpa of frames) expect(t.kernel.mm.space.frames.pins(hpa)).toBeGreaterThan(0);
        finish(t);
      }
      expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
    }),
    { numRuns: 60 },
  );
});

test('the way that does not sleep translates to the same as the one that does', () => {
  const address = fc.oneof(fc.integer({ min: 0, max: RAM }), fc.constantFrom(0x2000, 0x2ff8, 0x3000, JUNK));
  const ccw = fc.tuple(
    fc.constantFrom(1, 2, 3, 4, 8, 12),
    fc.constantFrom(0, CC, CC | IDA, IDA, SKIP | CC),
    fc.nat(20000),
    address,
  );
  const list = fc.array(fc.oneof(fc.integer({ min: 0, max: RAM }), fc.constantFrom(JUNK)), { maxLength: 12 });
  fc.assert(
    fc.property(
      fc.array(ccw, { minLength: 1, maxLength: 20 }),
      list,
      fc.constantFrom(0, H, H | T),
      (ccws, idaws, idaw) => {
        const [slow, fast] = [true, false].map((simulated) => {
          const t = opened();
          t.poke(0x2000, words(idaw === 0 ? 4 : 8, idaws));
          t.program(0x1000, ccws as CcwFields[]);
          Object.assign(t.actor, { simulated });
          const result = t.outcome(t.ssch(0x1000, { ctrl0: F | P | idaw }));
          const hpas = result === 124 ? [...hpasOf(t)] : [];
          const { held } = t;
          if (result === 124) finish(t);
          return { result, hpas, held, left: t.held };
        });
        expect(fast).toEqual(slow);
        expect(fast.left).toBe(NOTHING);
      },
    ),
    { numRuns: 60 },
  );
});

test.each(['the lock of the mappings is held', 'a page is being moved'])(
  'threaded, when %s, translation sleeps and goes on',
  (why) => {
    const t = opened();
    Object.assign(t.actor, { simulated: false });
    t.poke(0x2000, words(8, [0x3400, 0x5000]));
    t.program(0x1000, [
      [READ, IDA | CC, 0x1000, 0x2000],
      [NOP, 0, 1, 0],
    ]);
    const { memory, space } = { memory: t.memory, space: t.kernel.mm.space };
    const { users } = t.device;
    if (users === undefined) throw new Error('not open');
    const { tryPinPage, tryDmaRead } = users;
    let refusals = 0;
    if (why.startsWith('the lock')) {
      // Whoever has the lock: the calls that do not sleep say so.
      users.tryPinPage = (...args) => (refusals++ % 2 === 0 ? -1 : (tryPinPage?.apply(users, args) as number));
      users.tryDmaRead = (...args) => (refusals++ % 2 === 0 ? false : (tryDmaRead?.apply(users, args) as boolean));
    }
    const at = space.entryAddress(t.ram.start + 0x5000);
    const entry = memory.load(at);
    if (refusals === 0 && !why.startsWith('the lock')) memory.store(at, entry | PTE.MIGRATING);
    const call = t.start(t.ssch(0x1000, { ctrl0: F | P | H }));
    t.settle();
    if (!why.startsWith('the lock')) {
      expect(call.done).toBe(false);
      memory.store(at, entry);
      t.settle();
    }
    expect([call.value, idal(t, hostOrb(t).cpa, 3)]).toEqual([124, [host(t, 0x3400), host(t, 0x5000), NOWHERE]]);
    finish(t);
    expect(t.held).toBe(NOTHING);
  },
);

/** Every frame a word of an IDAL of the running program names. */
function* hpasOf(t: CcwFixture): Iterable<number> {
  for (let gpa = 0; gpa < RAM; gpa += 8) {
    const hpa = t.device.cp.hostAddress(gpa);
    if (hpa === undefined) continue;
    const { cmd, cda } = hostCcw(t, hpa);
    if (cmd === TIC) continue;
    for (let at = cda; ; at += 8) {
      const word = t.memory.dv.getBigUint64(at);
      if (word >= NOWHERE) break;
      yield Number(word);
    }
  }
}
