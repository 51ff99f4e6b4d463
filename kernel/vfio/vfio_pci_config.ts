/**
 * Configuration space as user space sees it (drivers/vfio/pci/vfio_pci_config.c): some bits are a copy of their own
 * (virtual), some can be written, the rest is the device's and read only. The header and the MSI capability are rows of
 * a table; capabilities not in it are read as they are and never written.
 */
import {
  littleEndian,
  msiCapabilitySize,
  PCI_CAP_ID,
  PCI_CFG_SPACE_SIZE,
  PCI_COMMAND,
  PCI_MSI,
  PCI_MSI_FLAGS,
  PCI_REG,
  PCI_STD_NUM_BARS,
} from '../include/uapi/pci_regs.ts';
import type { Task } from '../lib/task.ts';
import type { PciFunction } from './vfio_pci_function.ts';

/** What a write to configuration space does beyond the bits: the rest of the device. */
export interface ConfigEffects {
  /** The virtual INTx disable bit has changed (vfio_pci_intx_mask, vfio_pci_intx_unmask). */
  intxDisabled(disabled: boolean): void;
  /** Memory space is off from now on: mappings of BARs go before the device hears of it. */
  memoryDisabled(): Task;
  /** log2 of the MSI vectors that user space has enabled; -1 when MSI is not what it uses. */
  readonly msiQueue: number;
}

/** A register: bits that are virtual, bits that can be written. */
interface Row {
  readonly at: number;
  readonly size: 1 | 2 | 4;
  readonly virt: number;
  readonly write: number;
}
const ALL = 0xffff_ffff;
const NONE = 0;

/** vfio_pci_init_perm_bits, init_pci_cap_basic_perm. */
const HEADER: readonly Row[] = [
  { at: PCI_REG.VENDOR_ID, size: 4, virt: ALL, write: NONE },
  // The device sees what it needs to be told; INTx disable is the kernel's to use for masking.
  { at: PCI_REG.COMMAND, size: 2, virt: PCI_COMMAND.INTX_DISABLE, write: ALL },
  { at: PCI_REG.CACHE_LINE_SIZE, size: 1, virt: NONE, write: ALL },
  { at: PCI_REG.LATENCY_TIMER, size: 1, virt: NONE, write: ALL },
  { at: PCI_REG.BIST, size: 1, virt: NONE, write: ALL },
  ...Array.from(
    { length: PCI_STD_NUM_BARS },
    (_, bar): Row => ({ at: PCI_REG.BASE_ADDRESS_0 + 4 * bar, size: 4, virt: ALL, write: ALL }),
  ),
  { at: PCI_REG.ROM_ADDRESS, size: 4, virt: ALL, write: ALL },
  { at: PCI_REG.CAPABILITY_LIST, size: 1, virt: ALL, write: NONE },
  { at: PCI_REG.INTERRUPT_LINE, size: 1, virt: ALL, write: ALL },
  { at: PCI_REG.INTERRUPT_PIN, size: 1, virt: ALL, write: NONE },
];

/** init_pci_cap_msi_perm: the guest's messages never reach the device. */
function msiRows(at: number, flags: number): Row[] {
  const wide = (flags & PCI_MSI_FLAGS.BITS_64) !== 0;
  const data = wide ? PCI_MSI.DATA_64 : PCI_MSI.DATA_32;
  const rows: Row[] = [
    { at: at + 1, size: 1, virt: ALL, write: NONE },
    { at: at + PCI_MSI.FLAGS, size: 1, virt: ALL, write: PCI_MSI_FLAGS.ENABLE | PCI_MSI_FLAGS.QSIZE },
    { at: at + PCI_MSI.ADDRESS_LO, size: 4, virt: ALL, write: ALL },
    { at: at + data, size: 2, virt: ALL, write: ALL },
  ];
  if (wide) rows.push({ at: at + PCI_MSI.ADDRESS_HI, size: 4, virt: ALL, write: ALL });
  // The mask bits behind the data are the device's; what is pending is read only.
  if ((flags & PCI_MSI_FLAGS.MASKBIT) !== 0)
    rows.push({ at: at + msiCapabilitySize(flags) - 8, size: 4, virt: NONE, write: ALL });
  return rows;
}

export class VfioPciConfig {
  readonly #function: PciFunction;
  readonly #effects: ConfigEffects;
  /** The virtual copy, and the masks, byte by byte. */
  readonly #vconfig: Uint8Array;
  readonly #virt = new Uint8Array(PCI_CFG_SPACE_SIZE);
  readonly #write = new Uint8Array(PCI_CFG_SPACE_SIZE);

  /** vfio_config_init: at each open; what an earlier user wrote is gone. */
  constructor(fn: PciFunction, effects: ConfigEffects) {
    this.#function = fn;
    this.#effects = effects;
    this.#vconfig = fn.config();
    const msi = fn.capabilities.filter(([id]) => id === PCI_CAP_ID.MSI);
    const rows = [...HEADER, ...msi.flatMap(([, at]) => msiRows(at, fn.configRead(at + PCI_MSI.FLAGS, 2)))];
    for (const { at, size, virt, write } of rows)
      for (let i = 0; i < size; i++) {
        this.#virt[at + i] = virt >>> (8 * i);
        this.#write[at + i] = write >>> (8 * i);
      }
    this.#fixBars();
  }

