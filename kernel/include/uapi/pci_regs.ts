/**
 * Configuration space of a PCI function (include/uapi/linux/pci_regs.h; PCI Local Bus Specification 3.0, chapter 6 and
 * sections 6.8.1, 6.8.2). Everything in it is little-endian.
 */

/** Bytes of conventional configuration space. */
export const PCI_CFG_SPACE_SIZE = 256;
/** Bytes of the header that every function has. */
export const PCI_STD_HEADER_SIZEOF = 64;
/** Base address registers of a type 0 header. */
export const PCI_STD_NUM_BARS = 6;

/** Registers of the type 0 header, byte offsets. */
export const PCI_REG = {
  VENDOR_ID: 0x00,
  DEVICE_ID: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  /** Sub-class and base class. */
  REVISION_ID: 0x08,
  CLASS_DEVICE: 0x0a,
  CACHE_LINE_SIZE: 0x0c,
  LATENCY_TIMER: 0x0d,
  HEADER_TYPE: 0x0e,
  BIST: 0x0f,
  BASE_ADDRESS_0: 0x10,
  ROM_ADDRESS: 0x30,
  CAPABILITY_LIST: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
} as const;

/** Command register. */
export const PCI_COMMAND = { IO: 0x1, MEMORY: 0x2, MASTER: 0x4, INTX_DISABLE: 0x400 } as const;
/** Status register: there is a capability list. */
export const PCI_STATUS_CAP_LIST = 0x10;
/** Low bits of a base address register that are no address: space, type, prefetchable. */
export const PCI_BASE_ADDRESS_MEM_FLAGS = 0xf;
/** Of these: the register above holds the address's upper half. */
export const PCI_BASE_ADDRESS_MEM_TYPE_64 = 0x4;

/** Capability ids. */
export const PCI_CAP_ID = { PM: 0x01, MSI: 0x05, EXP: 0x10, MSIX: 0x11 } as const;
/** Where the next capability is, from the beginning of one. */
export const PCI_CAP_LIST_NEXT = 1;

/** The MSI capability, from its beginning. With a 64-bit address DATA is 4 bytes later. */
export const PCI_MSI = { FLAGS: 2, ADDRESS_LO: 4, ADDRESS_HI: 8, DATA_32: 8, DATA_64: 12 } as const;
/** Its flags: enabled; log2 of the vectors it can have, and has; 64-bit address; vectors can be masked. */
export const PCI_MSI_FLAGS = { ENABLE: 0x1, QMASK: 0xe, QSIZE: 0x70, BITS_64: 0x80, MASKBIT: 0x100 } as const;
/** Bytes of the capability by {@link PCI_MSI_FLAGS}. */
export function msiCapabilitySize(flags: number): number {
  const wide = (flags & PCI_MSI_FLAGS.BITS_64) === 0 ? 10 : 14;
  return (flags & PCI_MSI_FLAGS.MASKBIT) === 0 ? wide : wide + 10;
}

/** The MSI-X capability, from its beginning. TABLE and PBA hold an offset and, in the low three bits, a BAR. */
export const PCI_MSIX = { FLAGS: 2, TABLE: 4, PBA: 8, SIZEOF: 12 } as const;
/** Its flags: entries of the table minus one; every vector masked; enabled. */
export const PCI_MSIX_FLAGS = { QSIZE: 0x7ff, MASKALL: 0x4000, ENABLE: 0x8000 } as const;
/** Bits of TABLE and PBA that name the BAR. */
export const PCI_MSIX_BIR = 0x7;
/** An entry of the table: bytes, and where its words are. */
export const PCI_MSIX_ENTRY = { SIZE: 16, LOWER_ADDR: 0, UPPER_ADDR: 4, DATA: 8, VECTOR_CTRL: 12 } as const;
/** VECTOR_CTRL: the vector is masked. */
export const PCI_MSIX_ENTRY_CTRL_MASKBIT = 1;

/** Reads a little-endian value of 1, 2 or 4 bytes. */
export function littleEndian(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + bytes[at + i];
  return value;
}

/** The bytes of a little-endian value. */
export function littleEndianBytes(value: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);
}

/**
 * The capabilities of a function, in the order of its list: [id, offset]. A list that loops or leaves configuration
 * space ends where it does (Linux pci_find_next_cap_ttl: 48 capabilities at most).
 * @param byte reads a byte of configuration space.
 */
export function pciCapabilities(byte: (at: number) => number): [id: number, at: number][] {
  const found: [number, number][] = [];
  if ((byte(PCI_REG.STATUS) & PCI_STATUS_CAP_LIST) === 0) return found;
  const most = (PCI_CFG_SPACE_SIZE - PCI_STD_HEADER_SIZEOF) / 4;
  let at = byte(PCI_REG.CAPABILITY_LIST) & ~3;
  while (at >= PCI_STD_HEADER_SIZEOF && found.length < most) {
    const id = byte(at);
    if (id === 0xff) break;
    found.push([id, at]);
    at = byte(at + PCI_CAP_LIST_NEXT) & ~3;
  }
  return found;
}
