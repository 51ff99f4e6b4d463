import { expect, test } from 'vitest';
import { type CcwFields, CcwFixture, NOTHING } from '../../../test/support/ccw_fixture.ts';
import { CcwRfcFixture, type RequestOptions } from '../../../test/support/ccw_rfc_fixture.ts';
import { STCTL } from '../../../test/support/fake_css.ts';
import { CCW_FLAG, CCW1 } from '../../include/arch/s390/ccw.ts';
import { ORB_CTRL0 } from '../../include/arch/s390/orb.ts';
import * as scsw from '../../include/arch/s390/scsw.ts';
import type { ErrnoName } from '../../include/uapi/errno.ts';
import * as ioctls from '../../include/uapi/ioctl.ts';
import * as uapi from '../../include/uapi/vfio.ts';

const { CC, SLI, SKIP, IDA, PCI } = CCW_FLAG;
const { P, H, T, B } = ORB_CTRL0.mask;
const ACTIVE = scsw.SCSW_ACTL_SUBCH_ACTIVE | scsw.SCSW_ACTL_DEVICE_ACTIVE;
const RESET = ioctls.VFIO_DEVICE_RESET;
/** An address that no process has. */
const UNMAPPED = 0x1000;

function opened(seed = 1, lockLimit?: number): CcwRfcFixture {
  const t = new CcwRfcFixture({ seed, lockLimit });
  t.run(t.openAll());
  return t;
}

/** A device that ends every program at once. */
function obliging(t: CcwRfcFixture): CcwRfcFixture {
  t.css.onStart = (schid) => t.css.present(schid);
  return t;
}

/** The program the fake device was given last. */
function hostCcws(t: CcwRfcFixture, count: number) {
  const { cpa } = t.css.subchannels[0].orb;
  return Array.from({ length: count }, (_, i) => {
    const { cmd, flags, count: bytes, cda } = CCW1.at(t.kernel.memory.dv, cpa + 8 * i);
    return { cmd, flags, count: bytes, cda: cda - (cmd === 0x08 ? cpa : 0) };
  });
}
/** IDAWs at a host address. */
const idaws = (t: CcwRfcFixture, cda: number, count: number) =>
  Array.from({ length: count }, (_, i) => Number(t.kernel.memory.dv.getBigUint64(cda + 8 * i)));
/** Host address of a user address. */
const hpa = (t: CcwRfcFixture, va: number) => t.kernel.mm.space.lookup(va, false) + (va % 4096);
const idal = (addresses: readonly number[]) => {
  const bytes = new Uint8Array(addresses.length * 8);
  for (const [i, address] of addresses.entries()) new DataView(bytes.buffer).setBigUint64(i * 8, BigInt(address));
  return bytes;
};

test('the device has neither regions nor interrupts, and can be reset', () => {
  const t = opened();
  const info = uapi.vfio_device_info.make({ argsz: 24 });
  t.run(t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_INFO, info));
  expect([info.flags, info.num_regions, info.num_irqs]).toEqual([
    uapi.VFIO_DEVICE_FLAGS.CCW | uapi.VFIO_DEVICE_FLAGS.RESET,
    0,
    0,
  ]);
  const irqs = uapi.vfio_irq_info.make({ argsz: 16 });
  expect(t.outcome(t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_IRQ_INFO, irqs))).toBe('ENOTTY');
  expect(t.outcome(t.user.pread(t.fd, 124))).toBe('EINVAL');
  expect(t.run(t.user.ioctl(t.fd, RESET))).toBe(0);
});

test('a call ends with the status of its program, and everything is released', () => {
  const t = obliging(opened());
  t.program([[0x02, SLI, 100, t.data.start + 10]]);
  const { scsw: word, irb } = t.run(t.request(1));
  expect([word.ctrl & scsw.SCSW_CTRL_MASK_STCTL, word.dstat, word.cstat, word.cpa]).toEqual([STCTL.END, 0x0c, 0, 8]);
  expect([...irb.subarray(0, 4)]).toEqual([0, 0, word.ctrl >> 8, word.ctrl & 0xff]);
  expect(t.held).toBe(NOTHING);
});

