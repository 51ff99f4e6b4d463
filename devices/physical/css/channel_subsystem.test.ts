import { describe, expect, test } from 'vitest';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { ORB } from '../../../kernel/include/arch/s390/orb.ts';
import { PMCW_CHARS, SCHIB, type Schib } from '../../../kernel/include/arch/s390/schib.ts';
import { sleep, type Task } from '../../../kernel/lib/task.ts';
import { OperandException } from './channel_subsystem.ts';
import { CE_DE, DATA, PROGRAM, statusOf, type TestCcw, TestMachine, testDevice } from './test_machine.ts';

const NOP: TestCcw = [0x03, 0, 0, 0];
const SLOW: TestCcw = [0x06, 0, 64, DATA];

function machine(seed = 1) {
  const device = testDevice();
  return {
    device,
    m: new TestMachine(
      [
        { schid: 1, device: testDevice() },
        { schid: 0, device },
      ],
      seed,
    ),
  };
}

/** Lets everything run for `ns` of virtual time. */
function elapse(m: TestMachine, ns: number) {
  m.run(sleep(m.kernel, ns));
}

describe('condition codes', () => {
  const fctl = ['ssch', 'hsch', 'csch', 'rsch', 'xsch', 'tsch'] as const;
  const call = (m: TestMachine, name: (typeof fctl)[number], schid: number) =>
    name === 'ssch' ? m.ssch({}, schid) : name === 'tsch' ? m.css.tsch(schid, IRB.make()) : m.css[name](schid);

  test.each(fctl)('%s: not operational beyond the last subchannel and when disabled', (name) => {
    const { m } = machine();
    expect(call(m, name, 2)).toBe(3);
    m.modify(0, ({ pmcw }) => {
      pmcw.flags &= ~0x80;
    });
    expect(call(m, name, 0)).toBe(3);
  });

  test('idle, busy and status pending, by instruction', () => {
    const states: readonly (readonly [
      name: string,
      codes: Record<string, number>,
      prepare: (m: TestMachine) => void,
    ])[] = [
      ['idle', { hsch: 0, csch: 0, rsch: 2, xsch: 2, tsch: 1, ssch: 0 }, () => {}],
      ['start pending', { hsch: 0, csch: 0, rsch: 2, xsch: 0, tsch: 1, ssch: 2 }, (m) => m.ssch()],
      [
        'active',
        { hsch: 0, csch: 0, rsch: 2, xsch: 2, tsch: 1, ssch: 2 },
        (m) => {
          m.ssch();
          elapse(m, 100_000);
        },
      ],
      [
        'status pending',
        { hsch: 1, csch: 0, rsch: 1, xsch: 1, tsch: 0, ssch: 1 },
        (m) => {
          m.ssch();
          elapse(m, 5_000_000);
        },
      ],
    ];
    for (const [state, codes, prepare] of states)
      for (const name of fctl) {
        const { m } = machine();
        m.program([SLOW]);
        prepare(m);
        expect([state, name, call(m, name, 0)]).toEqual([state, name, codes[name]]);
      }
  });

  test('MSCH: status pending, function in progress, hole', () => {
    const { m } = machine();
    m.program([SLOW]);
    const schib = m.schib();
    m.ssch();
    expect(m.css.msch(0, schib)).toBe(2);
    elapse(m, 5_000_000);
    expect(m.css.msch(0, schib)).toBe(1);
    expect(m.css.msch(9, schib)).toBe(3);
  });

  test('holes store zeros and accept MSCH without effect', () => {
    const m = new TestMachine([{ schid: 3, device: testDevice() }]);
    const schib = SCHIB.make();
    expect(m.css.stsch(0, schib)).toBe(0);
    expect(SCHIB.bytes(schib).every((byte) => byte === 0)).toBe(true);
    schib.pmcw.flags = 0x80;
    expect(m.css.msch(0, schib)).toBe(0);
    expect(m.schib(0).pmcw.flags).toBe(0);
    expect(m.css.stsch(4, schib)).toBe(3);
  });
});

