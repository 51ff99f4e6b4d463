/** Unit check with and without concurrent sense, and suspended programs, on the real channel subsystem with a 3390. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import { ERW, ERW_SENSE_COUNT_SHIFT, IRB, type Irb } from '../../kernel/include/arch/s390/irb.ts';
import { ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import * as scsw from '../../kernel/include/arch/s390/scsw.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { ccw_io_region } from '../../kernel/include/uapi/vfio.ts';
import { createTestVolume, openedDasd, peek, readTrack, signalled } from '../support/ccw_dasd.ts';
import { type CcwFixture, NOTHING, REGION } from '../support/ccw_fixture.ts';

const { CC, SLI, SUSPEND } = CCW_FLAG;
const { F, P, S, U } = ORB_CTRL0.mask;
/** Sense, byte 0: command reject. Byte 1: no record found. */
const COMMAND_REJECT = 0x80;
const NO_RECORD_FOUND = 0x08;

let directory: string;
let file: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vfio-ccw-status-'));
  file = join(directory, 'volume.ckd');
  createTestVolume(file);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** The whole IRB in the I/O region. */
function irb(t: CcwFixture): Irb {
  const bytes = t.run(t.user.pread(t.fd, ccw_io_region.size, REGION.IO));
  return IRB.at(new DataView(bytes.buffer), ccw_io_region.offset.irb_area);
}

/** Programs that end in unit check, by what the first sense bytes say. */
const UNIT_CHECKS: [string, (t: CcwFixture) => void, number[]][] = [
  ['command reject', (t) => t.program(0x1000, [[0xbf, SLI, 1, 0x3000]]), [COMMAND_REJECT, 0]],
  [
    'no record found',
    (t) => {
      readTrack(t, 0x1000, 1, 3, [[0x86, 0, 4096, 0x8800]]);
      // Locate record 99 of a track that has twelve.
      t.poke(0x810 + 12, Uint8Array.of(99));
    },
    [0, NO_RECORD_FOUND],
  ],
];

test.each(UNIT_CHECKS)('host concurrent sense: unit check comes with its sense bytes, %s', (_name, program, sense) => {
  const t = openedDasd(file);
  program(t);
  t.run(t.ssch(0x1000));
  t.run(signalled(t, 1));
  const { scsw: word, erw, ecw } = irb(t);
  expect(word.dstat & scsw.DSTAT.UNIT_CHECK).not.toBe(0);
  expect(erw & ERW.CONCURRENT_SENSE).not.toBe(0);
  expect((erw >>> ERW_SENSE_COUNT_SHIFT) & 0x3f).toBe(32);
  expect([...ecw.subarray(0, 2)]).toEqual(sense);
  // The device has given them away.
  t.program(0x1000, [[0x04, SLI, 32, 0x3000]]);
  t.run(t.ssch(0x1000));
  t.run(signalled(t, 2));
  expect([...peek(t, 0x3000, 2)]).toEqual([0, 0]);
});

test.each(UNIT_CHECKS)(
  'no host concurrent sense: the guest fetches the sense bytes by Basic Sense, %s',
  (_name, program, sense) => {
    const t = openedDasd(file, { autoprobe: false });
    program(t);
    t.run(t.ssch(0x1000));
    t.run(signalled(t, 1));
    const { scsw: word, erw, ecw } = irb(t);
    expect(word.dstat & scsw.DSTAT.UNIT_CHECK).not.toBe(0);
    expect([erw & ERW.CONCURRENT_SENSE, [...ecw].every((byte) => byte === 0)]).toEqual([0, true]);
    t.program(0x1000, [[0x04, SLI, 32, 0x3000]]);
    t.run(t.ssch(0x1000));
    t.run(signalled(t, 2));
    expect([...peek(t, 0x3000, 2)]).toEqual(sense);
  },
);

/** A program that suspends itself before its second CCW. */
function suspended(t: CcwFixture, ctrl0: number): void {
  t.program(0x1000, [
    [0x03, CC | SLI, 1, 0],
    [0xe4, SLI | SUSPEND, 256, 0x3000],
  ]);
  t.run(t.ssch(0x1000, { ctrl0: F | P | S | ctrl0 }));
}
const suspendedStatus = scsw.SCSW_STCTL_INTERMEDIATE | scsw.SCSW_STCTL_STATUS_PEND;

test('a suspended program is freed when the guest is told, and nothing can resume it', () => {
  const t = openedDasd(file);
  suspended(t, 0);
  t.run(signalled(t, 1));
  const word = irb(t).scsw;
  expect(word.ctrl & scsw.SCSW_CTRL_MASK_STCTL).toBe(suspendedStatus);
  expect(word.ctrl & scsw.SCSW_CTRL_MASK_ACTL).toBe(scsw.SCSW_ACTL_SUSP);
  expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
  // RSCH of the guest reaches the kernel as a start of the same ORB: the host's subchannel is not free for one.
  expect(t.outcome(t.ssch(0x1000, { ctrl0: F | P | S }))).toBe('EBUSY');
  expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
});

test.each<[string, (t: CcwFixture) => void, number]>([
  ['halt', (t) => t.run(t.command(1)), 1],
  ['clear', (t) => t.run(t.command(2)), 1],
  ['reset', (t) => t.run(t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET)), 0],
])('%s ends a suspended program on the host, and the next start works', (_name, stop, signals) => {
  const t = openedDasd(file);
  suspended(t, 0);
  t.run(signalled(t, 1));
  stop(t);
  t.run(signalled(t, 1 + signals));
  t.settle();
  t.program(0x1000, [[0xe4, SLI, 256, 0x3000]]);
  expect(t.outcome(t.ssch(0x1000))).toBe(124);
  t.run(signalled(t, 2 + signals));
  expect([[...peek(t, 0x3000, 1)], t.device.state, t.held]).toEqual([[0xff], 'IDLE', NOTHING]);
});

test('without the suspended interruption nobody tells, and the pins stay until the guest halts', () => {
  const t = openedDasd(file);
  suspended(t, U);
  t.settle(1e8);
  expect([t.device.state, t.signals]).toEqual(['CP_PENDING', 0]);
  expect(t.held).not.toBe(NOTHING);
  expect(t.outcome(t.ssch(0x1000, { ctrl0: F | P | S }))).toBe('EBUSY');
  t.run(t.command(1));
  t.run(signalled(t, 1));
  t.settle();
  expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
});

test.each([0, U])('closing under a suspended program, ORB.U %i: cancelled, disabled, nothing held', (u) => {
  for (let seed = 0; seed < 20; seed++) {
    const t = openedDasd(file, { seed });
    suspended(t, u);
    t.settle(t.actor.choose(40) * 1e4);
    const { device } = t;
    t.run(t.user.close(t.fd));
    expect([seed, device.state, t.held]).toEqual([seed, 'STANDBY', NOTHING]);
    t.fd = t.run(t.openDevice());
    t.program(0x1000, [[0x03, SLI, 1, 0]]);
    expect([seed, t.outcome(t.ssch(0x1000))]).toEqual([seed, 124]);
  }
});
