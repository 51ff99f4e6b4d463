import { expect, test } from 'vitest';
import { Type1Fixture, WithIommu } from '../../test/support/type1_fixture.ts';
import { Errno } from '../include/uapi/errno.ts';
import * as ioctls from '../include/uapi/ioctl.ts';
import * as uapi from '../include/uapi/vfio.ts';
import type { Task } from '../lib/task.ts';
import type { VfioKernelUsers } from './vfio.ts';

const K = 4096;
const { READ: R, WRITE: W, VADDR } = uapi.VFIO_DMA_MAP_FLAG;
const UNMAP = uapi.VFIO_DMA_UNMAP_FLAG;
const UNSET = ioctls.VFIO_GROUP_UNSET_CONTAINER;

function fixture(options = {}) {
  const t = new Type1Fixture(options);
  const nic = new WithIommu(t.core, 'nic', () => new Errno('EINVAL', 'nic'));
  return { t, nic, mm: t.kernel.mm };
}
/** A container that the mediated device has left. */
function iommuOnly(options = {}) {
  const one = fixture(options);
  const { t } = one;
  t.run(t.join(one.nic));
  t.run(t.user.close(t.fd));
  t.run(t.user.ioctl(t.groupFd, UNSET));
  return one;
}

test('an IOMMU that joins maps what is mapped, pinned and charged; one that leaves gives it all back', () => {
  const { t, nic, mm } = fixture();
  t.run(t.mapDma(0, 4 * K));
  t.run(t.mapDma(16 * K, 2 * K, t.ram + 8 * K, R));
  const [pinned] = t.run(t.device.pin(K, 1));
  expect(mm.lockedVm).toBe(1);
  t.run(t.join(nic));
  // The page that is pinned for the mediated device is charged once.
  expect([nic.table.size, mm.lockedVm, mm.space.frames.pins(pinned)]).toEqual([6, 6, 2]);
  expect(nic.table.get(K)).toBe(pinned);
  expect(nic.table.get(17 * K)).toBe(mm.space.lookup(t.ram + 9 * K, false));
  t.run(t.mapDma(32 * K, K, t.ram + 20 * K));
  expect([nic.table.size, mm.lockedVm]).toEqual([7, 7]);
  t.run(t.user.ioctl(t.groups[0], UNSET));
  expect([nic.table.size, mm.lockedVm, mm.space.frames.pins(pinned), t.mappings]).toEqual([0, 1, 1, '0+4 16+2 32+1']);
});

test('pages leave the IOMMU before they are unpinned', () => {
  const { t, nic, mm } = fixture();
  t.run(t.join(nic));
  t.run(t.mapDma(0, 4 * K));
  const seen: number[] = [];
  nic.onUnmap = (iova) => seen.push(mm.space.frames.pins(nic.table.get(iova) as number));
  expect(t.run(t.unmapDma(0, 4 * K))).toBe(4 * K);
  expect([seen, mm.lockedVm]).toEqual([[1], 0]);
});

test('a mapping that fails leaves nothing: limit, memory that is not there, an IOMMU that refuses', () => {
  const { t, nic, mm } = fixture({ lockLimit: 3 });
  t.run(t.join(nic));
  const second = new WithIommu(t.core, 'hba', () => new Errno('EINVAL', 'hba'));
  t.run(t.join(second));
  second.refuses = 8 * K;
  const rows: [string, Task<number>, string][] = [
    ['one page over the limit', t.mapDma(0, 4 * K), 'ENOMEM'],
    ['the last page is not there', t.mapDma(0, 2 * K, t.ram + 63 * K), 'EFAULT'],
    ['the second IOMMU refuses', t.mapDma(8 * K, K), 'EINVAL'],
    ['more pages than the machine has', t.mapDma(0, 2 ** 43, 0), 'ENOMEM'],
  ];
  for (const [what, task, expected] of rows) {
    expect([what, t.outcome(task)]).toEqual([what, expected]);
    expect([what, mm.lockedVm, t.mappings, nic.table.size, second.table.size]).toEqual([what, 0, '', 0, 0]);
  }
});

test('an IOMMU that cannot have what is mapped cannot join', () => {
  const { t, nic, mm } = fixture();
  t.run(t.mapDma(0, K));
  t.run(t.mapDma(8 * K, K));
  nic.refuses = 8 * K;
  expect(t.outcome(t.join(nic))).toBe('EINVAL');
  expect([nic.table.size, mm.lockedVm, t.mappings]).toEqual([0, 0, '0+1 8+1']);
  const second = new WithIommu(t.core, 'hba', () => new Errno('EINVAL', 'hba'));
  t.run(t.mapDma(16 * K, K, 0x10000));
  expect(t.outcome(t.join(second))).toBe('EFAULT');
  expect([second.table.size, mm.lockedVm]).toEqual([0, 0]);
});

test('CAP_IPC_LOCK: counted, but without a limit, by the right that the mapping was made with', () => {
  const { t, mm } = fixture({ lockLimit: 1 });
  t.run(t.mapDma(0, 4 * K));
  t.kernel.capabilities.add('CAP_IPC_LOCK');
  t.run(t.mapDma(8 * K, 4 * K));
  t.kernel.capabilities.delete('CAP_IPC_LOCK');
  t.run(t.device.pin(8 * K, 4));
  expect(mm.lockedVm).toBe(4);
  expect(t.outcome(t.device.pin(0, 1))).toBe('ENOMEM');
  t.run(t.unmapDma(0, 0, UNMAP.ALL));
  expect(mm.lockedVm).toBe(0);
});

