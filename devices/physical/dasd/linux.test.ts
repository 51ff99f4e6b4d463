/** What Linux does with a DASD from the time it finds it (cio, `dasd_eckd.c`; vfio-ccw facts 5.1), against the drive. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EckdDrive } from './drive.ts';
import { recordsPerTrack } from './geometry.ts';
import {
  type Command,
  countBytes,
  extendedBytes,
  extentBytes,
  type LocateFields,
  locateBytes,
  prefixBytes,
  runChain,
  testDrive,
  testVolume,
  u16be,
} from './test_chain.ts';

const volume = testVolume();
afterAll(() => volume.remove());
let drive: EckdDrive;
beforeAll(() => {
  drive = testDrive(volume.file);
});

const NORMAL = 0x0c;
const BLOCK = 4096;
const HEADS = 15;
const RPT = recordsPerTrack(BLOCK);
const at = (track: number): [number, number] => [Math.floor(track / HEADS), track % HEADS];

/** Runs a request that must end normally. */
function good(commands: readonly Command[], path = 0x80): Uint8Array {
  const { status, incorrectLength, sense, bytes } = runChain(drive, commands, path);
  expect([status, incorrectLength, ...sense.subarray(0, 8)]).toEqual([NORMAL, false]);
  return bytes;
}

/** `define_extent`: mask and cache operation by what the request does. */
const MASK = { READ: 0x40, WRITE: 0x80, FORMAT: 0x00, RECORD_0: 0xc2, FULL_TRACK: 0xc0 } as const;
const BYPASS = 0xc0 | (1 << 2);
function extent(first: number, last: number, mask: number, attributes = 0xc0, block = 0, extended = 0) {
  return { mask, attributes, block, extended, first: at(first), last: at(last) };
}
/** The sector `locate_record` computes. */
function sector(record: number, length: number): number {
  if (record === 0) return 0;
  const dn = Math.ceil((length + 6) / 232);
  return Math.floor((49 + (record - 1) * (10 + 9 + Math.ceil((length + 6 * (dn + 1)) / 34))) / 8);
}
const locate = (track: number, record: number, count: number, op: number, length: number): LocateFields => ({
  op,
  at: at(track),
  record,
  count,
  length,
  sector: sector(record, length),
});

describe('recognition and path verification', () => {
  test('Sense ID with the length Linux gives it: a 3390 on a 3990, with Read Configuration Data', () => {
    const { status, bytes } = runChain(drive, [[0xe4, 256, 'sli']]);
    expect([status, bytes.length]).toEqual([NORMAL, 20]);
    expect([...bytes.subarray(0, 6)]).toEqual([0xff, 0x39, 0x90, 0xe9, 0x33, 0x90]);
    // A command information word of type 0 (RCD), command FA.
    expect([bytes[8] >>> 6, bytes[8] & 0x0f, bytes[9]]).toEqual([1, 0, 0xfa]);
  });

  test('every path: sense the group, establish it in multipath mode, sense it again', () => {
    const pgid = [0x80, ...Array.from({ length: 10 }, (_, i) => i + 1)];
    for (const path of [0x80, 0x40]) {
      expect(good([[0x34, 12, 'sli']], path)[0] & 0xc0).toBe(0);
      good([[0xaf, [0x80, ...pgid], 'sli']], path);
    }
    for (const path of [0x80, 0x40]) expect([...good([[0x34, 12, 'sli']], path)]).toEqual([0xc8, ...pgid]);
  });
});

