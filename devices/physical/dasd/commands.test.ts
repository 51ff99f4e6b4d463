import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { EckdDrive } from './drive.ts';
import { toEbcdic } from './ebcdic.ts';
import {
  type ChainResult,
  type Command,
  cchh,
  countBytes,
  extendedBytes,
  extentBytes,
  locateBytes,
  located,
  prefixBytes,
  runChain,
  seekBytes,
  testDrive,
  testVolume,
} from './test_chain.ts';
import { patternRecord } from './volume.ts';

const volume = testVolume();
afterAll(() => volume.remove());
let drive: EckdDrive;
beforeEach(() => {
  volume.reset();
  drive = testDrive(volume.file);
});

const run = (...commands: Command[]): ChainResult => runChain(drive, commands);
/** Runs a chain that must end normally, and returns what it gave. */
function good(...commands: Command[]): Uint8Array {
  const { status, incorrectLength, bytes, sense } = run(...commands);
  expect({ status, incorrectLength, sense: [...sense.subarray(0, 8)] }).toEqual({
    status: 0x0c,
    incorrectLength: false,
    sense: [],
  });
  return bytes;
}
/** Sense bytes 0, 1 and 7. */
const checked = ({ status, sense }: ChainResult) => [status, sense[0], sense[1], sense[7]];
const seek = (cylinder: number, head: number): Command => [0x07, seekBytes(cylinder, head)];
const numbersOn = (cylinder: number, head: number): number[] => {
  const { bytes, status } = run(seek(cylinder, head), [0x5e, 60000, 'sli']);
  const numbers: number[] = [];
  if (status !== 0x0c) return numbers;
  for (let at = 0; at < bytes.length; at += 8 + bytes[at + 5] + ((bytes[at + 6] << 8) | bytes[at + 7]))
    numbers.push(bytes[at + 4]);
  return numbers;
};
const TRACK = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const pattern = (cylinder: number, head: number, records: readonly number[]) =>
  Buffer.concat(records.map((record) => patternRecord(cylinder, head, record)));
const data = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + 1) & 255);

describe('paths', () => {
  const ID = Array<number>(11).fill(7);
  const state = (path: number) => runChain(drive, [[0x34, 12]], path).bytes;
  const set = (path: number, code: number, id = ID) => runChain(drive, [[0xaf, [code, ...id]]], path).status;

  test('each path has its state; a group is left by one path or disbanded by all', () => {
    expect([state(0x80)[0], state(0x40)[0]]).toEqual([0, 0]);
    expect([set(0x80, 0x80), set(0x40, 0x80)]).toEqual([0x0c, 0x0c]);
    expect([...state(0x40).subarray(0, 3)]).toEqual([0xc8, 7, 7]);
    expect(set(0x40, 0x40)).toBe(0x0c);
    expect([state(0x80)[0], state(0x40)[0]]).toEqual([0xc8, 0x80]);
    set(0x40, 0x80);
    expect(set(0x80, 0x20)).toBe(0x0c);
    expect([state(0x80)[0], state(0x40)[0], state(0x20)[0]]).toEqual([0x80, 0x80, 0]);
  });

  test('a path keeps its first identifier, a group its mode', () => {
    set(0x80, 0x80);
    expect(set(0x80, 0x00, Array(11).fill(8))).toBe(0x0e);
    expect(set(0x40, 0x00)).toBe(0x0e);
    expect(set(0x80, 0x00)).toBe(0x0c);
  });

  test('a reservation is its own on the paths of the group, elsewhere on the others', () => {
    set(0x80, 0x80);
    set(0x40, 0x80);
    expect(runChain(drive, [[0xb4, 32]], 0x80).status).toBe(0x0c);
    expect([state(0x80)[0], state(0x40)[0], state(0x20)[0]]).toEqual([0xf8, 0xf8, 0x20]);
    expect([...run([0x44, 32]).bytes.subarray(0, 6)]).toEqual([0x90, 0x20, 0, 0, 0, 7]);
    expect(runChain(drive, [[0x14, 32]], 0x20).status).toBe(0x0c);
    expect([state(0x80)[0], state(0x20)[0]]).toEqual([0xe8, 0x30]);
    expect(runChain(drive, [[0x94, 32]], 0x20).status).toBe(0x0c);
    expect([state(0x80)[0], state(0x20)[0]]).toEqual([0xc8, 0]);
    expect(run([0x44, 32]).bytes[0]).toBe(0x80);
  });

  test('stealing the lock: unconditional reserve, then release, in one chain', () => {
    expect(good([0x14, 32], [0x94, 32])).toEqual(Buffer.alloc(64));
  });
});

