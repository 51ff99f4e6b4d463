import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { STORAGE_KEY } from '../../../kernel/lib/storage_keys.ts';
import { OperandException } from './channel_subsystem.ts';
import {
  CE_DE,
  DATA,
  FIRST_FRAME,
  MEMORY_SIZE,
  PATTERN,
  PROGRAM,
  statusOf,
  type TestCcw,
  TestMachine,
  type TestOrb,
  testDevice,
} from './test_machine.ts';

const { FETCH, REFERENCE, CHANGE } = STORAGE_KEY;
const CD = 0x80;
const CC = 0x40;
const IDA = 0x04;
const OK = { stctl: 7, dstat: CE_DE, cstat: 0, count: 0 };
const PAGE = 4096;

function machine() {
  const device = testDevice();
  return { device, m: new TestMachine([{ schid: 0, device }], { protection: true }) };
}

describe('key-controlled protection', () => {
  /** Storage key of the data's page, ORB key, command; whether the channel may. */
  const rows: [name: string, storage: number, key: number, command: number, allowed: boolean][] = [
    ['key 0 stores anywhere', 0x90, 0, 0x02, true],
    ['the same key stores', 0x90, 9, 0x02, true],
    ['another key does not store', 0x90, 8, 0x02, false],
    ['another key does not store into key 0 either', 0x00, 8, 0x02, false],
    ['another key fetches without fetch protection', 0x90, 8, 0x01, true],
    ['another key does not fetch with it', 0x90 | FETCH, 8, 0x01, false],
    ['the same key fetches with it', 0x90 | FETCH, 9, 0x01, true],
    ['key 0 fetches with it', 0x90 | FETCH, 0, 0x01, true],
    ['sense stores', 0x90, 8, 0x04, false],
    ['read backward stores', 0x90, 8, 0x0c, false],
    ['control fetches', 0x90 | FETCH, 8, 0x0b, false],
  ];
  test.each(rows)('%s', (...[, storage, key, command, allowed]) => {
    const { m } = machine();
    m.keys.set(DATA, storage);
    const irb = m.start([[command, 0x20, 4, DATA]], { ctrl0: { key } });
    expect([irb.scsw.cstat, irb.scsw.cpa, irb.scsw.flags >>> 12]).toEqual([allowed ? 0 : 0x10, PROGRAM + 8, key]);
    if (!allowed) expect(statusOf(irb)).toEqual({ stctl: 0x17, dstat: CE_DE, cstat: 0x10, count: 4 });
  });

  test('what lies before the protected page is moved', () => {
    const { m } = machine();
    m.keys.set(DATA, 0x80);
    m.keys.set(DATA + PAGE, 0x90);
    const irb = m.start([[0x02, 0, 64, DATA + PAGE - 20]], { ctrl0: { key: 8 } });
    expect(statusOf(irb)).toEqual({ stctl: 0x17, dstat: CE_DE, cstat: 0x10, count: 44 });
    expect(m.bytes(DATA + PAGE - 20, 20)).toEqual(PATTERN.slice(0, 20));
    expect(new Set(m.bytes(DATA + PAGE, 64))).toEqual(new Set([0]));
  });

  test('backward, what lies behind it', () => {
    const { m } = machine();
    m.keys.set(DATA, 0x90);
    m.keys.set(DATA + PAGE, 0x80);
    const irb = m.start([[0x0c, 0, 64, DATA + PAGE + 19]], { ctrl0: { key: 8 } });
    expect(statusOf(irb)).toMatchObject({ cstat: 0x10, count: 44 });
    expect(m.bytes(DATA + PAGE, 20)).toEqual(PATTERN.slice(0, 20).reverse());
  });

  test('a fetch-protected CCW: the first, one chained to, one transferred to', () => {
    const far = PROGRAM + PAGE;
    const programs: [TestCcw[], cpa: number, dstat: number][] = [
      [[[0x03, 0, 0, 0]], PROGRAM + 8, 0],
      [
        [
          [0x03, CC, 0, 0],
          [0x08, 0, 0, far],
        ],
        far + 8,
        0,
      ],
      [
        [
          [0x02, CD, 10, DATA],
          [0x08, 0, 0, far],
        ],
        far + 8,
        CE_DE,
      ],
    ];
    for (const [i, [ccws, cpa, dstat]] of programs.entries()) {
      const { m } = machine();
      m.keys.set(DATA, 0x80);
      m.keys.set(PROGRAM, i === 0 ? 0x90 | FETCH : 0x90);
      m.keys.set(far, 0x90 | FETCH);
      const irb = m.start(ccws, { ctrl0: { key: 8 } });
      expect([statusOf(irb), irb.scsw.cpa]).toMatchObject([{ stctl: 0x17, dstat, cstat: 0x10 }, cpa]);
      for (const page of [PROGRAM, far]) m.keys.set(page, 0x80 | FETCH);
      m.program([[0x03, 0x20, 54, DATA]], far);
      expect(m.start(ccws, { ctrl0: { key: 8 } }).scsw.cstat & 0x30).toBe(0);
    }
  });

  test('a fetch-protected IDAW', () => {
    const { m } = machine();
    m.memory.dv.setUint32(DATA, DATA + 2 * PAGE);
    m.keys.set(DATA + 2 * PAGE, 0x80);
    m.keys.set(DATA, 0x90 | FETCH);
    expect(statusOf(m.start([[0x02, IDA, 64, DATA]], { ctrl0: { key: 8 } }))).toMatchObject({ cstat: 0x10, count: 64 });
    m.keys.set(DATA, 0x90);
    expect(statusOf(m.start([[0x02, IDA, 64, DATA]], { ctrl0: { key: 8 } }))).toEqual(OK);
  });

  test('nothing is protected on a machine without storage keys', () => {
    const m = new TestMachine([{ schid: 0, device: testDevice() }]);
    m.keys.set(DATA, 0x90 | FETCH);
    expect(statusOf(m.start([[0x02, 0, 64, DATA]], { ctrl0: { key: 8 } }))).toEqual(OK);
    expect(m.keys.get(DATA)).toBe(0x90 | FETCH);
  });
});