describe('operands', () => {
  const rows: readonly (readonly [string, (schib: Schib) => void])[] = [
    [
      'reserved flag',
      (s) => {
        s.pmcw.flags |= 0x0400;
      },
    ],
    [
      'limit mode 3',
      (s) => {
        s.pmcw.flags |= 0x0060;
      },
    ],
    [
      'reserved characteristic',
      (s) => {
        s.pmcw.chars |= 0x8;
      },
    ],
    [
      'XMWME',
      (s) => {
        s.pmcw.chars |= PMCW_CHARS.mask.XMWME;
      },
    ],
    [
      'MBA off 64 bytes',
      (s) => {
        s.pmcw.chars |= PMCW_CHARS.mask.MBFC;
        s.mba = 0x1020;
      },
    ],
  ];
  test.each(rows)('MSCH %s', (_, change) => {
    const { m } = machine();
    expect(() => m.modify(0, change)).toThrow(OperandException);
  });

  test.each([
    ['transport mode', { ctrl0: 0x0084 }],
    ['MIDAW control with format-0 CCWs', { ctrl0: 0, ctrl1: 0x40 }],
    ['reserved', { ctrl0: 0x80, ctrl1: 0x02 }],
    ['extension', { ctrl0: 0x80, ctrl1: 0x01 }],
    ['address bit 0', { ctrl0: 0x80, cpa: 0x80000000 }],
  ])('SSCH %s', (_, orb) => {
    const { m } = machine();
    expect(() => m.css.ssch(0, ORB.make({ lpm: 0xff, ...orb }))).toThrow(OperandException);
  });

  test('MSCH changes what it may and nothing else', () => {
    const { m } = machine();
    m.modify(0, (schib) => {
      Object.assign(schib.pmcw, { devno: 0xffff, pim: 1, pam: 1, lpum: 7, intparm: 77, lpm: 0x80, mbi: 5, pom: 0xf0 });
      schib.mba = 0x1000;
    });
    const { pmcw, mba } = m.schib();
    expect([pmcw.devno, pmcw.pim, pmcw.pam, pmcw.lpum]).toEqual([0x100, 0x80, 0x80, 0]);
    expect([pmcw.intparm, pmcw.lpm, pmcw.mbi, pmcw.pom, mba]).toEqual([77, 0x80, 5, 0xf0, 0x1000]);
  });
});

describe('halt and clear', () => {
  test('HSCH ends a slow command at once: start and halt function, channel end and device end', () => {
    const { m } = machine();
    m.program([SLOW]);
    m.ssch();
    elapse(m, 100_000);
    expect(m.css.hsch(0)).toBe(0);
    expect(m.css.hsch(0)).toBe(2);
    const { irb } = m.run(m.interruption());
    expect(m.simulation.now).toBeLessThan(500_000);
    expect(irb.scsw.ctrl & 0x7000).toBe(0x6000);
    expect(statusOf(irb)).toEqual({ stctl: 7, dstat: CE_DE, cstat: 0, count: 64 });
    expect(m.schib().scsw.ctrl).toBe(0);
    expect(statusOf(m.run(m.io([NOP])))).toMatchObject({ stctl: 7 });
  });

  test('HSCH of an idle subchannel: status pending alone', () => {
    const { m } = machine();
    m.css.hsch(0);
    const { irb } = m.run(m.interruption());
    expect(irb.scsw.ctrl).toBe(0x2001);
  });

  test('HSCH withdraws intermediate status of an active device', () => {
    const { m } = machine();
    m.program([[0x06, 0x08, 64, DATA]]);
    m.ssch();
    elapse(m, 100_000);
    expect(m.css.interruptionPending()).toBe(true);
    expect(m.css.hsch(0)).toBe(0);
    expect(m.css.interruptionPending()).toBe(false);
    expect(statusOf(m.run(m.interruption()).irb).stctl & 7).toBe(7);
  });

  test('CSCH: clear function and status pending alone, device reset', () => {
    const { m, device } = machine();
    m.program([SLOW]);
    m.ssch();
    elapse(m, 100_000);
    expect(m.css.csch(0)).toBe(0);
    const { irb } = m.run(m.interruption());
    expect(irb.scsw.ctrl).toBe(0x1001);
    expect([irb.scsw.dstat, irb.scsw.cstat]).toEqual([0, 0]);
    expect([device.resets, device.ended]).toEqual([1, 1]);
    expect(m.schib().pmcw.pom).toBe(0xff);
  });

  test('CSCH takes pending status and its interruption away', () => {
    const { m } = machine();
    m.program([NOP]);
    m.ssch();
    elapse(m, 1_000_000);
    expect(m.css.csch(0)).toBe(0);
    const irb = IRB.make();
    expect(m.css.tsch(0, irb)).toBe(1);
    expect(m.run(m.interruption()).irb.scsw.ctrl).toBe(0x1001);
    expect(m.css.interruptionPending()).toBe(false);
  });

  test('XSCH cancels a pending start; the next start runs its own program', () => {
    for (let seed = 1; seed < 60; seed++) {
      const { m, device } = machine(seed);
      m.program([[0x02, 0, 64, DATA]], PROGRAM);
      m.program([[0x0b, 0, 4, DATA]], PROGRAM + 0x40);
      const task = function* (): Task<number> {
        m.ssch();
        yield* sleep(m.kernel, seed * 20);
        const cc = m.css.xsch(0);
        if (cc === 0) m.ssch({ cpa: PROGRAM + 0x40 });
        const { irb } = yield* m.interruption();
        expect(statusOf(irb)).toMatchObject({ stctl: 7 });
        return cc;
      };
      expect(device.commands).toEqual([]);
      expect(m.run(task()) === 0 ? [0x0b] : [0x02]).toEqual(device.commands);
    }
  });

  test('whatever the moment, start then halt or clear gives exactly one final interruption and an idle subchannel', () => {
    for (let seed = 1; seed < 300; seed++) {
      const { m } = machine(seed);
      m.program([
        [0x03, 0x40, 0, 0],
        [0x06, 0x40, 64, DATA],
        [0x03, 0, 0, 0],
      ]);
      const clear = seed % 2 === 0;
      const task = function* (): Task {
        m.ssch();
        yield* sleep(m.kernel, (seed * 7919) % 1_010_000);
        const cc = clear ? m.css.csch(0) : m.css.hsch(0);
        const { irb } = yield* m.interruption();
        if (clear) expect(irb.scsw.ctrl).toBe(0x1001);
        else if (cc === 0) expect(irb.scsw.ctrl & 0x2000).toBe(0x2000);
        else expect([cc, irb.scsw.ctrl]).toEqual([1, 0x4007]);
        yield* sleep(m.kernel, 3_000_000);
        expect([m.css.interruptionPending(), m.schib().scsw.ctrl]).toEqual([false, 0]);
        expect(statusOf(yield* m.io([NOP]))).toMatchObject({ stctl: 7, dstat: CE_DE });
      };
      m.run(task());
    }
  });
});

