import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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

const CD = 0x80;
const CC = 0x40;
const SLI = 0x20;
const SKIP = 0x10;
const PCI = 0x08;
const IDA = 0x04;
const S = 0x02;

function machine(seed = 1) {
  const device = testDevice();
  return { device, m: new TestMachine([{ schid: 0, device }], seed) };
}

/** Name, program, two expected numbers, ORB. */
type Row = [name: string, ccws: TestCcw[], first: number, second: number, orb?: TestOrb];

const OK = { stctl: 7, dstat: CE_DE, cstat: 0, count: 0 };

describe('a program that ends normally', () => {
  test('presents primary and secondary status with the ORB parameter and the CCW address', () => {
    const { m } = machine();
    const at = m.program([[0x03, 0, 0, 0]]);
    expect(m.ssch({ cpa: at, intparm: 0xcafe })).toBe(0);
    const { irb, intparm, schid } = m.run(m.interruption());
    expect({ schid, intparm, ...statusOf(irb) }).toEqual({ schid: 0, intparm: 0xcafe, ...OK });
    expect(irb.scsw.cpa).toBe(at + 8);
    expect(irb.scsw.ctrl & 0x7fe0).toBe(0x4000);
    expect(irb.esw0).toBe(0x00800000);
    expect(m.trace()).toEqual(['iop_start', 'ccw_execute', 'iop_status']);
  });

  const rows: Row[] = [
    ['exact count', [[0x02, 0, 64, DATA]], 0, 0],
    ['short block', [[0x02, 0, 100, DATA]], 36, 0x40],
    ['short block, SLI', [[0x02, SLI, 100, DATA]], 36, 0],
    ['long block', [[0x02, 0, 10, DATA]], 0, 0x40],
    ['long block, SLI', [[0x02, SLI, 10, DATA]], 0, 0],
    [
      'data chaining',
      [
        [0x02, CD, 10, DATA],
        [0, 0, 54, DATA + 10],
      ],
      0,
      0,
    ],
    [
      'SLI is ignored while chaining data',
      [
        [0x02, CD | SLI, 100, DATA],
        [0, SLI, 54, DATA],
      ],
      36,
      0x40,
    ],
    [
      'incorrect length ends command chaining',
      [
        [0x02, CC, 100, DATA],
        [0x0e, 0, 1, DATA],
      ],
      36,
      0x40,
    ],
    ['skip with an address that does not exist', [[0x02, SKIP, 64, 0x10]], 0, 0],
    ['format-1 count zero, no data', [[0x02, SLI, 0, 0x10]], 0, 0],
    ['immediate, format 1, count 1', [[0x03, 0, 1, 0]], 1, 0x40],
    ['immediate, suppression mode', [[0x03, 0, 1, 0]], 1, 0, { ctrl1: 0x80 }],
    ['immediate, format 0, count 1', [[0x03, 0, 1, 0]], 1, 0, { ctrl0: { F: 0 } }],
    [
      'TIC by data chaining',
      [
        [0x02, CD, 10, DATA],
        [0x08, 0, 0, PROGRAM + 24],
        [0x0e, 0, 1, DATA],
        [0x55, 0, 54, DATA],
      ],
      0,
      0,
    ],
    [
      'status modifier skips a CCW',
      [
        [0x13, CC, 0, 0],
        [0x0e, 0, 1, DATA],
        [0x03, 0, 0, 0],
      ],
      0,
      0,
    ],
    [
      'format-0 TIC with another high nibble',
      [
        [0x03, CC, 1, 0],
        [0xf8, 0xff, 9, PROGRAM + 16],
        [0x02, 0, 64, DATA],
      ],
      0,
      0,
      { ctrl0: { F: 0 } },
    ],
  ];
  test.each(rows)('%s', (...[, ccws, count, cstat, orb = {}]: Row) => {
    const { m } = machine();
    const stctl = cstat === 0 ? 7 : 0x17;
    expect(statusOf(m.start(ccws, orb))).toEqual({ stctl, dstat: CE_DE, cstat, count });
  });

  test('backward reads store from the end down', () => {
    const { m } = machine();
    expect(statusOf(m.start([[0x0c, 0, 64, DATA + 63]]))).toEqual(OK);
    expect(m.bytes(DATA, 64)).toEqual(Uint8Array.from(PATTERN).reverse());
  });

  test('a NOP that transfers to itself for ever can be cleared, and others go on meanwhile', () => {
    const device = testDevice();
    const m = new TestMachine([
      { schid: 0, device },
      { schid: 2, device: testDevice() },
    ]);
    m.program([
      [0x03, CC, 0, 0],
      [0x08, 0, 0, PROGRAM],
    ]);
    m.ssch();
    m.program([[0x02, 0, 64, DATA]], PROGRAM + 0x100);
    m.ssch({ cpa: PROGRAM + 0x100 }, 2);
    expect(m.run(m.interruption()).schid).toBe(2);
    expect(m.css.csch(0)).toBe(0);
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 1, dstat: 0 });
    expect(device.resets).toBe(1);
  });
});

