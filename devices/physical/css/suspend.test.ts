import { describe, expect, test } from 'vitest';
import { sleep, type Task } from '../../../kernel/lib/task.ts';
import { CE_DE, DATA, PROGRAM, statusOf, type TestCcw, TestMachine, testDevice } from './test_machine.ts';

const CC = 0x40;
const PCI = 0x08;
const S = 0x02;
const OK = { stctl: 7, dstat: CE_DE, cstat: 0, count: 0 };
const SUSPENDED = 0x0020;
const READ: TestCcw = [0x02, 0, 64, DATA];
const SLOW_THEN_SUSPEND: TestCcw[] = [
  [0x06, CC, 64, DATA],
  [0x02, S, 64, DATA],
];

function machine(seed = 1) {
  const device = testDevice();
  return { device, m: new TestMachine([{ schid: 0, device }], seed) };
}

/** Runs until the program has suspended itself. */
function untilSuspended(m: TestMachine) {
  m.simulation.run(() => (m.schib().scsw.ctrl & SUSPENDED) !== 0, 10_000);
}

describe('suspension', () => {
  test('tells where, then goes on at the same CCW with what it has become', () => {
    const { m, device } = machine();
    m.program([
      [0x03, CC, 0, 0],
      [0x02, S, 64, DATA],
    ]);
    m.ssch({ ctrl0: { S: 1 } });
    const { irb } = m.run(m.interruption());
    expect(statusOf(irb)).toMatchObject({ stctl: 9, cstat: 0 });
    expect(irb.scsw.ctrl & 0x4fe0).toBe(0x4020);
    expect(irb.scsw.cpa).toBe(PROGRAM + 16);
    m.program([READ], PROGRAM + 8);
    expect(m.css.rsch(0)).toBe(0);
    expect(m.css.rsch(0)).toBe(2);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    expect(device.begun).toBe(2);
  });

  test('a CCW resumed with its suspend flag still on suspends again', () => {
    const { m, device } = machine();
    m.program([[0x02, S, 64, DATA]]);
    m.ssch({ ctrl0: { S: 1 } });
    for (let i = 0; i < 3; i++) {
      expect(statusOf(m.run(m.interruption()).irb).stctl).toBe(9);
      expect(m.css.rsch(0)).toBe(0);
    }
    m.run(m.interruption());
    expect(device.commands).toEqual([]);
  });

  test('a suspended CCW may have become a transfer in channel', () => {
    const { m } = machine();
    m.program([[0x02, S, 64, DATA]]);
    m.ssch({ ctrl0: { S: 1 } });
    m.run(m.interruption());
    m.program([[0x08, 0, 0, PROGRAM + 0x40]]);
    m.program([READ], PROGRAM + 0x40);
    m.css.rsch(0);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('is not told when the ORB suppresses it', () => {
    const { m } = machine();
    m.program([[0x03, S, 0, 0]]);
    m.ssch({ ctrl0: { S: 1, U: 1 } });
    untilSuspended(m);
    m.elapse(1e6);
    expect(m.css.interruptionPending()).toBe(false);
    expect(m.schib().scsw.ctrl & 0x1f).toBe(0);
    m.program([READ]);
    expect(m.css.rsch(0)).toBe(0);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('a PCI flag beside the suspend flag counts when the CCW is executed', () => {
    const { m } = machine();
    m.program([[0x06, S | PCI, 64, DATA]]);
    m.ssch({ ctrl0: { S: 1 } });
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 9, cstat: 0 });
    m.program([[0x06, PCI, 64, DATA]]);
    m.css.rsch(0);
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 9, cstat: 0x80 });
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('a PCI nobody tested is presented with the suspension, also when that is suppressed', () => {
    for (const U of [0, 1]) {
      const { m } = machine();
      m.program([
        [0x03, CC | PCI, 0, 0],
        [0x02, S, 64, DATA],
      ]);
      m.ssch({ ctrl0: { S: 1, U } });
      untilSuspended(m);
      const { irb } = m.run(m.interruption());
      expect(statusOf(irb)).toMatchObject({ stctl: 9, cstat: 0x80 });
      expect(irb.scsw.ctrl & SUSPENDED).toBe(SUSPENDED);
      expect(m.css.interruptionPending()).toBe(false);
      m.program([READ], PROGRAM + 8);
      expect(m.css.rsch(0)).toBe(0);
      expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    }
  });

  test('initial status is told once, when the first command is taken: after the first CCW suspended too', () => {
    const { m } = machine();
    m.program([[0x06, S, 64, DATA]]);
    m.ssch({ ctrl0: { S: 1, I: 1, U: 1 } });
    untilSuspended(m);
    m.program([
      [0x06, CC, 64, DATA],
      [0x03, CC | S, 0, 0],
      [0x06, 0, 64, DATA],
    ]);
    m.css.rsch(0);
    const { irb } = m.run(m.interruption());
    expect([statusOf(irb).stctl, irb.scsw.flags & 4]).toEqual([9, 4]);
    untilSuspended(m);
    m.program([[0x03, CC, 0, 0]], PROGRAM + 8);
    m.css.rsch(0);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });
});

describe('RSCH', () => {
  test('applies to a start with suspend control only', () => {
    const { m } = machine();
    m.program([[0x06, 0, 64, DATA]]);
    m.ssch();
    expect(m.css.rsch(0)).toBe(2);
    m.elapse(100_000);
    expect(m.css.rsch(0)).toBe(2);
    expect(m.css.hsch(0)).toBe(0);
    expect(m.css.rsch(0)).toBe(2);
  });

  test('before the suspending CCW is reached: that CCW is fetched anew and does not suspend', () => {
    const { m } = machine();
    m.program(SLOW_THEN_SUSPEND);
    m.ssch({ ctrl0: { S: 1 } });
    m.elapse(100_000);
    m.program([READ], PROGRAM + 8);
    expect(m.css.rsch(0)).toBe(0);
    expect(m.css.rsch(0)).toBe(2);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    expect(m.schib().scsw.ctrl).toBe(0);
  });

  test('before the suspending CCW is reached, which still asks for it: suspends', () => {
    const { m } = machine();
    m.program(SLOW_THEN_SUSPEND);
    m.ssch({ ctrl0: { S: 1 } });
    m.elapse(100_000);
    expect(m.css.rsch(0)).toBe(0);
    expect(statusOf(m.run(m.interruption()).irb).stctl).toBe(9);
    expect(m.schib().scsw.ctrl & 0x0fe0).toBe(SUSPENDED);
  });

  test('while status is pending: condition code 1', () => {
    const { m } = machine();
    m.program([[0x03, S, 0, 0]]);
    m.ssch({ ctrl0: { S: 1 } });
    m.elapse(1e6);
    expect(m.css.rsch(0)).toBe(1);
    m.tsch();
    expect(m.css.rsch(0)).toBe(0);
  });

  test('whatever the moment, a resumption is never lost', () => {
    for (let seed = 1; seed < 200; seed++) {
      const { m } = machine(seed);
      m.program([
        [0x03, CC, 0, 0],
        [0x03, CC, 0, 0],
        [0x02, S, 64, DATA],
      ]);
      const task = function* (): Task {
        m.ssch({ ctrl0: { S: 1, U: 1 } });
        yield* sleep(m.kernel, seed * 20);
        m.program([READ], PROGRAM + 16);
        const cc = m.css.rsch(0);
        if (cc === 1) return;
        expect(cc).toBe(0);
        expect(statusOf((yield* m.interruption()).irb)).toEqual(OK);
      };
      m.run(task());
    }
  });
});

describe('functions on a suspended program', () => {
  test('XSCH cancels it without an interruption', () => {
    const { m } = machine();
    m.program([[0x03, S, 0, 0]]);
    m.ssch({ ctrl0: { S: 1, U: 1 } });
    untilSuspended(m);
    expect(m.css.xsch(0)).toBe(0);
    expect(m.schib().scsw.ctrl).toBe(0);
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('XSCH against RSCH, whatever the moment: one of them wins', () => {
    for (let seed = 1; seed < 150; seed++) {
      const { m, device } = machine(seed);
      m.program([[0x03, S, 0, 0]]);
      m.ssch({ ctrl0: { S: 1, U: 1 } });
      untilSuspended(m);
      m.program([READ]);
      const task = function* (): Task {
        m.css.rsch(0);
        yield* sleep(m.kernel, seed * 15);
        const cc = m.css.xsch(0);
        if (cc === 0) yield* sleep(m.kernel, 100_000);
        else expect(statusOf((yield* m.interruption()).irb)).toEqual(OK);
        expect([device.commands.length, m.schib().scsw.ctrl, m.css.interruptionPending()]).toEqual([
          cc === 0 ? 0 : 1,
          0,
          false,
        ]);
      };
      m.run(task());
    }
  });

  test('HSCH ends it with status pending alone', () => {
    const { m } = machine();
    m.program([[0x03, S, 0, 0]]);
    m.ssch({ ctrl0: { S: 1, U: 1 } });
    untilSuspended(m);
    expect(m.css.hsch(0)).toBe(0);
    expect(m.run(m.interruption()).irb.scsw.ctrl).toBe(0x6001);
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('TSCH between HSCH and its performance takes the halt function away and leaves nothing behind', () => {
    const { m } = machine();
    m.program([[0x03, S, 0, 0]]);
    m.ssch({ ctrl0: { S: 1 } });
    m.elapse(1e6);
    expect(m.css.hsch(0)).toBe(0);
    m.tsch();
    expect(m.schib().scsw.ctrl).toBe(0);
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('CSCH clears it', () => {
    const { m } = machine();
    m.program([[0x03, S, 0, 0]]);
    m.ssch({ ctrl0: { S: 1 } });
    m.elapse(1e6);
    expect(m.css.csch(0)).toBe(0);
    expect(m.run(m.interruption()).irb.scsw.ctrl).toBe(0x1001);
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });
});
