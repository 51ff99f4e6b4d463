import { describe, expect, test } from 'vitest';
import { sleep, type Task } from '../../../kernel/lib/task.ts';
import { CE_DE, DATA, PROGRAM, statusOf, type TestCcw, TestMachine, testDevice } from './test_machine.ts';

const CC = 0x40;
const OK = { stctl: 7, dstat: CE_DE, cstat: 0, count: 0 };
const DEVICE_ACTIVE = 0x0040;
const READ: TestCcw = [0x02, 0, 64, DATA];
const SEEK: TestCcw = [0x07, 0, 0, 0];

function machine(seed = 1) {
  const device = testDevice();
  return { device, m: new TestMachine([{ schid: 0, device }], seed) };
}

/** Runs a seek to its channel end, tested. */
function channelEnd(m: TestMachine) {
  m.program([SEEK]);
  m.ssch();
  return m.run(m.interruption()).irb;
}

describe('device end after channel end', () => {
  test('primary status first, with the device active; secondary status later', () => {
    const { m } = machine();
    const first = channelEnd(m);
    expect(statusOf(first)).toEqual({ stctl: 5, dstat: 0x08, cstat: 0, count: 0 });
    expect(first.scsw.ctrl & 0x4fe0).toBe(0x4000 | DEVICE_ACTIVE);
    expect(m.schib().scsw.ctrl).toBe(DEVICE_ACTIVE);
    expect(m.simulation.now).toBeLessThan(500_000);
    const second = m.run(m.interruption()).irb;
    expect(statusOf(second)).toMatchObject({ stctl: 3, dstat: 0x04, cstat: 0 });
    expect(m.simulation.now).toBeGreaterThan(1_000_000);
    expect([second.scsw.ctrl & 0x7fe0, second.esw0, m.schib().scsw.ctrl]).toEqual([0, 0x00800000, 0]);
  });

  test('both are one when the first was not tested in time', () => {
    const { m } = machine();
    m.program([SEEK]);
    m.ssch();
    m.elapse(3e6);
    const { irb } = m.run(m.interruption());
    expect(statusOf(irb)).toEqual(OK);
    expect(irb.scsw.ctrl & 0x7fe0).toBe(0x4000);
    expect(m.css.interruptionPending()).toBe(false);
  });

  test('unit check with device end is alert status, with sense when the subchannel is to have it', () => {
    const { m } = machine();
    m.concurrentSense();
    m.program([[0x17, 0, 0, 0]]);
    m.ssch();
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 5, dstat: 8 });
    const { irb } = m.run(m.interruption());
    expect(statusOf(irb)).toMatchObject({ stctl: 0x13, dstat: 0x06 });
    expect([irb.erw, irb.ecw[0]]).toEqual([0x01000000 | (32 << 16), 0xa5]);
  });

  test('command chaining waits for it', () => {
    const { m, device } = machine();
    m.program([[0x07, CC, 0, 0], READ]);
    m.ssch();
    m.elapse(500_000);
    expect(device.commands).toEqual([0x07]);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    expect(device.commands).toEqual([0x07, 0x02]);
  });

  test('what comes with it decides about chaining: status modifier skips, unit check ends', () => {
    const { m, device } = machine();
    expect(statusOf(m.start([[0x27, CC, 0, 0], [0x0e, 0, 1, DATA], READ]))).toEqual(OK);
    expect(device.commands).toEqual([0x27, 0x02]);
    expect(statusOf(m.start([[0x17, CC, 0, 0], READ]))).toMatchObject({ stctl: 0x17, dstat: 0x0e });
  });

  test('incorrect length ends the program with channel end all the same', () => {
    const { m } = machine();
    m.program([[0x07, CC, 5, DATA], READ]);
    m.ssch();
    expect(statusOf(m.run(m.interruption()).irb)).toEqual({ stctl: 0x15, dstat: 8, cstat: 0x40, count: 5 });
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 3, dstat: 4 });
  });

  test('a device that fails at the very end tells everything at once', () => {
    const { m, device } = machine();
    device.endStatus = 0x02;
    expect(statusOf(m.start([SEEK]))).toMatchObject({ stctl: 0x17, dstat: 0x0e });
    m.elapse(3e6);
    expect(m.css.interruptionPending()).toBe(false);
  });
});

