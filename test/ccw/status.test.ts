/** Status that a guest gets besides the plain end of a program (vfio-ccw test ideas 18, 22, 23, 31). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patternRecord } from '../../devices/physical/dasd/volume.ts';
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import { SLOW_CYLINDER, script, simulatedDrive } from '../support/ccw_script.ts';
import { defineExtent, ECKD, located, locateRecord, MASK, OPERATION } from '../support/eckd.ts';
import { ENDED, EVENT, sid } from '../support/io_script.ts';

const { words, folder } = simulatedDrive();
const { CC, SLI, PCI } = CCW_FLAG;
/** Subchannel active and device active. */
const ACTIVE = 0x00c0;
/** Concurrent sense in the extended-report word, 32 bytes. */
const ERW_SENSE_32 = 0x01200000;

test('a PCI flag gives intermediate status while the program runs: pages stay pinned until the end', async () => {
  const s = script();
  const [irb, last, buffer] = [s.irb(), s.irb(), s.alloc(4096)];
  const cpa = s.program(
    [ECKD.NOP, CC | SLI | PCI, 1, 0],
    ...located(s, { cylinder: SLOW_CYLINDER, head: 0, count: 1 }),
    [ECKD.READ_MT, 0, 4096, buffer],
  );
  s.insn('ssch', sid(0), s.orb({ cpa }));
  const first = s.wait();
  s.insn('tsch', sid(0), irb);
  const second = s.wait();
  s.insn('tsch', sid(0), last);
  const run = await s.simulate(words);
  expect(run.result(first).events).toBe(EVENT.IO);
  expect(run.status(irb)).toMatchObject({ stctl: 0x09, dstat: 0, cstat: 0x80 });
  expect(run.irb(irb).scsw.ctrl & ACTIVE).toBe(ACTIVE);
  expect(run.result(second).events).toBe(EVENT.IO);
  expect(run.status(last)).toEqual(ENDED);
  expect(Buffer.compare(run.bytes(buffer, 4096), patternRecord(SLOW_CYLINDER, 0, 1))).toBe(0);
  // Pending throughout: started, PCI, end.
  expect(run.fsm()).toBe('12 24 44 44');
  expect(run.pins).toBe(0);
});

/** A record that is not there. */
function missing(s: ReturnType<typeof script>): number {
  const at = { cylinder: 1, head: 0, record: 99, count: 1 };
  return s.orb({ cpa: s.program(...located(s, at), [ECKD.READ, SLI, 4096, s.alloc(4096)]) });
}

test('unit check with concurrent sense: the IRB carries 32 bytes, no record found', async () => {
  const s = script({ csense: true });
  const irb = s.irb();
  s.run(0, missing(s), irb);
  const run = await s.simulate(words);
  const { scsw, erw, ecw } = run.irb(irb);
  expect(scsw.dstat).toBe(0x0e);
  expect(run.status(irb).stctl).toBe(0x17);
  expect(erw).toBe(ERW_SENSE_32);
  expect(scsw.flags & 2).toBe(2);
  expect(ecw[1]).toBe(0x08);
});

test('unit check without concurrent sense in the guest: no sense in the IRB', async () => {
  const s = script({ csense: false });
  const irb = s.irb();
  s.run(0, missing(s), irb);
  const run = await s.simulate(words);
  const { scsw, ecw } = run.irb(irb);
  expect(scsw.dstat).toBe(0x0e);
  expect(ecw.every((byte) => byte === 0)).toBe(true);
});

test('outside the extent is file protected, a write under a read mask is rejected, and the file stays as it was', async () => {
  const before = readFileSync(join(folder, 'test.ckd'));
  const s = script();
  const [outside, inhibited] = [s.irb(), s.irb()];
  const extent: [number, number, number, number] = [ECKD.DEFINE_EXTENT, CC, 16, s.data(defineExtent(MASK.READ, 1))];
  const elsewhere = s.data(locateRecord(OPERATION.READ, 2, 0, 1, 1));
  s.run(0, s.orb({ cpa: s.program(extent, [ECKD.LOCATE_RECORD, 0, 16, elsewhere]) }), outside);
  const write = located(s, { cylinder: 1, head: 0, count: 1 }, { mask: MASK.READ, operation: OPERATION.WRITE });
  s.run(0, s.orb({ cpa: s.program(...write, [ECKD.WRITE_MT, 0, 4096, s.alloc(4096)]) }), inhibited);
  const run = await s.simulate(words);
  expect(run.status(outside).dstat).toBe(0x0e);
  expect(run.irb(outside).ecw[1]).toBe(0x04);
  expect(run.status(inhibited).dstat).toBe(0x0e);
  expect(run.irb(inhibited).ecw[0] & 0x80).toBe(0x80);
  expect(Buffer.compare(readFileSync(join(folder, 'test.ckd')), before)).toBe(0);
  expect(run.pins).toBe(0);
});

test('twelve records written by the guest are in the file; every other track is as it was', async () => {
  const file = join(folder, 'test.ckd');
  const before = readFileSync(file);
  const s = script();
  const irb = s.irb();
  const track = { cylinder: 3, head: 5 };
  const contents = Array.from({ length: 12 }, (_, i) => patternRecord(77, 3, i));
  const writes = contents.map((bytes, i): [number, number, number, number] => [
    ECKD.WRITE_MT,
    i < 11 ? CC : 0,
    4096,
    s.data(bytes),
  ]);
  const at = located(s, { ...track, count: 12 }, { mask: MASK.WRITE, operation: OPERATION.WRITE });
  s.run(0, s.orb({ cpa: s.program(...at, ...writes) }), irb);
  const run = await s.simulate(words);
  expect(run.status(irb)).toEqual(ENDED);
  const after = readFileSync(file);
  expect(after.length).toBe(before.length);
  const TRACK = 56832;
  const start = 512 + (track.cylinder * 15 + track.head) * TRACK;
  for (const [i, bytes] of contents.entries()) {
    const place = after.indexOf(bytes, start);
    expect(place, `record ${i + 1}`).toBeGreaterThan(start);
    expect(place + 4096).toBeLessThan(start + TRACK);
  }
  expect(Buffer.compare(after.subarray(0, start), before.subarray(0, start))).toBe(0);
  expect(Buffer.compare(after.subarray(start + TRACK), before.subarray(start + TRACK))).toBe(0);
  expect(run.pins).toBe(0);
});

test('bug: an end told twice showed the host address of the CCW the second time', async () => {
  // Initial status, a PCI and the end share one IRB: io_work may run again when the program is freed already.
  for (let seed = 1; seed <= 40; seed++) {
    const s = script();
    const irbs = [s.irb(), s.irb(), s.irb(), s.irb()];
    const cpa = s.program([ECKD.NOP, CC | SLI | PCI, 1, 0], [ECKD.NOP, SLI, 1, 0]);
    const { F, P, I } = ORB_CTRL0.mask;
    s.insn('ssch', sid(0), s.orb({ cpa, ctrl0: F | P | I }));
    for (const irb of irbs) {
      s.wait(EVENT.IO, 300);
      s.insn('tsch', sid(0), irb);
    }
    const run = await s.simulate([...words, '--seed', `${seed}`]);
    const seen = irbs.map((irb) => run.irb(irb).scsw).filter(({ ctrl }) => (ctrl & 0x1f) !== 0);
    expect(seen.length, `seed ${seed}`).toBeGreaterThan(0);
    for (const { cpa: at } of seen) expect([cpa + 8, cpa + 16], `seed ${seed}`).toContain(at);
  }
});
