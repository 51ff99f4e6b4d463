import { expect, test } from 'vitest';
import { type CcwFields, CcwFixture, NOTHING, REGION } from '../../../test/support/ccw_fixture.ts';
import { STCTL } from '../../../test/support/fake_css.ts';
import * as scsw from '../../include/arch/s390/scsw.ts';
import { Errno } from '../../include/uapi/errno.ts';
import * as ioctls from '../../include/uapi/ioctl.ts';
import { VFIO_CCW_IRQ } from '../../include/uapi/vfio.ts';
import { preempt, type Task } from '../../lib/task.ts';

const HSCH = 1;
const CSCH = 2;
const READ: readonly CcwFields[] = [[0x02, 0, 4096, 0x3800]];
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;
const SEEDS = Array.from({ length: 60 }, (_, seed) => seed);

function opened(seed = 1): CcwFixture {
  const t = new CcwFixture({ seed });
  t.run(t.openAll());
  t.program(0x1000, READ);
  t.program(0x2000, READ);
  return t;
}

test('one I/O: IDLE, CP_PENDING, interruption, IDLE; the steps in order', () => {
  const t = opened();
  expect(t.run(t.ssch(0x1000))).toBe(124);
  expect([t.device.state, t.held]).toEqual(['CP_PENDING', '2 pins, 2 locked, 2 blocks']);
  t.css.accept(0);
  t.css.present(0);
  t.settle();
  expect([t.device.state, t.held, t.signals]).toEqual(['IDLE', NOTHING, 1]);
  const status = t.run(t.irb());
  expect([status.ctrl & 0x1f, status.dstat, status.cpa]).toEqual([0x07, 0x0c, 0x1008]);
  const steps = t.trace().filter(({ event }) => /vfio_ccw_K\d/.test(event));
  expect(steps.map(({ event }) => event.slice(-2))).toEqual(['K1', 'K2', 'K3', 'K4', 'K5', 'K6']);
  t.host.pool.shrink();
  expect(t.host.pool.pages).toBe(0);
});

test('a second start while one runs is EBUSY; while one is translated, EAGAIN', () => {
  const t = opened();
  const outcomes = t.settleAll([t.ssch(0x1000), t.ssch(0x2000)]);
  const codes = outcomes.map((o) => ('error' in o ? (o.error as Errno).code : o.value));
  expect(codes).toContain(124);
  expect(codes.some((code) => code === 'EAGAIN' || code === 'EBUSY')).toBe(true);
  expect(t.outcome(t.ssch(0x1000))).toBe('EBUSY');
  expect(t.held).toBe('2 pins, 2 locked, 2 blocks');
});

test('a program-controlled interruption keeps the program; the end frees it', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.accept(0);
  t.css.present(0, { stctl: STCTL.PCI, cstat: 0x80, dstat: 0, actl: ACTIVE });
  t.settle();
  expect([t.device.state, t.signals]).toEqual(['CP_PENDING', 1]);
  expect(t.held).not.toBe(NOTHING);
  t.css.present(0);
  t.settle();
  expect([t.device.state, t.signals, t.held]).toEqual(['IDLE', 2, NOTHING]);
});

test('channel end alone is not the end', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.present(0, { stctl: STCTL.CHANNEL_END, dstat: 0x08, actl: scsw.SCSW_ACTL_DEVICE_ACTIVE });
  t.settle();
  expect(t.device.state).toBe('CP_PENDING');
  t.css.present(0, { stctl: STCTL.DEVICE_END, dstat: 0x04 });
  t.settle();
  expect([t.device.state, t.held]).toEqual(['IDLE', NOTHING]);
});

test.each(['IDLE', 'CP_PENDING'])('unsolicited status in %s reaches the guest and changes nothing', (state) => {
  const t = opened();
  if (state === 'CP_PENDING') t.run(t.ssch(0x1000));
  const before = t.held;
  t.css.present(0, { stctl: STCTL.UNSOLICITED, dstat: 0x80, cpa: 0 });
  t.settle();
  expect([t.device.state, t.held, t.signals]).toEqual([state, before, 1]);
  expect(t.run(t.irb()).dstat).toBe(0x80);
});

test('two interruptions before the worker runs: one signal, the last status; the program is freed all the same', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  const { device } = t;
  t.run(
    (function* (): Task {
      yield* device.ioMutex.lock(); // Keeps the worker from the IRB.
      t.css.present(0);
      yield { what: 'first', ready: () => device.interruptions === 1 };
      t.css.present(0, { stctl: STCTL.UNSOLICITED, dstat: 0x80 });
      yield { what: 'second', ready: () => device.interruptions === 2 };
      device.ioMutex.unlock();
    })(),
  );
  t.settle();
  expect(t.run(t.irb()).dstat).toBe(0x80);
  expect([device.state, t.held]).toEqual(['IDLE', NOTHING]);
});

