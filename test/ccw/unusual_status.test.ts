/** Status out of the ordinary, from an echo control unit told to give it (vfio-ccw test ideas 18 to 21, 25). */
import { expect, test } from 'vitest';
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import { script } from '../support/ccw_script.ts';
import { delay } from '../support/echo.ts';
import { type Ccw, ENDED, EVENT, type IoScript, sid } from '../support/io_script.ts';

const WORDS = ['--sim', '--trace', 'vfio_ccw_*', '--trace', 'ccw_*'];
const ECHO = [...WORDS, '--drive', 'type=echo'];
const { CC, SLI } = CCW_FLAG;
/** Commands of the echo control unit, and how the prepared ending comes (devices/physical/echo). */
const [NOP, PREPARE] = [0x03, 0x13];
const HOW = { SPLIT: 1, UNSOLICITED: 2, BUSY: 3 } as const;
const DEVICE_ACTIVE = 0x0040;
const ATTENTION = 0x80;

/** A CCW that prepares an ending. */
function prepare(s: IoScript, how: number, { status = 0, microseconds = 0 } = {}): Ccw {
  const bytes = new Uint8Array(8);
  bytes[0] = status;
  bytes[3] = how;
  new DataView(bytes.buffer).setUint32(4, microseconds * 1000);
  return [PREPARE, CC, 8, s.data(bytes)];
}

test('channel end first, device end later: the device stays active, and the function control is kept for the second', async () => {
  const s = script();
  const [first, second] = [s.irb(), s.irb()];
  s.insn('ssch', sid(0), s.orb({ cpa: s.program(prepare(s, HOW.SPLIT, { microseconds: 5000 }), [NOP, SLI, 1, 0]) }));
  s.wait();
  s.insn('tsch', sid(0), first);
  const later = s.wait();
  s.insn('tsch', sid(0), second);
  const run = await s.simulate(ECHO);
  expect(run.status(first)).toMatchObject({ stctl: 0x05, dstat: 0x08 });
  expect(run.irb(first).scsw.ctrl & DEVICE_ACTIVE).toBe(DEVICE_ACTIVE);
  expect(run.result(later).events).toBe(EVENT.IO);
  expect(run.status(second)).toMatchObject({ stctl: 0x03, dstat: 0x04 });
  // Pending until device end, which is final.
  expect(run.fsm()).toBe('12 24 44 44');
  expect(run.pins).toBe(0);
});

test('attention while nothing runs reaches the guest: alert status alone, vfio-ccw stays idle', async () => {
  const s = script();
  const irb = s.irb();
  s.run(
    0,
    s.orb({ cpa: s.program(prepare(s, HOW.UNSOLICITED, { status: ATTENTION, microseconds: 3000 }), [NOP, SLI, 1, 0]) }),
    s.irb(),
  );
  const waited = s.wait();
  s.insn('tsch', sid(0), irb);
  const run = await s.simulate(ECHO);
  expect(run.result(waited).events).toBe(EVENT.IO);
  expect(run.status(irb)).toMatchObject({ stctl: 0x11, dstat: ATTENTION, cstat: 0 });
  expect(run.fsm()).toBe('12 24 44 22');
});

test('attention right behind the end of a program: one IRB carries both, so the guest may see the last alone', async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 12; seed++) {
    const s = script();
    const [first, second] = [s.irb(), s.irb()];
    const cpa = s.program(prepare(s, HOW.UNSOLICITED, { status: ATTENTION, microseconds: 500 }), delay(s, 4000));
    s.insn('ssch', sid(0), s.orb({ cpa }));
    s.wait();
    s.insn('tsch', sid(0), first);
    const more = s.wait(EVENT.IO, 20_000);
    s.insn('tsch', sid(0), second);
    const run = await s.simulate([...ECHO, '--seed', `${seed}`]);
    const irbs = run.result(more).events === EVENT.IO ? [first, second] : [first];
    seen.add(irbs.map((irb) => run.status(irb).stctl.toString(16)).join(' '));
    // Whatever was lost on the way, the program is over and released.
    expect(run.pins, `seed ${seed}`).toBe(0);
    expect(run.fsm(), `seed ${seed}`).toMatch(/^12 24( 44)+( 22)*$/);
  }
  // End then attention; attention alone, or told twice: vfio-ccw keeps one IRB (test idea 20).
  expect(
    [...seen].every((way) => ['7 11', '11', '11 11', '11 0'].includes(way)),
    [...seen].join(', '),
  ).toBe(true);
});

