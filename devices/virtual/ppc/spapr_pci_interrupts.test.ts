/** Interrupts of devices behind a host bridge: messages whose sources firmware chooses, and pins. */
import { expect, test } from 'vitest';
import { HCALL } from '../../../kernel/include/arch/ppc/hcall.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import { BUID, spaprPci } from './spapr_pci_fixture.ts';

/** A device on the bridge, and a CPU that takes interrupts. */
function messages() {
  const fixture = spaprPci();
  const { phb, hcall, rtas, plug, fake } = fixture;
  plug();
  hcall(HCALL.H_CPPR, 0xff);
  return {
    ...fixture,
    /** ibm,change-msi. */
    change: (fn: number, count: number) => rtas(0x2019, [0, ...BUID, fn, count, 7], 4),
    device: () => fake(phb.devices()[0]),
    route(...numbers: number[]): void {
      for (const number of numbers) rtas(0x200a, [number, 0, 5], 1);
    },
    /** Sources that are presented, each ended. */
    served(): number[] {
      const found: number[] = [];
      for (;;) {
        const xirr = Number(hcall(HCALL.H_XIRR).out[0]);
        if ((xirr & 0xff_ffff) === 0) return found;
        found.push(xirr & 0xff_ffff);
        hcall(HCALL.H_EOI, xirr);
      }
    },
  };
}

test('MSI: sources at a multiple of their number, vectors in the low bits of the data', () => {
  const { writeConfig, signal, change, device, route, served } = messages();
  change(4, 1);
  expect(change(1, 4)).toEqual([0, 4, 8, 1]);
  route(0x1304, 0x1305, 0x1306, 0x1307);
  // Enable, four vectors.
  writeConfig(0x52, 2, 0x21);
  expect([device().index, device().eventfds.length]).toEqual([1, 4]);
  signal(device(), 2, 0);
  expect(served().sort()).toEqual([0x1304, 0x1306]);
  writeConfig(0x52, 2, 0);
  expect(device().index).toBe(0);
});

test('MSI-X: a masked vector is pending until it is unmasked', () => {
  const { hcall, writeConfig, signal, change, device, route, served } = messages();
  expect(change(4, 3)).toEqual([0, 3, 8, 2]);
  route(0x1300, 0x1301, 0x1302);
  hcall(HCALL.H_LOGICAL_CI_STORE, 4, 0x100_8000_100c, 0x0100_0000);
  writeConfig(0x62, 2, 0x8000);
  expect([device().index, device().eventfds.length]).toEqual([2, 3]);
  signal(device(), 0, 1);
  expect(served()).toEqual([0x1301]);
  expect(hcall(HCALL.H_LOGICAL_CI_LOAD, 8, 0x100_8000_1800).out).toEqual([0x0100_0000_0000_0000n]);
  hcall(HCALL.H_LOGICAL_CI_STORE, 4, 0x100_8000_100c, 0);
  expect(served()).toEqual([0x1300]);
  writeConfig(0x62, 2, 0xc000);
  signal(device(), 2);
  expect(served()).toEqual([]);
  writeConfig(0x62, 2, 0x8000);
  expect(served()).toEqual([0x1302]);
});

test('too many: told how many there are, and none is given', () => {
  const { rtas, change } = messages();
  expect(change(3, 5)).toEqual([0, 4, 8, 1]);
  expect(rtas(0x2018, [0, ...BUID, 0], 3)[0]).toBe(-1);
});

test.each([
  ['an unknown function', 0, 1, -3],
  ['query', 2, 1, -3],
  ['release of none', 1, 0, -1],
])('%s', (_, fn, count, status) => {
  const { change } = messages();
  expect(change(fn, count)[0]).toBe(status);
});

test('released, and given again: the same sources', () => {
  const { rtas, change } = messages();
  change(3, 2);
  expect(change(3, 0).slice(0, 2)).toEqual([0, 0]);
  change(3, 2);
  expect(rtas(0x2018, [0, ...BUID, 1], 3)).toEqual([0, 0x1301, 1]);
  expect(rtas(0x2018, [0, ...BUID, 2], 3)[0]).toBe(-1);
});

test('a message to anywhere else is not an interrupt', () => {
  const { writeConfig, signal, change, device, route, served } = messages();
  change(3, 1);
  route(0x1300);
  writeConfig(0x54, 4, 0x1000);
  writeConfig(0x52, 2, 1);
  signal(device(), 0);
  expect(served()).toEqual([]);
});

test('what the kernel refuses is told, and the guest goes on', () => {
  const { machine, host, writeConfig, change } = messages();
  change(3, 1);
  host.fails = 'VFIO_DEVICE_SET_IRQS';
  expect(writeConfig(0x52, 2, 1)).toBe(0);
  expect(machine.logs.at(-1)).toContain('vfio-pci 0000:01:00.0: interrupts: VFIO_DEVICE_SET_IRQS: EINVAL');
});

test('what the kernel refuses is tried and told once for each time the guest asks; then the pin is back', () => {
  const { machine, phb, fake, writeConfig, change } = messages();
  change(3, 1);
  const failures = () => machine.logs.filter((line) => line.includes('interrupts:')).length;
  const setIrqs = machine.kernel.ioctls.get('VFIO_DEVICE_SET_IRQS')!;
  machine.kernel.ioctls.set('VFIO_DEVICE_SET_IRQS', (call) => {
    if (call.view.index === 1) throw new Errno('EINVAL', 'messages');
    return setIrqs(call);
  });
  const before = failures();
  writeConfig(0x52, 2, 1);
  writeConfig(0x54, 4, 0x1000);
  writeConfig(0x3c, 1, 5);
  expect(failures()).toBe(before + 1);
  machine.kernel.ioctls.set('VFIO_DEVICE_SET_IRQS', setIrqs);
  writeConfig(0x54, 4, 0x1000);
  expect(fake(phb.devices()[0]).index).not.toBe(1);
  writeConfig(0x52, 2, 0);
  expect(fake(phb.devices()[0]).index).toBe(0);
  writeConfig(0x52, 2, 1);
  expect([fake(phb.devices()[0]).index, failures()]).toEqual([1, before + 1]);
});

test('hot unplug frees the sources', () => {
  const { machine, phb, rtas, plug, change } = messages();
  change(3, 4);
  machine.run(phb.unplug(phb.devices()[0]));
  plug();
  change(3, 4);
  expect(rtas(0x2018, [0, ...BUID, 0], 3)[1]).toBe(0x1300);
});

test('the pin is swizzled, shared by devices, and unmasked by the guest’s EOI', () => {
  const { hcall, rtas, plug, fake, signal } = spaprPci();
  const plugged = Array.from({ length: 5 }, (_, i) => plug(`0000:0${i % 2 === 0 ? 1 : 2}:00.0`));
  hcall(HCALL.H_CPPR, 0xff);
  rtas(0x200a, [0x1200, 0, 5], 1);
  // Devices 0 and 4 share the bridge's INTA#.
  signal(fake(plugged[0]), 0);
  signal(fake(plugged[4]), 0);
  expect(hcall(HCALL.H_XIRR).out).toEqual([0xff00_1200n]);
  expect(plugged.map((one) => fake(one).unmasks)).toEqual([0, 0, 0, 0, 0]);
  hcall(HCALL.H_EOI, 0xff00_1200);
  expect(plugged.map((one) => fake(one).unmasks)).toEqual([1, 0, 0, 0, 1]);
  expect(hcall(HCALL.H_XIRR).out).toEqual([0xff00_0000n]);
});