describe('program checks', () => {
  const at = (ccw: number) => PROGRAM + ccw * 8 + 8;
  const rows: Row[] = [
    ['command code zero', [[0x00, 0, 1, DATA]], at(0), 0],
    ['command code X0', [[0x30, 0, 1, DATA]], at(0), 0],
    [
      'format 1 code 18',
      [
        [0x03, CC, 0, 0],
        [0x18, 0, 0, PROGRAM],
      ],
      at(1),
      0,
    ],
    ['bit 32 of format 1', [[0x02, 0, 64, 0x80000000 | DATA]], at(0), 0],
    ['format 0 count zero', [[0x02, 0, 0, DATA]], at(0), 0, { ctrl0: { F: 0 } }],
    [
      'count zero with data chaining',
      [
        [0x02, CD, 0, DATA],
        [0x02, 0, 1, DATA],
      ],
      at(0),
      0,
    ],
    [
      'count zero reached by data chaining',
      [
        [0x02, CD, 1, DATA],
        [0x02, 0, 0, DATA],
      ],
      at(1),
      CE_DE,
    ],
    ['suspend flag without suspend control', [[0x03, S, 0, 0]], at(0), 0],
    [
      'suspend flag while chaining data',
      [
        [0x02, CD, 1, DATA],
        [0x02, S, 63, DATA],
      ],
      at(1),
      CE_DE,
      { ctrl0: { S: 1 } },
    ],
    ['MIDAW flag', [[0x02, 1, 64, DATA]], at(0), 0],
    [
      'TIC first',
      [
        [0x08, 0, 0, PROGRAM + 8],
        [0x03, 0, 0, 0],
      ],
      at(0),
      0,
    ],
    [
      'TIC to TIC',
      [
        [0x03, CC, 0, 0],
        [0x08, 0, 0, PROGRAM + 16],
        [0x08, 0, 0, PROGRAM],
      ],
      at(2),
      0,
    ],
    [
      'TIC off a doubleword',
      [
        [0x03, CC, 0, 0],
        [0x08, 0, 0, PROGRAM + 4],
      ],
      at(1),
      0,
    ],
    [
      'TIC with flags in format 1',
      [
        [0x03, CC, 0, 0],
        [0x08, CC, 0, PROGRAM],
      ],
      at(1),
      0,
    ],
    [
      'TIC with a count in format 1',
      [
        [0x03, CC, 0, 0],
        [0x08, 0, 1, PROGRAM],
      ],
      at(1),
      0,
    ],
    [
      'TIC below the first frame',
      [
        [0x03, CC, 0, 0],
        [0x08, 0, 0, FIRST_FRAME - 8],
      ],
      at(1),
      0,
    ],
    [
      'TIC beyond memory',
      [
        [0x03, CC, 0, 0],
        [0x08, 0, 0, MEMORY_SIZE],
      ],
      at(1),
      0,
    ],
    ['data below the first frame', [[0x02, 0, 64, FIRST_FRAME - 64]], at(0), CE_DE],
    ['data beyond memory', [[0x02, 0, 64, MEMORY_SIZE]], at(0), CE_DE],
    ['IDAL off its boundary', [[0x02, IDA, 64, DATA + 2]], at(0), CE_DE],
    ['IDAL below the first frame', [[0x02, IDA, 64, 0x100]], at(0), CE_DE],
    ['64-bit IDAL off its boundary', [[0x02, IDA, 64, DATA + 4]], at(0), CE_DE, { ctrl0: { H: 1 } }],
    ['write from below the first frame', [[0x01, 0, 64, 0]], at(0), CE_DE],
  ];
  test.each(rows)('%s', (...[, ccws, cpa, dstat, orb = {}]: Row) => {
    const { m } = machine();
    const irb = m.start(ccws, orb);
    expect(statusOf(irb)).toMatchObject({ stctl: 0x17, dstat, cstat: 0x20 });
    expect(irb.scsw.cpa).toBe(cpa);
  });

  test('a program address off a doubleword or out of memory', () => {
    for (const cpa of [PROGRAM + 4, FIRST_FRAME - 8, MEMORY_SIZE - 4, 0x7ffffff8]) {
      const { m } = machine();
      expect(m.ssch({ cpa })).toBe(0);
      expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ dstat: 0, cstat: 0x20 });
    }
  });

  test('data that runs out of memory is stored up to its end, with the rest as residual count', () => {
    const { m } = machine();
    expect(statusOf(m.start([[0x02, 0, 64, MEMORY_SIZE - 24]]))).toEqual({
      stctl: 0x17,
      dstat: CE_DE,
      cstat: 0x20,
      count: 40,
    });
    expect(m.bytes(MEMORY_SIZE - 24, 24)).toEqual(PATTERN.subarray(0, 24));
  });

  test('bit 0 of a 31-bit IDAW, and an IDAW off its block after the first', () => {
    const { m } = machine();
    m.memory.dv.setUint32(DATA, 0x80000000 | (DATA + 0x1000));
    expect(statusOf(m.start([[0x02, IDA, 64, DATA]]))).toMatchObject({ cstat: 0x20, count: 64 });
    m.memory.dv.setUint32(DATA, DATA + 0x1000 - 32);
    m.memory.dv.setUint32(DATA + 4, DATA + 0x1004);
    expect(statusOf(m.start([[0x02, IDA, 64, DATA]]))).toMatchObject({ cstat: 0x20, count: 32 });
    m.memory.dv.setUint32(DATA, 1);
    expect(statusOf(m.start([[0x02, IDA, 64, DATA]], { ctrl0: { H: 1 } }))).toMatchObject({ cstat: 0x20, count: 64 });
  });

  test('nothing is written to the device when a program check stops the transfer', () => {
    const { m, device } = machine();
    m.start([[0x01, 0, 64, MEMORY_SIZE - 24]]);
    expect(device.taken).toEqual([]);
  });
});