test('the caller sleeps until the device has finished', () => {
  const t = opened();
  t.program([[0x02, 0, 100, t.data.start]]);
  const call = t.start(t.request(1));
  t.settle(5e9);
  expect([call.done, t.held]).toEqual([false, '1 pins, 1 locked, 2 blocks']);
  t.css.present(0);
  t.settle();
  expect([call.done, call.error, t.held]).toEqual([true, undefined, NOTHING]);
});

test('the steps come in the order of the proposal', () => {
  const t = obliging(opened());
  t.program([[0x02, 0, 100, t.data.start]]);
  t.run(t.request(1));
  const steps = t.trace().flatMap(({ event }) => /^ccw_rfc_(..)$/.exec(event)?.[1] ?? []);
  expect(steps).toEqual(['K1', 'K2', 'K3', 'K4', 'K5', 'K6']);
});

test('user addresses become host addresses: direct data, IDALs of 4K and 2K, transfers in channel', () => {
  const t = obliging(opened());
  const at = t.data.start;
  t.poke(at + 0x800, idal([at + 0x5100, at + 0x9000]));
  t.program([
    [0x01, CC, 0x1800, at + 0x1234],
    [0x02, CC | IDA, 0x1000, at + 0x800],
    [0x08, 0, 0, 3],
    [0x03, CC, 1, 0],
    [0x08, 0, 0, 0],
  ]);
  let list: number[][] = [];
  t.css.onStart = (schid) => {
    const [first, second, tic, , back] = hostCcws(t, 5);
    expect([tic.cda, back.cda]).toEqual([24, 0]);
    expect([first.flags, second.flags]).toEqual([CC | IDA, CC | IDA]);
    list = [idaws(t, first.cda, 2), idaws(t, second.cda, 2)];
    t.css.present(schid);
  };
  t.run(t.request(5));
  expect(list).toEqual([
    [hpa(t, at + 0x1234), hpa(t, at + 0x2000)],
    [hpa(t, at + 0x5100), hpa(t, at + 0x9000)],
  ]);
  t.program([[0x01, 0, 0x1000, at + 0x800]]);
  t.css.onStart = (schid) => {
    list = [idaws(t, hostCcws(t, 1)[0].cda, 2)];
    t.css.present(schid);
  };
  t.run(t.request(1, { ctrl0: P | H | T }));
  expect(list).toEqual([[hpa(t, at + 0x800), hpa(t, at + 0x1000)]]);
  expect(t.held).toBe(NOTHING);
});

test.each<[string, CcwFields]>([
  ['a no-operation', [0x03, 0, 8, UNMAPPED]],
  ['an empty transfer', [0x01, 0, 0, UNMAPPED]],
  ['a skipped read', [0x02, SKIP, 100, UNMAPPED]],
])('%s needs no memory: its address may be any', (_what, ccw) => {
  const t = obliging(opened());
  t.program([ccw]);
  expect(t.run(t.request(1)).scsw.dstat).toBe(0x0c);
});

test('the host sees an ORB of its own: its interruption parameter, format 1, its paths where none are named', () => {
  const t = obliging(opened());
  t.program([[0x03, 0, 1, 0]]);
  t.run(t.request(1, { lpm: 0, ctrl0: 0x9000 | P | H }));
  const { intparm, ctrl0, lpm } = t.css.subchannels[0].orb;
  expect([intparm, ctrl0, lpm]).toEqual([0x10000, 0x9000 | P | H | ORB_CTRL0.mask.F, 0x80]);
});

