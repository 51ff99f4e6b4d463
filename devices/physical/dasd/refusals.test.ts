import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { COMMANDS } from './command_table.ts';
import type { EckdDrive } from './drive.ts';
import type { DomainKind } from './locate.ts';
import {
  type Command,
  cchh,
  countBytes,
  type ExtentFields,
  extendedBytes,
  extentBytes,
  type LocateFields,
  locateBytes,
  located,
  prefixBytes,
  runChain,
  seekBytes,
  testDrive,
  testVolume,
} from './test_chain.ts';

const volume = testVolume();
afterAll(() => volume.remove());
let drive: EckdDrive;
// Nothing here reaches the disk.
beforeEach(() => {
  drive = testDrive(volume.file);
});

/** Device status, and sense bytes 0, 1 and 7. */
function checked(commands: readonly Command[]): unknown[] {
  const { status, sense } = runChain(drive, commands);
  return [status, sense[0], sense[1], sense[7]];
}

const REJECT = (message: number) => [0x0e, 0x80, 0, message];
const COMMAND = REJECT(1);
const SEQUENCE = REJECT(2);
const COUNT = REJECT(3);
const PARAMETER = REJECT(4);
const MASK = REJECT(5);
const PROTECTED = [0x0e, 0, 0x04, 0];
const NOT_FOUND = [0x0e, 0, 0x08, 0];
const TRACK_FORMAT = [0x0e, 0, 0x40, 0];

const bytes = (length: number, ...begin: number[]) => [...begin, ...Array<number>(length - begin.length).fill(0)];
const seek: Command = [0x07, seekBytes(1, 0)];
const read: Command = [0x86, 4096];
const extent: Command = [0x63, extentBytes()];

test.each(Array.from({ length: 256 }, (_, code) => code).filter((code) => !COMMANDS.has(code)))(
  'command %i is none of a 3390',
  (code) => {
    expect(checked([[code, 0]])).toEqual(COMMAND);
  },
);

