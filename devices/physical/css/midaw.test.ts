import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MIDAW, MIDAW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { STORAGE_KEY } from '../../../kernel/lib/storage_keys.ts';
import {
  CE_DE,
  DATA,
  FIRST_FRAME,
  MEMORY_SIZE,
  PATTERN,
  PROGRAM,
  statusOf,
  TestMachine,
  testDevice,
} from './test_machine.ts';

const MIDA = 0x01;
const { LAST, SKIP, INTERRUPT } = MIDAW_FLAG;
const D = { ctrl1: 0x40 };
const OK = { stctl: 7, dstat: CE_DE, cstat: 0, count: 0 };
const LIST = DATA;
const A = DATA + 0x1000;
const B = DATA + 0x3000;

/** A MIDAW in a test: flags, count, address. */
type TestMidaw = readonly [flags: number, count: number, address: number];

function machine() {
  const device = testDevice();
  return { device, m: new TestMachine([{ schid: 0, device }], { protection: true }) };
}

function list(m: TestMachine, words: readonly TestMidaw[], at = LIST): number {
  for (const [i, [flags, count, data]] of words.entries())
    Object.assign(MIDAW.at(m.memory.dv, at + i * 16), { reserved1: 0, reserved2: 0, flags, count, data });
  return at;
}

describe('modified indirect data addressing', () => {
  test('scatters over areas of any length in a page', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 62 }), fc.integer({ min: 0, max: 4032 }), (first, offset) => {
        const { m } = machine();
        list(m, [
          [0, first, A + offset],
          [0, 1, B + 4095],
          [LAST, 63 - first, B],
        ]);
        expect(statusOf(m.start([[0x02, MIDA, 64, LIST]], D))).toEqual(OK);
        expect(m.bytes(A + offset, first)).toEqual(PATTERN.slice(0, first));
        expect(m.bytes(B + 4095, 1)).toEqual(PATTERN.slice(first, first + 1));
        expect(m.bytes(B, 63 - first)).toEqual(PATTERN.slice(first + 1));
      }),
      { numRuns: 25 },
    );
  });

  test('gathers for a write, for which the skip flag means nothing', () => {
    const { m, device } = machine();
    m.put(A, PATTERN.slice(0, 40));
    m.put(B, PATTERN.slice(40));
    list(m, [
      [SKIP, 40, A],
      [LAST, 24, B],
    ]);
    expect(statusOf(m.start([[0x01, MIDA, 64, LIST]], D))).toEqual(OK);
    expect(device.taken).toEqual([PATTERN]);
  });

  test('skips what it is told to skip, wherever that lies', () => {
    const { m } = machine();
    list(m, [
      [0, 8, A],
      [SKIP, 48, 0x10],
      [LAST, 8, A + 8],
    ]);
    expect(statusOf(m.start([[0x02, MIDA, 64, LIST]], D))).toEqual(OK);
    expect(m.bytes(A, 16)).toEqual(Uint8Array.from([...PATTERN.slice(0, 8), ...PATTERN.slice(56)]));
  });

  test('backward: each area from its address down', () => {
    const { m } = machine();
    list(m, [
      [0, 10, A + 9],
      [LAST, 54, B + 53],
    ]);
    expect(statusOf(m.start([[0x0c, MIDA, 64, LIST]], D))).toEqual(OK);
    expect(m.bytes(A, 10)).toEqual(PATTERN.slice(0, 10).reverse());
    expect(m.bytes(B, 54)).toEqual(PATTERN.slice(10).reverse());
  });

  test('data chaining begins a new list', () => {
    const { m } = machine();
    list(m, [[LAST, 10, A]]);
    list(m, [[LAST, 54, B]], LIST + 0x100);
    const ccws = [
      [0x02, 0x80 | MIDA, 10, LIST],
      [0x00, MIDA, 54, LIST + 0x100],
    ] as const;
    expect(statusOf(m.start(ccws, D))).toEqual(OK);
    expect(m.bytes(B, 54)).toEqual(PATTERN.slice(10));
  });

  test('an interruption that a word asks for comes when its data was moved', () => {
    const { m } = machine();
    list(m, [
      [INTERRUPT, 32, A],
      [LAST, 32, B],
    ]);
    m.program([
      [0x02, 0x40 | MIDA, 64, LIST],
      [0x06, 0, 64, B],
    ]);
    m.ssch(D);
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 9, cstat: 0x80 });
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('256 words fill a page; a list does not go on into the next', () => {
    const { m } = machine();
    const words = Array.from({ length: 4 }, (_, i): TestMidaw => [i === 3 ? LAST : 0, 16, A + i * 16]);
    expect(statusOf(m.start([[0x02, MIDA, 64, list(m, words, B + 4096 - 64)]], D))).toEqual(OK);
    expect(statusOf(m.start([[0x02, MIDA, 64, list(m, words, B + 4096 - 48)]], D))).toMatchObject({
      cstat: 0x20,
      count: 16,
    });
  });

  test('a short block leaves the rest of the list alone', () => {
    const { m } = machine();
    list(m, [
      [0, 64, A],
      [LAST, 36, 0x10],
    ]);
    expect(statusOf(m.start([[0x02, MIDA | 0x20, 100, LIST]], D))).toEqual({ ...OK, count: 36 });
  });
});