describe('between channel end and device end', () => {
  test('a new start stays pending and ends with deferred condition code 1', () => {
    const { m, device } = machine();
    channelEnd(m);
    m.program([READ]);
    expect(m.ssch({ intparm: 0xbeef })).toBe(0);
    m.elapse(100_000);
    expect(m.schib().scsw.ctrl).toBe(0x4400 | DEVICE_ACTIVE);
    const { irb, intparm } = m.run(m.interruption());
    expect(intparm).toBe(0xbeef);
    expect([(irb.scsw.flags >>> 8) & 3, irb.scsw.dstat, statusOf(irb).stctl]).toEqual([1, 0x04, 0x17]);
    expect(device.commands).toEqual([0x07]);
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('a start that is cancelled leaves the device end to be presented', () => {
    const { m } = machine();
    channelEnd(m);
    m.ssch();
    expect(m.css.xsch(0)).toBe(0);
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 3, dstat: 4 });
  });

  test('HSCH: the device ends, secondary status with the halt function', () => {
    const { m } = machine();
    channelEnd(m);
    expect(m.css.hsch(0)).toBe(0);
    const { irb } = m.run(m.interruption());
    expect([irb.scsw.ctrl, irb.scsw.dstat]).toEqual([0x2003, 0x04]);
    expect(m.simulation.now).toBeLessThan(900_000);
    m.elapse(3e6);
    expect([m.css.interruptionPending(), m.schib().scsw.ctrl]).toEqual([false, 0]);
  });

  test('HSCH before the primary status was tested: condition code 1', () => {
    const { m } = machine();
    m.program([SEEK]);
    m.ssch();
    m.elapse(100_000);
    expect(m.css.hsch(0)).toBe(1);
  });

  test('CSCH: status pending alone, the device reset, no device end', () => {
    const { m, device } = machine();
    channelEnd(m);
    expect(m.css.csch(0)).toBe(0);
    expect(m.run(m.interruption()).irb.scsw.ctrl).toBe(0x1001);
    expect(device.resets).toBe(1);
    m.elapse(3e6);
    expect([m.css.interruptionPending(), m.schib().scsw.ctrl]).toEqual([false, 0]);
  });

  test('a subchannel disabled meanwhile tells nobody', () => {
    const { m } = machine();
    channelEnd(m);
    m.modify(0, ({ pmcw }) => {
      pmcw.flags &= ~0x80;
    });
    m.elapse(3e6);
    expect([m.css.interruptionPending(), m.schib().scsw.ctrl]).toEqual([false, 0]);
    m.modify(0, () => {});
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('attention waits for device end to be tested', () => {
    const { m } = machine();
    channelEnd(m);
    m.iop.attention(0);
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 3, dstat: 4 });
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 0x11, dstat: 0x80 });
  });

  test('whatever the moment of halt or clear, the subchannel is idle afterwards and works', () => {
    for (let seed = 1; seed < 250; seed++) {
      const { m } = machine(seed);
      m.program([SEEK]);
      const task = function* (): Task {
        m.ssch();
        yield* sleep(m.kernel, (seed * 7919) % 1_030_000);
        const early = m.css.interruptionPending() ? m.tsch() : undefined;
        const clear = seed % 2 === 0;
        const cc = clear ? m.css.csch(0) : m.css.hsch(0);
        expect(cc).toBeLessThan(2);
        const { irb } = yield* m.interruption();
        if (clear) expect(irb.scsw.ctrl).toBe(0x1001);
        else if (cc === 0) expect(irb.scsw.ctrl & 0x2001).toBe(0x2001);
        else expect(early).toBeUndefined();
        yield* sleep(m.kernel, 3_000_000);
        if (cc === 1 && m.css.interruptionPending()) m.tsch();
        expect([m.css.interruptionPending(), m.schib().scsw.ctrl]).toEqual([false, 0]);
        expect(statusOf(yield* m.io([READ], { cpa: PROGRAM }))).toEqual(OK);
      };
      m.run(task());
    }
  });
});