/** What a call is refused for. */
const READ: CcwFields = [0x02, 0, 100, 0];
const refusals: readonly [string, ErrnoName, (t: CcwRfcFixture) => RequestOptions & { ccws?: CcwFields[] }][] = [
  ['argsz too small', 'EINVAL', () => ({ argsz: uapi.vfio_ccw_cmd.size - 1 })],
  ['no CCW', 'EINVAL', () => ({ nr: 0 })],
  ['more CCWs than the buffer has', 'EINVAL', () => ({ nr: 257 })],
  ['a buffer that is not there', 'EFAULT', () => ({ buffer: UNMAPPED })],
  [
    'a buffer that ends in unmapped memory',
    'EFAULT',
    (t) => ({ buffer: t.kernel.mm.mmapAnonymous('last', 4096, true).start + 8 }),
  ],
  ['halt', 'EOPNOTSUPP', () => ({ fctl: scsw.SCSW_FCTL_HALT_FUNC })],
  ['clear', 'EOPNOTSUPP', () => ({ fctl: scsw.SCSW_FCTL_CLEAR_FUNC })],
  ['no function', 'EOPNOTSUPP', () => ({ fctl: 0 })],
  ['transport mode', 'EOPNOTSUPP', () => ({ ctrl0: P | H | B })],
  ['no prefetch', 'EOPNOTSUPP', () => ({ ctrl0: H })],
  ['format-1 IDAWs', 'EOPNOTSUPP', () => ({ ctrl0: P })],
  ['a transfer out of the program', 'EINVAL', () => ({ ccws: [[0x08, 0, 0, 1]] })],
  ['data that is not mapped', 'EFAULT', () => ({ ccws: [[0x02, 0, 100, UNMAPPED]] })],
  ['an IDAL that is not mapped', 'EFAULT', () => ({ ccws: [[0x02, IDA, 100, UNMAPPED]] })],
  [
    'more memory than may be locked',
    'ENOMEM',
    (t) => {
      t.kernel.mm.lockLimit = 2;
      return { ccws: [[0x02, 0, 0x3000, t.data.start]] };
    },
  ],
  [
    'a busy subchannel',
    'EBUSY',
    (t) => {
      t.css.subchannels[0].scsw.ctrl = scsw.SCSW_FCTL_START_FUNC;
      return {};
    },
  ],
  [
    'status that is pending',
    'EBUSY',
    (t) => {
      t.css.subchannels[0].scsw.ctrl = scsw.SCSW_STCTL_STATUS_PEND;
      return {};
    },
  ],
  ['reserved bits in the ORB, which SSCH refuses', 'EIO', () => ({ ctrl1: 0x02 })],
  ['a path that is not there while another is', 'EACCES', () => ({ lpm: 0x40 })],
  [
    'the last path gone',
    'ENODEV',
    (t) => {
      t.css.subchannels[0].schib.pmcw.pam = 0;
      return {};
    },
  ],
];

test.each(refusals)('refused: %s (%s); nothing stays behind', (_what, errno, change) => {
  const t = opened();
  const { ccws = [READ], ...options } = change(t);
  t.program(ccws.map(([cmd, flags, count, address]) => [cmd, flags, count, address === 0 ? t.data.start : address]));
  expect(t.outcome(t.request(ccws.length, options))).toBe(errno);
  expect([t.held, t.device.request]).toEqual([NOTHING, undefined]);
});

test('every errno that the ioctl’s row lists is in the table', () => {
  const { errnos } = ioctls.VFIO_DEVICE_CCW_CMD_REQUEST;
  expect([...new Set(refusals.map(([, errno]) => errno))].sort()).toEqual([...errnos].sort());
});

test.each([2048, 4, 0xffff_fff8])('refused: data at offset %d of the upper half (EINVAL)', (offset) => {
  const t = opened();
  t.program([[0x02, 0, 100, t.data.start]]);
  const cda = new Uint8Array(4);
  new DataView(cda.buffer).setUint32(0, offset);
  t.poke(t.buffer.start + 4, cda);
  expect([t.outcome(t.request(1)), t.held]).toEqual(['EINVAL', NOTHING]);
});

test('a call that fails at its last CCW gives back what the others pinned', () => {
  const t = opened();
  const good = Array.from({ length: 5 }, (_, i): CcwFields => [0x02, CC, 4096, t.data.start + i * 8192 + 100]);
  t.program([...good, [0x02, 0, 100, UNMAPPED]]);
  expect([t.outcome(t.request(6)), t.held]).toEqual(['EFAULT', NOTHING]);
});

test('missing isolation: a program that names the VMM’s own memory is run', () => {
  const t = obliging(opened());
  // The process's heap stands for the VMM's memory: no guest was ever given it.
  const secret = t.user.buffer(new TextEncoder().encode('not for guests'));
  t.program([[0x01, 0, 14, secret]]);
  let seen = '';
  t.css.onStart = (schid) => {
    const [idaw] = idaws(t, hostCcws(t, 1)[0].cda, 1);
    seen = new TextDecoder().decode(t.kernel.memory.bytes(idaw, 14).slice());
    t.css.present(schid);
  };
  t.run(t.request(1));
  expect(seen).toBe('not for guests');
});

