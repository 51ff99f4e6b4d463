/** Translation of channel programs: what the host gets for what the guest wrote. */
import { expect, test } from 'vitest';
import { type CcwFields, NOTHING } from '../../../test/support/ccw_fixture.ts';
import {
  finish,
  host,
  hostCcw,
  hostOrb,
  idal,
  JUNK,
  NOP,
  NOWHERE,
  opened,
  READ,
  TIC,
  WRITE,
  words,
} from '../../../test/support/ccw_translation.ts';
import { CCW_FLAG } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../include/arch/s390/orb.ts';

const { DC, CC, SLI, SKIP, IDA } = CCW_FLAG;
const { F, P, H, T, S } = ORB_CTRL0.mask;

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