describe('parameters', () => {
  const define = (fields: ExtentFields): Command[] => [[0x63, extentBytes(fields)]];
  const locate = (fields: LocateFields, where: ExtentFields = {}): Command[] => located(fields, where);
  const extended = (fields: LocateFields, where: ExtentFields = {}): Command[] => [
    [0x63, extentBytes(where)],
    [0x4b, extendedBytes(fields)],
  ];
  const full = { op: 0x3f, extendedOp: 0x11, record: 0 };
  const prefix = (head: number[]): Command[] => [[0xe7, prefixBytes({}, {}, head)]];
  const order = (...parameter: number[]): Command[] => [[0x27, bytes(12, ...parameter)]];
  const id = Array<number>(11).fill(7);

  const rows: [string, Command[], unknown[]][] = [
    ['Define Extent too short', [[0x63, extentBytes().slice(0, 15)]], COUNT],
    ['extended parameter too short', [[0x63, [...extentBytes({ extended: 0x02 }), ...bytes(15)]]], COUNT],
    ['file mask bit 2', define({ mask: 0xe0 }), PARAMETER],
    ['not ECKD', define({ attributes: 0x00 }), PARAMETER],
    ['CKD conversion', define({ attributes: 0xe0 }), PARAMETER],
    ['cache mode', define({ attributes: 0xd8 }), PARAMETER],
    ['block size', define({ block: 0xffff }), PARAMETER],
    ['fast-write identifier', define({ fastWrite: 1 }), PARAMETER],
    ['byte 6', define({ byte6: 1 }), PARAMETER],
    ['extended attributes', define({ extended: 0x80 }), PARAMETER],
    ['time stamp without the parameter', define({ extended: 0x08 }), PARAMETER],
    [
      'reserved byte of the parameter',
      [[0x63, [...extentBytes({ extended: 2 }), ...bytes(10), 1, ...bytes(5)]]],
      PARAMETER,
    ],
    ['end of the parameter', [[0x63, [...extentBytes({ extended: 2 }), ...bytes(15), 1]]], PARAMETER],
    ['extent begins outside', define({ first: [4, 0], last: [4, 0] }), PARAMETER],
    ['extent begins on a big cylinder', define({ first: [0x10000, 0], last: [0x10000, 0] }), PARAMETER],
    ['extent ends at head 15', define({ last: [3, 15] }), PARAMETER],
    ['extent backwards', define({ first: [2, 0], last: [1, 14] }), PARAMETER],

    ['Locate Record too short', [extent, [0x47, locateBytes().slice(0, 15)]], COUNT],
    ['unknown operation', locate({ op: 0x02 }), PARAMETER],
    ['write oriented to the index', locate({ op: 0xc1 }), PARAMETER],
    ['write oriented to the home address', locate({ op: 0x41 }), PARAMETER],
    ['format oriented to data', locate({ op: 0x83 }), PARAMETER],
    ['read data oriented to the index', locate({ op: 0xc6 }), PARAMETER],
    ['write track oriented to data', locate({ op: 0x8b }), PARAMETER],
    ['read tracks oriented to data', locate({ op: 0x8c }), PARAMETER],
    ['orient to the index', locate({ op: 0xc0, count: 0 }), PARAMETER],
    ['count zero', locate({ count: 0 }), PARAMETER],
    ['count with orient', locate({ op: 0, count: 1 }), PARAMETER],
    ['auxiliary byte', locate({ aux: 0x02 }), PARAMETER],
    ['byte 2', locate({ byte2: 1 }), PARAMETER],
    ['Read Count suffix for read data', locate({ aux: 0x01, count: 2 }), PARAMETER],
    ['Read Count suffix alone', locate({ op: 0x16, aux: 0x01, count: 1 }), PARAMETER],
    ['cylinder outside the disk', locate({ at: [4, 0] }), PARAMETER],
    ['head outside the disk', locate({ at: [1, 15] }), PARAMETER],
    ['sector', locate({ sector: 224 }), PARAMETER],
    ['length without its bit', locate({ aux: 0, length: 8 }), PARAMETER],
    ['bit without a length', locate({ aux: 0x80 }), PARAMETER],
    ['length over the block size', locate({ length: 5000 }, { block: 4096 }), PARAMETER],
    ['outside the extent', locate({}, { last: [0, 14] }), PROTECTED],
    ['record 13', locate({ record: 13 }), NOT_FOUND],
    ['record 13 by its data', locate({ op: 0x86, record: 13 }), NOT_FOUND],

    ['Locate Record Extended too short', [extent, [0x4b, extendedBytes().slice(0, 19)]], COUNT],
    ['extended orient', extended({ op: 0, count: 0 }), PARAMETER],
    ['extended operation without its code', extended({ extendedOp: 0x11, parameter: [0x80] }), PARAMETER],
    ['unknown extended operation', extended({ op: 0x3f, extendedOp: 0x12 }), PARAMETER],
    ['extended operation oriented to the index', extended({ ...full, op: 0xff, parameter: [0x80] }), PARAMETER],
    ['check bytes', extended({ aux: 0x08 }), PARAMETER],
    ['imbedded command', extended({ aux: 0x20, byte2: 0x86 }), PARAMETER],
    ['byte 2 of the extended', extended({ byte2: 0x86 }), PARAMETER],
    ['imbedded count', extended({ imbeddedCount: 1 }), PARAMETER],
    ['scope without a length', extended({ aux: 0x40 }), PARAMETER],
    ['extended count zero', extended({ count: 0 }), PARAMETER],
    ['parameter of an operation without', extended({ parameter: [1] }), PARAMETER],
    ['no map', extended(full), PARAMETER],
    ['long map', extended({ ...full, parameter: [0x80, 0, 0] }), PARAMETER],
    ['map too short', extended({ ...full, parameter: [0x80], parameterLength: 2 }), COUNT],
    ['map without the first track', extended({ ...full, parameter: [0x40] }), PARAMETER],
    ['map of another count', extended({ ...full, parameter: [0xc0] }), PARAMETER],
    ['extended outside the extent', extended({}, { last: [0, 14] }), PROTECTED],

    ['Prefix too short', [[0xe7, prefixBytes().slice(0, 63)]], COUNT],
    ['Prefix format', prefix([3]), PARAMETER],
    ['Prefix validity', prefix([1, 0x81]), PARAMETER],
    ['Prefix time stamp without an extent', prefix([0, 0x40]), PARAMETER],
    ['Prefix for an alias', prefix([1, 0x90]), PARAMETER],
    ['Prefix for another base', prefix([1, 0xa0, 0x35, 0, 0x12]), PARAMETER],
    ['Prefix for another subsystem', prefix([1, 0xa0, 0x34, 0, 0x13]), PARAMETER],
    ['Prefix byte 5', prefix([1, 0x80, 0, 0, 0, 1]), PARAMETER],
    ['Prefix without any extent', prefix([1, 0x00]), SEQUENCE],
    ['extent of Prefix', [[0xe7, prefixBytes({}, { last: [4, 0] })]], PARAMETER],
    ['Prefix of format 2 without an order', [[0xe7, prefixBytes({}, {}, [2])]], PARAMETER],
    ['Prefix Read in command mode', [[0xea, 4096]], COMMAND],

    ['seek too short', [[0x07, seekBytes(1, 0).slice(0, 5)]], COUNT],
    ['seek with a bin number', [[0x07, [0, 1, 0, 0, 0, 0]]], PARAMETER],
    ['seek outside the disk', [[0x07, seekBytes(4, 0)]], PARAMETER],
    ['seek to head 15', [[0x0b, seekBytes(1, 15)]], PARAMETER],
    ['seek to a big cylinder', [[0x07, seekBytes(0x10000, 0)]], PARAMETER],
    [
      'seek outside the extent',
      [
        [0x63, extentBytes({ last: [0, 14] })],
        [0x07, seekBytes(1, 0)],
      ],
      PROTECTED,
    ],
    ['seek under a mask', [[0x1f, [0x08]], seek], PROTECTED],
    [
      'seek cylinder under a mask',
      [
        [0x1f, [0x10]],
        [0x0b, seekBytes(1, 0)],
      ],
      PROTECTED,
    ],
    [
      'seek head under a mask',
      [
        [0x63, extentBytes({ mask: 0xd8 })],
        [0x47, locateBytes({ op: 0, count: 0 })],
        [0x1b, seekBytes(0, 1)],
      ],
      PROTECTED,
    ],
    [
      'recalibrate under a mask',
      [
        [0x1f, [0x08]],
        [0x13, 0],
      ],
      PROTECTED,
    ],
    [
      'recalibrate under diagnostic authorization',
      [
        [0x1f, [0x04]],
        [0x13, 0],
      ],
      PROTECTED,
    ],
    [
      'recalibrate outside the extent',
      [
        [0x63, extentBytes({ first: [1, 0] })],
        [0x13, 0],
      ],
      PROTECTED,
    ],
    ['Set File Mask too short', [[0x1f, []]], COUNT],
    ['file mask', [[0x1f, [0x20]]], PARAMETER],
    ['Set Sector too short', [seek, [0x23, []]], COUNT],
    ['sector number', [seek, [0x23, [0xe0]]], PARAMETER],

    ['path group too short', [[0xaf, bytes(11)]], COUNT],
    ['path group of unknown function', [[0xaf, [0x60, ...id]]], PARAMETER],
    ['path group with reserved bits', [[0xaf, [0x01, ...id]]], PARAMETER],
    ['path group without identifier', [[0xaf, bytes(12, 0x80)]], PARAMETER],

    ['subsystem function too short', [[0x27, [0x18]]], COUNT],
    ['subsystem function without its parameters', [[0x27, bytes(11, 0x18)]], COUNT],
    ['unknown order', order(0x19), PARAMETER],
    ['unknown suborder', order(0x18, 0, 0, 0, 0, 0, 0x52), PARAMETER],
    ['flags of the order', order(0x18, 1, 0, 0, 0, 0, 0x41), PARAMETER],
    ['byte 7 of the order', order(0x18, 0, 0, 0, 0, 0, 0x41, 1), PARAMETER],
    ['byte 8 of the order', order(0x18, 0, 0, 0, 0, 0, 0x41, 0, 1), PARAMETER],
    ['form of statistics', order(0x18, 0, 0, 0, 0, 0, 0x01, 0, 2), PARAMETER],
    ['flags of the characteristics', [[0x27, bytes(66, 0x1d, 1)]], PARAMETER],
    ['flags of the interface identifier', [[0x27, [0xb0, 2, 0, 0]]], PARAMETER],
    ['interface identifier too short', [[0x27, [0xb0, 0, 0]]], COUNT],
    ['characteristics too short', [[0x27, bytes(65, 0x1d)]], COUNT],
    ['Reset Summary Unit Check too short', [[0xf9, bytes(15)]], COUNT],
    ['Diagnostic Control too short', [[0xf3, bytes(3, 0x10)]], COUNT],
    ['subcommand of Diagnostic Control', [[0xf3, bytes(4, 0x11)]], PARAMETER],
    ['end of Diagnostic Control', [[0xf3, [0x10, 0, 0, 1]]], PARAMETER],
    ['Diagnostic Control without authorization', [[0xf3, bytes(4, 0x10)]], MASK],
  ];
  test.each(rows)('%s', (_, commands, expected) => {
    expect(checked(commands)).toEqual(expected);
  });
});

