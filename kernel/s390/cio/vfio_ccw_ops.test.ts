import { expect, test } from 'vitest';
import { CcwFixture, REGION } from '../../../test/support/ccw_fixture.ts';
import * as ioctls from '../../include/uapi/ioctl.ts';
import * as uapi from '../../include/uapi/vfio.ts';
import type { Task } from '../../lib/task.ts';

const SET = uapi.VFIO_IRQ_SET;
const TRIGGER_EVENTFD = SET.ACTION_TRIGGER | SET.DATA_EVENTFD;

function opened(): CcwFixture {
  const t = new CcwFixture();
  t.run(t.openAll());
  t.program(0x1000, [[0x03, 0, 1, 0]]);
  return t;
}

test('device information', () => {
  const t = opened();
  const info = uapi.vfio_device_info.make({ argsz: 16 });
  t.run(t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_INFO, info));
  expect([info.flags, info.num_regions, info.num_irqs]).toEqual([0x11, 4, 3]);
});

test.each([
  [0, 124, 3, 0],
  [1, 8, 3, 1],
  [2, 52, 1, 2],
  [3, 8, 1, 3],
])('region %i: %i bytes, flags %i, subtype %i', (index, size, access, subtype) => {
  const t = opened();
  const info = uapi.vfio_region_info.make({ argsz: 32, index });
  t.run(t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, info));
  expect([info.size, info.offset, info.cap_offset]).toEqual([size, index << 10, 0]);
  expect([info.flags, info.argsz]).toEqual(index === 0 ? [access, 32] : [access | 8, 48]);
  if (index === 0) return;
  const tail = new Uint8Array(16);
  t.run(t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, info, tail));
  const cap = uapi.vfio_region_info_cap_type.at(new DataView(tail.buffer));
  expect([info.cap_offset, cap.id, cap.version, cap.next, cap.type, cap.subtype]).toEqual([32, 2, 1, 0, 2, subtype]);
});

test('ioctl refusals', () => {
  const t = opened();
  const region = (argsz: number, index: number) =>
    t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_REGION_INFO, uapi.vfio_region_info.make({ argsz, index }));
  const irq = (argsz: number, index: number) =>
    t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_IRQ_INFO, uapi.vfio_irq_info.make({ argsz, index }));
  const rows: [string, Task<number>, number | string][] = [
    ['info argsz 15', infoArgsz(t, 15), 'EINVAL'],
    ['region argsz 31', region(31, 0), 'EINVAL'],
    ['region 4', region(32, 4), 'EINVAL'],
    ['irq argsz 15', irq(15, 0), 'EINVAL'],
    ['irq 3', irq(16, 3), 'EINVAL'],
    ['irq 2', irq(16, 2), 0],
    ['bad pointer', t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_GET_INFO, 16), 'EFAULT'],
    ['PCI command', t.user.ioctl(t.fd, ioctls.VFIO_IOMMU_GET_INFO), 'ENOTTY'],
    ['reset', t.user.ioctl(t.fd, ioctls.VFIO_DEVICE_RESET), 0],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
});

function* infoArgsz(t: CcwFixture, argsz: number): Task<number> {
  return yield* t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_GET_INFO, uapi.vfio_device_info.make({ argsz }));
}

