import { expect, test } from 'vitest';
import { IRB } from '../../../kernel/include/arch/s390/irb.ts';
import { PMCW_CHARS, PMCW_FLAGS } from '../../../kernel/include/arch/s390/schib.ts';
import { DSTAT, SCSW_FLAGS } from '../../../kernel/include/arch/s390/scsw.ts';
import { FakeDevice } from './fake_device.ts';
import { Subchannel } from './subchannel.ts';
import { interruptionResponse, tschClears, tschConditionCode, tschUpdate } from './tsch.ts';

/** Control halfword before TSCH and after it, and whether N is cleared. */
const RULES: [string, number, number, boolean][] = [
  ['nothing pending: nothing changes', 0x4400, 0x4400, false],
  ['primary and secondary: functions and pending activity go', 0x4407, 0x0000, true],
  ['primary alone: the device stays active', 0x4045, 0x0040, true],
  ['secondary alone', 0x0003, 0x0000, true],
  ['alert alone', 0x0011, 0x0000, true],
  ['pending alone, after a clear', 0x1101, 0x0000, true],
  ['halt with ending status', 0x6207, 0x0000, true],
  ['suspended, not intermediate', 0x4025, 0x0000, true],
  ['intermediate: only the status goes', 0x40c9, 0x40c0, false],
  ['intermediate with alert is not intermediate only', 0x40d9, 0x00c0, true],
  ['intermediate, suspended, start: resume pending goes', 0x4829, 0x4020, true],
  ['intermediate, suspended, halt: functions go', 0x2229, 0x0220, false],
  ['intermediate, suspended, start and halt: pendings and suspended go too', 0x6e29, 0x0000, true],
  ['intermediate, halt, not suspended: kept', 0x62c9, 0x62c0, false],
];
for (const [name, before, after, n] of RULES)
  test(name, () => {
    const clears = tschClears(before);
    expect([(before & ~clears.ctrl).toString(16), clears.n]).toEqual([after.toString(16), n]);
  });

function subchannel() {
  const sch = new Subchannel({ cssid: 0xfe, ssid: 0, schid: 0 }, 1, new FakeDevice());
  sch.schib.pmcw.flags |= PMCW_FLAGS.mask.E;
  sch.esw.set([0x00, 0x80]);
  sch.senseData[1] = 0x08;
  sch.schib.scsw.dstat = DSTAT.UNIT_CHECK | DSTAT.CHANNEL_END | DSTAT.DEVICE_END;
  sch.schib.scsw.ctrl = 0x4007;
  return sch;
}

test('the response has status, extended status and, when E says so, the sense data', () => {
  const sch = subchannel();
  const irb = interruptionResponse(sch);
  expect(irb.length).toBe(64);
  expect([irb[8], irb[IRB.offset.esw0 + 1], irb[IRB.offset.ecw + 1]]).toEqual([0x0e, 0x80, 0]);
  sch.schib.scsw.flags |= SCSW_FLAGS.mask.E;
  expect(interruptionResponse(sch)[IRB.offset.ecw + 1]).toBe(0x08);
});

test('sense data is given once, and N is cleared with the status', () => {
  const sch = subchannel();
  sch.schib.pmcw.chars = PMCW_CHARS.mask.CSENSE;
  sch.schib.scsw.flags = 1;
  expect(tschConditionCode(sch)).toBe(0);
  tschUpdate(sch);
  expect([sch.schib.scsw.ctrl, sch.schib.scsw.flags, sch.senseData[1]]).toEqual([0, 0, 0]);
  expect(tschConditionCode(sch)).toBe(1);
});
