import { describe, expect, test } from 'vitest';
import { sleep, type Task } from '../../../kernel/lib/task.ts';
import { CE_DE, DATA, statusOf, type TestCcw, TestMachine, testDevice } from './test_machine.ts';

const OK = { stctl: 7, dstat: CE_DE, cstat: 0, count: 0 };
const START_PENDING = 0x4400;
const READ: TestCcw = [0x02, 0, 64, DATA];
const DEVICE_BUSY = 0x10;
const CU_BUSY = 0x50;
/** More than any test waits. */
const FOR_EVER = Array(1000).fill(DEVICE_BUSY);

function machine(how: { chpids?: number[]; seed?: number } = {}) {
  const device = testDevice();
  return { device, m: new TestMachine([{ schid: 0, device }], how) };
}

describe('a device that is busy when it is selected', () => {
  test('keeps the start pending and is tried again after a while', () => {
    const { m, device } = machine();
    device.busy.push(DEVICE_BUSY, DEVICE_BUSY);
    m.program([READ]);
    m.ssch();
    m.elapse(500_000);
    expect(m.schib().scsw.ctrl).toBe(START_PENDING);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    expect([device.begun, device.ended, device.commands]).toEqual([3, 1, [0x02]]);
  });

  test.each([
    ['device end', 0x04],
    ['control-unit end', 0x20],
  ])('is tried again at once when %s comes, of which the program hears nothing', (_, dstat) => {
    const { m, device } = machine();
    device.busy.push(DEVICE_BUSY);
    m.program([READ]);
    m.ssch();
    m.elapse(100_000);
    m.iop.attention(0, dstat);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    expect(m.simulation.now).toBeLessThan(500_000);
    m.elapse(3e6);
    expect(m.css.interruptionPending()).toBe(false);
  });

  test('attention beside device end is told, by deferred condition code 1', () => {
    const { m, device } = machine();
    device.busy.push(DEVICE_BUSY);
    m.program([READ]);
    m.ssch();
    m.elapse(100_000);
    m.iop.attention(0, 0x84);
    const { irb } = m.run(m.interruption());
    expect([(irb.scsw.flags >>> 8) & 3, irb.scsw.dstat]).toEqual([1, 0x90]);
  });

  test('no intermediate status before the device took the command', () => {
    const { m, device } = machine();
    device.busy.push(DEVICE_BUSY);
    m.program([[0x06, 0x08, 64, DATA]]);
    m.ssch({ ctrl0: { I: 1 } });
    m.elapse(500_000);
    expect(m.css.interruptionPending()).toBe(false);
    const { irb } = m.run(m.interruption());
    expect(statusOf(irb)).toMatchObject({ stctl: 9, cstat: 0x80 });
    expect(irb.scsw.flags & 4).toBe(4);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test.each([
    ['HSCH', 'hsch', 0x6001],
    ['CSCH', 'csch', 0x1001],
  ] as const)('%s ends the waiting', (_, instruction, ctrl) => {
    const { m, device } = machine();
    device.busy.push(...FOR_EVER);
    m.program([READ]);
    m.ssch();
    m.elapse(5e6);
    expect(m.css[instruction](0)).toBe(0);
    expect(m.run(m.interruption()).irb.scsw.ctrl).toBe(ctrl);
    device.busy.length = 0;
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('XSCH cancels the pending start, whatever the moment; the next start is another', () => {
    for (let seed = 1; seed < 150; seed++) {
      const { m, device } = machine({ seed });
      device.busy.push(DEVICE_BUSY);
      m.program([READ]);
      const task = function* (): Task {
        m.ssch();
        yield* sleep(m.kernel, (seed * 7919) % 1_010_000);
        const cc = m.css.xsch(0);
        if (cc === 0) {
          expect(m.schib().scsw.ctrl & 0x7f00).toBe(0);
          device.busy.length = 0;
          m.ssch({ intparm: 2 });
        }
        const { irb, intparm } = yield* m.interruption();
        expect([statusOf(irb), intparm]).toEqual([OK, cc === 0 ? 2 : 0x1234]);
        expect(device.commands).toEqual([0x02]);
      };
      m.run(task());
    }
  });

  test('busy when a suspended program is resumed: resume pending until it is taken', () => {
    const { m, device } = machine();
    m.program([[0x02, 0x02, 64, DATA]]);
    m.ssch({ ctrl0: { S: 1, U: 1 } });
    m.elapse(100_000);
    m.program([READ]);
    device.busy.push(DEVICE_BUSY);
    expect(m.css.rsch(0)).toBe(0);
    m.elapse(500_000);
    expect(m.schib().scsw.ctrl).toBe(0x4820);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('in answer to a chained command it is unusual status', () => {
    const { m, device } = machine();
    const execute = device.execute.bind(device);
    device.execute = function* (command, port) {
      return command === 0x02 ? { status: DEVICE_BUSY } : yield* execute(command, port);
    };
    const irb = m.start([
      [0x03, 0x40, 0, 0],
      [0x02, 0x20, 64, DATA],
    ]);
    expect(statusOf(irb)).toMatchObject({ stctl: 0x17, dstat: DEVICE_BUSY });
  });
});

describe('a control unit that is busy', () => {
  test('may not be on another path, which is tried at once', () => {
    const { m, device } = machine({ chpids: [0x80, 0x81, 0x82] });
    device.busy.push(CU_BUSY, CU_BUSY);
    const irb = m.start([READ]);
    expect(statusOf(irb)).toEqual(OK);
    expect(device.paths).toEqual([0x80, 0x40, 0x20]);
    expect(m.simulation.now).toBeLessThan(500_000);
    expect([irb.esw0, m.schib().pmcw.pnom]).toEqual([0x00200000, 0]);
  });

  test('on all paths: waits', () => {
    const { m, device } = machine({ chpids: [0x80, 0x81] });
    device.busy.push(CU_BUSY, CU_BUSY);
    m.program([READ]);
    m.ssch();
    m.elapse(500_000);
    expect(m.schib().scsw.ctrl).toBe(START_PENDING);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('a busy device is not asked on its other paths', () => {
    const { m, device } = machine({ chpids: [0x80, 0x81] });
    device.busy.push(DEVICE_BUSY);
    m.start([READ]);
    expect(device.paths).toEqual([0x80, 0x40]);
    expect(m.simulation.now).toBeGreaterThan(1_000_000);
  });
});

describe('an ending that gets lost', () => {
  test('leaves the subchannel active for ever, until halt or clear', () => {
    for (const [instruction, ctrl] of [
      ['hsch', 0x6007],
      ['csch', 0x1001],
    ] as const) {
      const { m, device } = machine();
      device.lost = 1;
      m.program([READ]);
      m.ssch();
      m.elapse(50e6);
      expect([m.schib().scsw.ctrl, m.css.interruptionPending()]).toEqual([0x40c0, false]);
      expect(m.css[instruction](0)).toBe(0);
      expect(m.run(m.interruption()).irb.scsw.ctrl).toBe(ctrl);
      expect(statusOf(m.start([READ]))).toEqual(OK);
    }
  });
});
