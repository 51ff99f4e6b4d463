/**
 * Configuration space of the device behind a PE: a type 0 header, little-endian, and after it at most one capability,
 * message signalled interrupts (PCI Local Bus Specification 3.0, sections 6.1 and 6.8.1). The header is a table of
 * rows; power-on values and write masks follow from it.
 * The bytes lie in the PE's block, written by the kernel only, in atomic words: the device reads its command register.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { PE_PART } from './pe.ts';

/** Bytes of conventional configuration space (PCI 3.0, 6.1). */
export const CONFIG_SIZE = 256;

/** Byte offsets of the registers that code reads (PCI 3.0, figure 6-1). */
export const PCI_CONFIG = { VENDOR_ID: 0x00, COMMAND: 0x04, BAR0: 0x10 } as const;
/** Command register bits (PCI 3.0, table 6-1): answer to memory accesses; issue DMA; leave the interrupt pin alone. */
export const PCI_COMMAND = { MEMORY: 0x0002, MASTER: 0x0004, INTX_DISABLE: 0x0400 } as const;
/** Where a device with messages has the capability; its control register is the upper half of the first word. */
export const MSI_AT = 0xf0;
/** Bit of the control register: MSI enable (PCI 3.0, table 6-5). */
export const MSI_ENABLE = 0x0001;
/** Where a device with MSI-X has the capability. */
export const MSIX_AT = 0x80;

/** What differs from device to device. */
export interface ConfigIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** Base class, sub-class, programming interface: 24 bits. */
  readonly classCode: number;
  /** Bytes of BAR 0, a power of two; 32-bit memory, not prefetchable. */
  readonly bar0Size: number;
  /** Subsystem vendor and device; the device's own when omitted. */
  readonly subsystem?: readonly [vendor: number, device: number];
  /** 1: the device has the pin INTA#. None when omitted. */
  readonly interruptPin?: number;
  /** True: it has one message signalled interrupt. */
  readonly msi?: boolean;
  /** It has MSI-X, and no other capability: how many vectors, and where in BAR 0 the table and the pending bits are. */
  readonly msix?: { readonly vectors: number; readonly table: number; readonly pending: number };
}

/** One register: offset, bytes, value after power-on or reset, bits that software can change. */
interface Row {
  readonly name: string;
  readonly at: number;
  readonly size: number;
  readonly value: number;
  readonly writable: number;
}

/** The header of a device; registers not named are zero and cannot be written. */
function header(id: ConfigIdentity): readonly Row[] {
  return [
    { name: 'vendor_id', at: 0x00, size: 2, value: id.vendor, writable: 0 },
    { name: 'device_id', at: 0x02, size: 2, value: id.device, writable: 0 },
    // Memory space, bus master, parity response, SERR#, interrupt disable: table 6-1.
    { name: 'command', at: 0x04, size: 2, value: 0, writable: 0x0546 },
    { name: 'revision_id', at: 0x08, size: 1, value: id.revision, writable: 0 },
    { name: 'class_code', at: 0x09, size: 3, value: id.classCode, writable: 0 },
    { name: 'cache_line_size', at: 0x0c, size: 1, value: 0, writable: 0xff },
    // The address bits below the size are fixed at zero: that is how software finds the size (6.2.5.1).
    { name: 'bar0', at: 0x10, size: 4, value: 0, writable: -id.bar0Size >>> 0 },
    { name: 'subsystem_vendor_id', at: 0x2c, size: 2, value: id.subsystem?.[0] ?? id.vendor, writable: 0 },
    { name: 'subsystem_id', at: 0x2e, size: 2, value: id.subsystem?.[1] ?? id.device, writable: 0 },
    { name: 'interrupt_line', at: 0x3c, size: 1, value: 0, writable: 0xff },
    { name: 'interrupt_pin', at: 0x3d, size: 1, value: id.interruptPin ?? 0, writable: 0 },
    ...(id.msi ? MSI_CAPABILITY : []),
    ...(id.msix === undefined ? [] : msixCapability(id.msix)),
  ];
}