describe('program checks', () => {
  const rows: [name: string, words: TestMidaw[], count: number][] = [
    ['count zero', [[LAST, 0, A]], 64],
    ['count beyond that of the CCW', [[LAST, 65, A]], 64],
    ['last word before the count is used up', [[LAST, 32, A]], 64],
    ['no last word when the count is used up', [[0, 64, A]], 64],
    ['reserved flag', [[LAST | 0x10, 64, A]], 64],
    ['data across a page', [[LAST, 64, A + 4095]], 64],
    ['data below the first frame', [[LAST, 64, FIRST_FRAME - 64]], 64],
    ['data beyond memory', [[LAST, 64, MEMORY_SIZE]], 64],
    ['data beyond 64 bits of anything', [[LAST, 64, 2 ** 60]], 64],
    [
      'the second word',
      [
        [0, 32, A],
        [LAST, 32, 0],
      ],
      32,
    ],
  ];
  test.each(rows)('%s', (...[, words, count]) => {
    const { m } = machine();
    list(m, words);
    expect(statusOf(m.start([[0x02, MIDA, 64, LIST]], D))).toEqual({ stctl: 0x17, dstat: CE_DE, cstat: 0x20, count });
  });

  test('reserved bits 0-39', () => {
    for (const byte of [0, 3, 4]) {
      const { m } = machine();
      list(m, [[LAST, 64, A]]);
      m.memory.u8[LIST + byte] = 1;
      expect(statusOf(m.start([[0x02, MIDA, 64, LIST]], D))).toMatchObject({ cstat: 0x20, count: 64 });
    }
  });

  test('a list off its boundary, below the first frame, beyond memory', () => {
    for (const at of [LIST + 8, FIRST_FRAME - 16, MEMORY_SIZE, 0x7ffffff0]) {
      const { m } = machine();
      list(m, [[LAST, 64, A]]);
      expect(statusOf(m.start([[0x02, MIDA, 64, at]], D))).toMatchObject({ cstat: 0x20, count: 64 });
    }
  });

  test('the flag without ORB.D, or beside the IDA or the skip flag, in any CCW', () => {
    const { m } = machine();
    const attempts = [
      [MIDA, {}],
      [MIDA | 0x04, D],
      [MIDA | 0x10, D],
      [MIDA, { ctrl0: { F: 0 } }],
    ] as const;
    for (const [flags, orb] of attempts) {
      const irb = m.start([[0x02, flags, 64, LIST]], orb);
      expect([statusOf(irb).cstat, irb.scsw.dstat, irb.scsw.cpa]).toEqual([0x20, 0, PROGRAM + 8]);
    }
  });
});

describe('protection checks', () => {
  test('of the list and of the data', () => {
    const { m } = machine();
    list(m, [[LAST, 64, A]]);
    m.keys.set(A, 0x80);
    m.keys.set(LIST, 0x90 | STORAGE_KEY.FETCH);
    const orb = { ...D, ctrl0: { key: 8 } };
    expect(statusOf(m.start([[0x02, MIDA, 64, LIST]], orb))).toMatchObject({ cstat: 0x10, count: 64 });
    m.keys.set(LIST, 0x80);
    expect(statusOf(m.start([[0x02, MIDA, 64, LIST]], orb))).toEqual(OK);
    expect(m.keys.get(LIST)).toBe(0x80 | STORAGE_KEY.REFERENCE);
    m.keys.set(A, 0x90);
    expect(statusOf(m.start([[0x02, MIDA, 64, LIST]], orb))).toMatchObject({ cstat: 0x10, count: 64 });
  });
});