describe('interruptions', () => {
  test('the most important subclass is taken first, each condition once', () => {
    const { m } = machine();
    m.modify(0, ({ pmcw }) => {
      pmcw.flags |= 0x3800;
      pmcw.intparm = 7;
    });
    m.iop.attention(0);
    m.iop.attention(1, 0x84);
    elapse(m, 100_000);
    expect(m.css.interruptionPending(0x10)).toBe(true);
    expect(m.css.tpi(0x01)).toEqual({ schid: 0, intparm: 7, isc: 7 });
    expect(m.css.tpi()).toEqual({ schid: 1, intparm: 0, isc: 3 });
    expect(m.css.tpi()).toBeUndefined();
    const irb = IRB.make();
    expect(m.css.tsch(1, irb)).toBe(0);
    expect(statusOf(irb)).toMatchObject({ stctl: 0x11, dstat: 0x84 });
  });

  test('TSCH of status nobody was interrupted for withdraws the interruption', () => {
    const { m } = machine();
    m.iop.attention(0);
    elapse(m, 100_000);
    expect(m.css.tsch(0, IRB.make())).toBe(0);
    expect(m.css.tpi()).toBeUndefined();
  });

  test('attention of a busy subchannel waits until its status was tested', () => {
    const { m } = machine();
    m.program([SLOW]);
    m.ssch();
    elapse(m, 100_000);
    m.iop.attention(0);
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 7, dstat: CE_DE });
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 0x11, dstat: 0x80 });
  });

  test('a start that meets attention ends with deferred condition code 1', () => {
    const { m } = machine();
    m.program([NOP]);
    m.ssch();
    m.iop.attention(0);
    const { irb } = m.run(m.interruption());
    expect((irb.scsw.flags >>> 8) & 3).toBe(1);
    expect(irb.scsw.dstat).toBe(0x90);
  });
});

describe('channel paths', () => {
  test('varied offline: report, PAM, condition code 3; and back', () => {
    const { m } = machine();
    m.iop.configureChpid(0x80, false);
    expect(m.css.crwPending()).toBe(true);
    expect(m.css.stcrw()).toBe(0x04060080);
    expect(m.css.stcrw()).toBeUndefined();
    expect(m.schib().pmcw.pam).toBe(0);
    expect(m.ssch()).toBe(3);
    m.iop.configureChpid(0x80, true);
    expect(m.css.stcrw()).toBe(0x04020080);
    expect(statusOf(m.run(m.io([NOP])))).toMatchObject({ stctl: 7 });
  });

  test('lost reports are told with the overflow flag', () => {
    const { m } = machine();
    for (let i = 0; i < 65; i++) m.iop.configureChpid(0x81, true);
    expect(m.css.stcrw()).toBe(0x24020081);
    expect(m.css.stcrw()).toBe(0x04020081);
  });
});
