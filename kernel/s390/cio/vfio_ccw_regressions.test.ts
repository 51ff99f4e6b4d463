/**
 * Every bug that Linux's vfio-ccw is known to have had until 2025 (vfio-ccw facts section 6), looked for here. A test is
 * named after the change that fixed it there. Races are looked for in many seeded schedules; a failure names the seed.
 */
import { expect, test } from 'vitest';
import { type CcwFields, CcwFixture, NOTHING, UUID } from '../../../test/support/ccw_fixture.ts';
import {
  attempt,
  checkDma,
  end,
  host,
  idal,
  inSchedules,
  insist,
  opened,
  pause,
  subchannel,
  until,
  words,
} from '../../../test/support/ccw_schedules.ts';
import { STCTL } from '../../../test/support/fake_css.ts';
import { CCW_FLAG, CCW1 } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../include/arch/s390/orb.ts';
import * as scsw from '../../include/arch/s390/scsw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import * as ioctls from '../../include/uapi/ioctl.ts';
import { VFIO_CCW_IRQ } from '../../include/uapi/vfio.ts';
import { preempt, type Task } from '../../lib/task.ts';

const { CC, SKIP, IDA } = CCW_FLAG;
const { F, P, H, T } = ORB_CTRL0.mask;
const HSCH = 1;
const CSCH = 2;
const NOP = 0x03;
const READ = 0x02;
const WRITE = 0x01;
const TIC = 0x08;
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;
/** An address outside guest memory. */
const JUNK = 0x7ead_0000;

test('only the final interruption frees the program', () => {
  inSchedules(50, (t) => {
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    t.runAll([
      t.irb() as Task<unknown>,
      (function* () {
        for (let i = 0; i < 3; i++) {
          t.css.present(0, { stctl: STCTL.PCI, cstat: 0x80, dstat: 0, actl: ACTIVE });
          yield* until('TSCH', () => (subchannel(t).scsw.ctrl & scsw.SCSW_STCTL_STATUS_PEND) === 0);
          yield* pause(t, 20);
          checkDma(t);
        }
      })(),
    ]);
    t.settle();
    checkDma(t);
    expect(t.device.state).toBe('CP_PENDING');
    end(t);
  });
});

test.each([
  ['halt', HSCH],
  ['clear', CSCH],
])('no program is freed while it is translated: the interruption of an earlier %s', (_name, command) => {
  inSchedules(100, (t) => {
    t.runAll<unknown>([attempt(t.command(command)), insist(t, 0x1000), pause(t, 30)]);
    // The start is the last function the subchannel got, or the halt or clear ended it again.
    t.settle();
    if (t.device.state === 'CP_PENDING') {
      t.css.accept(0);
      checkDma(t);
      end(t);
    }
    expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
  });
});

test('a start between the status and its worker is not taken for what ended', () => {
  inSchedules(100, (t) => {
    t.run(t.ssch(0x1000));
    const next = function* (): Task {
      yield* pause(t, 12);
      yield* insist(t, 0x2000);
    };
    t.css.present(0);
    t.runAll([next()]);
    t.css.accept(0);
    t.settle();
    checkDma(t);
    expect(t.device.state).toBe('CP_PENDING');
    end(t);
  });
});

test('an allocation that fails anywhere in the translation leaks nothing', () => {
  const t = opened();
  t.program(0x1000, [
    [READ, CC, 4096, 0x8800],
    [NOP, CC, 1, 0],
    [TIC, 0, 0, 0x2000],
  ]);
  t.program(0x2000, [
    [READ, CC, 4096, 0xa800],
    [TIC, 0, 0, 0x2800],
  ]);
  t.program(0x2800, [[READ, 0, 4096, 0xc800]]);
  const { pool } = t.host;
  const { alloc } = pool;
  let allowed = 0;
  pool.alloc = (size) => {
    if (allowed-- === 0) throw new Errno('ENOMEM', 'injected');
    return alloc.call(pool, size);
  };
  for (let k = 0; k < 6; k++) {
    allowed = k;
    expect([k, t.outcome(t.ssch(0x1000)), t.device.state, t.held]).toEqual([k, 'ENOMEM', 'IDLE', NOTHING]);
  }
  allowed = 6;
  expect(t.outcome(t.ssch(0x1000))).toBe(124);
  end(t);
});