test('halting a running program: the command region, one final interruption', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.accept(0);
  expect(t.run(t.command(HSCH))).toBe(8);
  t.settle();
  expect([t.device.state, t.held, t.signals]).toEqual(['IDLE', NOTHING, 1]);
  expect(t.run(t.irb()).ctrl & scsw.SCSW_FCTL_HALT_FUNC).not.toBe(0);
  expect(t.trace().find((r) => r.event === 'vfio_ccw_fsm_async_request')?.args).toEqual([0, HSCH, 0]);
});

test('clearing an idle device: an interruption with status pending alone, state IDLE', () => {
  const t = opened();
  expect(t.run(t.command(CSCH))).toBe(8);
  t.settle();
  const status = t.run(t.irb());
  expect([status.ctrl & 0x1f, status.dstat, t.device.state, t.signals]).toEqual([1, 0, 'IDLE', 1]);
});

test('halt and clear by condition code', () => {
  const t = opened();
  t.css.subchannels[0].hung = true;
  t.run(t.ssch(0x1000));
  expect(t.outcome(t.command(HSCH))).toBe(8);
  expect(t.outcome(t.command(HSCH))).toBe('EBUSY');
  expect(t.outcome(t.command(CSCH))).toBe(8);
  t.css.subchannels[0].gone = true;
  expect(t.outcome(t.command(HSCH))).toBe('ENODEV');
  expect(t.outcome(t.command(CSCH))).toBe('ENODEV');
});

test('reset stops the program; nothing of it reaches the guest; the next start works', () => {
  for (const seed of SEEDS) {
    const t = opened(seed);
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    expect(t.run(t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET))).toBe(0);
    t.settle();
    expect([t.device.state, t.held, t.signals]).toEqual(['IDLE', NOTHING, 0]);
    expect(t.run(t.ssch(0x2000))).toBe(124);
  }
});

test('unmapping under a running program resets the device', () => {
  const t = opened();
  t.run(t.mapDma(0x10_0000, t.ram.start, 0x8000));
  t.program(0x1000, [[0x02, 0, 4096, 0x10_3800]]);
  t.run(t.ssch(0x1000));
  expect(t.run(t.unmapDma(0x10_0000, 0x8000))).toBe(0x8000);
  t.settle();
  expect([t.device.state, t.held, t.signals]).toEqual(['IDLE', NOTHING, 0]);
  t.program(0x1000, READ);
  expect(t.run(t.ssch(0x1000))).toBe(124);
});

test('unmapping what the program does not use leaves it alone', () => {
  const t = opened();
  t.run(t.mapDma(0x10_0000, t.ram.start, 0x8000));
  t.run(t.ssch(0x1000));
  expect(t.run(t.unmapDma(0x10_0000, 0x8000))).toBe(0x8000);
  expect(t.device.state).toBe('CP_PENDING');
});

test('closing during I/O: cancel, halt, clear in this order, then disabled', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.accept(0);
  t.css.subchannels[0].hung = true;
  const { device } = t;
  const closing = t.start(t.user.close(t.fd));
  t.settle(1e9);
  expect(closing.done).toBe(false);
  // The device wakes up at the clear.
  t.settle(4e9);
  t.css.present(0, { stctl: STCTL.CLEAR, dstat: 0 });
  t.settle(4e9);
  expect([closing.done, device.state, t.held]).toEqual([true, 'STANDBY', NOTHING]);
  const functions = t.css.executed.filter((line) => /^(xsch|hsch|csch)/.test(line));
  expect(functions.slice(0, 4)).toEqual(['xsch 0 cc2', 'hsch 0 cc0', 'hsch 0 cc2', 'csch 0 cc0']);
  t.fd = t.run(t.openDevice());
  expect(t.device.state).toBe('IDLE');
});

test('a device that never answers is given up after all tries', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.accept(0);
  t.css.subchannels[0].hung = true;
  const { device } = t;
  const closing = t.start(t.user.close(t.fd));
  t.settle(300 * 3e9);
  expect([closing.done, device.state, t.held]).toEqual([true, 'NOT_OPER', NOTHING]);
  expect(t.log.some((line) => line.includes('could not quiesce'))).toBe(true);
});

test('a subchannel that vanishes: EIO, a request to user space, and gone when that lets go', () => {
  const t = opened();
  const request = t.run(t.setEventfd(VFIO_CCW_IRQ.REQ));
  t.run(t.ssch(0x1000));
  t.css.subchannels[0].gone = true;
  t.css.crws.push(0x03000000); // Subchannel 0, event.
  t.settle();
  expect([t.device.state, t.held, t.user.signals(request)]).toEqual(['NOT_OPER', NOTHING, 1]);
  expect(t.outcome(t.ssch(0x1000))).toBe('EIO');
  expect(t.outcome(t.command(CSCH))).toBe('EIO');
  expect(t.outcome(t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET))).toBe('EINVAL');
  t.run(t.user.close(t.fd));
  t.settle();
  expect(t.kernel.vfs.has('/sys/devices/css0/0.0.0000')).toBe(false);
  expect(t.kernel.vfs.has('/sys/devices/css0/0.0.0001')).toBe(true);
});