describe('indirect data addressing', () => {
  const formats = [
    ['format 1', 4, 2048, {}],
    ['format 2, 4K', 8, 4096, { H: 1 }],
    ['format 2, 2K', 8, 2048, { H: 1, T: 1 }],
  ] as const;
  test.each(formats)('%s scatters over blocks in any order', (_, size, block, ctrl0) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 0, max: 9999 }), (ahead, skew) => {
        const { m } = machine();
        const first = DATA + 0x8000 + block - ahead;
        const second = DATA + 0x4000 + (skew % 4) * block;
        const list = DATA + 0x100;
        m.memory.dv.setUint32(list + size - 4, first);
        m.memory.dv.setUint32(list + 2 * size - 4, second);
        expect(statusOf(m.start([[0x02, IDA, 64, list]], { ctrl0 }))).toEqual(OK);
        expect(m.bytes(first, ahead)).toEqual(PATTERN.subarray(0, ahead));
        expect(m.bytes(second, 64 - ahead)).toEqual(PATTERN.subarray(ahead));
      }),
      { numRuns: 20 },
    );
  });

  test('backward: first byte anywhere, later blocks from their last byte', () => {
    const { m } = machine();
    m.memory.dv.setUint32(DATA, DATA + 0x1000 + 15);
    m.memory.dv.setUint32(DATA + 4, DATA + 0x1fff);
    expect(statusOf(m.start([[0x0c, IDA, 64, DATA]]))).toEqual(OK);
    expect(m.bytes(DATA + 0x1000, 16)).toEqual(PATTERN.slice(0, 16).reverse());
    expect(m.bytes(DATA + 0x2000 - 48, 48)).toEqual(PATTERN.slice(16).reverse());
  });

  test('any split into data-chained CCWs moves the same bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 63 }), { minLength: 1, maxLength: 8 }), (cuts) => {
        const { m, device } = machine();
        m.put(DATA, PATTERN);
        const edges = [...new Set(cuts)].sort((a, b) => a - b);
        const starts = [0, ...edges];
        const ccws = starts.map(
          (from, i): TestCcw => [0x01, i < edges.length ? CD : 0, (edges[i] ?? 64) - from, DATA + from],
        );
        expect(statusOf(m.start(ccws))).toEqual(OK);
        expect(device.taken).toEqual([PATTERN]);
      }),
      { numRuns: 30 },
    );
  });
});

