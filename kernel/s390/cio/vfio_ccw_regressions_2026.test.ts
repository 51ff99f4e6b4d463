/**
 * The bugs of Linux's vfio-ccw that were fixed in 2026 (vfio-ccw facts section 6), looked for here. A test is named after
 * the change. Races are looked for in many seeded schedules; a failure names the seed.
 */
import { expect, test } from 'vitest';
import { type CcwFields, NOTHING, REGION } from '../../../test/support/ccw_fixture.ts';
import {
  attempt,
  host,
  idal,
  inSchedules,
  opened,
  pause,
  subchannel,
  words,
} from '../../../test/support/ccw_schedules.ts';
import { CCW_FLAG } from '../../include/arch/s390/ccw.ts';
import * as scsw from '../../include/arch/s390/scsw.ts';
import { VFIO_CCW_IRQ } from '../../include/uapi/vfio.ts';
import { preempt, type Task } from '../../lib/task.ts';

const { CC, IDA } = CCW_FLAG;
const NOP = 0x03;
const READ = 0x02;
const TIC = 0x08;
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;

test.each([
  [16, 124],
  [17, 'EINVAL'],
])('segments are limited: %i give %s, as an errno and not as a pointer', (count, expected) => {
  const t = opened();
  for (let i = 0; i < count; i++)
    t.program(
      0x1000 + i * 0x800,
      i + 1 < count
        ? [
            [NOP, CC, 1, 0],
            [TIC, 0, 0, 0x1800 + i * 0x800],
          ]
        : [[NOP, 0, 1, 0]],
    );
  expect(t.outcome(t.ssch(0x1000))).toBe(expected);
  expect(t.device.ioRegion.ret_code | 0).toBe(expected === 'EINVAL' ? -22 : 0);
  if (expected === 'EINVAL') expect(t.held).toBe(NOTHING);
});

test('the CCW behind the 256th is not looked at', () => {
  const t = opened();
  // 256 CCWs that chain, and memory that ends there.
  t.run(t.mapDma(0x20_0000, t.ram.start + 0x8000, 0x1000));
  t.program(
    0x8800,
    Array.from({ length: 256 }, (): CcwFields => [NOP, CC, 1, 0]),
  );
  expect(t.outcome(t.ssch(0x20_0800))).toBe('EINVAL');
  expect(t.held).toBe(NOTHING);
});

test('a guest that rewrites its IDAL all the time gets a list of one reading', () => {
  inSchedules(50, (t) => {
    t.program(0x1000, [[READ, IDA, 2048, 0x4000]]);
    words(t, 0x4000, [0x8000, 0x9000]);
    const rewrite = function* (): Task<number> {
      for (let i = 0; i < 30; i++) {
        words(t, 0x4000, [i % 2 === 0 ? 0x8400 : 0x8000]);
        yield* preempt();
      }
      return 0;
    };
    t.runAll([t.ssch(0x1000), rewrite()]);
    const [first, second] = idal(t, 2);
    expect(second).toBe(first % 2048 === 0 ? 2 ** 64 - 4096 : host(t, 0x9000));
  });
});

test.each([4, 5, 1000, 2 ** 30])('region %i is not there, nor what would lie behind the table', (index) => {
  const t = opened();
  expect(t.outcome(t.user.pread(t.fd, 4, index * 1024))).toBe('EINVAL');
  expect(t.outcome(t.user.pwrite(t.fd, new Uint8Array(4), index * 1024))).toBe('EINVAL');
});

test('no work is left behind when the device is closed', () => {
  inSchedules(100, (t) => {
    const second = t.run(t.openDevice());
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    const { device } = t;
    const hardware = function* (): Task<number> {
      yield* pause(t, 10);
      if ((subchannel(t).scsw.ctrl & ACTIVE) !== 0) t.css.present(0);
      yield* attempt(t.user.writeFile('/sys/devices/css0/chp0.80/configure', '0'));
      return 0;
    };
    const close = function* (): Task<number> {
      yield* pause(t, 10);
      yield* t.user.close(t.fd);
      return yield* t.user.close(second);
    };
    const reader = function* (): Task<number> {
      for (const region of [REGION.CRW, REGION.IO, REGION.SCHIB, REGION.CRW]) {
        yield* attempt(t.user.pread(second, 8, region));
        yield* pause(t, 4);
      }
      return 0;
    };
    t.runAll([hardware(), close(), reader()]);
    t.settle();
    expect([device.state, t.held, device.crws.length]).toEqual(['STANDBY', NOTHING, 0]);
    expect([t.host.workqueue.queue(device.ioWork), t.host.workqueue.queue(device.crwWork)]).toEqual([true, true]);
    t.settle();
  });
});

test('losing the subchannel while a program is translated frees it once, when nobody uses it', () => {
  inSchedules(100, (t) => {
    const vanish = function* (): Task<string | number> {
      yield* pause(t, 20);
      subchannel(t).gone = true;
      t.css.crws.push(0x03000000);
      return 0;
    };
    const [result] = t.runAll([attempt(t.ssch(0x1000)), vanish()]);
    expect([124, 'EIO', 'ENODEV']).toContain(result);
    t.settle();
    expect([t.device.state, t.held]).toEqual(['NOT_OPER', NOTHING]);
  });
});

test('channel reports are read once each, whoever reads and whenever more come', () => {
  inSchedules(50, (t) => {
    t.run(t.setEventfd(VFIO_CCW_IRQ.CRW));
    const read: number[] = [];
    const configure = '/sys/devices/css0/chp0.80/configure';
    const produce = function* (): Task {
      for (let i = 0; i < 6; i++) {
        yield* t.user.writeFile(configure, `${i % 2}`);
        yield* pause(t, 6);
      }
    };
    const consume = function* (): Task {
      while (read.length < 6) {
        const bytes = yield* t.user.pread(t.fd, 8, REGION.CRW);
        if (bytes[0] !== 0) read.push(bytes[1]);
        yield* preempt();
      }
    };
    t.runAll([produce(), consume()]);
    expect(read).toEqual([6, 2, 6, 2, 6, 2]);
    // A reader that was quicker than the worker left nothing to signal; nothing is left unsignalled.
    expect(t.device.crws).toEqual([]);
  });
});
