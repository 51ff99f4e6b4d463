/** Every kind of fault, on the echo control unit behind a real I/O processor: what the channel program sees. */
import { expect, test } from 'vitest';
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { CSTAT, DSTAT, SCSW_FCTL_CLEAR_FUNC, SCSW_FLAGS } from '../../../kernel/include/arch/s390/scsw.ts';
import type { FaultConfig } from '../../../kernel/include/fault_kinds.ts';
import { sleep } from '../../../kernel/lib/task.ts';
import type { DataPort, DeviceHost } from '../css/channel_device.ts';
import { DATA, PROGRAM, statusOf, type TestCcw, TestDevice, TestMachine } from '../css/test_machine.ts';
import { EchoDevice } from '../echo/echo_device.ts';
import { FaultyDevice } from './faulty_device.ts';

const { CC, SLI } = CCW_FLAG;
const CE_DE = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;
const NOP: TestCcw = [0x03, SLI, 1, DATA];
const SENSE: TestCcw = [0x04, 0, 32, DATA + 0x4000];

function machine(faults: readonly FaultConfig[], seed = 1) {
  const device = new FaultyDevice(new EchoDevice(), { schid: 0, faults, seed });
  return new TestMachine([{ schid: 0, device }]);
}
const once = (kind: FaultConfig['kind'], more: Partial<FaultConfig> = {}): FaultConfig[] => [
  { kind, rate: 1, times: 1, ...more },
];
const statusBytes = (m: TestMachine, ...ccws: TestCcw[]) => statusOf(m.start(ccws));

test.each([
  ['equipment-check', NOP, '10000000000000', '10'],
  ['no-record-found', [0x02, SLI, 8, DATA], '00080000000000', '00'],
] as const)('%s: unit check once, with the sense information of it', (kind, ccw, sense, byte7) => {
  const m = machine(once(kind));
  expect(statusBytes(m, ccw)).toMatchObject({ dstat: CE_DE | DSTAT.UNIT_CHECK, cstat: 0 });
  expect(statusBytes(m, SENSE)).toMatchObject({ dstat: CE_DE });
  expect(Buffer.from(m.bytes(DATA + 0x4000, 8)).toString('hex')).toBe(sense + byte7);
  expect(statusBytes(m, ccw)).toMatchObject({ dstat: CE_DE });
});

test('an equipment check leaves the command undone', () => {
  const m = machine(once('equipment-check'));
  m.put(DATA, [1, 2, 3, 4]);
  m.start([[0x01, 0, 4, DATA]]);
  expect(statusBytes(m, [0x02, SLI, 4, DATA + 8])).toMatchObject({ dstat: CE_DE, count: 4 });
});

test('no-record-found strikes no control command, and no fault strikes a sense command', () => {
  const m = machine([
    { kind: 'no-record-found', rate: 1 },
    { kind: 'equipment-check', rate: 1, after: 2 },
  ]);
  expect(statusBytes(m, NOP)).toMatchObject({ dstat: CE_DE });
  for (let i = 0; i < 3; i++) expect(statusBytes(m, SENSE)).toMatchObject({ dstat: CE_DE });
  expect(statusBytes(m, NOP)).toMatchObject({ dstat: CE_DE });
  expect(statusBytes(m, NOP)).toMatchObject({ dstat: CE_DE | DSTAT.UNIT_CHECK });
});

test('concurrent sense fetches the sense information of a fault with the ending', () => {
  const m = machine(once('equipment-check'));
  m.concurrentSense();
  const irb = m.start([NOP]);
  expect(irb.ecw[0]).toBe(0x10);
});

test('path-lost for good: deferred condition code 3, path not operational, every time', () => {
  const m = machine([{ kind: 'path-lost', rate: 1, times: 1 }]);
  for (let i = 0; i < 2; i++) {
    const { scsw } = m.start([NOP]);
    expect(SCSW_FLAGS.get(scsw.flags, 'CC')).toBe(3);
    expect(scsw.flags & SCSW_FLAGS.mask.N).not.toBe(0);
  }
});

test('path-lost for a time: the path comes back', () => {
  const m = machine(once('path-lost', { ns: 1e6 }));
  expect(SCSW_FLAGS.get(m.start([NOP]).scsw.flags, 'CC')).toBe(3);
  m.run(sleep(m.kernel, 2e6));
  expect(statusBytes(m, NOP)).toMatchObject({ dstat: CE_DE });
});

test('slow: the command takes that much longer, and CLEAR SUBCHANNEL ends it', () => {
  const m = machine(once('slow', { ns: 3e6, times: 2 }));
  const before = m.simulation.now;
  expect(statusBytes(m, NOP)).toMatchObject({ dstat: CE_DE });
  expect(m.simulation.now - before).toBeGreaterThan(3e6);
  const started = m.simulation.now;
  m.program([NOP]);
  const irb = m.run(
    (function* () {
      m.ssch({ cpa: PROGRAM });
      yield* sleep(m.kernel, 1e5);
      m.css.csch(0);
      return (yield* m.interruption()).irb;
    })(),
  );
  expect(irb.scsw.ctrl & SCSW_FCTL_CLEAR_FUNC).not.toBe(0);
  expect(m.simulation.now - started).toBeLessThan(1e6);
});