test('a status left over from before is taken when the device is opened', () => {
  const t = new CcwFixture();
  t.css.subchannels[0].schib.pmcw.flags |= 0x80;
  t.css.present(0, { stctl: STCTL.UNSOLICITED, dstat: 0x80 });
  t.css.subchannels[0].interruption = false;
  t.run(t.openAll());
  expect(t.device.state).toBe('IDLE');
});

/** A guest that does random things until it has done `count`. */
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

/** A device that ends what runs, sooner or later, and sometimes speaks unasked. */
function* hardware(t: CcwFixture, stopped: () => boolean): Task {
  const [subchannel] = t.css.subchannels;
  while (!stopped()) {
    yield* preempt();
    const { ctrl } = subchannel.scsw;
    const chance = t.actor.choose(6);
    if ((ctrl & scsw.SCSW_STCTL_STATUS_PEND) !== 0) continue;
    if ((ctrl & scsw.SCSW_ACTL_START_PEND) !== 0) t.css.accept(0);
    else if ((ctrl & ACTIVE) !== 0) {
      // DMA: the pages of the running program must still be its own.
      checkDma(t, subchannel.orb.cpa);
      if (chance === 0) t.css.present(0, { stctl: STCTL.PCI, cstat: 0x80, dstat: 0, actl: ACTIVE });
      else if (chance < 3) t.css.present(0);
    } else if (subchannel.enabled && chance === 5) {
      t.css.present(0, { stctl: STCTL.UNSOLICITED, dstat: 0x80, cpa: 0 });
    }
  }
}

/** The channel fetches the CCW and its IDAL, and the frames they name are pinned. */
function checkDma(t: CcwFixture, cpa: number): void {
  const { dv } = t.memory;
  expect(dv.getUint8(cpa)).toBe(0x02);
  const hpa = Number(dv.getBigUint64(dv.getUint32(cpa + 4)));
  expect(t.kernel.mm.space.frames.pins(hpa)).toBeGreaterThan(0);
}

test('no order of starts, halts, clears, resets, unmaps and interruptions leaks or frees under a running channel', () => {
  for (const seed of SEEDS) {
    const t = opened(seed);
    t.program(0x2000, [[0x02, 0, 4096, 0x10_3800]]);
    const actions = [
      () => t.ssch(0x1000),
      () => t.ssch(0x2000),
      () => t.ssch(0x1000),
      () => t.command(HSCH),
      () => t.command(CSCH),
      () => t.irb(),
      () => t.user.pread(t.fd, 52, REGION.SCHIB),
      () => t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET),
      () => t.mapDma(0x10_0000, t.ram.start, 0x8000),
      () => t.unmapDma(0x10_0000, 0x8000),
    ];
    let running = 3;
    const counted = function* (task: Task): Task {
      yield* task;
      running--;
    };
    t.runAll([
      counted(guest(t, 40, actions)),
      counted(guest(t, 40, actions)),
      counted(guest(t, 40, actions)),
      hardware(t, () => running === 0),
    ]);
    const { device } = t;
    expect([seed, device.state]).not.toEqual([seed, 'NOT_OPER']);
    // No start went out to a subchannel that was being closed: it would have cost the path.
    expect([seed, device.sch.lpm]).toEqual([seed, 0x80]);
    t.run(t.user.close(t.fd));
    expect([seed, device.state, t.held]).toEqual([seed, 'STANDBY', NOTHING]);
  }
});

test('unmapping while the device is closed ends in STANDBY, whoever comes first', () => {
  for (const seed of SEEDS) {
    const t = opened(seed);
    t.run(t.mapDma(0x10_0000, t.ram.start, 0x8000));
    t.program(0x1000, [[0x02, 0, 4096, 0x10_3800]]);
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    const { device } = t;
    const close = function* (): Task<number> {
      for (let i = t.actor.choose(6); i > 0; i--) yield* preempt();
      return yield* t.user.close(t.fd);
    };
    expect(t.runAll([t.unmapDma(0x10_0000, 0x8000), close()])).toEqual([0x8000, 0]);
    expect([seed, device.state, t.held]).toEqual([seed, 'STANDBY', NOTHING]);
  }
});

test('reading regions while the device is closed', () => {
  for (const seed of SEEDS) {
    const t = opened(seed);
    const second = t.run(t.openDevice());
    t.run(t.ssch(0x1000));
    t.css.accept(0);
    const reader = function* (): Task {
      for (const offset of [REGION.IO, REGION.ASYNC, REGION.SCHIB, REGION.CRW])
        yield* guest(t, 3, [() => t.user.pread(second, 8, offset)]);
    };
    const close = function* (): Task {
      yield* t.user.close(t.fd);
      yield* t.user.close(second);
    };
    t.runAll([reader(), close()]);
    expect(t.held).toBe(NOTHING);
  }
});