test('SET_IRQS refusals', () => {
  const t = opened();
  const set = (flags: number, fields: object = {}, fd = t.io) => {
    const header = uapi.vfio_irq_set.make({ argsz: 24, flags, index: 0, start: 0, count: 1, ...fields });
    const data = new Uint8Array(4);
    new DataView(data.buffer).setInt32(0, fd, true);
    return t.user.ioctlStruct(t.fd, ioctls.VFIO_DEVICE_SET_IRQS, header, data);
  };
  const rows: [string, Task<number>, number | string][] = [
    ['argsz 19', set(TRIGGER_EVENTFD, { argsz: 19 }), 'EINVAL'],
    ['index 3', set(TRIGGER_EVENTFD, { index: 3 }), 'EINVAL'],
    ['count 2', set(TRIGGER_EVENTFD, { count: 2, argsz: 28 }), 'EINVAL'],
    ['start 1', set(TRIGGER_EVENTFD, { start: 1 }), 'EINVAL'],
    ['count wraps', set(TRIGGER_EVENTFD, { start: 1, count: 0xffffffff }), 'EINVAL'],
    ['unknown flag', set(TRIGGER_EVENTFD | 64), 'EINVAL'],
    ['two kinds of data', set(TRIGGER_EVENTFD | SET.DATA_BOOL), 'EINVAL'],
    ['no data', set(SET.ACTION_TRIGGER), 'EINVAL'],
    ['no room for data', set(TRIGGER_EVENTFD, { argsz: 23 }), 'EINVAL'],
    ['mask', set(SET.ACTION_MASK | SET.DATA_NONE), 'EINVAL'],
    ['unmask', set(SET.ACTION_UNMASK | SET.DATA_NONE), 'EINVAL'],
    ['descriptor -2', set(TRIGGER_EVENTFD, {}, -2), 'EINVAL'],
    ['descriptor not open', set(TRIGGER_EVENTFD, {}, 99), 'EBADF'],
    ['no eventfd', set(TRIGGER_EVENTFD, {}, t.group), 'EINVAL'],
    ['loopback without data', set(SET.ACTION_TRIGGER | SET.DATA_NONE), 0],
    ['loopback, true', set(SET.ACTION_TRIGGER | SET.DATA_BOOL, {}, 1), 0],
    ['loopback, false', set(SET.ACTION_TRIGGER | SET.DATA_BOOL, {}, 0), 0],
    ['detach', set(TRIGGER_EVENTFD, {}, -1), 0],
    ['loopback to nobody', set(SET.ACTION_TRIGGER | SET.DATA_NONE), 0],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
  expect(t.signals).toBe(2);
});

test('region access refusals', () => {
  const t = opened();
  const { user, fd } = t;
  const bytes = (count: number) => new Uint8Array(count);
  const rows: [string, Task<unknown>, unknown][] = [
    ['read past region 0', user.pread(fd, 125, 0), 'EINVAL'],
    ['read at its end', user.pread(fd, 1, 124), 'EINVAL'],
    ['read past region 1', user.pread(fd, 9, REGION.ASYNC), 'EINVAL'],
    ['read past region 2', user.pread(fd, 53, REGION.SCHIB), 'EINVAL'],
    ['read past region 3', user.pread(fd, 9, REGION.CRW), 'EINVAL'],
    ['region 4', user.pread(fd, 1, 4 << 10), 'EINVAL'],
    ['region 2^40', user.pread(fd, 1, 2 ** 50), 'EINVAL'],
    ['write past region 0', user.pwrite(fd, bytes(125), 0), 'EINVAL'],
    ['write past region 1', user.pwrite(fd, bytes(9), REGION.ASYNC), 'EINVAL'],
    ['write region 2', user.pwrite(fd, bytes(52), REGION.SCHIB), 'EINVAL'],
    ['write region 3', user.pwrite(fd, bytes(8), REGION.CRW), 'EINVAL'],
    ['write region 4', user.pwrite(fd, bytes(1), 4 << 10), 'EINVAL'],
    ['no function', user.pwrite(fd, t.request(0x1000, {}, 0), 0), 124],
    ['halt by the I/O region', user.pwrite(fd, t.request(0x1000, {}, 0x2000), 0), 'EOPNOTSUPP'],
    ['clear by the I/O region', user.pwrite(fd, t.request(0x1000, {}, 0x1000), 0), 'EOPNOTSUPP'],
    ['no such command', t.command(3), 'EINVAL'],
    ['part of a region', user.pread(fd, 4, REGION.SCHIB + 4), t.css.subchannels[0].schib.dv.buffer.slice(4, 8)],
  ];
  for (const [what, task, expected] of rows) {
    const outcome = t.outcome(task);
    const wanted = expected instanceof ArrayBuffer ? new Uint8Array(expected) : expected;
    expect([what, outcome]).toEqual([what, wanted]);
  }
});

test('without a function, ret_code is what the caller wrote', () => {
  const t = opened();
  const request = t.request(0x1000, {}, 0);
  new DataView(request.buffer).setUint32(120, 7, true);
  expect(t.run(t.user.pwrite(t.fd, request, 0))).toBe(7);
});

test('writing one byte of the region starts what the region holds', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.present(0);
  t.settle();
  const request = t.request(0x1000);
  expect(t.run(t.user.pwrite(t.fd, request.subarray(0, 1), 0))).toBe(1);
  expect(t.device.state).toBe('CP_PENDING');
});

test('who opens the device finds nothing in its regions of who had it before', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.present(0);
  t.settle();
  t.outcome(t.command(3));
  const regions = () => [
    t.run(t.user.pread(t.fd, uapi.ccw_io_region.size, REGION.IO)),
    t.run(t.user.pread(t.fd, uapi.ccw_cmd_region.size, REGION.ASYNC)),
  ];
  const empty = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);
  expect(regions().map(empty)).toEqual([false, false]);
  t.run(t.user.close(t.fd));
  t.fd = t.run(t.openDevice());
  expect(regions().map(empty)).toEqual([true, true]);
});

