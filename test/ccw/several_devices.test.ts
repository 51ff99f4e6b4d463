/** Several devices at once, on several I/O processors and started by several CPUs. */
import { expect, test } from 'vitest';
import { delay } from '../support/echo.ts';
import { ENDED, EVENT, IoScript, sid } from '../support/io_script.ts';

const COUNT = 4;
const WORDS = [
  '--sim',
  ...Array.from({ length: COUNT }, (_, i) => ['--drive', `type=echo,iop=${i % 2}`]).flat(),
  '--trace',
  'vfio_ccw_*',
];

test('four devices work at the same time: together they take as long as the slowest', async () => {
  const s = new IoScript();
  for (let schid = 0; schid < COUNT; schid++) s.enable(schid);
  const orbs = Array.from({ length: COUNT }, (_, schid) =>
    s.orb({ cpa: s.program(delay(s, 5000)), intparm: 0xd0 + schid }),
  );
  const clock = s.spin(0);
  const started = orbs.map((orb, schid) => s.insn('ssch', sid(schid), orb));
  const waits = orbs.map(() => s.wait());
  const end = s.spin(0);
  const irbs = orbs.map((_, schid) => {
    const irb = s.irb();
    s.insn('tsch', sid(schid), irb);
    return irb;
  });
  const run = await s.simulate(WORDS);
  expect(started.map((op) => run.result(op).cc)).toEqual([0, 0, 0, 0]);
  const came = waits.map((op) => run.result(op));
  expect(came.map(({ events }) => events)).toEqual(Array(COUNT).fill(EVENT.IO));
  // Each interruption once, with the parameter of its own device.
  expect(came.map(({ subsystemId, intparm }) => `${subsystemId - sid(0)} ${intparm.toString(16)}`).sort()).toEqual([
    '0 d0',
    '1 d1',
    '2 d2',
    '3 d3',
  ]);
  for (const irb of irbs) expect(run.status(irb)).toEqual(ENDED);
  expect(run.between(clock, end)).toBeLessThan(2 * 5_000_000);
  expect(run.pins).toBe(0);
});

test('two CPUs, each with two devices: no interruption gets lost or reaches the wrong subchannel', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const s = new IoScript();
    for (let schid = 0; schid < COUNT; schid++) s.enable(schid);
    const orbs = Array.from({ length: COUNT }, (_, schid) =>
      s.orb({ cpa: s.program([0x03, 0x20, 1, 0]), intparm: 0xd0 + schid }),
    );
    const done = s.alloc(8);
    s.startSecond();
    // The second CPU starts its devices; all interruptions are taken by the first.
    for (const schid of [2, 3]) s.second.insn('ssch', sid(schid), orbs[schid]);
    s.second.store(done, 1n << 32n);
    for (const schid of [0, 1]) s.insn('ssch', sid(schid), orbs[schid]);
    s.await(done, 1);
    const waits = orbs.map(() => s.wait());
    const irbs = orbs.map((_, schid) => {
      const irb = s.irb();
      s.insn('tsch', sid(schid), irb);
      return irb;
    });
    const more = s.wait(EVENT.IO, 500);
    const run = await s.simulate([...WORDS, '--cpus', '2', '--seed', `${seed}`]);
    const came = waits.map((op) => run.result(op).intparm.toString(16)).sort();
    expect(came, `seed ${seed}`).toEqual(['d0', 'd1', 'd2', 'd3']);
    for (const irb of irbs) expect(run.status(irb), `seed ${seed}`).toEqual({ ...ENDED, count: 1 });
    expect(run.result(more).events, `seed ${seed}`).toBe(EVENT.TIMEOUT);
    expect(run.pins, `seed ${seed}`).toBe(0);
  }
});
