/** DMA windows of a host bridge, with and without devices. */
import { expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { VFIO_EEH_PE } from '../../../kernel/include/uapi/vfio.ts';
import { DDW } from './fake_pci_host.ts';
import { BUID, spaprPci } from './spapr_pci_fixture.ts';

test('without a device they are the guest’s view alone, and a device that comes gets them', () => {
  const { host, hcall, rtas, plug } = spaprPci();
  expect(rtas(0x2027, [0, ...BUID, 16, 24], 4)).toEqual([0, 0x8000_0001 | 0, 0x0800_0000, 0]);
  expect(hcall(HCALL.H_PUT_TCE, 0x8000_0001, DDW, 0x1_0003).ret).toBe(0n);
  plug();
  expect([...host.windows]).toEqual([
    [0, { shift: 12, size: 0x4000_0000 }],
    // 64K pages of the guest over RAM in pages of 4K.
    [DDW, { shift: 12, size: 0x100_0000 }],
  ]);
});

test.each([
  ['a page size that is not offered', 13, 24, -3],
  ['a window smaller than a page', 16, 15, -3],
  ['a window larger than all', 12, 64, -1],
  ['a window beyond all numbers', 12, 0xffff_ffff, -1],
])('%s', (_, pageShift, windowShift, status) => {
  const { host, rtas, plug } = spaprPci();
  plug();
  expect(rtas(0x2027, [0, ...BUID, pageShift, windowShift], 4)[0]).toBe(status);
  expect(host.windows.size).toBe(1);
});

test('what the host refuses leaves no window behind', () => {
  const { host, rtas, plug } = spaprPci();
  plug();
  host.fails = 'VFIO_IOMMU_SPAPR_TCE_CREATE';
  expect(rtas(0x2027, [0, ...BUID, 12, 24], 4)[0]).toBe(-1);
  expect(rtas(0x2026, [0, ...BUID], 5)[1]).toBe(1);
  host.fails = undefined;
  expect(rtas(0x2027, [0, ...BUID, 12, 24], 4)[0]).toBe(0);
});

test('without them the calls are refused', () => {
  const { realize, rtas } = spaprPci();
  realize({ index: 1, ddw: false });
  const buid = [0x0800_0000, 0x2000_0001];
  expect([rtas(0x2026, [0, ...buid], 5)[0], rtas(0x2028, [0x8000_0100], 1)[0]]).toEqual([-3, -3]);
});

test('KVM without VFIO support: the table moves to the VMM when a device comes, with what is in it', () => {
  const { machine, phb, hcall, plug } = spaprPci();
  machine.kernel.ioctls.set('KVM_CHECK_EXTENSION', ({ value }) => (value === 142 ? 0 : 1));
  expect(phb.windows.table(0)?.fd).toBeGreaterThan(0);
  hcall(HCALL.H_PUT_TCE, 0x8000_0000, 0x1000, 0x5003);
  plug();
  expect(phb.windows.table(0)?.fd).toBe(-1);
  expect(hcall(HCALL.H_GET_TCE, 0x8000_0000, 0x1000).out).toEqual([0x5003n]);
});

test('reset: the default window, messages and BARs as at first', () => {
  const { machine, hypercalls, host, phb, rtas, plug, fake, writeConfig } = spaprPci();
  plug();
  rtas(0x2027, [0, ...BUID, 12, 24], 4);
  rtas(0x2019, [0, ...BUID, 4, 3, 7], 4);
  writeConfig(0x62, 2, 0x8000);
  writeConfig(0x10, 4, 0x9000_0000);
  machine.run(hypercalls.reset());
  const { device } = phb.devices()[0];
  expect([[...host.windows.keys()], fake({ device }).index, device.config.barAddress(0)]).toEqual([
    [0],
    0,
    0x8000_0000,
  ]);
  expect(rtas(0x2018, [0, ...BUID, 0], 3)[0]).toBe(-1);
  expect(host.eehOps).toEqual([VFIO_EEH_PE.ENABLE]);
});