test('a busy device keeps the start pending; the program runs when device end comes, and the guest sees one ending', async () => {
  // The channel asks again every millisecond: also at the very time of device end.
  for (let seed = 1; seed <= 20; seed++) {
    const s = script();
    const irb = s.irb();
    s.run(0, s.orb({ cpa: s.program(prepare(s, HOW.BUSY, { microseconds: 2000 }), [NOP, SLI, 1, 0]) }), s.irb());
    const started = s.run(0, s.orb({ cpa: s.program([NOP, SLI, 1, 0]) }), irb);
    const more = s.wait(EVENT.IO, 5000);
    const run = await s.simulate([...ECHO, '--seed', `${seed}`]);
    expect(run.result(started), `seed ${seed}`).toMatchObject({ cc: 0, count: 1 });
    expect(run.result(started).tookNs, `seed ${seed}`).toBeGreaterThan(1_500_000);
    expect(run.status(irb), `seed ${seed}`).toEqual({ ...ENDED, count: 1 });
    expect(run.result(more).events, `seed ${seed}`).toBe(EVENT.TIMEOUT);
  }
});

test('an endless program runs until CSCH: nothing stays pinned, and the subchannel works again', async () => {
  const s = script();
  const [cleared, after] = [s.irb(), s.irb()];
  const cpa = s.programAt(2, (at) => [
    [NOP, CC | SLI, 1, 0],
    [0x08, 0, 0, at],
  ]);
  const started = s.insn('ssch', sid(0), s.orb({ cpa }));
  const quiet = s.wait(EVENT.IO, 3000);
  s.drain(0, cleared);
  s.run(0, s.orb({ cpa: s.program([NOP, SLI, 1, 0]) }), after);
  const run = await s.simulate(ECHO);
  expect(run.result(started).cc).toBe(0);
  expect(run.result(quiet).events).toBe(EVENT.TIMEOUT);
  expect(run.irb(cleared).scsw.ctrl & 0x1fff).toBe(0x1001);
  expect(run.status(after)).toEqual({ ...ENDED, count: 1 });
  expect(run.pins).toBe(0);
});

test('a path mask without the only path: condition code 3, and the virtual subchannel is as before', async () => {
  const s = script();
  const [nothing, after] = [s.irb(), s.irb()];
  const schib = s.alloc(52);
  const refused = s.insn('ssch', sid(0), s.orb({ cpa: s.program([NOP, SLI, 1, 0]), lpm: 0x40 }));
  s.insn('stsch', sid(0), schib);
  const tested = s.insn('tsch', sid(0), nothing);
  s.run(0, s.orb({ cpa: s.program([NOP, SLI, 1, 0]) }), after);
  const run = await s.simulate(ECHO);
  expect(run.result(refused).cc).toBe(3);
  expect(run.schib(schib).scsw.ctrl).toBe(0);
  expect(run.result(tested).cc).toBe(1);
  expect(run.status(after)).toEqual({ ...ENDED, count: 1 });
  expect(run.pins).toBe(0);
});

test('a lost interruption: the guest waits in vain, clears, and goes on', async () => {
  const s = script();
  const [irb, cleared, after] = [s.irb(), s.irb(), s.irb()];
  const lost = s.run(0, s.orb({ cpa: s.program([NOP, SLI, 1, 0]) }), irb, 10_000);
  s.drain(0, cleared);
  s.run(0, s.orb({ cpa: s.program([NOP, SLI, 1, 0]) }), after);
  const run = await s.simulate([...WORDS, '--drive', 'type=echo,fault=lost-interrupt/times=1']);
  expect(run.result(lost)).toMatchObject({ cc: 0, events: EVENT.TIMEOUT });
  expect(run.irb(cleared).scsw.ctrl & 0x1f).toBe(0x01);
  expect(run.status(after)).toEqual({ ...ENDED, count: 1 });
  expect(run.pins).toBe(0);
});
