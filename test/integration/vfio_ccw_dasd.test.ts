/** The kernel's vfio-ccw on the physical channel subsystem with a 3390: real channel programs, real data. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../kernel/include/arch/s390/orb.ts';
import { SCSW_FCTL_HALT_FUNC } from '../../kernel/include/arch/s390/scsw.ts';
import { Errno } from '../../kernel/include/uapi/errno.ts';
import * as ioctls from '../../kernel/include/uapi/ioctl.ts';
import { preempt, type Task } from '../../kernel/lib/task.ts';
import { memoryPressure } from '../../kernel/mm/migrate.ts';
import { createTestVolume, openedDasd, peek, readTrack, SLOW, SLOW_NS, signalled } from '../support/ccw_dasd.ts';
import { type CcwFields, type CcwFixture, NOTHING } from '../support/ccw_fixture.ts';

const { CC, SLI, IDA } = CCW_FLAG;
const { F, P, H } = ORB_CTRL0.mask;
const RECORD = 4096;

let directory: string;
let file: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vfio-ccw-'));
  file = join(directory, 'volume.ckd');
  createTestVolume(file);
});
afterAll(() => rmSync(directory, { recursive: true }));

const opened = (seed = 1) => openedDasd(file, { seed });

/** The words the volume's pattern has in a record. */
function pattern(cylinder: number, head: number, record: number): Uint8Array {
  const bytes = new Uint8Array(RECORD);
  const dv = new DataView(bytes.buffer);
  const first = Math.imul((cylinder * 15 + head) * 13 + record, 0x9e3779b1);
  for (let o = 0; o < RECORD; o += 4) dv.setUint32(o, (first + Math.imul(o, 0x85ebca6b)) >>> 0);
  return bytes;
}

test('SENSE ID names a 3390 on a 3990', () => {
  const t = opened();
  t.program(0x1000, [[0xe4, SLI, 256, 0x3000]]);
  t.run(t.ssch(0x1000));
  t.run(signalled(t, 1));
  expect([...peek(t, 0x3000, 6)]).toEqual([0xff, 0x39, 0x90, expect.any(Number), 0x33, 0x90]);
  expect([t.run(t.irb()).dstat, t.device.state, t.held]).toEqual([0x0c, 'IDLE', NOTHING]);
});

const BUFFERS = Array.from({ length: 12 }, (_, i) => 0x8800 + i * RECORD);

test.each<[string, number, (t: CcwFixture, i: number) => CcwFields]>([
  ['directly', F | P, (_t, i) => [0x86, i < 11 ? CC : 0, RECORD, BUFFERS[i]]],
  [
    'through format-2 IDALs of 4K',
    F | P | H,
    (t, i) => {
      const list = new Uint8Array(16);
      new DataView(list.buffer).setUint32(4, BUFFERS[i]);
      new DataView(list.buffer).setUint32(12, BUFFERS[i] + 0x800);
      t.poke(0x4000 + 16 * i, list);
      return [0x86, IDA | (i < 11 ? CC : 0), RECORD, 0x4000 + 16 * i];
    },
  ],
  [
    'through format-1 IDALs of 2K',
    F | P,
    (t, i) => {
      const list = new Uint8Array(8);
      new DataView(list.buffer).setUint32(0, BUFFERS[i]);
      new DataView(list.buffer).setUint32(4, BUFFERS[i] + 0x800);
      t.poke(0x4000 + 8 * i, list);
      return [0x86, IDA | (i < 11 ? CC : 0), RECORD, 0x4000 + 8 * i];
    },
  ],
])('a track of twelve records read %s, while memory moves', (_name, ctrl0, ccw) => {
  const t = opened(7);
  t.actor.spawn(
    'pressure',
    memoryPressure(t.actor, [t.kernel.mm], t.memory, 3, () => {}),
  );
  readTrack(
    t,
    0x1000,
    1,
    3,
    BUFFERS.map((_, i) => ccw(t, i)),
  );
  t.run(t.ssch(0x1000, { ctrl0 }));
  t.run(signalled(t, 1));
  for (const [i, gpa] of BUFFERS.entries()) expect(peek(t, gpa, RECORD)).toEqual(pattern(1, 3, i + 1));
  const status = t.run(t.irb());
  expect([status.dstat, status.cstat, status.cpa, t.held]).toEqual([0x0c, 0, 0x1000 + 14 * 8, NOTHING]);
});