describe('subsystem data', () => {
  const prepare = (suborder: number, ...rest: number[]): Command => [
    0x27,
    [0x18, 0, 0, 0, 0, 0, suborder, 0, ...rest, 0, 0, 0, 0].slice(0, 12),
  ];
  const rows: [string, Command, number, Record<number, number>][] = [
    ['storage path status', prepare(0x00), 24, { 0: 0xc0, 1: 0x80, 16: 1 }],
    ['statistics', prepare(0x01), 96, { 1: 0x34, 94: 0x01, 95: 0x12 }],
    ['long statistics', prepare(0x01, 1), 192, { 1: 0x34, 94: 0x01, 95: 0x12 }],
    ['attention message', prepare(0x03, 1, 2, 3, 4), 9, { 1: 9, 4: 1, 5: 2, 6: 3, 7: 4 }],
    ['unit addresses', prepare(0x0e), 512, { [0x34 * 2]: 1 }],
    ['feature codes', prepare(0x41), 256, { 8: 0x01, 9: 0x20, 12: 0x40 }],
  ];
  test.each(rows)('%s', (_, first, length, bytes) => {
    const expected = new Uint8Array(length);
    for (const [at, value] of Object.entries(bytes)) expected[Number(at)] = value;
    expect(Uint8Array.from(good(first, [0x3e, length]))).toEqual(expected);
  });

  test.each([
    [0, 96],
    [1, 32],
  ])('node descriptors after Set Interface Identifier, form %i', (form, length) => {
    const record = good([0x27, [0xb0, form, 0, 0]], [0x3e, length]);
    expect([...record.subarray(0, 10)]).toEqual([0, 0, 0, 1, ...toEbcdic('003990')]);
  });

  test('prepared by Prefix of format 2', () => {
    const p = prefixBytes({}, {}, [2]).slice(0, 62);
    expect(good([0xe7, [...p, ...(prepare(0x41)[1] as number[])]], [0x3e, 256])[8]).toBe(1);
  });

  test('are forgotten at the end of the program', () => {
    good(prepare(0x41));
    expect(checked(run([0x3e, 256]))).toEqual([0x0e, 0x80, 0, 2]);
  });
});

describe('positioning', () => {
  test.each<[string, Command[], [number, number]]>([
    ['Seek', [seek(2, 5)], [2, 5]],
    ['Seek Cylinder', [[0x0b, seekBytes(3, 1)]], [3, 1]],
    ['Seek Head', [seek(2, 5), [0x1b, seekBytes(0, 9)]], [2, 9]],
    ['Recalibrate', [seek(2, 5), [0x13, 0]], [0, 0]],
    ['Locate Record that only orients', located({ op: 0, count: 0, at: [2, 7] }), [2, 7]],
    ['Prefix without extent', [[0xe7, prefixBytes({ at: [1, 1] })]], [1, 1]],
  ])('%s', (_, commands, where) => {
    run(...commands);
    expect([drive.cylinder, drive.head]).toEqual(where);
  });

  test('Read Sector tells where the last record begins', () => {
    const sector = (r: number) =>
      good(seek(1, 0), [0x23, [0]], ...Array.from({ length: r }, (): Command => [0x06, 4096]), [0x22, 1]).at(-1);
    // (49 + (r - 1) * (10 + 9 + ceil((4096 + 6 * 19) / 34))) / 8, as Linux computes it.
    expect([1, 2, 12].map(sector)).toEqual([6, 24, 202]);
    expect(good(seek(1, 0), [0x22, 1])).toEqual(Buffer.of(0));
  });
});

