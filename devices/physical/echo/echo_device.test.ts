/** The echo control unit on a subchannel: what every command does, as a channel program sees it. */
import { expect, test } from 'vitest';
import { CCW_FLAG } from '../../../kernel/include/arch/s390/ccw.ts';
import { CSTAT, DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import { DATA, statusOf, TestMachine } from '../css/test_machine.ts';
import { HOW, PREPARE } from './echo_commands.ts';
import { EchoDevice } from './echo_device.ts';

const { CC, SLI } = CCW_FLAG;
const CE_DE = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;
const BACK = DATA + 0x1000;

function machine() {
  const m = new TestMachine([{ schid: 0, device: new EchoDevice() }]);
  const prepare = (ending: Partial<Record<'status' | 'sense0' | 'sense1' | 'how' | 'ns', number>>) => {
    m.put(DATA, PREPARE.bytes(PREPARE.make(ending)));
    return [0x13, CC, PREPARE.size, DATA] as const;
  };
  return { m, prepare };
}

const normal = { dstat: CE_DE, cstat: 0, count: 0 };

test('what is written is read back, all of it and no more', () => {
  const { m } = machine();
  m.put(
    DATA,
    Array.from({ length: 5000 }, (_, i) => i * 7),
  );
  expect(statusOf(m.start([[0x01, 0, 5000, DATA]]))).toMatchObject(normal);
  expect(statusOf(m.start([[0x02, SLI, 6000, DATA + 0x2000]]))).toMatchObject({ ...normal, count: 1000 });
  expect(m.bytes(DATA + 0x2000, 5000)).toEqual(m.bytes(DATA, 5000));
  expect(m.bytes(DATA + 0x2000 + 5000, 1000)).toEqual(new Uint8Array(1000));
});

test('a write of 64 KiB less one byte fills the buffer by data chaining; one byte too many is an incorrect length', () => {
  const { m } = machine();
  const { DC } = CCW_FLAG;
  const write = (last: number) =>
    statusOf(
      m.start([
        [0x01, DC, 0x8000, DATA],
        [0x01, 0, last, DATA + 0x8000],
      ]),
    );
  expect(write(0x8000)).toMatchObject(normal);
  expect(write(0x8001)).toMatchObject({ dstat: CE_DE, cstat: CSTAT.INCORR_LEN, count: 1 });
});

test('read backward stores the same bytes, from the last address down', () => {
  const { m } = machine();
  m.put(DATA, [1, 2, 3, 4]);
  const irb = m.start([
    [0x01, CC, 4, DATA],
    [0x0c, 0, 4, BACK + 3],
  ]);
  expect(statusOf(irb)).toMatchObject(normal);
  expect([...m.bytes(BACK, 4)]).toEqual([1, 2, 3, 4]);
});

test.each([
  ['no operation is immediate and has no data', [0x03, SLI, 1, DATA], { dstat: CE_DE, count: 1 }],
  ['control takes whatever it is given', [0x0b, 0, 100, DATA], normal],
  ['an unknown command is rejected', [0x17, SLI, 4, DATA], { dstat: CE_DE | DSTAT.UNIT_CHECK }],
] as const)('%s', (_, ccw, expected) => {
  expect(statusOf(machine().m.start([ccw]))).toMatchObject(expected);
});

test('sense ID names control unit FFFE', () => {
  const { m } = machine();
  expect(statusOf(m.start([[0xe4, 0, 7, DATA]]))).toMatchObject(normal);
  expect(Buffer.from(m.bytes(DATA, 7)).toString('hex')).toBe('fffffe01fffe01');
});

test('sense tells of a command reject once, and the next command forgets it', () => {
  const { m } = machine();
  const sense = () => {
    expect(statusOf(m.start([[0x04, 0, 32, DATA]]))).toMatchObject(normal);
    return m.bytes(DATA, 1)[0];
  };
  m.start([[0x17, SLI, 4, DATA]]);
  expect(sense()).toBe(0x80);
  expect(sense()).toBe(0);
  m.start([[0x17, SLI, 4, DATA]]);
  m.start([[0x03, SLI, 1, DATA]]);
  expect(sense()).toBe(0);
});

test.each([
  ['unit exception', DSTAT.UNIT_EXCEP],
  ['unit check', DSTAT.UNIT_CHECK],
  ['attention beside the ending', DSTAT.ATTENTION],
])('the next command can be made to end with %s, once', (_, status) => {
  const { m, prepare } = machine();
  expect(statusOf(m.start([prepare({ status, sense0: 0x40 }), [0x03, SLI, 1, DATA]]))).toMatchObject({
    dstat: CE_DE | status,
  });
  if (status === DSTAT.UNIT_CHECK) {
    m.start([[0x04, 0, 32, DATA]]);
    expect(m.bytes(DATA, 2)[0]).toBe(0x40);
  }
  expect(statusOf(m.start([[0x03, SLI, 1, DATA]]))).toMatchObject({ dstat: CE_DE });
});

test('a status modifier skips the next command of the chain', () => {
  const { m, prepare } = machine();
  const irb = m.start([
    prepare({ status: DSTAT.STAT_MOD }),
    [0x03, CC | SLI, 1, DATA],
    [0x17, SLI, 1, DATA],
    [0x03, SLI, 1, DATA],
  ]);
  expect(statusOf(irb)).toMatchObject({ dstat: CE_DE });
});

test('delay takes the time it is told, nanoseconds', () => {
  const { m } = machine();
  m.put(DATA, [0x00, 0x4c, 0x4b, 0x40]); // 5,000,000
  const before = m.simulation.now;
  m.start([[0x23, 0, 4, DATA]]);
  expect(m.simulation.now - before).toBeGreaterThan(5e6);
  expect(m.simulation.now - before).toBeLessThan(6e6);
});

test('attention comes by itself later, and the next command ends as usual', () => {
  const { m, prepare } = machine();
  const { irb, at } = m.run(
    (function* () {
      yield* m.io([prepare({ how: HOW.UNSOLICITED, ns: 1e6 }), [0x03, SLI, 1, DATA]]);
      const { irb } = yield* m.interruption();
      return { irb, at: m.simulation.now };
    })(),
  );
  expect(statusOf(irb)).toMatchObject({ stctl: 0x11, dstat: DSTAT.ATTENTION });
  expect(at).toBeGreaterThan(1e6);
});

test('channel end can be split from device end, which brings the status', () => {
  const { m, prepare } = machine();
  const { first, second } = m.run(
    (function* () {
      m.program([prepare({ how: HOW.SPLIT, status: DSTAT.UNIT_EXCEP, ns: 3e6 }), [0x03, SLI, 1, DATA]]);
      expect(m.ssch()).toBe(0);
      const first = { ...statusOf((yield* m.interruption()).irb), at: m.simulation.now };
      const second = { ...statusOf((yield* m.interruption()).irb), at: m.simulation.now };
      return { first, second };
    })(),
  );
  expect(first).toMatchObject({ dstat: DSTAT.CHANNEL_END, cstat: 0 });
  expect(second).toMatchObject({ dstat: DSTAT.DEVICE_END | DSTAT.UNIT_EXCEP, cstat: 0 });
  expect(second.at - first.at).toBeGreaterThan(2.9e6);
});

test.each([
  ['device', 0],
  ['control unit', DSTAT.STAT_MOD],
])('%s busy: the next program waits until device end, and then runs', (_, status) => {
  const { m, prepare } = machine();
  const [, , count, at] = prepare({ how: HOW.BUSY, status, ns: 4e6 });
  m.start([[0x13, 0, count, at]]);
  const before = m.simulation.now;
  m.put(DATA, [5]);
  const irb = m.start([
    [0x01, CC, 1, DATA],
    [0x02, 0, 1, BACK],
  ]);
  expect(statusOf(irb)).toMatchObject(normal);
  expect(m.simulation.now - before).toBeGreaterThan(4e6);
  expect(m.bytes(BACK, 1)[0]).toBe(5);
});

test('the clear signal takes a prepared ending away', () => {
  const { m, prepare } = machine();
  const [, , count, at] = prepare({ status: DSTAT.UNIT_EXCEP });
  m.start([[0x13, 0, count, at]]);
  m.run(
    (function* () {
      expect(m.css.csch(0)).toBe(0);
      yield* m.interruption();
    })(),
  );
  expect(statusOf(m.start([[0x03, SLI, 1, DATA]]))).toMatchObject({ dstat: CE_DE });
});