test('a pin that fails anywhere in the translation leaks nothing', () => {
  for (let lockLimit = 0; lockLimit < 6; lockLimit++) {
    const t = opened(1, { lockLimit });
    t.program(
      0x1000,
      [0x8800, 0xa800, 0xc800].map((gpa, i) => [READ, i < 2 ? CC : 0, 4096, gpa]),
    );
    expect([lockLimit, t.outcome(t.ssch(0x1000)), t.held]).toEqual([lockLimit, 'ENOMEM', NOTHING]);
  }
});

test('a quiesce waits without a lock that the interruption needs', () => {
  inSchedules(50, (t) => {
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    subchannel(t).hung = true;
    const { device } = t;
    const wake = function* (): Task<number> {
      yield* until('the halt', () => (subchannel(t).scsw.ctrl & scsw.SCSW_ACTL_HALT_PEND) !== 0);
      yield* pause(t, 20);
      t.css.present(0, { stctl: STCTL.END });
      return 0;
    };
    expect(t.runAll([t.user.close(t.fd), wake()])).toEqual([0, 0]);
    expect([device.state, t.held]).toEqual(['STANDBY', NOTHING]);
  });
});

test('a quiesce is no endless loop when the subchannel goes meanwhile', () => {
  inSchedules(30, (t) => {
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    subchannel(t).hung = true;
    const { device } = t;
    const vanish = function* (): Task<number> {
      yield* pause(t, 20);
      subchannel(t).gone = true;
      return 0;
    };
    t.runAll([t.user.close(t.fd), vanish()]);
    t.settle(1e9);
    expect([device.state, t.held]).toEqual(['NOT_OPER', NOTHING]);
  });
});

test.each<[string, [number, CcwFields[]][]]>([
  [
    'to itself',
    [
      [
        0x1000,
        [
          [TIC, 0, 0, 0x1000],
          [NOP, 0, 1, 0],
        ],
      ],
    ],
  ],
  [
    'back to the start',
    [
      [
        0x1000,
        [
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x1000],
          [NOP, 0, 1, 0],
        ],
      ],
    ],
  ],
  [
    'back into the middle',
    [
      [
        0x1000,
        [
          [NOP, CC, 1, 0],
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x1008],
          [NOP, 0, 1, 0],
        ],
      ],
    ],
  ],
  [
    'two segments at each other',
    [
      [
        0x1000,
        [
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x5000],
        ],
      ],
      [
        0x5000,
        [
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x1000],
        ],
      ],
    ],
  ],
  [
    'forward past its own segment, and back behind its start',
    [
      [
        0x1000,
        [
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x1018],
          [NOP, 0, 1, 0],
        ],
      ],
      [
        0x1018,
        [
          [NOP, CC, 1, 0],
          [TIC, 0, 0, 0x1008],
        ],
      ],
    ],
  ],
])('recursive transfers in channel end: %s; targets are bytes from the head', (_name, segments) => {
  const t = opened();
  for (const [gpa, list] of segments) t.program(gpa, list);
  expect(t.outcome(t.ssch(0x1000))).toBe(124);
  for (const [gpa, list] of segments)
    for (const [i, [cmd, , , cda]] of list.entries()) {
      const hpa = t.device.cp.hostAddress(gpa + 8 * i);
      if (cmd !== TIC || hpa === undefined) continue;
      expect(CCW1.at(t.memory.dv, hpa).cda).toBe(t.device.cp.hostAddress(cda));
    }
  end(t);
});

