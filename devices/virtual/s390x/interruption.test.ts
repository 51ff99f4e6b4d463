/** A subchannel has one interruption pending at most, and none without status (SA22-7832 chapter 16). */
import { beforeEach, expect, test } from 'vitest';
import { FakeMachine, FakeVcpu } from '../fake_machine.ts';
import { ChannelSubsystem } from './css.ts';
import { addFakeDevice, type FakeDevice } from './fake_device.ts';
import { ioinst } from './ioinst.ts';
import type { Subchannel } from './subchannel.ts';

const IO = { subsystemId: 0x1_0000, intparm: 0, isc: 3 };
let machine: FakeMachine;
let css: ChannelSubsystem;
let sch: Subchannel;
let device: FakeDevice;
beforeEach(() => {
  machine = new FakeMachine();
  css = new ChannelSubsystem(machine);
  ({ sch, device } = addFakeDevice(css));
});

/** @param dequeued KVM took the interruption off its queue for a TSCH */
function execute(opcode: number, { dequeued = false, operand = 0x4000 } = {}) {
  const vcpu = new FakeVcpu(machine).instruction([opcode >> 8, opcode & 0xff], operand);
  vcpu.setGpr(1, 0x1_0000n);
  if (dequeued) machine.takeIo();
  return machine.outcome(
    ioinst(css, vcpu, dequeued ? { subsystemId: IO.subsystemId, intparm: 0, word: (3 << 27) >>> 0 } : undefined),
  );
}
function status(ctrl = 0x4007): void {
  sch.schib.scsw.ctrl = ctrl;
  machine.run(css.injectIoInterrupt(sch));
}
const [CSCH, HSCH, TSCH, TPI] = [0xb230, 0xb231, 0xb235, 0xb236];

test('a second status before TSCH replaces the interruption of the first', () => {
  status(0x40c9);
  sch.schib.pmcw.intparm = 5;
  status();
  expect(machine.io).toEqual([{ ...IO, intparm: 5 }]);
});

test('the usual way costs no withdrawal: pending, delivered, TSCH', () => {
  for (let i = 0; i < 3; i++) {
    status();
    machine.takeIo();
    expect(execute(TSCH)).toEqual({ value: 0 });
  }
  expect(machine.cleared).toEqual([]);
});

test('TSCH takes a status whose interruption came while the CPU was outside already: it is withdrawn', () => {
  status();
  expect(execute(TSCH)).toEqual({ value: 0 });
  expect(machine.io).toEqual([]);
  // The next one has nothing to do with it.
  status();
  machine.takeIo();
  execute(TSCH);
  expect(machine.cleared.length).toBe(1);
});

test('TSCH that took an older interruption off the queue leaves none of a later status', () => {
  status(0x40c9);
  machine.takeIo();
  status();
  expect(execute(TSCH)).toEqual({ value: 0 });
  expect(machine.io).toEqual([]);
  expect(machine.cleared).toEqual([IO.subsystemId]);
});

test('a TSCH that faults puts one interruption back, not two', () => {
  status();
  machine.takeIo();
  status();
  expect(execute(TSCH, { dequeued: true, operand: 0x100_0000 })).toEqual({ interruption: 5 });
  expect(machine.io).toEqual([IO]);
});

test('an interruption that was put back is withdrawn like any other', () => {
  status();
  expect(execute(TSCH, { dequeued: true, operand: 0x100_0000 })).toEqual({ interruption: 5 });
  expect(machine.io).toEqual([IO]);
  expect(execute(CSCH)).toEqual({ value: 0 });
  expect(machine.io).toEqual([]);
});

test('an interruption whose status, or whose subchannel, is gone is not put back', () => {
  status();
  const late = { dequeued: true, operand: 0x100_0000 };
  sch.schib.scsw.ctrl = 0;
  expect(execute(TPI, late)).toEqual({ interruption: 5 });
  machine.run(css.remove(sch));
  expect(execute(TPI, late)).toEqual({ interruption: 5 });
  expect(machine.io).toEqual([]);
});

test('an adapter interruption is put back as one', () => {
  const vcpu = new FakeVcpu(machine).instruction([0xb2, 0x36], 0x100_0000);
  const dequeued = { subsystemId: 0, intparm: 0, word: 0xa800_0000 };
  expect(machine.outcome(ioinst(css, vcpu, dequeued))).toEqual({ interruption: 5 });
  expect([machine.adapter, machine.io]).toEqual([[5], []]);
});

test('CSCH withdraws the interruption of the status it clears', () => {
  status();
  expect(execute(CSCH)).toEqual({ value: 0 });
  expect(machine.io).toEqual([]);
  expect(machine.cleared).toEqual([0x1_0000]);
  execute(CSCH);
  expect(machine.cleared.length).toBe(1);
});

test('CSCH that the device refuses leaves status and interruption', () => {
  status();
  device.cc = 3;
  expect(execute(CSCH)).toEqual({ value: 3 });
  expect(machine.io).toEqual([IO]);
  expect(sch.schib.scsw.ctrl).toBe(0x4007);
});

test('an interruption that the clear function itself makes pending stays', () => {
  status();
  device.clear = function* () {
    sch.schib.scsw.ctrl |= 1;
    yield* css.injectIoInterrupt(sch);
    return 0;
  };
  expect(execute(CSCH)).toEqual({ value: 0 });
  expect(machine.io).toEqual([IO]);
});

test('HSCH withdraws intermediate status with its interruption, and nothing else', () => {
  status(0x40c9);
  expect(execute(HSCH)).toEqual({ value: 0 });
  expect(machine.io).toEqual([]);
  status();
  expect(execute(HSCH)).toEqual({ value: 1 });
  expect(machine.io).toEqual([IO]);
});

test('machine reset leaves nothing pending, of I/O and of reports', () => {
  status();
  machine.run(css.reportSubchannel(sch));
  machine.run(css.reset());
  expect([machine.io, machine.channelReports, css.reports.take()]).toEqual([[], 0, undefined]);
  sch.schib.pmcw.flags |= 0x80;
  status();
  expect(machine.cleared).toEqual([]);
});

test('a subchannel that is taken away takes its interruption with it', () => {
  status();
  machine.run(css.remove(sch));
  expect([machine.io, css.holds(sch)]).toEqual([[], false]);
});
