import { describe, expect, test } from 'vitest';
import { Doorbell } from '../../../kernel/lib/doorbell.ts';
import { createMemory, HostMemory } from '../../../kernel/lib/host_memory.ts';
import { Simulation } from '../../../kernel/lib/simulated.ts';
import { TRACE_RING_SIZE, Tracer } from '../../../kernel/lib/trace.ts';
import { ChannelSubsystem, OperandException } from './channel_subsystem.ts';
import { CSS_AREA_SIZE } from './css_area.ts';
import { installDevices } from './install_devices.ts';
import { spawnIoProcessor } from './io_processor.ts';
import { nextPath } from './path.ts';
import {
  CE_DE,
  DATA,
  FIRST_FRAME,
  MEMORY_SIZE,
  PROGRAM,
  statusOf,
  type TestCcw,
  TestMachine,
  testDevice,
} from './test_machine.ts';

const OK = { stctl: 7, dstat: CE_DE, cstat: 0, count: 0 };
const READ: TestCcw = [0x02, 0, 64, DATA];
const SLOW: TestCcw = [0x06, 0, 64, DATA];
const N = 1;
const CSS = 0x2000;
const TRACE_RINGS = 0x40000;

function machine(chpids: number[] = [0x80, 0x81, 0x82]) {
  const device = testDevice();
  const other = testDevice();
  const m = new TestMachine(
    [
      { schid: 0, device },
      { schid: 1, device: other },
    ],
    { chpids },
  );
  return { device, other, m };
}