describe('sequence', () => {
  const counts = (n: number) => Array.from({ length: n }, (): Command => [0x92, 8]);
  const write: Command = [0x05, bytes(4096)];
  const prepare: Command = [0x27, bytes(12, 0x18, 0, 0, 0, 0, 0, 0x41)];
  const nop: Command = [0x03, 0];
  const rows: [string, Command[], unknown[]][] = [
    ['Define Extent twice', [extent, extent], SEQUENCE],
    ['Define Extent after Set File Mask', [[0x1f, [0xc0]], extent], SEQUENCE],
    ['Define Extent after Read IPL', [[0x02, 24], extent], SEQUENCE],
    ['Prefix after Define Extent', [extent, [0xe7, prefixBytes()]], SEQUENCE],
    [
      'Set File Mask twice',
      [
        [0x1f, [0xc0]],
        [0x1f, [0xc0]],
      ],
      SEQUENCE,
    ],
    ['Set File Mask after Define Extent', [extent, [0x1f, [0xc0]]], SEQUENCE],
    ['Read IPL after Define Extent', [extent, [0x02, 24]], SEQUENCE],
    ['Locate Record without Define Extent', [[0x47, locateBytes()]], SEQUENCE],
    ['Locate Record Extended without Define Extent', [[0x4b, extendedBytes()]], SEQUENCE],
    ['release after Define Extent', [extent, [0x94, 32]], SEQUENCE],
    ['Read Subsystem Data unprepared', [[0x3e, 256]], SEQUENCE],
    ['another command before prepared data are read', [prepare, nop], SEQUENCE],
    ['multitrack under a mask', [seek, [0x1f, [0x18]], ...counts(13)], PROTECTED],
    ['end of cylinder', [[0x07, seekBytes(1, 14)], ...counts(13)], [0x0e, 0, 0x20, 0]],
    [
      'a track read to its end',
      [seek, ...Array.from({ length: 12 }, (): Command => [0x12, 8]), [0x5e, 60000]],
      NOT_FOUND,
    ],
    ['a search that finds nothing', [seek, [0x31, [9, 9, 9, 9, 9], 'search']], NOT_FOUND],
    ['write in a read domain', [...located(), write], SEQUENCE],
    [
      'a domain past the extent',
      [...located({ at: [1, 14], record: 12, count: 2 }, { last: [1, 14] }), read, read],
      PROTECTED,
    ],
    ['a domain past the disk', [...located({ at: [3, 14], record: 12, count: 2 }), read, read], PROTECTED],
    ['Write Data before the last of its domain', [...located({ op: 1, count: 2, length: 4096 }), write], SEQUENCE],
    ['Read Count in a write domain', [...located({ op: 1, count: 2, length: 4096 }), [0x92, 8]], SEQUENCE],
    [
      'a write where the Read Count belongs',
      [...located({ op: 1, aux: 0x81, count: 2, length: 4096 }), [0x85, bytes(4096)], [0x85, bytes(4096)]],
      SEQUENCE,
    ],
    ['a read without multitrack in a read domain', [...located({ op: 0x16 }), [0x06, 4096]], SEQUENCE],
    ['R0 in a read domain oriented to a record', [...located({ op: 0x16 }), [0x16, 16]], SEQUENCE],
    ['home address in a read domain oriented to it', [...located({ op: 0x56, record: 0 }), [0x1a, 5]], SEQUENCE],
    [
      'R0 in a format domain oriented to a record',
      [...located({ op: 3, record: 0, length: 8 }), [0x15, bytes(16)]],
      SEQUENCE,
    ],
    ['next track before any record', [...located({ op: 3, record: 0, length: 8 }), [0x9d, bytes(16)]], SEQUENCE],
    [
      'Read Track not from its domain',
      [...located({ op: 0x0c, count: 2 }), [0xa6, 12 * 4096], [0xde, 60000]],
      SEQUENCE,
    ],
    ['incomplete domain', [...located({ count: 2 }), read], [0x0e, 0x81, 0, 0]],
    ['home address without authorization', [seek, [0x0a, 28]], MASK],
    ['home address of diagnosis without authorization', [[0x1f, [0xc0]], seek, [0x09, bytes(28)]], MASK],
    ['home address of another track', [[0x1f, [0xc0]], seek, [0x19, [0, ...cchh(1, 1)]]], PARAMETER],
    ['home address too short', [[0x1f, [0xc0]], seek, [0x19, [0, 0, 1, 0]]], COUNT],
    ['home address under a mask', [[0x1f, [0x00]], seek, [0x19, [0, ...cchh(1, 0)]]], PROTECTED],
    [
      'home search in the wrong place',
      [extent, [0x47, [...locateBytes({ op: 0x46 }).slice(0, 8), ...cchh(2, 0), 0, 0xff, 0, 0]]],
      NOT_FOUND,
    ],
  ];
  test.each(rows)('%s', (_, commands, expected) => {
    expect(checked(commands)).toEqual(expected);
  });

  const rules = [...COMMANDS.values()];
  test.each(rules.filter(({ first }) => first === true))(
    '$name must be first, or second after the suspension',
    ({ code }) => {
      expect(checked([nop, [code, bytes(12)]])).toEqual(SEQUENCE);
      expect(checked([[0x5b, 0], nop, [code, bytes(12)]])).toEqual(SEQUENCE);
    },
  );
  test.each(rules.filter(({ positioned }) => positioned === true))('$name wants the heads positioned', ({ code }) => {
    expect(checked([[code, bytes(28)]])).toEqual(SEQUENCE);
  });
  test.each(rules.filter(({ domainOnly }) => domainOnly === true))('$name wants its domain', ({ code }) => {
    expect(checked([seek, [code, bytes(28)]])).toEqual(SEQUENCE);
  });
  test.each<[string, Command]>([
    ['Sense Path Group ID', [0x34, 12]],
    ['Set Path Group ID', [0xaf, bytes(12, 0x80, 1)]],
    ['Sense Subsystem Status', [0x54, 44]],
  ])('nothing follows %s', (_, command) => {
    expect(checked([command, nop])).toEqual(SEQUENCE);
  });
  test('Sense Subsystem Status follows what describes the device, and nothing else', () => {
    expect(
      checked([
        [0x64, 64],
        [0x54, 44],
      ])[0],
    ).toBe(0x0c);
    expect(checked([nop, [0x54, 44]])).toEqual(SEQUENCE);
  });
});