describe('reads', () => {
  test('Read Count, Key and Data in a domain, over the end of a track', () => {
    const bytes = good(...located({ at: [1, 14], record: 12, count: 2 }), [0x9e, 4104], [0x9e, 4104]);
    // Orientation to the count area: the read is of the next record.
    expect([bytes[4], bytes[4104 + 4]]).toEqual([1, 2]);
  });

  test('home address, short and whole', () => {
    expect([...good(seek(2, 3), [0x1a, 5])]).toEqual([0, 0, 2, 0, 3]);
    const index = { op: 0xd6, at: [2, 3] as const, record: 0 };
    const whole = good(...located(index), [0x0a, 28]);
    expect([...whole.subarray(19, 24)]).toEqual([0, 0, 2, 0, 3]);
    expect([...good([0x1f, [0x04]], seek(2, 3), [0x0a, 28])]).toEqual([...whole]);
  });

  test('multitrack reads of the beginning go on to the next track first, outside a domain', () => {
    expect([...good(seek(2, 3), [0x9a, 5])]).toEqual([0, 0, 2, 0, 4]);
    expect([...good(seek(2, 3), [0x96, 16])]).toEqual([0, 2, 0, 4, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  test('Read Record Zero inside a domain stays on the track', () => {
    expect([...good(...located({ op: 0xd6, at: [2, 3], record: 0 }), [0x16, 16])].slice(0, 5)).toEqual([0, 2, 0, 3, 0]);
  });

  test('Read Multiple gives what is left of the track', () => {
    expect(numbersOn(1, 3)).toEqual(TRACK);
    const { bytes } = run(seek(1, 3), [0x12, 8], [0x5e, 60000, 'sli']);
    expect([bytes[4], bytes[8 + 4]]).toEqual([1, 2]);
  });

  test('Read IPL, then Locate Record without an extent', () => {
    const bytes = good([0x02, 24], [0x03, 0], [0x47, locateBytes({ record: 4 })], [0x86, 4096]);
    expect(bytes.subarray(24)).toEqual(pattern(1, 0, [4]));
  });

  test('Read Track: everything and an end mark, track after track', () => {
    const track = (c: number, h: number, n: number): Command[] => [
      ...located({ op: 0x4c, at: [c, h], record: 0, count: n }),
      ...Array.from({ length: n }, (): Command => [0xde, 16 + 12 * 4104 + 8]),
    ];
    const bytes = good(...track(1, 14, 2));
    const one = bytes.length / 2;
    expect([...bytes.subarray(0, 8)]).toEqual(countBytes([1, 14], 0, 0, 8));
    expect([...bytes.subarray(16, 24)]).toEqual(countBytes([1, 14], 1, 0, 4096));
    expect([...bytes.subarray(one - 8, one + 8)]).toEqual([...Array(8).fill(0xff), ...countBytes([2, 0], 0, 0, 8)]);
  });

  test('Read Trackset reads the tracks of its map', () => {
    const locate = extendedBytes({
      op: 0x3f,
      extendedOp: 0x0e,
      at: [1, 2],
      record: 0,
      count: 3,
      parameter: [0x90, 0x40],
    });
    const reads = Array.from({ length: 3 }, (): Command => [0xde, 16 + 12 * 4104 + 8]);
    const { given, status } = run([0x63, extentBytes()], [0x4b, locate], ...reads);
    expect([status, ...given.slice(2).map((bytes) => bytes[3])]).toEqual([0x0c, 2, 5, 11]);
  });

  test('Read Track Data: to the end of each track, and as much of the last as was said', () => {
    const locate = { op: 0x0c, at: [1, 14] as const, record: 11, count: 2, length: 2 * 4096 };
    const bytes = good([0xe7, prefixBytes(locate)], [0xa6, 2 * 4096], [0xa6, 2 * 4096]);
    expect(bytes).toEqual(Buffer.concat([pattern(1, 14, [11, 12]), pattern(2, 0, [1, 2])]));
  });

  test('a read domain with a Read Count behind it', () => {
    const bytes = good(...located({ op: 0x16, aux: 1, count: 2, record: 12 }), [0x86, 4096], [0x92, 8]);
    expect([...bytes.subarray(4096)]).toEqual(countBytes([1, 1], 1, 0, 4096));
  });
});

describe('searches', () => {
  const keyed = (key: string): Command[] => [seek(0, 0), [0x29, toEbcdic(key)]];
  test.each<[string, Command[], number]>([
    ['identifier equal', [seek(1, 0), [0x31, [...cchh(1, 0), 0]]], 0x4c],
    ['identifier not equal', [seek(1, 0), [0x31, [...cchh(1, 0), 1]]], 0x0c],
    ['identifier high', [seek(1, 0), [0x51, [...cchh(0, 0), 9]]], 0x4c],
    ['identifier not high', [seek(1, 0), [0x51, [...cchh(1, 0), 0]]], 0x0c],
    ['identifier equal or high', [seek(1, 0), [0x71, [...cchh(1, 0), 0]]], 0x4c],
    ['identifier lower', [seek(1, 0), [0x71, [...cchh(1, 0), 1]]], 0x0c],
    ['key equal', [seek(0, 0), [0x12, 8], [0x12, 8], [0x12, 8], [0x29, toEbcdic('VOL1')]], 0x4c],
    ['key not equal', keyed('VOL1'), 0x0c],
    ['key high', [seek(0, 0), [0x49, toEbcdic('IPL0')]], 0x4c],
    ['key not high', [seek(0, 0), [0x49, toEbcdic('IPL1')]], 0x0c],
    ['key equal or high', [seek(0, 0), [0x69, toEbcdic('IPL1')]], 0x4c],
    ['home address', [seek(1, 3), [0x39, cchh(1, 3)]], 0x4c],
    ['home address of another track', [seek(1, 3), [0x39, cchh(1, 4)]], 0x0c],
    ['home address of the next track', [seek(1, 3), [0xb9, cchh(1, 4)]], 0x4c],
  ])('%s', (_, commands, status) => {
    expect(run(...commands).status).toBe(status);
  });

  test.each<[number, number, Iterable<number>]>([
    [0xb1, 0x4c, [...cchh(1, 1), 0]],
    [0xd1, 0x4c, [...cchh(1, 0), 255]],
    [0xf1, 0x4c, [...cchh(1, 1), 0]],
    [0xa9, 0x0c, [0]],
    [0xc9, 0x0c, [0]],
    [0xe9, 0x0c, [0]],
  ])('multitrack %i goes on to the next track', (code, status, argument) => {
    const counts = Array.from({ length: 12 }, (): Command => [0x12, 8]);
    // Records of these tracks have no keys: a search for one finds nothing to compare.
    const sli = code === 0xa9 || code === 0xc9 || code === 0xe9 ? 'sli' : undefined;
    const command: Command = sli === undefined ? [code, argument] : [code, argument, sli];
    const area: Command[] = sli === undefined ? [] : [[0x06, 4096]];
    expect(run(seek(1, 0), ...counts, ...area, command).status).toBe(status);
    expect([drive.cylinder, drive.head]).toEqual([1, 1]);
  });
});

describe('writes', () => {
  const write = (code: number, fields = {}): Command[] => [
    ...located({ op: 1, length: 4096, ...fields }, { mask: 0x80 }),
    [code, data],
  ];
  const record = (at: readonly [number, number], n: number) => good(...located({ at, record: n }), [0x86, 4096]);

  test.each([0x05, 0x85])('%i updates the record located', (code) => {
    good(...write(code, { at: [2, 2], record: 5 }));
    expect(record([2, 2], 5)).toEqual(Buffer.from(data));
    expect([record([2, 2], 4), record([2, 2], 6)]).toEqual([pattern(2, 2, [4]), pattern(2, 2, [6])]);
  });

  test('one after the other, over the end of a track, with a Read Count behind', () => {
    const bytes = good(...write(0x85, { at: [1, 14], record: 12, aux: 0x81, count: 3 }), [0x85, data], [0x92, 8]);
    expect([...bytes]).toEqual(countBytes([2, 0], 2, 0, 4096));
    expect([record([1, 14], 12), record([2, 0], 1)]).toEqual([Buffer.from(data), Buffer.from(data)]);
  });

  test.each([0x0d, 0x8d])('%i updates key and data', (code) => {
    const label = [...toEbcdic('VOL1VOL1CHANGE'), ...Array<number>(70).fill(0x40)];
    good(...located({ op: 1, length: 84, at: [0, 0], record: 3 }), [code, label]);
    expect([...good(...located({ at: [0, 0], record: 3 }), [0x8e, 84])]).toEqual(label);
  });

  const id = (r: number, code = 0x31): Command[] => [seek(2, 0), [code, [...cchh(2, 0), r], 'search']];
  const key: Command[] = [seek(0, 0), [0x12, 8], [0x12, 8], [0x29, toEbcdic('IPL2'), 'search']];
  const ckd: Command = [0x1d, countBytes([2, 0], 9, 0, 512), 'sli'];
  test.each<[string, Command[], boolean]>([
    ['data after an identifier', [...id(5), [0x05, data]], true],
    ['data after an identifier and a read', [...id(5), [0x06, 4096], [0x05, data]], false],
    ['data after a part of an identifier', [seek(2, 0), [0x31, [0, 2], 'search'], [0x05, data]], false],
    ['data after a higher identifier', [...id(5, 0x51), [0x05, data]], false],
    ['data after a key', [...key, [0x05, new Uint8Array(144)]], true],
    ['key and data after an identifier', [...id(5), [0x0d, data]], true],
    ['key and data after a key', [...key, [0x0d, new Uint8Array(148)]], false],
    ['a format write after an identifier', [...id(5), ckd], true],
    ['a format write after an identifier and its data', [...id(5), [0x06, 4096], ckd], true],
    ['a format write after a format write', [...id(5), ckd, ckd], true],
    ['a format write after a key', [...key, [0x1d, countBytes([0, 0], 3, 0, 8), 'sli']], true],
    ['a format write after a count', [seek(2, 0), [0x12, 8], ckd], false],
    ['erase after an identifier', [...id(5), [0x11, countBytes([2, 0], 9, 0, 0)]], true],
    ['erase after a format write', [...id(5), ckd, [0x11, countBytes([2, 0], 9, 0, 0)]], true],
    [
      'record zero after the home address',
      [[0x1f, [0xc0]], seek(2, 0), [0x39, cchh(2, 0), 'search'], [0x15, countBytes([2, 0], 0, 0, 8), 'sli']],
      true,
    ],
    ['record zero after an identifier', [[0x1f, [0xc0]], ...id(0), [0x15, countBytes([2, 0], 0, 0, 8), 'sli']], false],
  ])('outside a domain: %s', (_, commands, admitted) => {
    const before = drive.image.track(2, 0).slice();
    const result = run(...commands);
    if (admitted) expect([result.status, result.commands >= commands.length]).toEqual([0x0c, true]);
    else expect([checked(result), drive.image.track(2, 0)]).toEqual([[0x0e, 0x80, 0, 2], before]);
  });

  test('Write CKD ends the track behind the new record', () => {
    good(...located({ op: 3, at: [3, 1], record: 4, length: 100 }), [
      0x1d,
      [...countBytes([3, 1], 77, 3, 5), ...Array(8).fill(9)],
    ]);
    expect(numbersOn(3, 1)).toEqual([1, 2, 3, 4, 77]);
    expect(good(...located({ at: [3, 1], record: 77 }), [0x8e, 8])).toEqual(Buffer.alloc(8, 9));
  });

  test('Write CKD Next Track goes on behind R0 of the next', () => {
    const at = [1, 14] as const;
    const first: Command = [0x1d, countBytes(at, 1, 0, 512), 'sli'];
    const next: Command = [0x9d, countBytes([2, 0], 1, 0, 512), 'sli'];
    const more: Command = [0x1d, countBytes([2, 0], 2, 0, 512), 'sli'];
    good(...located({ op: 3, at, record: 0, count: 3, length: 512 }), first, next, more);
    expect([numbersOn(1, 14), numbersOn(2, 0), numbersOn(2, 1)]).toEqual([[1], [1, 2], TRACK]);
  });

  test('Write Record Zero erases the track, and records may follow', () => {
    const zero: Command = [0x15, [...countBytes([2, 2], 0, 0, 8), 1, 2, 3, 4, 5, 6, 7, 8]];
    const one: Command = [0x1d, countBytes([2, 2], 1, 0, 4096), 'sli'];
    good(...located({ op: 0x43, at: [2, 2], record: 0, count: 2, length: 4096 }), zero, one);
    expect(numbersOn(2, 2)).toEqual([1]);
    expect([...good(seek(2, 2), [0x16, 16]).subarray(8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test.each<[number, number[]]>([
    [0x19, [0, ...cchh(2, 2)]],
    [0x09, [...Array<number>(19).fill(0), 0, ...cchh(2, 2), 0, 0, 0, 0]],
  ])('home address by %i, then Write Record Zero outside a domain', (code, address) => {
    const zero: Command = [0x15, countBytes([2, 2], 0, 0, 8), 'sli'];
    good([0x1f, [0xc2]], seek(2, 2), [code, address], zero, [0x1d, countBytes([2, 2], 1, 0, 512), 'sli']);
    expect(numbersOn(2, 2)).toEqual([1]);
  });

  test('Erase ends the track behind the record located', () => {
    const erase: Command = [0x11, countBytes([2, 2], 6, 0, 0)];
    good(...located({ op: 0x0b, at: [2, 2], record: 5, length: 8 }), erase);
    expect(numbersOn(2, 2)).toEqual([1, 2, 3, 4, 5]);
  });

  test('Write Track: update R0, then format', () => {
    const zero: Command = [0x05, [8, 7, 6, 5, 4, 3, 2, 1]];
    const one: Command = [0x1d, countBytes([2, 2], 1, 0, 512), 'sli'];
    good(...located({ op: 0x0b, at: [2, 2], record: 0, count: 2, length: 520 }), zero, one);
    expect(numbersOn(2, 2)).toEqual([1]);
    expect([...good(seek(2, 2), [0x16, 16]).subarray(8)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
  });

  test('Write Track Data: as many records as the channel has bytes for', () => {
    const locate = { op: 0x3f, extendedOp: 0x23, at: [1, 14] as const, record: 11, count: 2, length: 4096 };
    const two = Buffer.concat([data, data]);
    good([0xe7, prefixBytes(locate, { mask: 0x80, block: 4096 })], [0xa5, two], [0xa5, data]);
    expect([record([1, 14], 10), record([1, 14], 11), record([1, 14], 12), record([2, 0], 1)]).toEqual([
      pattern(1, 14, [10]),
      ...Array(3).fill(Buffer.from(data)),
    ]);
    expect(record([2, 0], 2)).toEqual(pattern(2, 0, [2]));
  });

  test('Write Full Track takes back what Read Track gave, and more', () => {
    const read: Command = [0xde, 60000, 'sli'];
    const tracks = run(...located({ op: 0x4c, at: [1, 3], record: 0, count: 1 }), read).bytes;
    const full = { op: 0x3f, extendedOp: 0x11, at: [3, 0] as const, record: 0, count: 2, parameter: [0xc0, 0] };
    const short = [...countBytes([3, 1], 0, 0, 8), ...Array(8).fill(0), ...countBytes([3, 1], 1, 1, 2), 1, 2, 3];
    const ended = [...short, ...Array<number>(8).fill(0xff), ...Array<number>(100).fill(0)];
    good([0xe7, prefixBytes(full)], [0x95, tracks], [0x95, ended, 'sli']);
    expect([numbersOn(3, 0), numbersOn(3, 1)]).toEqual([TRACK, [1]]);
    const again = run(...located({ op: 0x4c, at: [3, 0], record: 0, count: 1 }, {}), read);
    // The count areas still name the track they came from: a home orientation does not look at them.
    expect(again.bytes).toEqual(tracks);
  });

  test('a full track that does not fit leaves the old one', () => {
    const full = { op: 0x3f, extendedOp: 0x11, at: [3, 0] as const, record: 0, parameter: [0x80] };
    const long = [...countBytes([3, 0], 0, 0, 8), ...Array(8).fill(0), ...countBytes([3, 0], 1, 0, 60000)];
    expect(checked(run([0xe7, prefixBytes(full)], [0x95, long, 'sli']))).toEqual([0x0e, 0, 0x40, 0]);
    expect(numbersOn(3, 0)).toEqual(TRACK);
  });

  test('a record of another length than the domain says is an invalid track format, an empty one unit exception', () => {
    expect(checked(run(...write(0x85, { length: 4095 })))).toEqual([0x0e, 0, 0x40, 0]);
    good(...located({ op: 3, at: [3, 1], record: 0, length: 8 }), [0x1d, countBytes([3, 1], 1, 0, 0)]);
    const empty = located({ op: 0x0b, at: [3, 1], record: 1, length: 1 }, {});
    expect(checked(run(...empty, [0x05, [1]]))).toEqual([0x0e, 0, 0x40, 0]);
    expect(run(seek(3, 1), [0x06, 0]).status).toBe(0x0d);
  });
});

describe('commands that only end normally', () => {
  test.each<[string, Command]>([
    ['No-Operation', [0x03, 0]],
    ['Suspend Multipath Reconnection', [0x5b, 0]],
    ['Reset Summary Unit Check', [0xf9, [2, ...Array(15).fill(0)]]],
    ['Set Subsystem Characteristics', [0x27, [0x1d, ...Array(65).fill(0)]]],
    ['Basic Sense', [0x04, 32]],
    ['Sense Subsystem Status', [0x54, 44]],
  ])('%s', (_, command) => {
    good(command);
  });
  test('Diagnostic Control: maintenance query, with authorization', () => {
    good([0x1f, [0x02]], [0xf3, [0x10, 0, 0, 0]]);
  });
});