test('lost-interrupt: nothing is presented, the subchannel stays active, and CLEAR SUBCHANNEL frees it', () => {
  const m = machine(once('lost-interrupt'));
  m.put(DATA, [9]);
  m.program([[0x01, 0, 1, DATA]]);
  m.run(
    (function* () {
      expect(m.ssch({ cpa: PROGRAM })).toBe(0);
      yield* sleep(m.kernel, 1e9);
      expect(m.css.interruptionPending()).toBe(false);
      expect(m.ssch({ cpa: PROGRAM })).toBe(2);
      expect(m.css.csch(0)).toBe(0);
      yield* m.interruption();
    })(),
  );
  // The command itself was performed.
  expect(statusBytes(m, [0x02, 0, 1, DATA + 8])).toMatchObject({ dstat: CE_DE, cstat: 0 });
  expect(m.bytes(DATA + 8, 1)[0]).toBe(9);
});

test('lost-interrupt: HALT SUBCHANNEL frees the subchannel too', () => {
  const m = machine(once('lost-interrupt'));
  m.program([NOP]);
  m.run(
    (function* () {
      m.ssch({ cpa: PROGRAM });
      yield* sleep(m.kernel, 1e6);
      expect(m.css.hsch(0)).toBe(0);
      yield* m.interruption();
    })(),
  );
  expect(statusBytes(m, NOP)).toMatchObject({ dstat: CE_DE });
});

test('short-transfer: half of the bytes arrive, and the residual count says so', () => {
  const m = machine(once('short-transfer', { after: 1 }));
  m.put(DATA, [1, 2, 3, 4, 5, 6, 7, 8]);
  m.start([[0x01, 0, 8, DATA]]);
  const read: TestCcw = [0x02, 0, 8, DATA + 0x100];
  expect(statusBytes(m, read)).toMatchObject({ dstat: CE_DE, cstat: CSTAT.INCORR_LEN, count: 4 });
  expect([...m.bytes(DATA + 0x100, 8)]).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
  expect(statusBytes(m, read)).toMatchObject({ dstat: CE_DE, cstat: 0, count: 0 });
});

test('busy: the start waits, device end comes later, and then the program runs', () => {
  const m = machine(once('busy', { ns: 2e6 }));
  m.put(DATA, [1, 2]);
  const before = m.simulation.now;
  const irb = m.start([
    [0x01, CC, 2, DATA],
    [0x02, 0, 2, DATA + 0x100],
  ]);
  expect(statusOf(irb)).toMatchObject({ dstat: CE_DE, cstat: 0 });
  expect(m.simulation.now - before).toBeGreaterThan(2e6);
  expect([...m.bytes(DATA + 0x100, 2)]).toEqual([1, 2]);
});

test('busy: the device itself says busy, hears nothing of the command, and presents device end', () => {
  const inner = new TestDevice(function* () {
    return { status: CE_DE };
  });
  const device = new FaultyDevice(inner, { schid: 0, faults: once('busy', { ns: 77 }), seed: 1 });
  const later: number[][] = [];
  let presents = () => {};
  const host: DeviceHost = {
    now: () => 1000,
    presentLater: (ns, dstat, about = () => {}) => {
      later.push([ns, dstat]);
      presents = about;
    },
  };
  device.attach(host);
  const execute = () => device.execute(0x03, {} as DataPort).next().value;
  device.begin(0x80);
  expect(execute()).toEqual({ status: DSTAT.BUSY });
  expect(inner.commands).toEqual([]);
  device.begin(0x80);
  expect(execute()).toEqual({ status: DSTAT.BUSY });
  presents();
  expect(later).toEqual([[77, DSTAT.DEVICE_END]]);
  device.begin(0x80);
  expect(execute()).toEqual({ status: CE_DE });
  expect(inner.commands).toEqual([0x03]);
  expect(inner.begun).toBe(1);
});

test('a fault that the device cannot show is refused', () => {
  const inner = new TestDevice(function* () {
    return { status: CE_DE };
  });
  expect(() => new FaultyDevice(inner, { schid: 0, faults: once('equipment-check'), seed: 1 })).toThrow(
    'a test cannot be given the fault equipment-check',
  );
});

test('the same seed gives the same faults, another seed or another subchannel others', () => {
  const struck = (seed: number, schid: number) => {
    const device = new FaultyDevice(new EchoDevice(), {
      schid,
      faults: [{ kind: 'equipment-check', rate: 0.3 }],
      seed,
    });
    device.attach({ now: () => 0, presentLater: () => {} });
    const port = {} as DataPort;
    return Array.from({ length: 200 }, () => {
      const { status } = device.execute(0x03, port).next().value as { status: number };
      return (status & DSTAT.UNIT_CHECK) !== 0 ? '!' : '.';
    }).join('');
  };
  expect(struck(5, 0)).toBe(struck(5, 0));
  expect(struck(5, 0)).not.toBe(struck(6, 0));
  expect(struck(5, 0)).not.toBe(struck(5, 1));
  const share = struck(5, 0).replaceAll('.', '').length / 200;
  expect(share).toBeGreaterThan(0.2);
  expect(share).toBeLessThan(0.4);
});

test('every strike is traced', () => {
  const points: number[][] = [];
  const tracer = { point: (...args: number[]) => points.push(args) };
  const device = new FaultyDevice(new EchoDevice(), {
    schid: 3,
    faults: [{ kind: 'slow', rate: 1, after: 1, times: 2, ns: 1 }],
    seed: 1,
    tracer: tracer as never,
  });
  for (let i = 0; i < 5; i++) device.execute(0x0b, {} as DataPort);
  expect(points.map((p) => p.slice(1))).toEqual([
    [3, 4, 0x0b, 1],
    [3, 4, 0x0b, 2],
  ]);
});