  /** Reads `[at, at + count)`, which lies in configuration space. */
  read(at: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (const access of accesses(at, count)) {
      const device = this.#function.configRead(access.at, access.size);
      for (let i = 0; i < access.size; i++) {
        const own = this.#virt[access.at + i];
        const value = Math.floor(device / 2 ** (8 * i)) % 256;
        bytes[access.at - at + i] = (value & ~own) | (this.#vconfig[access.at + i] & own);
      }
    }
    return bytes;
  }

  /** Writes what can be written. */
  *write(at: number, bytes: Uint8Array): Task {
    for (const access of accesses(at, bytes.length)) {
      const part = bytes.subarray(access.at - at, access.at - at + access.size);
      if (touches(access, PCI_REG.COMMAND, 2)) yield* this.#beforeCommand(access.at, part);
      this.#store(access.at, part);
      this.#after(access);
    }
  }

  /** The device gets the bits that are not virtual, the copy those that are (vfio_default_config_write). */
  #store(at: number, bytes: Uint8Array): void {
    const fn = this.#function;
    const own = (i: number) => this.#virt[at + i] & this.#write[at + i];
    const its = (i: number) => ~this.#virt[at + i] & this.#write[at + i] & 0xff;
    let device = false;
    for (let i = 0; i < bytes.length; i++) {
      this.#vconfig[at + i] = (this.#vconfig[at + i] & ~own(i)) | (bytes[i] & own(i));
      device ||= its(i) !== 0;
    }
    if (!device) return;
    const before = fn.configRead(at, bytes.length);
    const merged = bytes.map((byte, i) => (Math.floor(before / 2 ** (8 * i)) & ~its(i)) | (byte & its(i)));
    fn.configWrite(at, bytes.length, littleEndian(merged, 0, bytes.length));
  }

  /** vfio_basic_config_write: nobody reaches a BAR that is about to stop answering. */
  *#beforeCommand(at: number, bytes: Uint8Array): Task {
    if (at !== PCI_REG.COMMAND || !this.#function.memoryEnabled) return;
    if ((bytes[0] & PCI_COMMAND.MEMORY) === 0) yield* this.#effects.memoryDisabled();
  }

  #after(access: Access): void {
    if (touches(access, PCI_REG.COMMAND, 2)) {
      const command = littleEndian(this.#vconfig, PCI_REG.COMMAND, 2);
      this.#effects.intxDisabled((command & PCI_COMMAND.INTX_DISABLE) !== 0);
    }
    if (touches(access, PCI_REG.BASE_ADDRESS_0, 4 * PCI_STD_NUM_BARS + 12)) this.#fixBars();
    const { msi } = this.#function;
    if (msi !== undefined && touches(access, msi.at + PCI_MSI.FLAGS, 2)) this.#msiFlags(msi.at + PCI_MSI.FLAGS);
  }

  /** vfio_bar_fixup: the bits below a BAR's size are its type; that tells the size to who writes ones. */
  #fixBars(): void {
    const dv = new DataView(this.#vconfig.buffer);
    for (const [bar, size] of this.#function.barSizes.entries()) {
      const at = PCI_REG.BASE_ADDRESS_0 + 4 * bar;
      const type = this.#function.configRead(at, 4) & 0xf;
      dv.setUint32(at, size === 0 ? 0 : ((dv.getUint32(at, true) & -size) | type) >>> 0, true);
    }
    dv.setUint32(PCI_REG.ROM_ADDRESS, 0, true);
  }

  /** vfio_msi_config_write: MSI is enabled by SET_IRQS, and this bit only shows or interrupts it. */
  #msiFlags(at: number): void {
    const { msiQueue } = this.#effects;
    let flags = littleEndian(this.#vconfig, at, 2);
    if (msiQueue < 0) flags &= ~PCI_MSI_FLAGS.ENABLE;
    const most = Math.max(msiQueue, 0);
    if ((flags & PCI_MSI_FLAGS.QSIZE) >> 4 > most) flags = (flags & ~PCI_MSI_FLAGS.QSIZE) | (most << 4);
    this.#vconfig[at] = flags;
    this.#function.configWrite(at, 2, flags);
  }
}

interface Access {
  readonly at: number;
  readonly size: number;
}

function touches({ at, size }: Access, first: number, length: number): boolean {
  return at < first + length && at + size > first;
}

/** The largest aligned pieces of at most 4 bytes. */
export function* accesses(offset: number, count: number): Iterable<Access> {
  for (let done = 0; done < count; ) {
    const at = offset + done;
    const size = [4, 2, 1].find((bytes) => at % bytes === 0 && count - done >= bytes) as number;
    yield { at, size };
    done += size;
  }
}