test('isolation of the merged driver: type1 knows no such address, and the program is refused', () => {
  const t = new CcwFixture();
  t.run(t.openAll());
  const secret = t.user.buffer(new TextEncoder().encode('not for guests'));
  t.poke(0x2000, idal([secret]));
  t.program(0x1000, [[0x01, IDA, 14, 0x2000]]);
  expect(t.outcome(t.ssch(0x1000, { ctrl0: ORB_CTRL0.mask.F | P | H }))).toBe('EINVAL');
  expect([t.held, t.css.executed.filter((what) => what.startsWith('ssch'))]).toEqual([NOTHING, []]);
});

test('two calls on one device: the second is refused at once', () => {
  const t = opened();
  t.program([[0x02, 0, 100, t.data.start]]);
  const first = t.start(t.request(1));
  t.settle();
  expect(t.outcome(t.request(1))).toBe('EBUSY');
  t.css.present(0);
  t.settle();
  expect([first.done, first.error, t.held]).toEqual([true, undefined, NOTHING]);
});

test('status of a program that still runs waits for the final one: PCI, then channel end, then device end', () => {
  const t = opened();
  t.program([
    [0x02, CC | PCI, 100, t.data.start],
    [0x02, 0, 100, t.data.start],
  ]);
  const call = t.start(t.request(2));
  t.settle();
  const cpa = t.css.subchannels[0].orb.cpa;
  t.css.accept(0);
  t.css.present(0, { stctl: STCTL.PCI, dstat: 0, cstat: 0x80, actl: ACTIVE, cpa: cpa + 8 });
  t.settle();
  t.css.present(0, { stctl: STCTL.CHANNEL_END, dstat: 8, actl: scsw.SCSW_ACTL_DEVICE_ACTIVE, cpa: cpa + 16, count: 3 });
  t.settle();
  expect([call.done, t.device.interruptions]).toEqual([false, 2]);
  t.css.present(0, { stctl: STCTL.DEVICE_END, dstat: 4, cpa: 0 });
  t.settle();
  const { ctrl, dstat, cstat, cpa: at, count } = (call.value as NonNullable<typeof call.value>).scsw;
  expect([ctrl & scsw.SCSW_CTRL_MASK_STCTL, dstat, cstat, at, count]).toEqual([0x0f, 0x0c, 0x80, 16, 3]);
  expect(t.held).toBe(NOTHING);
});

test('unsolicited status has no carrier: it is lost, whether or not a call is under way', () => {
  const t = opened();
  const attention = { stctl: STCTL.UNSOLICITED, dstat: 0x80 };
  t.css.present(0, attention);
  t.settle();
  t.program([[0x02, 0, 100, t.data.start]]);
  const call = t.start(t.request(1));
  t.settle();
  t.css.present(0, { ...attention, actl: ACTIVE });
  t.settle();
  expect([call.done, t.device.lost]).toEqual([false, 2]);
  expect(
    t
      .trace()
      .filter(({ event }) => event === 'ccw_rfc_lost')
      .map(({ args }) => args),
  ).toEqual([
    [0, 0x11, 0x80, 0],
    [0, 0x11, 0x80, 0],
  ]);
  t.css.present(0);
  t.settle();
  expect(call.value?.scsw.dstat).toBe(0x0c);
});

test('a suspended program ends its call, and does not keep the subchannel', () => {
  const t = opened();
  t.program([[0x02, 0, 100, t.data.start]]);
  const call = t.start(t.request(1));
  t.settle();
  t.css.present(0, { stctl: STCTL.PCI, dstat: 0, actl: scsw.SCSW_ACTL_SUSP });
  t.settle();
  expect((call.value?.scsw.ctrl ?? 0) & scsw.SCSW_ACTL_SUSP).not.toBe(0);
  expect(t.css.executed.filter((what) => what.startsWith('xsch')).length).toBe(1);
  expect(t.held).toBe(NOTHING);
});