describe('set online', () => {
  /** Parts of the configuration data, as `dasd_eckd_identify_conf_parts` finds them. */
  function parts(data: Uint8Array) {
    const elements = Array.from({ length: 8 }, (_, i) => data.subarray(i * 32, i * 32 + 32));
    return {
      ned: elements.filter((e) => e[0] >>> 6 === 3 && e[1] === 1).at(-1),
      gneq: elements.filter((e) => e[0] >>> 6 === 2).at(-1),
      sneq: elements.find((e) => e[0] >>> 6 === 1),
    };
  }

  test('configuration data are the same on every path', () => {
    const data = good([[0xfa, 256]], 0x80);
    const { ned, gneq, sneq } = parts(data);
    expect([ned?.length, gneq?.length, sneq]).toEqual([32, 32, undefined]);
    expect([...(ned as Uint8Array).subarray(30)]).toEqual([0x12, 0x34]);
    expect([...(gneq as Uint8Array).subarray(8, 10)]).toEqual([0x01, 0x12]);
    expect(good([[0xfa, 256]], 0x40)).toEqual(data);
  });

  test('characteristics', () => {
    const rdc = Buffer.from(good([[0x64, 64]]));
    expect([rdc.readUInt16BE(0), rdc.readUInt16BE(3), rdc.readUInt16BE(12), rdc.readUInt16BE(14)]).toEqual([
      0x3990,
      0x3390,
      4,
      HEADS,
    ]);
    // Read Tracks in Locate Record: what raw track access wants.
    expect(rdc[6] & 0x40).toBe(0x40);
  });

  test('the logical control unit, its characteristics, features; no volume storage query', () => {
    const prssd = (suborder: number): Command => [0x27, [0x18, 0, 0, 0, 0, 0, suborder, 0, 0, 0, 0, 0]];
    const uac = good([prssd(0x0e), [0x3e, 512]]);
    expect(uac[0x34 * 2]).toBe(1);
    good([[0x27, [0x1d, 0, 0, 0, 0, 0, 0xc0, ...Array<number>(59).fill(0)]]]);
    const features = good([prssd(0x41), [0x3e, 256]]);
    expect([features[8] & 0x01, features[9] & 0x20, features[12] & 0x40, features[40]]).toEqual([1, 0x20, 0x40, 0]);
    const { status, sense } = runChain(drive, [prssd(0x52), [0x3e, 28, 'sli']]);
    expect([status, sense[0], sense[7]]).toEqual([0x0e, 0x80, 4]);
  });
});

/** `dasd_eckd_analysis_ccw`: counts of the first four records of track 0, and of the first of track 1. */
function analyse(): number[][] {
  const bytes = good([
    [0x63, extentBytes(extent(0, 1, MASK.READ, BYPASS))],
    [0x47, locateBytes(locate(0, 0, 4, 0x06, 0))],
    ...Array.from({ length: 4 }, (): Command => [0x12, 8]),
    [0x47, locateBytes(locate(1, 0, 1, 0x06, 0))],
    [0x12, 8],
  ]);
  return Array.from({ length: 5 }, (_, i) => [...bytes.subarray(i * 8, i * 8 + 8)]);
}

const CDL = [
  countBytes([0, 0], 1, 4, 24),
  countBytes([0, 0], 2, 4, 144),
  countBytes([0, 0], 3, 4, 80),
  countBytes([0, 0], 4, 0, BLOCK),
  countBytes([0, 1], 1, 44, 96),
];

test('analysis finds the compatible disk layout', () => {
  expect(analyse()).toEqual(CDL);
});

describe('formatting', () => {
  /** `dasd_eckd_build_format` for whole tracks, with or without Prefix and record zero. */
  function format(first: number, last: number, cdl: boolean, prefix: boolean, record0: boolean): Command[] {
    const write = record0 ? MASK.RECORD_0 : MASK.FORMAT;
    const where = extent(first, last, write, BYPASS, 0, record0 ? 0 : 0x04);
    const count = RPT * (last - first + 1) + (record0 ? 1 : 0);
    const begin: Command = prefix ? [0xe7, prefixBytes({}, where, [0])] : [0x63, extentBytes(where)];
    const commands: Command[] = [begin, [0x47, locateBytes(locate(first, 0, count, record0 ? 0x43 : 0x03, BLOCK))]];
    for (let track = first; track <= last; track++) {
      if (record0) commands.push([0x15, countBytes(at(track), 0, 0, 8), 'sli']);
      for (let record = 1; record <= RPT; record++) {
        const special = !cdl ? undefined : track === 0 ? [24, 144, 80][record - 1] : track === 1 ? 96 : undefined;
        const key = special === undefined ? 0 : track === 0 ? 4 : 44;
        const code = record === 1 && track > first ? 0x9d : 0x1d;
        commands.push([code, countBytes(at(track), record, key, special ?? BLOCK), 'sli']);
      }
    }
    return commands;
  }
  const invalidate: Command[] = [
    [0xe7, prefixBytes({}, extent(0, 0, MASK.FORMAT, BYPASS), [0])],
    [0x47, locateBytes(locate(0, 0, 1, 0x03, 8))],
    [0x1d, countBytes([0, 0], 1, 0, 0), 'sli'],
  ];

  test.each([
    ['Define Extent', false, false],
    ['Prefix', true, false],
    ['Prefix, and record zero', true, true],
  ])('with %s: invalidated, formatted track by track, analysed', (_, prefix, record0) => {
    good(invalidate);
    const { status, sense } = runChain(drive, [
      [0x63, extentBytes(extent(0, 1, MASK.READ, BYPASS))],
      [0x47, locateBytes(locate(0, 0, 4, 0x06, 0))],
      ...Array.from({ length: 4 }, (): Command => [0x12, 8]),
    ]);
    // The one empty record over and over: how Linux sees that the disk is not formatted.
    expect([status, sense[1]]).toEqual([0x0e, 0x08]);
    good(format(0, 0, true, prefix, record0));
    good(format(1, 1, true, prefix, record0));
    expect(analyse()).toEqual(CDL);
    if (!record0) good(format(2, 11, true, prefix, false));
    expect(good(read(5, 1, RPT))).toEqual(Buffer.alloc(RPT * BLOCK));
  });

  test('the format check reads counts', () => {
    const bytes = good([
      [0xe7, prefixBytes(locate(3, 0, RPT, 0x06, 0), extent(3, 3, MASK.READ, BYPASS))],
      ...Array.from({ length: RPT }, (): Command => [0x12, 8, 'sli']),
    ]);
    expect([...bytes.subarray(-8)]).toEqual(countBytes(at(3), RPT, 0, BLOCK));
  });
});