test('a search with its loop, by format-0 CCWs', () => {
  const t = opened();
  t.poke(0x800, Uint8Array.from([0, 0, 0, 1, 0, 0])); // Seek: cylinder 1, head 0
  t.poke(0x808, Uint8Array.from([0, 1, 0, 0, 5])); // Search ID: record 5
  const ccw0 = (cmd: number, address: number, flags: number, count: number) =>
    Uint8Array.from([cmd, address >> 16, (address >> 8) & 255, address & 255, flags, 0, count >> 8, count & 255]);
  t.poke(0x1000, ccw0(0x07, 0x800, CC, 6));
  t.poke(0x1008, ccw0(0x31, 0x808, CC, 5));
  t.poke(0x1010, ccw0(0xf8, 0x1008, 0xff, 0xffff));
  t.poke(0x1018, ccw0(0x06, 0x8800, 0, RECORD));
  t.run(t.ssch(0x1000, { ctrl0: P }));
  t.run(signalled(t, 1));
  expect(t.run(t.irb()).dstat).toBe(0x0c);
  expect(peek(t, 0x8800, RECORD)).toEqual(pattern(1, 0, 5));
});

test('a slow read is halted, and the next one works', () => {
  const t = opened();
  readTrack(t, 0x1000, SLOW, 0, [[0x86, 0, RECORD, 0x8800]]);
  t.run(t.ssch(0x1000));
  t.settle(1e6);
  t.run(t.command(1));
  t.run(signalled(t, 1));
  expect(t.simulation.now).toBeLessThan(SLOW_NS);
  expect(t.run(t.irb()).ctrl & SCSW_FCTL_HALT_FUNC).not.toBe(0);
  expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
  readTrack(t, 0x1000, 1, 0, [[0x86, 0, RECORD, 0x8800]]);
  t.run(t.ssch(0x1000));
  t.run(signalled(t, 2));
  expect(peek(t, 0x8800, RECORD)).toEqual(pattern(1, 0, 1));
});

test('unmapping under a slow read stops it, and the pages are free', () => {
  const t = opened();
  t.run(t.mapDma(0x10_0000, t.ram.start, 0x10000));
  readTrack(t, 0x1000, SLOW, 0, [[0x86, 0, RECORD, 0x10_8800]]);
  t.run(t.ssch(0x1000));
  t.settle(1e6);
  expect(t.run(t.unmapDma(0x10_0000, 0x10000))).toBe(0x10000);
  expect([t.held, t.device.state, t.signals]).toEqual([NOTHING, 'IDLE', 0]);
});

/** Random requests; EAGAIN, EBUSY and the like are part of it. */
function* guest(t: CcwFixture, count: number, actions: readonly (() => Task<unknown>)[]): Task {
  for (let i = 0; i < count; i++) {
    try {
      yield* actions[t.actor.choose(actions.length)]();
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
    yield* preempt();
  }
}

test('storms of starts, halts, clears and resets on the real machine leave nothing pinned', () => {
  for (let seed = 0; seed < 25; seed++) {
    const t = opened(seed);
    readTrack(t, 0x1000, 1, 3, [[0x86, 0, RECORD, 0x8800]]);
    const actions = [
      () => t.ssch(0x1000),
      () => t.ssch(0x1000),
      () => t.command(1),
      () => t.command(2),
      () => t.irb(),
      () => t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET),
    ];
    t.runAll([guest(t, 30, actions), guest(t, 30, actions)]);
    const { device } = t;
    expect([seed, device.state === 'NOT_OPER', device.sch.lpm]).toEqual([seed, false, 0x80]);
    t.run(t.user.close(t.fd));
    expect([seed, device.state, t.held]).toEqual([seed, 'STANDBY', NOTHING]);
  }
});