test('after a failed translation only what was translated is released', () => {
  for (let good = 0; good < 12; good++) {
    const t = opened();
    const list = Array.from({ length: good }, (_, i): CcwFields => [READ, CC, 2048, 0x8000 + i * 0x800]);
    t.program(0x1000, [...list, [READ, 0, 8, JUNK]]);
    expect([good, t.outcome(t.ssch(0x1000)), t.held]).toEqual([good, 'EINVAL', NOTHING]);
  }
});

test.each<[string, CcwFields]>([
  ['zero-length CCWs are allowed', [WRITE, 0, 0, JUNK]],
  ['an empty transfer pins nothing', [NOP, 0, 1, JUNK]],
  ['the skip flag pins nothing', [READ, SKIP, 4096, JUNK]],
])('%s', (_name, ccw) => {
  const t = opened();
  t.program(0x1000, [ccw]);
  expect(t.outcome(t.ssch(0x1000))).toBe(124);
  expect(t.held).toBe('0 pins, 0 locked, 2 blocks');
  end(t);
});

test('the whole length of an unmap is looked at, not only its first page', () => {
  inSchedules(30, (t) => {
    t.run(t.mapDma(0x10_0000, t.ram.start, 0x10000));
    t.program(0x1000, [[READ, 0, 16, 0x10_f000]]);
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    expect(t.run(t.unmapDma(0x10_0000, 0x10000))).toBe(0x10000);
    expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
  });
});

