/** Error handling of a bridge's PE by RTAS calls. */
import { expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { VFIO_EEH_PE } from '../../../kernel/include/uapi/vfio.ts';
import { BUID, spaprPci } from './spapr_pci_fixture.ts';

test.each([
  [0x2020, [0, ...BUID, 0], VFIO_EEH_PE.DISABLE, -1],
  [0x2020, [0, ...BUID, 1], VFIO_EEH_PE.ENABLE, -1],
  [0x2020, [0, ...BUID, 2], VFIO_EEH_PE.UNFREEZE_IO, -1],
  [0x2020, [0, ...BUID, 3], VFIO_EEH_PE.UNFREEZE_DMA, -1],
  [0x2023, [0, ...BUID, 0], VFIO_EEH_PE.RESET_DEACTIVATE, -1],
  [0x2023, [0, ...BUID, 1], VFIO_EEH_PE.RESET_HOT, -1],
  [0x2023, [0, ...BUID, 3], VFIO_EEH_PE.RESET_FUNDAMENTAL, -1],
  [0x2024, [0, ...BUID], VFIO_EEH_PE.CONFIGURE, -3],
] as const)('call %i %j is operation %i; refused by the kernel it is %i', (token, args, op, refused) => {
  const { host, rtas, plug } = spaprPci();
  plug();
  expect(rtas(token, args, 1)).toEqual([0]);
  host.eeh = 'EIO';
  expect(rtas(token, args, 1)).toEqual([refused]);
  expect(host.eehOps).toEqual([op, op]);
});

test.each([0, 1, 2, 4, 5])('state %i', (state) => {
  const { host, rtas, plug } = spaprPci();
  plug();
  host.eeh = state;
  expect(rtas(0x2022, [0, ...BUID], 5)).toEqual([0, state, 1, 1000, 0]);
  expect(rtas(0x2022, [0, ...BUID], 4)).toEqual([0, state, 1, 1000]);
});

test.each([
  ['an option there is not', 0x2020, [0, ...BUID, 4], 1],
  ['a reset there is not', 0x2023, [0, ...BUID, 2], 1],
  ['enabling a device there is not', 0x2020, [0x0800, ...BUID, 1], 1],
  ['the PE of a device there is not', 0x2021, [0x0800, ...BUID, 0], 2],
  ['asking something else of a PE', 0x2021, [0, ...BUID, 2], 2],
  ['a log there is not', 0x2025, [0, ...BUID, 0, 0, 0, 0, 3], 1],
] as const)('%s is refused', (_, token, args, nret) => {
  const { host, rtas, plug } = spaprPci();
  plug();
  expect(rtas(token, args, nret)[0]).toBe(-3);
  expect(host.eehOps).toEqual([]);
});

test('with two groups there is no state they share', () => {
  const { host, rtas, plug } = spaprPci();
  plug();
  plug('0000:02:00.0');
  expect([rtas(0x2022, [0, ...BUID], 4)[0], rtas(0x2020, [0, ...BUID, 1], 1)[0]]).toEqual([-3, -1]);
  expect([rtas(0x2021, [0, ...BUID, 1], 2), host.eehOps]).toEqual([[0, 2], []]);
});

test('before a reset MSI-X is switched off and its table forgotten', () => {
  const { phb, hcall, rtas, plug, fake, writeConfig, readConfig } = spaprPci();
  plug();
  rtas(0x2019, [0, ...BUID, 4, 3, 7], 4);
  writeConfig(0x62, 2, 0x8000);
  rtas(0x2023, [0, ...BUID, 1], 1);
  expect([fake(phb.devices()[0]).index, readConfig(0x62, 2)]).toEqual([0, [0, 0x0002]]);
  expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 8, 0x100_8000_1000).out).toEqual([0n]);
});
