/** Configuration space by RTAS calls. */
import { expect, test } from 'vitest';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { spaprPci } from './spapr_pci_fixture.ts';

test.each([
  ['another bus', 0x1_0000, 4],
  ['another device', 0x0800, 4],
  ['three bytes', 0, 3],
  ['no bytes', 0, 0],
  ['off its boundary', 2, 4],
  ['beyond the end', 0x1000_0000, 4],
])('%s is a hardware error', (_, address, size) => {
  const { plug, writeConfig, readConfig } = spaprPci();
  plug();
  expect([readConfig(address, size)[0], writeConfig(address, size, 0)]).toEqual([-1, -1]);
});

test('what the VMM keeps itself the kernel does not show', () => {
  const { plug, fake, readConfig } = spaprPci();
  const { config } = fake(plug());
  config.fill(0x66, 0x10, 0x34);
  config.fill(0x66, 0x64, 0x6c);
  expect([0x14, 0x30, 0x64].map((at) => readConfig(at, 4)[1])).toEqual([0, 0, 0x1000]);
  expect(readConfig(0x2c, 4)[1]).toBe(0x6666_6666);
});

test('what the kernel refuses reads as all ones', () => {
  const { machine, plug, writeConfig, readConfig } = spaprPci();
  plug();
  machine.kernel.read = () => {
    throw new Errno('EIO', 'config');
  };
  machine.kernel.write = () => {
    throw new Errno('EIO', 'config');
  };
  expect([readConfig(0, 4), writeConfig(0x3c, 1, 1)]).toEqual([[0, -1], 0]);
  expect(machine.logs).toHaveLength(2);
});