describe('unusual endings', () => {
  test('unit check without concurrent sense: no sense in the IRB', () => {
    const { m } = machine();
    const irb = m.start([
      [0x0e, CC, 1, DATA],
      [0x03, 0, 0, 0],
    ]);
    expect(statusOf(irb)).toEqual({ stctl: 0x17, dstat: 0x0e, cstat: 0, count: 1 });
    expect(irb.erw).toBe(0);
  });

  test('unit check with concurrent sense: 32 bytes in the extended-control word, once', () => {
    const { m } = machine();
    m.concurrentSense();
    const irb = m.start([[0x0e, 0, 1, DATA]]);
    expect(irb.erw).toBe(0x01000000 | (32 << 16));
    expect(irb.scsw.flags & 2).toBe(2);
    expect(new Set(irb.ecw)).toEqual(new Set([0xa5]));
    expect(m.start([[0x03, 0, 0, 0]]).erw).toBe(0);
  });

  test('unit exception', () => {
    const { m } = machine();
    expect(statusOf(m.start([[0x1e, SLI, 1, DATA]]))).toMatchObject({ stctl: 0x17, dstat: 0x0d });
  });

  test('a device that fails when the program is over changes its status to unit check', () => {
    const { m, device } = machine();
    device.endStatus = 0x02;
    expect(statusOf(m.start([[0x03, 0, 0, 0]]))).toMatchObject({ stctl: 0x17, dstat: 0x0e });
    expect([device.begun, device.ended]).toEqual([1, 1]);
  });

  test('a device that does not answer: deferred condition code 3', () => {
    const { m, device } = machine();
    device.present = false;
    const irb = m.start([[0x03, 0, 0, 0]]);
    expect((irb.scsw.flags >>> 8) & 3).toBe(3);
    expect(irb.scsw.flags & 1).toBe(1);
    expect(statusOf(irb).stctl).toBe(0x17);
    expect(m.schib().pmcw).toMatchObject({ pnom: 0x80, pom: 0x7f, lpum: 0 });
  });
});

describe('intermediate status', () => {
  test('PCI interrupts while the program runs and does not end it', () => {
    const { m } = machine();
    m.program([
      [0x06, CC, 64, DATA],
      [0x06, CC | PCI, 64, DATA],
      [0x06, 0, 64, DATA],
    ]);
    m.ssch();
    const first = m.run(m.interruption()).irb;
    expect(statusOf(first)).toMatchObject({ stctl: 9, cstat: 0x80 });
    expect(first.scsw.ctrl & 0x40c0).toBe(0x40c0);
    expect(first.scsw.cpa).toBe(PROGRAM + 16);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('PCI that nobody tested is presented with the ending', () => {
    const { m } = machine();
    m.program([[0x03, PCI, 0, 0]]);
    m.ssch();
    m.simulation.run(() => (m.schib().scsw.ctrl & 4) !== 0);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual({ stctl: 0x0f, dstat: CE_DE, cstat: 0x80, count: 0 });
    expect(m.css.interruptionPending()).toBe(false);
  });

  test('initial status when the ORB asks for it', () => {
    const { m } = machine();
    m.program([[0x06, 0, 64, DATA]]);
    m.ssch({ ctrl0: { I: 1 } });
    const { irb } = m.run(m.interruption());
    expect(statusOf(irb)).toMatchObject({ stctl: 9, cstat: 0 });
    expect(irb.scsw.flags & 4).toBe(4);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });
});
