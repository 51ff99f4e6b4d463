/**
 * The device-tree node of a PCI device (PCI Bus Binding to IEEE 1275-1994; QEMU hw/ppc/spapr_pci.c,
 * spapr_dt_pci_device): what a guest that is handed the device learns of it. Values are big-endian cells of 32 bits.
 */
import { littleEndian, PCI_REG } from '../../../kernel/include/uapi/pci_regs.ts';
import type { VFIOPCIDevice } from '../vfio/pci.ts';
import type { DtNode, DtProperty } from './spapr_drc.ts';

/** Class codes, base and sub-class, whose nodes have a name of their own (QEMU dt_name_from_class). */
const GENERIC_NAMES: Readonly<Record<number, string>> = { 512: 'ethernet' };

/** Bits of the first cell of a PCI address (the binding's phys.hi): not relocatable; 32-bit memory space. */
const NOT_RELOCATABLE = 0x8000_0000;
const MEMORY_32 = 0x0200_0000;
/** Cells of an address and of a size on a PCI bus. */
const ADDRESS_CELLS = 3;
const SIZE_CELLS = 2;
/** ibm,pci-config-space-type: 256 bytes of configuration space for each function, which is conventional PCI (PAPR). */
const CONFIG_SPACE_CONVENTIONAL = 0;

const hex = (value: number) => value.toString(16);

function cells(...values: readonly number[]): Uint8Array {
  const dv = new DataView(new ArrayBuffer(4 * values.length));
  for (const [i, value] of values.entries()) dv.setUint32(4 * i, value >>> 0);
  return new Uint8Array(dv.buffer);
}
const text = (value: string) => new TextEncoder().encode(`${value}\0`);

/** Where the device is, and how its connector is called. */
export interface PciPlace {
  readonly devfn: number;
  readonly drcIndex: number;
  readonly drcName: string;
}

/** The node, with the addresses that firmware has given the BARs. */
export function pciDeviceNode(device: VFIOPCIDevice, { devfn, drcIndex, drcName }: PciPlace): DtNode {
  const { config, bars, pin, msi, msix } = device;
  const register = (at: number, size: number) => littleEndian(config.bytes, at, size);
  const [vendor, id] = [register(PCI_REG.VENDOR_ID, 2), register(PCI_REG.DEVICE_ID, 2)];
  const classCode = register(PCI_REG.CLASS_DEVICE, 2);
  const name = GENERIC_NAMES[classCode] ?? `pci${hex(vendor)},${hex(id)}`;
  const unit = (devfn & 7) === 0 ? hex(devfn >> 3) : `${hex(devfn >> 3)},${devfn & 7}`;
  // Bus 0; the register in the low byte says which BAR.
  const phys = devfn << 8;
  const places = bars.flatMap(({ size }, bar) =>
    size === 0 ? [] : [{ hi: phys | MEMORY_32 | (PCI_REG.BASE_ADDRESS_0 + 4 * bar), at: config.barAddress(bar), size }],
  );
  const numbers: readonly (readonly [string, number | undefined])[] = [
    ['vendor-id', vendor],
    ['device-id', id],
    ['revision-id', register(PCI_REG.REVISION_ID, 1)],
    ['class-code', register(PCI_REG.REVISION_ID, 4) >>> 8],
    ['interrupts', pin === 0 ? undefined : pin],
    ['#address-cells', ADDRESS_CELLS],
    ['#size-cells', SIZE_CELLS],
    ['ibm,req#msi', msi?.possible],
    ['ibm,req#msi-x', msix?.vectors],
    ['ibm,pci-config-space-type', CONFIG_SPACE_CONVENTIONAL],
    ['ibm,my-drc-index', drcIndex],
  ];
  const properties: DtProperty[] = [
    { name: 'name', value: text(name) },
    ...numbers.flatMap(([property, value]) => (value === undefined ? [] : [{ name: property, value: cells(value) }])),
    { name: 'ibm,loc-code', value: text(drcName) },
    { name: 'reg', value: cells(phys, 0, 0, 0, 0, ...places.flatMap(({ hi, size }) => [hi, 0, 0, 0, size])) },
    {
      name: 'assigned-addresses',
      value: cells(...places.flatMap(({ hi, at, size }) => [hi | NOT_RELOCATABLE, 0, at, 0, size])),
    },
  ];
  return { name: `${name}@${unit}`, properties };
}
