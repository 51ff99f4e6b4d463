/** A passed-through PCI device for people: what `info qtree` and `info vfio` of the monitor show of it. */
import { littleEndian, PCI_REG } from '../../../kernel/include/uapi/pci_regs.ts';
import type { VFIOPCIDevice } from './pci.ts';

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

/** Which interrupts the guest has switched on. */
function interruptMode({ msi, msix, intx }: VFIOPCIDevice): string {
  if (msix?.enabled) return `MSI-X, ${msix.vectors} vectors`;
  if (msi?.enabled) return `MSI, ${msi.vectors} vectors`;
  return intx === undefined ? 'none' : 'INTx';
}

/** Properties by name, as in QEMU's `info qtree` and `info pci`. @param devfn device number << 3 | function on the guest's bus */
export function describePci(device: VFIOPCIDevice, host: string, devfn: number): Readonly<Record<string, string>> {
  const { config, bars, group, fd } = device;
  const ids = [PCI_REG.VENDOR_ID, PCI_REG.DEVICE_ID].map((at) => hex(littleEndian(config.bytes, at, 2), 4));
  const regions = bars.flatMap(({ size }, bar) =>
    size === 0 ? [] : [`BAR${bar} ${size} bytes at 0x${hex(config.barAddress(bar), 8)}`],
  );
  return {
    host,
    addr: `${hex(devfn >> 3, 2)}.${devfn & 7}`,
    device: ids.join(':'),
    interrupts: interruptMode(device),
    fd: `${fd}`,
    group: `${group.number} (fd ${group.fd})`,
    container: `fd ${group.container.fd}`,
    regions: regions.join(', '),
    eventfds: device.requestEventfd === undefined ? 'no request notifier' : `request ${device.requestEventfd}`,
  };
}

/** What kind of device it is, by base class and sub-class (PCI Code and ID Assignment Specification), as QEMU words it. */
const CLASSES: Readonly<Record<number, string>> = { 512: 'Ethernet controller', 2176: 'System peripheral' };

/** A device as `info pci` of QEMU's monitor shows it. */
export function pciText(device: VFIOPCIDevice, devfn: number): string {
  const { config, bars, pin } = device;
  const word = (at: number) => littleEndian(config.bytes, at, 2);
  const kind = CLASSES[word(PCI_REG.CLASS_DEVICE)] ?? `Class ${hex(word(PCI_REG.CLASS_DEVICE), 4)}`;
  const lines = [
    `  Bus  0, device ${`${devfn >> 3}`.padStart(3)}, function ${devfn & 7}:`,
    `    ${kind}: PCI device ${hex(word(PCI_REG.VENDOR_ID), 4)}:${hex(word(PCI_REG.DEVICE_ID), 4)}`,
  ];
  if (pin > 0) lines.push(`      pin ${'ABCD'[pin - 1]}`);
  for (const [bar, { size }] of bars.entries()) {
    const at = config.barAddress(bar);
    if (size > 0) lines.push(`      BAR${bar}: 32 bit memory at 0x${hex(at, 8)} [0x${hex(at + size - 1, 8)}].`);
  }
  return lines.map((line) => `${line}\n`).join('');
}