describe('installing', () => {
  test('masks and CHPIDs follow the list', () => {
    const { m } = machine([0x10, 0x20, 0x30]);
    const { pim, pam, pom, lpm, chpid } = m.schib().pmcw;
    expect([pim, pam, pom, lpm]).toEqual([0xe0, 0xe0, 0xff, 0xe0]);
    expect([...chpid]).toEqual([0x10, 0x20, 0x30, 0, 0, 0, 0, 0]);
  });

  test.each([
    ['none', []],
    ['nine', [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['one twice', [1, 1]],
    ['no byte', [0x100]],
    ['no number', [Number.NaN]],
  ])('%s is refused', (_, chpids) => {
    const memory = new HostMemory(createMemory(CSS_AREA_SIZE));
    expect(() => installDevices(memory, 0, [{ schid: 0, devno: 1, chpids }])).toThrow();
  });

  test('eight paths fill the mask', () => {
    expect(machine([1, 2, 3, 4, 5, 6, 7, 8]).m.schib().pmcw.pim).toBe(0xff);
  });
});

describe('choosing a path', () => {
  test('they take turns, each mask in itself', () => {
    expect([nextPath(0xff, 0), nextPath(0xff, 0x80), nextPath(0xff, 0x01)]).toEqual([0x80, 0x40, 0x80]);
    expect([nextPath(0x81, 0x80), nextPath(0x81, 0x01), nextPath(0x10, 0x10)]).toEqual([0x01, 0x80, 0x10]);
  });

  test('programs begin on path after path; the IRB and LPUM name the one used', () => {
    const { m, device } = machine();
    for (const path of [0x80, 0x40, 0x20, 0x80]) {
      const irb = m.start([READ]);
      expect([irb.esw0, m.schib().pmcw.lpum]).toEqual([path * 0x10000, path]);
    }
    expect(device.paths).toEqual([0x80, 0x40, 0x20, 0x80]);
  });

  test('only paths of the ORB are used, whose mask becomes the PMCW mask', () => {
    const { m, device } = machine();
    for (let i = 0; i < 3; i++) m.start([READ], { lpm: 0x20 });
    expect([device.paths, m.schib().pmcw.lpm]).toEqual([[0x20, 0x20, 0x20], 0x20]);
  });

  test('no path of the ORB available: SSCH says so at once and changes nothing', () => {
    const { m } = machine();
    const before = m.schib();
    expect(m.ssch({ lpm: 0x1f, intparm: 99 })).toBe(3);
    expect(m.schib().pmcw.intparm).toBe(before.pmcw.intparm);
    expect(m.schib().pmcw.lpm).toBe(before.pmcw.lpm);
  });

  test('a path whose selection fails is marked and another is tried', () => {
    const { m, device } = machine();
    device.deadPaths = 0x80;
    const irb = m.start([READ]);
    expect([statusOf(irb), irb.scsw.flags & N, irb.esw0]).toEqual([OK, N, 0x00400000]);
    expect(m.schib().pmcw).toMatchObject({ pnom: 0x80, pom: 0x7f, lpum: 0x40, pam: 0xe0 });
    expect(m.schib().scsw.flags & N).toBe(0);
    // It is no news the next time.
    const again = m.start([READ], { lpm: 0xc0 });
    expect([statusOf(again), again.scsw.flags & N, m.schib().pmcw.pnom]).toEqual([OK, 0, 0x80]);
    device.deadPaths = 0;
    m.start([READ], { lpm: 0x80 });
    expect(m.schib().pmcw).toMatchObject({ pnom: 0, pom: 0xff, lpum: 0x80 });
  });

  test('when none answers: deferred condition code 3, path not operational', () => {
    const { m, device } = machine();
    device.deadPaths = 0xff;
    const irb = m.start([READ]);
    expect([(irb.scsw.flags >>> 8) & 3, irb.scsw.flags & N, irb.scsw.dstat, irb.esw0]).toEqual([3, N, 0, 0]);
    expect(m.schib().pmcw).toMatchObject({ pnom: 0xe0, pom: 0x1f });
    expect(device.begun).toBe(0);
    device.deadPaths = 0;
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('CSCH takes all paths for operational again', () => {
    const { m, device } = machine();
    device.deadPaths = 0xc0;
    m.start([READ]);
    m.css.csch(0);
    m.run(m.interruption());
    expect(m.schib().pmcw).toMatchObject({ pnom: 0, pom: 0xff, lpum: 0 });
  });

  test('a path that comes back while the start is pending on a busy device is used', () => {
    const { m, device } = machine([0x80, 0x81]);
    device.busy.push(0x10);
    m.iop.configureChpid(0x81, false);
    m.program([READ]);
    m.ssch();
    m.elapse(100_000);
    m.iop.configureChpid(0x80, false);
    m.iop.configureChpid(0x81, true);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    expect(device.paths).toEqual([0x80, 0x40]);
  });

  test('all paths varied offline after SSCH: deferred condition code 3', () => {
    const { m } = machine([0x80]);
    m.program([READ]);
    m.ssch();
    m.iop.configureChpid(0x80, false);
    const { irb } = m.run(m.interruption());
    expect([(irb.scsw.flags >>> 8) & 3, irb.scsw.flags & N, m.schib().pmcw.pnom]).toEqual([3, N, 0x80]);
  });

  test('varying one of several paths leaves the others', () => {
    const { m, device } = machine();
    m.iop.configureChpid(0x81, false);
    expect(m.schib(0).pmcw.pam).toBe(0xa0);
    expect(m.schib(1).pmcw.pam).toBe(0xa0);
    for (let i = 0; i < 3; i++) m.start([READ]);
    expect(device.paths).toEqual([0x80, 0x20, 0x80]);
  });

  test('unsolicited status comes over the path used last, or the first there is', () => {
    const { m } = machine();
    m.start([READ], { lpm: 0x20 });
    m.iop.attention(0);
    expect(m.run(m.interruption()).irb.esw0).toBe(0x00200000);
    m.iop.configureChpid(0x80, false);
    m.iop.attention(1);
    expect(m.run(m.interruption()).irb.esw0).toBe(0x00400000);
  });
});

describe('RESET CHANNEL PATH', () => {
  /** CRW: solicited, channel path, initialized. */
  const REPORT = 0x44020080;

  /** Waits for the report. */
  function report(m: TestMachine): number | undefined {
    m.simulation.run(() => m.css.crwPending(), 10_000);
    return m.css.stcrw();
  }

  test('resets the devices on the path and reports when done', () => {
    const { m, device, other } = machine();
    expect(m.css.rchp(0x80)).toBe(0);
    expect(m.css.rchp(0x81)).toBe(2);
    expect(report(m)).toBe(REPORT);
    expect([device.resets, other.resets]).toEqual([1, 1]);
    expect(m.css.interruptionPending()).toBe(false);
    expect(m.css.rchp(0x81)).toBe(0);
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('condition code 3 for a path nobody has or that is offline; operand exception for no CHPID', () => {
    const { m } = machine();
    expect(m.css.rchp(0x90)).toBe(3);
    m.iop.configureChpid(0x80, false);
    expect(m.css.rchp(0x80)).toBe(3);
    for (const bad of [0x100, 0x10080, -1]) expect(() => m.css.rchp(bad)).toThrow(OperandException);
  });

  test('what runs on the path ends with interface-control check; what runs on another goes on', () => {
    const { m, device, other } = machine();
    m.program([SLOW]);
    m.ssch({ lpm: 0x80 }, 0);
    m.program([SLOW], PROGRAM + 0x100);
    m.ssch({ lpm: 0x40, cpa: PROGRAM + 0x100 }, 1);
    m.elapse(100_000);
    expect(m.css.rchp(0x80)).toBe(0);
    const first = m.run(m.interruption());
    expect([first.schid, statusOf(first.irb)]).toEqual([0, { stctl: 0x17, dstat: 0, cstat: 0x02, count: 64 }]);
    expect([first.irb.scsw.flags & 0x0400, first.irb.esw0]).toEqual([0x0400, 0x00804000]);
    expect(report(m)).toBe(REPORT);
    const second = m.run(m.interruption());
    expect([second.schid, statusOf(second.irb)]).toEqual([1, OK]);
    expect([device.resets, other.resets]).toEqual([1, 0]);
    expect(statusOf(m.start([READ]))).toEqual(OK);
  });

  test('a device between channel end and device end is reset too', () => {
    const { m } = machine([0x80]);
    m.program([[0x07, 0, 0, 0]]);
    m.ssch();
    m.run(m.interruption());
    m.css.rchp(0x80);
    const { irb } = m.run(m.interruption());
    expect(statusOf(irb)).toMatchObject({ stctl: 0x13, dstat: 0, cstat: 0x02 });
    m.elapse(3e6);
    expect([m.css.interruptionPending(), m.schib().scsw.ctrl]).toEqual([false, 0]);
  });

  test('a start that is pending for a busy device survives', () => {
    const { m, device } = machine([0x80]);
    device.busy.push(0x10);
    m.program([READ]);
    m.ssch();
    m.elapse(100_000);
    m.css.rchp(0x80);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
    expect([device.resets, m.simulation.now < 900_000]).toEqual([1, true]);
  });

  test('a suspended program stays suspended', () => {
    const { m } = machine([0x80]);
    m.program([[0x02, 0x02, 64, DATA]]);
    m.ssch({ ctrl0: { S: 1, U: 1 } });
    m.elapse(100_000);
    m.css.rchp(0x80);
    report(m);
    m.program([READ]);
    expect(m.css.rsch(0)).toBe(0);
    expect(statusOf(m.run(m.interruption()).irb)).toEqual(OK);
  });

  test('an active subchannel whose ending got lost is ended', () => {
    const { m, device } = machine([0x80]);
    device.lost = 1;
    m.program([READ]);
    m.ssch();
    m.elapse(3e6);
    m.css.rchp(0x80);
    expect(statusOf(m.run(m.interruption()).irb)).toMatchObject({ stctl: 0x17, cstat: 0x02 });
  });

  test('concerns every I/O processor; the last one done reports', () => {
    const memory = new HostMemory(createMemory(MEMORY_SIZE));
    const simulation = new Simulation(3);
    const devices = [testDevice(), testDevice()];
    const doorbell = new Doorbell(memory, 0x1000);
    installDevices(
      memory,
      CSS,
      devices.map((_, iop) => ({ schid: iop, devno: iop, iop })),
    );
    for (const [iop, device] of devices.entries()) {
      const tracer = new Tracer(memory, 0x1100, TRACE_RINGS + iop * TRACE_RING_SIZE, () => 0);
      const options = { memory, cssBase: CSS, firstFrame: FIRST_FRAME, kernelDoorbell: doorbell, tracer, iop };
      spawnIoProcessor(simulation.actor(`iop${iop}`), { ...options, devices: [{ schid: iop, device }] });
    }
    const css = new ChannelSubsystem(memory, CSS, { iopDoorbells: [doorbell, doorbell] });
    for (let round = 1; round < 20; round++) {
      expect(css.rchp(0x80)).toBe(0);
      simulation.run(() => css.crwPending(), 1000);
      expect([css.stcrw(), css.stcrw()]).toEqual([REPORT, undefined]);
      expect(devices.map(({ resets }) => resets)).toEqual([round, round]);
    }
  });

  test('whatever the moment, together with halt or clear: one ending, one report, an idle subchannel', () => {
    for (let seed = 1; seed < 200; seed++) {
      const m = new TestMachine([{ schid: 0, device: testDevice() }], seed);
      m.program([[0x03, 0x40, 0, 0], SLOW]);
      m.ssch();
      m.elapse((seed * 7919) % 1_010_000);
      m.css.rchp(0x80);
      m.elapse(seed % 7 === 0 ? 0 : seed * 10);
      const cc = seed % 3 === 0 ? m.css.csch(0) : seed % 3 === 1 ? m.css.hsch(0) : 1;
      const { irb } = m.run(m.interruption());
      if (seed % 3 === 0) expect(irb.scsw.ctrl).toBe(0x1001);
      else if (cc === 0) expect(irb.scsw.ctrl & 0x2001).toBe(0x2001);
      expect(report(m)).toBe(REPORT);
      m.elapse(3e6);
      expect([m.css.stcrw(), m.css.interruptionPending(), m.schib().scsw.ctrl]).toEqual([undefined, false, 0]);
      expect(statusOf(m.start([READ]))).toEqual(OK);
    }
  });
});