test('removing, closing and losing the subchannel, in any order', () => {
  inSchedules(75, (t) => {
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    const { device } = t;
    const later = function* <R>(task: () => Task<R>): Task<R | string> {
      yield* pause(t, 25);
      return yield* attempt(task());
    };
    t.runAll<unknown>([
      later(() => t.user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1')),
      later(() => t.user.close(t.fd)),
      later(function* () {
        subchannel(t).gone = t.actor.choose(2) === 0;
        t.css.crws.push(0x03000000);
      }),
    ]);
    t.settle(30e9);
    expect(['STANDBY', 'NOT_OPER']).toContain(device.state);
    expect([t.held, t.kernel.vfs.has(`/sys/bus/mdev/devices/${UUID}`)]).toEqual([NOTHING, false]);
  });
});

test('a mediated device that could not be made leaves the subchannel as it was', () => {
  const t = new CcwFixture();
  t.run(t.make());
  const create = '/sys/bus/css/devices/0.0.0000/mdev_supported_types/vfio_ccw-io/create';
  expect(t.outcome(t.user.writeFile(create, UUID.replace('7', '8')))).toBe('EUSERS');
  t.run(t.user.writeFile(`/sys/bus/mdev/devices/${UUID}/remove`, '1'));
  t.run(t.user.writeFile(create, UUID));
  expect(t.run(t.user.readFile('/sys/bus/css/devices/0.0.0000/driver_override'))).toBe('vfio_ccw');
});

test('a subchannel event changes no state of a subchannel that is there', () => {
  inSchedules(30, (t) => {
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    t.css.crws.push(0x03000000);
    t.settle();
    expect(t.device.state).toBe('CP_PENDING');
    checkDma(t);
    end(t);
  });
});

test('two processors at one device: one start goes out, nothing is mixed', () => {
  inSchedules(100, (t) => {
    const results = t.runAll([attempt(t.ssch(0x1000)), attempt(t.ssch(0x2000)), attempt(t.command(HSCH))]);
    for (const result of results) expect([124, 8, 'EAGAIN', 'EBUSY']).toContain(result);
    expect(results.slice(0, 2).filter((result) => result === 124).length).toBeLessThanOrEqual(1);
    t.settle();
    if (t.device.state === 'CP_PENDING') end(t);
    expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
  });
});

test('the request callback: a subchannel that goes under a running guest is asked for, and nobody hangs', () => {
  inSchedules(50, (t) => {
    const request = t.run(t.setEventfd(VFIO_CCW_IRQ.REQ));
    const guest = function* (): Task {
      for (let i = 0; t.user.signals(request) === 0; i++) {
        yield* attempt(i % 3 === 0 ? t.command(HSCH) : t.ssch(0x1000));
        yield* preempt();
      }
      yield* t.user.close(t.fd);
    };
    const unplug = function* (): Task {
      yield* pause(t, 40);
      subchannel(t).gone = true;
      t.css.crws.push(0x03000000);
    };
    t.runAll([guest(), unplug()]);
    t.settle(1e9);
    expect([t.held, t.kernel.vfs.has('/sys/devices/css0/0.0.0000')]).toEqual([NOTHING, false]);
  });
});

test("a guest's format-1 IDAL is taken, each 2K block pinned and unpinned by itself", () => {
  const t = opened();
  words(t, 0x4000, [0x8000, 0x8800, 0x9000]);
  t.program(0x1000, [[READ, IDA, 3 * 2048, 0x4000]]);
  t.run(t.ssch(0x1000));
  expect(idal(t, 3)).toEqual([0x8000, 0x8800, 0x9000].map((gpa) => host(t, gpa)));
  expect(subchannel(t).orb.ctrl0 & (F | H | T)).toBe(F | H | T);
  expect(t.trace().findLast((r) => r.event === 'vfio_ccw_K2')?.args[2]).toBe(3);
  end(t);
});

test('only one format-1 IDAW is read to learn where the data begins, and the list has as many words as blocks', () => {
  const t = opened();
  // The list's only word ends the mapped memory: one of eight bytes, or a second one, would not be there.
  t.run(t.mapDma(0x20_0000, t.ram.start + 0xf000, 0x1000));
  words(t, 0xfffc, [0x8000]);
  t.program(0x1000, [[READ, IDA, 2048, 0x20_0ffc]]);
  expect(t.outcome(t.ssch(0x1000))).toBe(124);
  end(t);
});

test.each([0, 3, 15])('storage key %i of the ORB is passed on', (key) => {
  const t = opened();
  t.run(t.ssch(0x1000, { ctrl0: (key << 12) | F | P }));
  expect(subchannel(t).orb.ctrl0 >>> 12).toBe(key);
  end(t);
});

test('an ORB without prefetch works; a program that changes itself meanwhile runs as it was', () => {
  const t = opened();
  expect(t.outcome(t.ssch(0x1000, { ctrl0: F }))).toBe(124);
  t.program(0x1000, [[WRITE, 0, 16, 0x3000]]);
  checkDma(t);
  end(t);
});

test('the IRB has one place: of two interruptions before the worker the guest sees the last, and the program is freed', () => {
  inSchedules(30, (t) => {
    t.run(t.ssch(0x1000));
    const { device } = t;
    t.run(
      (function* (): Task {
        yield* device.ioMutex.lock();
        t.css.present(0);
        yield* until('the first', () => device.interruptions === 1);
        t.css.present(0, { stctl: STCTL.UNSOLICITED, dstat: 0x80 });
        yield* until('the second', () => device.interruptions === 2);
        device.ioMutex.unlock();
      })(),
    );
    t.settle();
    expect([t.run(t.irb()).dstat, t.signals]).toEqual([0x80, expect.any(Number)]);
    expect([device.state, t.held]).toEqual(['IDLE', NOTHING]);
  });
});

test('a reset that is refused half-way leaves a device that says so', () => {
  inSchedules(30, (t) => {
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    const vanish = function* (): Task<number | string> {
      yield* pause(t, 12);
      subchannel(t).gone = true;
      return 0;
    };
    const [result] = t.runAll([attempt(t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET)), vanish()]);
    expect([0, 'EINVAL']).toContain(result);
    if (result === 'EINVAL') expect([t.device.state, t.held]).toEqual(['NOT_OPER', NOTHING]);
  });
});
