import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PCI_COMMAND, PCI_REG } from '../include/uapi/pci_regs.ts';
import { TestPci } from './test_pci.ts';

const { MEMORY, MASTER, INTX_DISABLE } = PCI_COMMAND;

test('BARs are the user’s own: they tell their size, take addresses, and the device has none of it', () => {
  const t = new TestPci();
  t.setConfig(PCI_REG.BASE_ADDRESS_0, 0xffff_ffff);
  expect(t.config(PCI_REG.BASE_ADDRESS_0)).toBe(0xffff_c000);
  t.setConfig(PCI_REG.BASE_ADDRESS_0, 0x8000_0fff);
  expect([t.config(PCI_REG.BASE_ADDRESS_0), t.hardware(PCI_REG.BASE_ADDRESS_0)]).toEqual([0x8000_0000, 0]);
  t.setConfig(PCI_REG.BASE_ADDRESS_0 + 4, 0xffff_ffff);
  t.setConfig(PCI_REG.ROM_ADDRESS, 0xffff_ffff);
  expect([t.config(PCI_REG.BASE_ADDRESS_0 + 4), t.config(PCI_REG.ROM_ADDRESS)]).toEqual([0, 0]);
});

test('INTx disable is virtual; memory space and bus mastering are the device’s', () => {
  const t = new TestPci();
  t.setConfig(PCI_REG.COMMAND, MEMORY | MASTER | INTX_DISABLE, 2);
  expect([t.config(PCI_REG.COMMAND, 2), t.hardware(PCI_REG.COMMAND, 2) & (MEMORY | MASTER)]).toEqual([
    MEMORY | MASTER | INTX_DISABLE,
    MEMORY | MASTER,
  ]);
  t.setConfig(PCI_REG.COMMAND, 0, 2);
  expect(t.config(PCI_REG.COMMAND, 2)).toBe(0);
});

test('identification, capabilities and the pin are read only; the interrupt line is the user’s', () => {
  const t = new TestPci();
  for (const at of [PCI_REG.VENDOR_ID, PCI_REG.CAPABILITY_LIST, 0x2c, 0x80, 0x84]) {
    const before = t.config(at);
    t.setConfig(at, ~before >>> 0);
    expect([at, t.config(at)]).toEqual([at, before]);
  }
  t.setConfig(PCI_REG.INTERRUPT_LINE, 0x55aa, 2);
  expect([t.config(PCI_REG.INTERRUPT_LINE, 2), t.hardware(PCI_REG.INTERRUPT_LINE, 1)]).toEqual([0x01aa, 0]);
});

test('a new open begins with the copy as it was at first', () => {
  const t = new TestPci();
  t.setConfig(PCI_REG.BASE_ADDRESS_0, 0x8000_0000);
  t.setConfig(PCI_REG.COMMAND, INTX_DISABLE | MEMORY, 2);
  t.host.run(() => t.host.close(t.device));
  t.open();
  expect([t.config(PCI_REG.BASE_ADDRESS_0), t.config(PCI_REG.COMMAND, 2)]).toEqual([0, 0]);
});

test('any bytes at any place: what is read is what its pieces are, and MSI-X stays off in the device', () => {
  const access = fc.tuple(fc.nat(255), fc.uint8Array({ minLength: 1, maxLength: 9 }));
  fc.assert(
    fc.property(fc.array(access, { maxLength: 30 }), (accesses) => {
      const t = new TestPci();
      for (const [at, bytes] of accesses) {
        t.host.run(() => t.writeTask(bytes, 7 * 2 ** 40 + at));
        const whole = t.host.run(() => t.readTask(bytes.length, 7 * 2 ** 40 + at));
        const pieces = Array.from(whole, (_, i) => t.config(at + i, 1));
        expect([...whole]).toEqual(pieces);
        expect(t.hardware(0x82, 2)).toBe(1);
      }
    }),
    { numRuns: 15 },
  );
});