describe('reference and change recording', () => {
  test('storing changes, fetching references, skipping does neither', () => {
    const { m } = machine();
    m.memory.dv.setUint32(DATA + 3 * PAGE, DATA + 4 * PAGE);
    m.start([
      [0x02, CC, 64, DATA + PAGE - 10],
      [0x01, CC, 64, DATA + 2 * PAGE],
      [0x02, CC | IDA, 64, DATA + 3 * PAGE],
      [0x02, 0x10, 64, DATA + 5 * PAGE],
    ]);
    const pages = [0, 1, 2, 3, 4, 5].map((page) => m.keys.get(DATA + page * PAGE));
    expect(pages).toEqual([REFERENCE | CHANGE, REFERENCE | CHANGE, REFERENCE, REFERENCE, REFERENCE | CHANGE, 0]);
    expect(m.keys.get(PROGRAM)).toBe(REFERENCE);
  });

  test('what was refused is not recorded', () => {
    const { m } = machine();
    m.keys.set(DATA, 0x90 | FETCH);
    m.start([[0x02, 0, 64, DATA]], { ctrl0: { key: 8 } });
    expect(m.keys.get(DATA)).toBe(0x90 | FETCH);
  });
});

describe('address-limit checking', () => {
  const LIMIT = DATA + 0x10000;
  const NOT_BELOW = 1;
  const BELOW = 2;
  function limited(mode: number) {
    const { m, device } = machine();
    m.css.sal(LIMIT);
    m.modify(0, ({ pmcw }) => {
      pmcw.flags = (pmcw.flags & ~0x60) | (mode << 5);
    });
    return { m, device };
  }
  const A: TestOrb = { ctrl0: { A: 1 } };

  const rows: [name: string, mode: number, ccw: TestCcw, orb: TestOrb, expected: object][] = [
    ['below, mode "below"', BELOW, [0x02, 0, 64, LIMIT - 64], A, OK],
    ['at the limit, mode "below"', BELOW, [0x02, 0, 64, LIMIT], A, { cstat: 0x20, count: 64 }],
    ['across the limit, mode "below"', BELOW, [0x02, 0, 64, LIMIT - 40], A, { cstat: 0x20, count: 24 }],
    ['at the limit, mode "not below"', NOT_BELOW, [0x02, 0, 64, LIMIT], A, OK],
    ['below, mode "not below"', NOT_BELOW, [0x01, 0, 64, LIMIT - 64], A, { cstat: 0x20, count: 64 }],
    ['backward across, mode "not below"', NOT_BELOW, [0x0c, 0, 64, LIMIT + 9], A, { cstat: 0x20, count: 54 }],
    ['ORB without A', BELOW, [0x02, 0, 64, LIMIT], {}, OK],
    ['mode 0', 0, [0x02, 0, 64, LIMIT], A, OK],
  ];
  test.each(rows)('%s', (...[, mode, ccw, orb, expected]) => {
    const { m } = limited(mode);
    expect(statusOf(m.start([ccw], orb))).toMatchObject(expected);
  });

  test('CCWs and IDAWs are not data', () => {
    const { m } = limited(NOT_BELOW);
    m.memory.dv.setUint32(DATA, LIMIT + 0x800);
    expect(statusOf(m.start([[0x02, IDA, 64, DATA]], A))).toEqual(OK);
    m.memory.dv.setUint32(DATA, LIMIT - 0x800);
    expect(statusOf(m.start([[0x02, IDA, 64, DATA]], A))).toMatchObject({ cstat: 0x20 });
  });

  test('a limit below all storage refuses all data, one above it none', () => {
    const { m } = limited(BELOW);
    m.css.sal(0);
    expect(statusOf(m.start([[0x02, 0, 64, DATA]], A))).toMatchObject({ cstat: 0x20 });
    m.css.sal(0x7fff0000);
    expect(statusOf(m.start([[0x02, 0, 64, DATA]], A))).toEqual(OK);
    expect(statusOf(m.start([[0x02, 0, 64, MEMORY_SIZE]], A))).toMatchObject({ cstat: 0x20 });
  });

  test('SAL takes 31-bit multiples of 64K', () => {
    const { m } = machine();
    for (const bad of [1, 0x8000, 0x80000000, -65536]) expect(() => m.css.sal(bad)).toThrow(OperandException);
    expect(() => m.css.sal(0x7fff0000)).not.toThrow();
  });
});

