import { expect, test } from 'vitest';
import { codeOf, finish, smallMachine } from '../../test/support/small_machine.ts';
import { Errno, type ErrnoName } from '../include/uapi/errno.ts';
import * as ioctl from '../include/uapi/ioctl.ts';
import { vfio_device_info, vfio_group_status, vfio_iommu_spapr_register_memory } from '../include/uapi/vfio.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import { Mm } from '../mm/mm.ts';
import { PageAllocator } from '../mm/page.ts';
import { ioctlOperation, row } from './ioctl.ts';

const { memory, map } = smallMachine(4);
const mm = new Mm(memory, map, 10, new PageAllocator(memory, map));
const log: string[] = [];
const host = { mm, log: (line: string) => log.push(line) };
const { start, size } = mm.mmapAnonymous('user', 2 * PAGE_SIZE, true);
const put = (va: number, bytes: Uint8Array) => finish(mm.space.copy(va, bytes, true));
const get = (va: number, length: number) => finish(mm.space.copyIn(va, length));

test('the handler gets a private copy, and what it wrote comes back up to minsz', () => {
  const operation = ioctlOperation(host, [
    row(ioctl.VFIO_DEVICE_GET_INFO, function* (arg, info) {
      expect([arg, info.argsz, info.flags]).toEqual([start + 4090, 24, 0]);
      put(arg, new Uint8Array(8).fill(0xff));
      expect(info.argsz).toBe(24);
      Object.assign(info, { flags: 16, num_regions: 1, num_irqs: 3, cap_offset: 99 });
      return 7;
    }),
  ]);
  const given = vfio_device_info.make({ argsz: 24, cap_offset: 0x11111111 });
  // Across a page boundary.
  put(start + 4090, vfio_device_info.bytes(given));
  expect(finish(operation(ioctl.VFIO_DEVICE_GET_INFO.number, start + 4090))).toBe(7);
  const back = vfio_device_info.make();
  vfio_device_info.bytes(back).set(get(start + 4090, vfio_device_info.size));
  expect([back.argsz, back.flags, back.num_regions, back.num_irqs, back.cap_offset]).toEqual([
    24, 16, 1, 3, 0x11111111,
  ]);
});

test('argsz below the mandatory part, unknown flags and bad addresses are refused before the handler', () => {
  let called = 0;
  const operation = ioctlOperation(host, [
    row(ioctl.VFIO_IOMMU_SPAPR_REGISTER_MEMORY, function* () {
      called++;
      return 0;
    }),
  ]);
  const { number } = ioctl.VFIO_IOMMU_SPAPR_REGISTER_MEMORY;
  const call = (argsz: number, flags: number, at = start) => {
    const view = vfio_iommu_spapr_register_memory.make({ argsz, flags });
    if (at === start) put(at, vfio_iommu_spapr_register_memory.bytes(view));
    return codeOf(() => finish(operation(number, at)));
  };
  expect([call(23, 0), call(0, 0), call(24, 1), call(24, 0x80000000)]).toEqual(Array(4).fill('EINVAL'));
  expect([0, -1, start + size - 4, start + size, 2 ** 53].map((at) => call(24, 0, at))).toEqual(
    Array(5).fill('EFAULT'),
  );
  expect(called).toBe(0);
  expect([call(24, 0), call(1000, 0)]).toEqual([0, 0]);
  expect(called).toBe(2);
});

test('what a failing handler wrote is not copied back', () => {
  const operation = ioctlOperation(host, [
    row(ioctl.VFIO_GROUP_GET_STATUS, function* (_arg, status) {
      status.flags = 1;
      throw Object.assign(new Error('x'), { code: 'EIO' });
    }),
  ]);
  put(start, vfio_group_status.bytes(vfio_group_status.make({ argsz: 8 })));
  expect(codeOf(() => finish(operation(ioctl.VFIO_GROUP_GET_STATUS.number, start)))).toBe('EIO');
  expect(get(start, 8)[4]).toBe(0);
});

test('a command without structure gets its value; an unknown one goes on or is ENOTTY', () => {
  const rows = [
    row(ioctl.VFIO_SET_IOMMU, function* (arg, view) {
      expect(view).toBeUndefined();
      return arg + 1;
    }),
  ];
  expect(finish(ioctlOperation(host, rows)(ioctl.VFIO_SET_IOMMU.number, 3))).toBe(4);
  expect(codeOf(() => finish(ioctlOperation(host, rows)(0x1234, 0)))).toBe('ENOTTY');
  const otherwise = function* (command: number, arg: number) {
    return command + arg;
  };
  expect(finish(ioctlOperation(host, rows, otherwise)(0x1234, 1))).toBe(0x1235);
});

test('an errno that the row does not list is told as a bug of the kernel, and given to the caller all the same', () => {
  const give = (code: ErrnoName) => {
    const operation = ioctlOperation(host, [
      row(ioctl.VFIO_GROUP_UNSET_CONTAINER, function* () {
        throw new Errno(code, 'group 3');
      }),
    ]);
    return codeOf(() => finish(operation(ioctl.VFIO_GROUP_UNSET_CONTAINER.number, 0)));
  };
  log.length = 0;
  expect(give('EBUSY')).toBe('EBUSY');
  expect(log).toEqual([]);
  expect(give('EIO')).toBe('EIO');
  expect(log).toEqual([
    'BUG: ioctl VFIO_GROUP_UNSET_CONTAINER gave EIO, which its row does not list (group 3: EIO: Input/output error)',
  ]);
});

test('errnos of the checks before the handler need no place in the row', () => {
  const operation = ioctlOperation(host, [row(ioctl.VFIO_GROUP_GET_STATUS, returnsZero)]);
  const { errnos, number } = ioctl.VFIO_GROUP_GET_STATUS;
  log.length = 0;
  put(start, vfio_group_status.bytes(vfio_group_status.make({ argsz: 4 })));
  expect([start, 0].map((at) => codeOf(() => finish(operation(number, at))))).toEqual(['EINVAL', 'EFAULT']);
  expect([errnos, log]).toEqual([[], []]);
});

function* returnsZero() {
  return 0;
}
