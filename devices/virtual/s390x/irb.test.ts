import { expect, test } from 'vitest';
import { PMCW_CHARS } from '../../../kernel/include/arch/s390/schib.ts';
import { SCSW_FLAGS } from '../../../kernel/include/arch/s390/scsw.ts';
import { FakeDevice } from './fake_device.ts';
import { filterSense, presentSense, synthesizeEsw } from './irb.ts';
import { Subchannel } from './subchannel.ts';
import { interruptionResponse } from './tsch.ts';

const { L, E } = SCSW_FLAGS.mask;
function subchannel(csense: boolean): Subchannel {
  const sch = new Subchannel({ cssid: 0xfe, ssid: 0, schid: 0 }, 1, new FakeDevice());
  if (csense) sch.schib.pmcw.chars = PMCW_CHARS.mask.CSENSE;
  sch.schib.pmcw.lpum = 0x40;
  return sch;
}
/** Flags, extended-status word 0, extended-report word, first bytes of the extended-control word. */
function shown(sch: Subchannel): unknown[] {
  const irb = Buffer.from(interruptionResponse(sch));
  return [
    irb.readUInt16BE(0) & (L | E),
    irb.toString('hex', 12, 16),
    irb.toString('hex', 16, 20),
    irb.toString('hex', 32, 34),
  ];
}
/** What a host subchannel with concurrent sense gives. */
function hostSense(sch: Subchannel): void {
  sch.schib.scsw.flags = E;
  sch.esw.set([0, 0x80, 0, 0, 0x01, 0x18, 0, 0]);
  sch.senseData.set([0x80, 0x08]);
  filterSense(sch);
}

test('concurrent sense of the host reaches a guest that has enabled it', () => {
  const sch = subchannel(true);
  hostSense(sch);
  expect(shown(sch)).toEqual([E, '00800000', '01180000', '8008']);
});
test('a guest that has not gets neither bytes nor bits of it, the rest of the extended status stays', () => {
  const sch = subchannel(false);
  hostSense(sch);
  expect(shown(sch)).toEqual([0, '00800000', '00000000', '0000']);
});
test('without concurrent sense of the host there is none, whatever the guest has enabled', () => {
  const sch = subchannel(true);
  sch.schib.scsw.flags = E;
  sch.senseData[0] = 0xff;
  filterSense(sch);
  expect(shown(sch)).toEqual([0, '00000000', '00000000', '0000']);
});
test('sense of a virtual device: S, the count in its architected place, E and the bytes', () => {
  const sch = subchannel(true);
  presentSense(sch, Uint8Array.of(0x80, 1, 2, 3));
  expect(shown(sch)).toEqual([E, '00000000', '01040000', '8001']);
  const without = subchannel(false);
  presentSense(without, Uint8Array.of(0x80));
  expect(shown(without)).toEqual([0, '00000000', '00000000', '0000']);
});
test.each([
  ['program check', 0x20, 0, '00400000'],
  ['channel data check', 0x08, L, '04404000'],
  ['channel control check', 0x04, L, '04404000'],
  ['interface control check', 0x02, L, '04404000'],
  ['none', 0, 0, '00400000'],
])('synthetic status, %s: nothing of the status before is left', (_name, cstat, flags, word) => {
  const sch = subchannel(true);
  hostSense(sch);
  sch.schib.scsw.cstat = cstat;
  synthesizeEsw(sch);
  expect(shown(sch)).toEqual([flags, word, '00000000', '0000']);
});