test('read of the schib region is a STORE SUBCHANNEL', () => {
  const t = opened();
  t.css.subchannels[0].schib.pmcw.pam = 0x40;
  const schib = t.run(t.user.pread(t.fd, 52, REGION.SCHIB));
  expect(schib[15]).toBe(0x40);
  t.css.subchannels[0].gone = true;
  expect(t.outcome(t.user.pread(t.fd, 52, REGION.SCHIB))).toBe('ENODEV');
});

test('a path that goes offline and comes back: reports, masks, and a re-signalled eventfd', () => {
  const t = opened();
  const crw = t.run(t.setEventfd(uapi.VFIO_CCW_IRQ.CRW));
  const configure = '/sys/devices/css0/chp0.80/configure';
  t.run(t.user.writeFile(configure, '0'));
  t.run(t.user.writeFile(configure, '1'));
  t.settle();
  expect(t.user.signals(crw)).toBe(1);
  const read = () => [...t.run(t.user.pread(t.fd, 8, REGION.CRW))];
  expect(read()).toEqual([0x04, 0x06, 0, 0x80, 0, 0, 0, 0]);
  expect(t.user.signals(crw)).toBe(2);
  expect(read()).toEqual([0x04, 0x02, 0, 0x80, 0, 0, 0, 0]);
  expect(read()).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  expect(t.user.signals(crw)).toBe(2);
});

test('varying a path off and on is silent and changes the masks', () => {
  const t = opened();
  const { sch } = t.device;
  t.css.subchannels[0].schib.pmcw.lpum = 0x80;
  t.run(t.ssch(0x1000));
  t.css.accept(0);
  t.run(t.user.writeFile('/sys/devices/css0/chp0.80/status', 'offline'));
  expect([sch.opm, sch.lpm]).toEqual([0x7f, 0]);
  expect(t.css.executed.slice(-2)).toEqual(['xsch 0 cc2', 'hsch 0 cc0']);
  t.run(t.user.writeFile('/sys/devices/css0/chp0.80/status', 'online'));
  expect([sch.opm, sch.lpm]).toEqual([0xff, 0x80]);
  expect(t.device.crws).toEqual([]);
});

test('a channel report from the machine does the same', () => {
  const t = opened();
  const crw = t.run(t.setEventfd(uapi.VFIO_CCW_IRQ.CRW));
  t.css.crws.push(0x04060080);
  t.settle();
  expect(t.user.signals(crw)).toBe(1);
});

test('condition code 3: EACCES while another path is left, ENODEV after the last', () => {
  const t = opened();
  t.device.sch.lpm = 0xc0;
  expect(t.outcome(t.ssch(0x1000, { lpm: 0x40 }))).toBe('EACCES');
  expect(t.device.sch.lpm).toBe(0x80);
  t.css.subchannels[0].schib.pmcw.pam = 0;
  expect(t.outcome(t.ssch(0x1000, { lpm: 0x80 }))).toBe('ENODEV');
  expect(t.device.state).toBe('IDLE');
});

test('a path event on a subchannel that is gone: no path is left, and it is looked at anew', () => {
  const t = opened();
  t.css.subchannels[0].gone = true;
  t.run(t.user.writeFile('/sys/devices/css0/chp0.80/configure', '0'));
  t.settle();
  expect([t.device.sch.lpm, t.device.state]).toEqual([0, 'NOT_OPER']);
});

test.each<[string, number, number]>([
  ['permanent error, not initialised', 0x04060080, 0x06],
  ['permanent error, initialised', 0x04070080, 0x06],
  ['initialised', 0x04020080, 0x02],
  ['available', 0x04010080, 0x02],
  ['the end of a reset that was asked for', 0x44020080, 0],
  ['an event that says nothing', 0x04000080, 0],
])('a channel report of the machine about a path: %s', (_name, crw, erc) => {
  const t = opened();
  t.css.crws.push(crw);
  t.settle();
  expect(t.run(t.user.pread(t.fd, 8, REGION.CRW))[1]).toBe(erc);
});

test('the host goes down: what runs is stopped, and nothing can be opened any more', () => {
  const t = opened();
  t.run(t.ssch(0x1000));
  t.css.accept(0);
  t.run(t.host.css.shutdown());
  expect([t.device.state, t.css.subchannels[0].enabled, t.held]).toEqual([
    'NOT_OPER',
    false,
    '0 pins, 0 locked, 0 blocks',
  ]);
  t.run(t.user.close(t.fd));
  t.settle();
  expect(t.outcome(t.openDevice())).toBe('ENODEV');
});