/** A capability of one message with a 64-bit address, the last of the list (PCI 3.0, figure 6-9). */
const MSI_CAPABILITY: readonly Row[] = [
  { name: 'status', at: 0x06, size: 2, value: 0x0010, writable: 0 }, // there is a capability list
  { name: 'capabilities', at: 0x34, size: 1, value: MSI_AT, writable: 0 },
  { name: 'msi_id', at: MSI_AT, size: 2, value: 0x0005, writable: 0 }, // and no next one
  { name: 'msi_control', at: MSI_AT + 2, size: 2, value: 0x0080, writable: MSI_ENABLE },
  { name: 'msi_address_lo', at: MSI_AT + 4, size: 4, value: 0, writable: 0xfffffffc },
  { name: 'msi_address_hi', at: MSI_AT + 8, size: 4, value: 0, writable: 0xffffffff },
  { name: 'msi_data', at: MSI_AT + 12, size: 2, value: 0, writable: 0xffff },
];

/** The MSI-X capability, the last of the list; both structures in BAR 0 (PCI 3.0, figure 6-10). */
function msixCapability({ vectors, table, pending }: NonNullable<ConfigIdentity['msix']>): readonly Row[] {
  return [
    { name: 'status', at: 0x06, size: 2, value: 0x0010, writable: 0 },
    { name: 'capabilities', at: 0x34, size: 1, value: MSIX_AT, writable: 0 },
    { name: 'msix_id', at: MSIX_AT, size: 2, value: 0x0011, writable: 0 }, // and no next one
    { name: 'msix_control', at: MSIX_AT + 2, size: 2, value: vectors - 1, writable: 0xc000 }, // enable, mask all
    { name: 'msix_table', at: MSIX_AT + 4, size: 4, value: table, writable: 0 },
    { name: 'msix_pending', at: MSIX_AT + 8, size: 4, value: pending, writable: 0 },
  ];
}

/** Words of one column of the header. */
function words(id: ConfigIdentity, column: 'value' | 'writable'): readonly number[] {
  const result = new Array<number>(CONFIG_SIZE / 4).fill(0);
  for (const row of header(id)) result[row.at >>> 2] |= row[column] << ((row.at & 3) * 8);
  return result;
}

/** True for an access the bus can carry: 1, 2 or 4 bytes, aligned, inside `limit` bytes. */
export function accessFits(offset: number, size: number, limit: number): boolean {
  return (size === 1 || size === 2 || size === 4) && offset >= 0 && offset % size === 0 && offset + size <= limit;
}

/** What a load gives when nobody answers: all ones in `size` bytes. */
export function allOnes(size: number): number {
  return 2 ** (8 * size) - 1;
}

/** The configuration space of one kind of device. */
export class ConfigSpace {
  readonly #values: readonly number[];
  readonly #writable: readonly number[];

  constructor(identity: ConfigIdentity) {
    this.#values = words(identity, 'value');
    this.#writable = words(identity, 'writable');
  }

  /** Power-on state. */
  reset(memory: HostMemory, block: number): void {
    this.#values.forEach((word, i) => {
      memory.store(block + PE_PART.config + i * 4, word);
    });
  }

  /** Reads 1, 2 or 4 bytes; all ones for an access the bus cannot carry. */
  read(memory: HostMemory, block: number, offset: number, size: number): number {
    if (!accessFits(offset, size, CONFIG_SIZE)) return allOnes(size);
    const word = memory.load(block + PE_PART.config + (offset & ~3)) >>> 0;
    return Math.floor(word / 2 ** ((offset & 3) * 8)) % 2 ** (8 * size);
  }

  /** Writes the bits that can be written. */
  write(memory: HostMemory, block: number, offset: number, size: number, value: number): void {
    if (!accessFits(offset, size, CONFIG_SIZE)) return;
    const at = block + PE_PART.config + (offset & ~3);
    const shift = (offset & 3) * 8;
    const mask = this.#writable[offset >>> 2] & (allOnes(size) << shift);
    memory.store(at, (memory.load(at) & ~mask) | ((value << shift) & mask));
  }
}

/** The command register, as bridge and device see it. */
export function pciCommand(memory: HostMemory, block: number): number {
  return memory.load(block + PE_PART.config + PCI_CONFIG.COMMAND) & 0xffff;
}