/** `dasd_eckd_build_cp_cmd_single`, a read of standard blocks. */
function read(track: number, record: number, count: number): Command[] {
  const last = track + Math.floor((record - 1 + count - 1) / RPT);
  return [
    [0xe7, prefixBytes({}, extent(track, last, MASK.READ), [0])],
    [0x47, locateBytes(locate(track, record, count, 0x06, BLOCK))],
    ...Array.from({ length: count }, (): Command => [0x86, BLOCK]),
  ];
}

describe('blocks', () => {
  const block = (seed: number) => Uint8Array.from({ length: BLOCK }, (_, i) => (i * 13 + seed * 31) & 0xff);

  test('written over the end of a track and read back, with the time stamp and without Prefix', () => {
    const blocks = [1, 2, 3, 4].map(block);
    const stamped = [
      ...extentBytes({ ...extent(4, 5, MASK.WRITE), extended: 0x0a }),
      ...Array<number>(16).fill(1, 0, 8).fill(0, 8),
    ];
    good([
      [0x63, stamped, 'sli'],
      [0x47, locateBytes(locate(4, RPT - 1, 4, 0x01, BLOCK))],
      ...blocks.map((data): Command => [0x85, data]),
    ]);
    expect(good(read(4, RPT - 1, 4))).toEqual(Buffer.concat(blocks));
  });

  test('the special blocks of the layout, each with its own Locate Record', () => {
    const lengths = [28, 148, 84];
    const write = lengths.flatMap((length, i): Command[] => [
      [0x47, locateBytes(locate(0, i + 1, 1, 0x01, length))],
      [0x8d, block(i).subarray(0, length)],
    ]);
    const label: Command[] = [
      [0x47, locateBytes(locate(1, 1, 1, 0x01, 140))],
      [0x8d, block(9).subarray(0, 140)],
    ];
    good([[0xe7, prefixBytes({}, extent(0, 1, MASK.WRITE), [0])], ...write, ...label]);
    const reads = lengths.flatMap((length, i): Command[] => [
      [0x47, locateBytes(locate(0, i + 1, 1, 0x06, length))],
      [0x8e, length],
    ]);
    const bytes = good([[0xe7, prefixBytes({}, extent(0, 0, MASK.READ), [0])], ...reads]);
    expect(bytes).toEqual(Buffer.concat(lengths.map((length, i) => block(i).subarray(0, length))));
  });

  test('a request of 255 CCWs', () => {
    expect(good(read(2, 1, 253 - 120))).toHaveLength((253 - 120) * BLOCK);
  });

  /** `dasd_eckd_build_cp_cmd_track`: from block `first` to block `last` of the disk. */
  function byTrack(first: number, last: number, code: 0xa5 | 0xa6, data?: Uint8Array): Command[] {
    const [from, to] = [Math.floor(first / RPT), Math.floor(last / RPT)];
    const writes = code === 0xa5;
    const tail = from === to ? last - first + 1 : (last % RPT) + 1;
    const operation: LocateFields = writes
      ? { op: 0x3f, extendedOp: 0x23, length: BLOCK }
      : { op: 0x0c, length: tail * BLOCK };
    const place = {
      at: at(from),
      record: (first % RPT) + 1,
      count: to - from + 1,
      sector: sector((first % RPT) + 1, BLOCK),
    };
    const where = extent(from, to, writes ? MASK.WRITE : MASK.READ, 0xc0, writes ? BLOCK : 0);
    const commands: Command[] = [[0xe7, prefixBytes({ ...place, ...operation }, where)]];
    for (let next = first, done = 0; next <= last; ) {
      const count = Math.min(last - next + 1, RPT - (next % RPT));
      commands.push([code, data?.subarray(done, done + count * BLOCK) ?? count * BLOCK]);
      next += count;
      done += count * BLOCK;
    }
    return commands;
  }

  test.each([
    ['one block', 40, 40],
    ['part of a track', 40, 45],
    ['two tracks', 45, 50],
    ['four tracks and a bit', 38, 90],
  ])('by whole tracks: %s', (_, first, last) => {
    const data = Buffer.concat(Array.from({ length: last - first + 1 }, (_, i) => block(first + i)));
    const around = (n: number) => Buffer.from(good(byTrack(n, n, 0xa6)));
    const before = [around(first - 1), around(last + 1)];
    good(byTrack(first, last, 0xa5, data));
    expect(good(byTrack(first, last, 0xa6))).toEqual(data);
    expect(good(read(Math.floor(first / RPT), (first % RPT) + 1, last - first + 1))).toEqual(data);
    expect([around(first - 1), around(last + 1)]).toEqual(before);
  });

  test.each([true, false])('raw tracks, with Prefix: %s', (prefix) => {
    const RAW = 57326;
    const request = (code: number, mask: number, fields: LocateFields, first: number, last: number): Command[] => {
      const where = extent(first, last, mask);
      const place = { ...fields, at: at(first), record: 0, count: last - first + 1, sector: 0xff };
      const begin: Command[] = prefix
        ? [[0xe7, prefixBytes(place, where)]]
        : [
            [0x63, extentBytes(where)],
            [0x4b, extendedBytes(place)],
          ];
      return code === 0xde
        ? [...begin, ...Array.from({ length: last - first + 1 }, (): Command => [code, RAW, 'sli'])]
        : begin;
    };
    const raw = (first: number, last: number) =>
      runChain(drive, request(0xde, MASK.READ, { op: 0x4c }, first, last)).given;
    const tracks = raw(14, 16).slice(-3);
    expect(tracks.map((track) => [...track.subarray(0, 4)])).toEqual(
      [14, 15, 16].map((t) => [0, at(t)[0], 0, at(t)[1]]),
    );
    // Back again, each in 64 KiB of memory that is zero behind the end mark.
    const full = { op: 0x3f, extendedOp: 0x11, parameter: [0xe0, 0] };
    const writes = tracks.map((track): Command => [0x95, Buffer.concat([track], RAW), 'sli']);
    good([...request(0x95, MASK.FULL_TRACK, full, 14, 16), ...writes]);
    expect(raw(14, 16).slice(-3)).toEqual(tracks);
  });
});

test('reserve, release, steal the lock, sense the path group', () => {
  for (const code of [0xb4, 0x94]) expect(good([[code, 32, 'sli']])).toHaveLength(32);
  good([
    [0x14, 32],
    [0x94, 32],
  ]);
  expect(good([[0x34, 12, 'sli']])[0]).toBe(0xc8);
});

test('an error is told, and recovery reads the same record again', () => {
  const { status, sense } = runChain(drive, read(20, 13, 1));
  expect([status, sense[1]]).toEqual([0x0e, 0x08]);
  // 24-byte sense: the code path of Linux for a 3990.
  expect(sense[27] & 0x80).toBe(0x80);
  expect([...u16be(1), 5]).toEqual([...sense.subarray(29, 32)]);
  expect(good(read(20, 12, 1))).toHaveLength(BLOCK);
});