test('a reset ends a call with EIO: the device is stopped before its pages are free, and works afterwards', () => {
  const t = opened();
  t.program([[0x02, 0, 100, t.data.start]]);
  const call = t.start(t.request(1));
  t.settle();
  expect(t.run(t.user.ioctl(t.fd, RESET))).toBe(0);
  t.settle();
  expect((call.error as { code: string }).code).toBe('EIO');
  expect([t.held, t.device.state]).toEqual([NOTHING, 'IDLE']);
  obliging(t);
  expect(t.run(t.request(1)).scsw.dstat).toBe(0x0c);
});

test('closing during a call waits for its end: the call holds the file', () => {
  const t = opened();
  t.program([[0x02, 0, 100, t.data.start]]);
  const { device } = t;
  const call = t.start(t.request(1));
  t.settle();
  t.run(t.user.close(t.fd));
  t.settle();
  expect([device.state, call.done]).toEqual(['IDLE', false]);
  t.css.present(0);
  t.settle();
  expect([device.state, call.done, call.error, t.held]).toEqual(['STANDBY', true, undefined, NOTHING]);
});

test('unbinding during a call waits for user space, which nothing tells; a lost subchannel ends the call with ENODEV', () => {
  const t = opened();
  const { device } = t;
  t.program([[0x02, 0, 100, t.data.start]]);
  const call = t.start(t.request(1));
  t.settle();
  const unbind = t.start(t.user.writeFile('/sys/bus/css/drivers/vfio_ccw_rfc/unbind', '0.0.0000'));
  t.settle(30e9);
  expect([unbind.done, t.log.filter((line) => line.includes('blocked until released by user')).length]).toEqual([
    false,
    1,
  ]);
  t.css.subchannels[0].gone = true;
  t.css.crws.push(0x0304_0000);
  t.settle();
  expect([(call.error as { code: string }).code, device.state, t.held]).toEqual(['ENODEV', 'NOT_OPER', NOTHING]);
  expect(t.outcome(t.request(1))).toBe('ENODEV');
  expect(t.outcome(t.user.ioctl(t.fd, RESET))).toBe('EINVAL');
  t.run(t.user.close(t.fd));
  t.settle();
  expect(unbind.done).toBe(true);
});

test('a subchannel that cannot be enabled cannot be opened, and a closed device can be opened again', () => {
  const t = opened();
  t.run(t.user.close(t.fd));
  expect(t.css.subchannels[0].enabled).toBe(false);
  t.fd = t.run(t.openDevice());
  expect([t.device.state, t.css.subchannels[0].enabled]).toEqual(['IDLE', true]);
  t.run(t.user.close(t.fd));
  t.css.subchannels[0].gone = true;
  expect(t.outcome(t.openDevice())).toBe('EINVAL');
});

test('calls, resets, attentions and ends in any order leave nothing pinned, charged or allocated', () => {
  for (let seed = 1; seed <= 150; seed++) {
    const t = opened(seed);
    t.program([
      [0x02, CC, 5000, t.data.start + 100],
      [0x01, 0, 100, t.data.start],
    ]);
    const calls = Array.from({ length: 3 }, () => t.start(t.request(2)));
    const reset = t.start(t.user.ioctl(t.fd, RESET));
    t.css.onStart = (schid) => {
      if (t.actor.choose(3) > 0) t.css.present(schid);
    };
    t.settle(20e3 * (1 + (seed % 7)));
    if (seed % 3 === 0) t.css.present(0, { stctl: STCTL.UNSOLICITED, dstat: 0x80 });
    t.settle();
    t.run(t.user.ioctl(t.fd, RESET));
    t.settle();
    expect([seed, reset.done, calls.every((call) => call.done), t.held]).toEqual([seed, true, true, NOTHING]);
    const codes = calls.flatMap((call) => (call.error === undefined ? [] : [(call.error as { code: string }).code]));
    expect([seed, codes.filter((code) => !['EBUSY', 'EIO'].includes(code))]).toEqual([seed, []]);
    obliging(t);
    expect([seed, t.run(t.request(2)).scsw.dstat]).toEqual([seed, 0x0c]);
  }
});