describe('domains', () => {
  const full = { op: 0x3f, record: 0, parameter: [0x80] };
  const DOMAINS: Readonly<Record<Exclude<DomainKind, 'orient'>, LocateFields>> = {
    write: { op: 0x01, length: 4096 },
    format: { op: 0xc3, record: 0, length: 8 },
    'write track': { op: 0x0b, record: 0, length: 8 },
    'read tracks': { op: 0x0c },
    'read data': { op: 0x06 },
    read: { op: 0xd6, record: 0 },
    'write full track': { ...full, extendedOp: 0x11 },
    'write track data': { op: 0x3f, extendedOp: 0x23, length: 4096 },
    'read trackset': { ...full, extendedOp: 0x0e },
  };
  test.each(Object.entries(DOMAINS))('%s: every other command is refused', (kind, fields) => {
    const others = [...COMMANDS.values()].filter(({ domains }) => domains?.includes(kind as DomainKind) !== true);
    expect(others.length).toBeGreaterThan(40);
    for (const { code, name } of others)
      expect([name, checked([extent, [0x4b, extendedBytes(fields)], [code, bytes(66)]])]).toEqual([name, SEQUENCE]);
  });
});

describe('writes that are not allowed', () => {
  type Row = [string, LocateFields, Command];
  const full = { op: 0x3f, record: 0, parameter: [0x80] };
  const UPDATES: Row[] = [
    ['Write Data', { op: 1, length: 4096 }, [0x05, bytes(4096)]],
    ['Write Key and Data', { op: 1, length: 4096 }, [0x0d, bytes(4096)]],
    ['Write Update Data', { op: 1, length: 4096 }, [0x85, bytes(4096)]],
    ['Write Update Key and Data', { op: 1, length: 4096 }, [0x8d, bytes(4096)]],
    ['Write Track Data', { op: 0x3f, extendedOp: 0x23, length: 4096 }, [0xa5, bytes(4096)]],
  ];
  const FORMATS: Row[] = [
    ['Write CKD', { op: 3, record: 0, length: 8 }, [0x1d, countBytes([1, 0], 1, 0, 0)]],
    ['Erase', { op: 0x0b, record: 0, length: 8 }, [0x11, bytes(8)]],
  ];
  const HOMES: Row[] = [
    ['Write Record Zero', { op: 0x43, record: 0, length: 8 }, [0x15, countBytes([1, 0], 0, 0, 0)]],
    ['Write Full Track', { ...full, extendedOp: 0x11 }, [0x95, bytes(8)]],
  ];
  const run = (mask: number, [, fields, command]: Row) =>
    checked([[0x63, extentBytes({ mask })], [0x4b, extendedBytes(fields)], command]);

  test.each([...UPDATES, ...FORMATS, ...HOMES])('%s under a mask that inhibits all', (...row) => {
    expect(run(0x40, row)).toEqual(SEQUENCE);
  });
  test.each([...FORMATS, ...HOMES])('%s under a mask for updates', (...row) => {
    expect(run(0x80, row)).toEqual(SEQUENCE);
  });
  test.each(HOMES)('%s under a mask that keeps the beginning', (...row) => {
    expect(run(0x00, row)).toEqual(SEQUENCE);
  });
  test.each([...UPDATES, ...FORMATS, ...HOMES])('%s on a read-only drive', (...row) => {
    drive = testDrive(volume.file, { readonly: true });
    expect(run(0xc0, row)).toEqual([0x0e, 0x80, 0x02, 0]);
  });
  test.each<[string, LocateFields, Command]>([
    ['of another length', { op: 1, length: 4095 }, [0x85, bytes(4096)]],
    ['of another length, by tracks', { op: 0x3f, extendedOp: 0x23, length: 4095 }, [0xa5, bytes(4095)]],
    ['too long for the track', { op: 3, record: 0, length: 8 }, [0x1d, countBytes([1, 0], 1, 0, 57000), 'sli']],
    ['that says it is R0', { op: 3, record: 0, length: 8 }, [0x1d, countBytes([1, 0], 0, 0, 8), 'sli']],
    ['R0 that says it is another', { op: 0x43, record: 0, length: 8 }, [0x15, countBytes([1, 0], 1, 0, 8), 'sli']],
    ['a track without R0', { ...full, extendedOp: 0x11 }, [0x95, countBytes([1, 0], 1, 0, 0)]],
    ['a track of nothing', { ...full, extendedOp: 0x11 }, [0x95, Array(8).fill(0xff)]],
  ])('a record %s is an invalid track format', (_, fields, command) => {
    expect(run(0xc0, ['', fields, command])).toEqual(TRACK_FORMAT);
  });
  test.each<[string, LocateFields, Command]>([
    ['Write CKD', { op: 3, record: 0, length: 8 }, [0x1d, bytes(7)]],
    ['Write Record Zero', { op: 0x43, record: 0, length: 8 }, [0x15, bytes(7)]],
  ])('%s without a whole count area', (_, fields, command) => {
    expect(run(0xc0, ['', fields, command])).toEqual(COUNT);
  });
});

describe('trouble with the file', () => {
  test('a write that does not reach the file: equipment check, imprecise, and one line for the user', () => {
    const lines: string[] = [];
    drive = testDrive(volume.file, {}, (line) => lines.push(line));
    const error = Object.assign(new Error('ENOSPC: no space left on device, write'), { syscall: 'write' });
    vi.spyOn(drive.image, 'flush').mockImplementation(() => {
      throw error;
    });
    const write = [...located({ op: 1, length: 4096 }), [0x85, bytes(4096)] as Command];
    expect(checked(write)).toEqual([0x0e, 0x10, 0x81, 0x10]);
    expect(checked(write)).toEqual([0x0e, 0x10, 0x81, 0x10]);
    expect(lines).toEqual([
      `drive 1234 (${volume.file}): ENOSPC: no space left on device, write; the guest gets equipment check, and what it ` +
        'wrote last may be lost',
    ]);
    vi.mocked(drive.image.flush).mockImplementation(() => {});
    expect(checked(write)[0]).toBe(0x0c);
    vi.mocked(drive.image.flush).mockImplementation(() => {
      throw error;
    });
    checked(write);
    expect(lines).toHaveLength(2);
  });
});
