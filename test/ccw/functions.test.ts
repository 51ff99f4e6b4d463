/** Halt, clear, cancel and busy subchannels, from the guest's instructions to the device (vfio-ccw test ideas 13 to 17). */
import { expect, test } from 'vitest';
import { patternRecord } from '../../devices/physical/dasd/volume.ts';
import { LAST_NOP, SLOW_CYLINDER, script, simulatedDrive } from '../support/ccw_script.ts';
import { ECKD, located } from '../support/eckd.ts';
import { ENDED, EVENT, type IoScript, sid } from '../support/io_script.ts';

const { words } = simulatedDrive();
const FCTL = 0x7000;
const [START, HALT, CLEAR] = [0x4000, 0x2000, 0x1000];

/** ORB of a program that reads one record, fast or slow. */
function read(s: IoScript, cylinder: number, buffer: number): number {
  return s.orb({ cpa: s.program(...located(s, { cylinder, head: 0, count: 1 }), [ECKD.READ_MT, 0, 4096, buffer]) });
}

test('SSCH on a subchannel that works: condition code 2 from the virtual subchannel alone, no write to the kernel', async () => {
  const s = script();
  const [buffer, irb] = [s.alloc(4096), s.irb()];
  const orb = read(s, SLOW_CYLINDER, buffer);
  const first = s.insn('ssch', sid(0), orb);
  const second = s.insn('ssch', sid(0), orb);
  s.wait();
  const pending = s.insn('ssch', sid(0), orb);
  s.insn('tsch', sid(0), irb);
  const run = await s.simulate(words);
  expect([first, second, pending].map((op) => run.result(op).cc)).toEqual([0, 2, 1]);
  expect(run.status(irb)).toEqual(ENDED);
  expect(run.traced('vfio_ccw_Q4')).toHaveLength(1);
  expect(run.pins).toBe(0);
});

test('HSCH ends a slow read early: the function is told, the program freed once, the next SSCH works', async () => {
  const s = script();
  const [buffer, irb, after] = [s.alloc(4096), s.irb(), s.irb()];
  const slow = s.insn('ssch', sid(0), read(s, SLOW_CYLINDER, buffer));
  s.spin(2000);
  const halt = s.insn('hsch', sid(0));
  const again = s.insn('hsch', sid(0));
  const waited = s.wait();
  s.insn('tsch', sid(0), irb);
  s.run(0, read(s, 1, buffer), after);
  const run = await s.simulate(words);
  expect([slow, halt, again].map((op) => run.result(op).cc)).toEqual([0, 0, 2]);
  // The read would have taken 50 ms.
  expect(run.result(waited).tookNs).toBeLessThan(40e6);
  expect(run.irb(irb).scsw.ctrl & FCTL).toBe(START | HALT);
  expect(run.status(irb)).toMatchObject({ stctl: 0x07, dstat: 0x0c });
  expect(run.status(after)).toEqual(ENDED);
  expect(Buffer.compare(run.bytes(buffer, 4096), patternRecord(1, 0, 1))).toBe(0);
  expect(run.traced('vfio_ccw_fsm_async_request')).toHaveLength(1);
  expect(run.pins).toBe(0);
});

test('HSCH on an idle subchannel: status is pending alone', async () => {
  const s = script();
  const irb = s.irb();
  const halt = s.insn('hsch', sid(0));
  const waited = s.wait();
  s.insn('tsch', sid(0), irb);
  const run = await s.simulate(words);
  expect(run.result(halt).cc).toBe(0);
  expect(run.result(waited).events).toBe(EVENT.IO);
  expect(run.irb(irb).scsw.ctrl & (FCTL | 0x1f)).toBe(HALT | 0x01);
});

test('CSCH on an idle subchannel: status pending alone, the interruption parameter is the one of before', async () => {
  const s = script();
  const [first, irb] = [s.irb(), s.irb()];
  s.run(0, s.orb({ cpa: s.program(LAST_NOP), intparm: 0x1111 }), first);
  const clear = s.insn('csch', sid(0));
  const waited = s.wait();
  s.insn('tsch', sid(0), irb);
  const run = await s.simulate(words);
  expect(run.result(clear).cc).toBe(0);
  expect(run.result(waited)).toMatchObject({ events: EVENT.IO, intparm: 0x1111 });
  expect(run.irb(irb).scsw.ctrl & (FCTL | 0x1f)).toBe(CLEAR | 0x01);
  expect(run.status(irb)).toMatchObject({ dstat: 0, cstat: 0 });
  // The state machine stayed idle.
  expect(run.fsm()).toBe('12 24 44 22 22');
});

test('CSCH and SSCH at once: the interruption of the clear does not free the new program, and its data is right', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const s = script();
    const [slow, buffer, irb] = [s.alloc(4096), s.alloc(4096), s.irb()];
    s.insn('ssch', sid(0), read(s, SLOW_CYLINDER, slow));
    s.spin(500);
    const clear = s.insn('csch', sid(0));
    s.wait();
    s.insn('tsch', sid(0), s.irb());
    s.run(0, read(s, 1, buffer), irb);
    const run = await s.simulate([...words, '--seed', `${seed}`]);
    expect(run.result(clear).cc, `seed ${seed}`).toBe(0);
    expect(run.status(irb), `seed ${seed}`).toEqual(ENDED);
    expect(Buffer.compare(run.bytes(buffer, 4096), patternRecord(1, 0, 1)), `seed ${seed}`).toBe(0);
    expect(run.bytes(slow, 4096).every((byte) => byte === 0)).toBe(true);
    expect(run.pins, `seed ${seed}`).toBe(0);
  }
});

test('XSCH edits the virtual subchannel only: the program runs on and its interruption still comes', async () => {
  const s = script();
  const [buffer, irb] = [s.alloc(4096), s.irb()];
  s.insn('ssch', sid(0), read(s, SLOW_CYLINDER, buffer));
  const cancelled = s.insn('xsch', sid(0));
  const waited = s.wait();
  s.insn('tsch', sid(0), irb);
  const run = await s.simulate(words);
  expect(run.result(cancelled).cc).toBe(0);
  expect(run.result(waited).events).toBe(EVENT.IO);
  expect(run.status(irb)).toEqual(ENDED);
  expect(Buffer.compare(run.bytes(buffer, 4096), patternRecord(SLOW_CYLINDER, 0, 1))).toBe(0);
});

test('two CPUs start and halt the same device: every instruction is answered, nothing is lost, nothing leaks', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const s = script();
    const irb = s.irb();
    const orb = read(s, 1, s.alloc(4096));
    s.startSecond();
    for (let i = 0; i < 20; i++) {
      s.insn('ssch', sid(0), orb);
      s.second.insn(i % 2 === 0 ? 'hsch' : 'ssch', sid(0), orb);
      s.wait(EVENT.IO, 200);
      s.insn('tsch', sid(0), s.irb());
    }
    const flag = s.alloc(8);
    s.second.store(flag, 1n << 32n);
    s.await(flag, 1);
    s.drain(0, s.irb());
    const last = s.run(0, orb, irb);
    const run = await s.simulate([...words, '--cpus', '2', '--seed', `${seed}`]);
    expect(run.result(last), `seed ${seed}`).toMatchObject({ cc: 0, events: EVENT.IO });
    expect(run.status(irb), `seed ${seed}`).toEqual(ENDED);
    expect(run.pins, `seed ${seed}`).toBe(0);
  }
});