test('when the last group leaves, mappings and charges go', () => {
  const { t, nic, mm } = iommuOnly();
  t.run(t.mapDma(0, 4 * K));
  const second = new WithIommu(t.core, 'hba', () => new Errno('EINVAL', 'hba'));
  t.run(t.join(second));
  t.run(t.user.ioctl(t.groups[0], UNSET));
  expect([nic.table.size, second.table.size, mm.lockedVm]).toEqual([0, 4, 4]);
  t.run(t.user.ioctl(t.groups[1], UNSET));
  expect([second.table.size, mm.lockedVm]).toEqual([0, 0]);
});

test('updating addresses: invalid until a new one comes, and meanwhile nobody joins, pins or reads', () => {
  const { t, nic } = iommuOnly();
  const update = () => t.run(t.user.ioctl(t.container, ioctls.VFIO_CHECK_EXTENSION, uapi.VFIO_UPDATE_VADDR));
  expect(update()).toBe(1);
  t.run(t.mapDma(0, 4 * K));
  t.run(t.mapDma(8 * K, 4 * K, t.ram + 8 * K));
  const rows: [string, Task<number>, number | string][] = [
    ['VADDR before it is invalid', t.mapDma(0, 4 * K, t.ram, VADDR), 'EINVAL'],
    ['half a mapping', t.unmapDma(0, 2 * K, UNMAP.VADDR), 'EINVAL'],
    ['one mapping', t.unmapDma(0, 4 * K, UNMAP.VADDR), 4 * K],
    ['again', t.unmapDma(0, 4 * K, UNMAP.VADDR), 'EINVAL'],
    ['all, of which one is invalid: none', t.unmapDma(0, 0, UNMAP.VADDR | UNMAP.ALL), 'EINVAL'],
    ['a group joins', t.join(new WithIommu(t.core, 'hba', () => new Error())), 'EBUSY'],
    ['another size', t.mapDma(0, 2 * K, t.ram, VADDR), 'EINVAL'],
    ['the other one, still valid', t.mapDma(8 * K, 4 * K, t.ram, VADDR), 'EINVAL'],
    ['nothing there', t.mapDma(64 * K, K, t.ram, VADDR), 'ENOENT'],
    ['a new address', t.mapDma(0, 4 * K, t.ram + 16 * K, VADDR), 0],
    ['once', t.mapDma(0, 4 * K, t.ram + 16 * K, VADDR), 'EINVAL'],
    ['all', t.unmapDma(0, 0, UNMAP.VADDR | UNMAP.ALL), 8 * K],
    ['unmapping what is invalid', t.unmapDma(0, 16 * K), 8 * K],
  ];
  for (const [what, task, expected] of rows) expect([what, t.outcome(task)]).toEqual([what, expected]);
  expect([nic.table.size, t.kernel.mm.lockedVm]).toEqual([0, 0]);
});

test('kernel users wait for no address: EBUSY while one is invalid', () => {
  const { t, nic } = fixture();
  t.run(t.mapDma(0, 4 * K));
  // The mediated device is there: user space may not, and the kernel would have a stale address.
  t.run(t.join(nic));
  expect(t.outcome(t.unmapDma(0, 4 * K, UNMAP.VADDR))).toBe('EBUSY');
  const users = t.device.users as VfioKernelUsers;
  t.run(t.user.close(t.fd));
  t.run(t.user.ioctl(t.groupFd, UNSET));
  expect(t.run(t.unmapDma(0, 4 * K, UNMAP.VADDR))).toBe(4 * K);
  expect(t.outcome(users.pinPages(t.device, 0, 1, R | W))).toBe('EBUSY');
  expect(t.outcome(users.dmaRw(0, new Uint8Array(4), false))).toBe('EBUSY');
});

test('the limit of mappings is a module parameter, for containers opened later', () => {
  const t = new Type1Fixture();
  const parameter = '/sys/module/vfio_iommu_type1/parameters/dma_entry_limit';
  expect(t.run(t.user.readFile(parameter))).toBe('65535');
  expect(t.outcome(t.user.writeFile(parameter, 'many'))).toBe('EINVAL');
  t.run(t.user.writeFile(parameter, '1'));
  t.run(t.mapDma(0, K));
  expect(t.outcome(t.mapDma(K, K))).toBe(0);
});

test('an IOMMU that is none of the container leaves nothing undone, and takes no other with it', () => {
  const { t, nic, mm } = fixture();
  t.run(t.join(nic));
  t.run(t.mapDma(0, K));
  const stranger = new WithIommu(t.core, 'hba', () => new Errno('EINVAL', 'hba'));
  t.run(t.iommu.detachGroup(stranger.group));
  expect([nic.table.size, mm.lockedVm]).toEqual([1, 1]);
  t.run(t.mapDma(K, K));
  expect(nic.table.size).toBe(2);
});

test('mappings go with the last group, mediated or not', () => {
  const { t } = fixture();
  t.run(t.mapDma(0, 4 * K));
  const { iommu } = t;
  t.run(iommu.detachGroup(t.device.group));
  expect([...iommu.mappings]).toEqual([]);
});