describe('format-0 programs', () => {
  test('data does not run beyond 24 bits', () => {
    const { m } = machine();
    expect(statusOf(m.start([[0x02, 0, 64, 0xffffff]], { ctrl0: { F: 0 } }))).toMatchObject({ cstat: 0x20 });
  });
});

describe('a hostile program', () => {
  test('whatever it says, it ends or can be cleared, and nothing below the first frame changes', () => {
    const word = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, DATA, PROGRAM, FIRST_FRAME - 8));
    const command = fc.constantFrom(0x01, 0x02, 0x03, 0x04, 0x08, 0x0b, 0x0c, 0x06, 0x07, 0x00, 0xe4);
    const ccw = fc.tuple(command, fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 0xffff }), word);
    const ctrl0 = fc.record({
      F: fc.constantFrom(0, 1),
      H: fc.constantFrom(0, 1),
      T: fc.constantFrom(0, 1),
      S: fc.constantFrom(0, 1),
      key: fc.constantFrom(0, 8),
    });
    fc.assert(
      fc.property(
        fc.array(ccw, { minLength: 1, maxLength: 6 }),
        fc.array(word, { maxLength: 16 }),
        ctrl0,
        (ccws, list, bits) => {
          const { m } = machine();
          m.program(ccws);
          for (const [i, value] of list.entries()) m.memory.dv.setUint32(DATA + i * 4, value);
          // What the channel subsystem itself keeps lies lower.
          m.memory.u8.fill(0xee, 0x40000, FIRST_FRAME);
          expect(m.ssch({ ctrl0: bits, ctrl1: bits.F === 1 ? 0x40 : 0 })).toBe(0);
          m.elapse(200_000);
          expect(m.css.csch(0)).toBe(0);
          m.simulation.run(() => m.css.interruptionPending(), 100_000);
          expect(m.tsch().scsw.ctrl).toBe(0x1001);
          expect(m.bytes(0x40000, FIRST_FRAME - 0x40000).every((byte) => byte === 0xee)).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });
});
