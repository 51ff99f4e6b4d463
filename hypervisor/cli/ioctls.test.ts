import { expect, test } from 'vitest';
import * as uapi from '../../kernel/include/uapi/ioctl.ts';
import { UserError } from '../user_error.ts';
import { COMMANDS } from './commands.ts';
import { ioctls, ioctlTable } from './ioctls.ts';

const rows = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .slice(2)
    .map((line) => line.trim().split(/ {2,}/));

test('every command of the table is listed once, in the order of the headers', () => {
  const names = rows(ioctlTable()).map(([, name]) => name);
  expect([...names].sort()).toEqual(Object.keys(uapi).sort());
  expect(names[0]).toBe('VFIO_GET_API_VERSION');
  expect(names.indexOf('VFIO_IOMMU_SPAPR_TCE_REMOVE')).toBeLessThan(names.indexOf('KVM_GET_API_VERSION'));
  expect(names.at(-1)).toBe('KVM_SPAPR_TCE_UNBIND_VFIO');
});

test('a row says number, name, descriptors, direction, structure with size, and errnos', () => {
  expect(rows(ioctlTable('VFIO_DEVICE_SET_IRQS'))).toEqual([
    [
      '0x3b6e',
      'VFIO_DEVICE_SET_IRQS',
      'device',
      'in',
      'vfio_irq_set (20)',
      'EBADF EFAULT EBUSY ENODEV EINVAL ENOTTY ENOSPC',
    ],
  ]);
  expect(rows(ioctlTable('kvm_create_device'))).toEqual([
    ['0xc00caee0', 'KVM_CREATE_DEVICE', 'vm', 'in out', 'kvm_create_device (12)', 'EBUSY ENODEV EINVAL EMFILE'],
  ]);
  expect(rows(ioctlTable('SET_IOMMU'))[0].slice(2)).toEqual([
    'container',
    'value',
    'IOMMU type',
    'EPERM EIO EBUSY ENODEV EINVAL',
  ]);
  expect(rows(ioctlTable('IOMMU_DISABLE'))[0].slice(2)).toEqual(['spapr v1', '-']);
});

test('the command is in the overview, explains itself, and refuses what it does not know', async () => {
  expect(COMMANDS).toContain(ioctls);
  expect(ioctls.help()).toMatch(/^usage: minivisor ioctls/);
  for (const words of [['MAP', 'DMA'], ['NO_SUCH'], ['--json']])
    await expect(ioctls.run(words)).rejects.toBeInstanceOf(UserError);
});
