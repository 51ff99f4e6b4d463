/**
 * Configuration space as the guest sees it (QEMU vfio_pci_read_config, vfio_pci_write_config): the kernel's, but for the
 * bits that the VMM keeps itself: BARs, and the MSI and MSI-X capabilities. Writes go to both; the kernel filters.
 */
import type { Machine } from '../../../hypervisor/machine_api.ts';
import { Errno } from '../../../kernel/include/uapi/errno.ts';
import {
  littleEndian,
  littleEndianBytes,
  msiCapabilitySize,
  PCI_BASE_ADDRESS_MEM_FLAGS,
  PCI_CAP_ID,
  PCI_CFG_SPACE_SIZE,
  PCI_COMMAND,
  PCI_MSI,
  PCI_MSI_FLAGS,
  PCI_MSIX,
  PCI_MSIX_FLAGS,
  PCI_REG,
  PCI_STD_NUM_BARS,
  pciCapabilities,
} from '../../../kernel/include/uapi/pci_regs.ts';
import type { Task } from '../../../kernel/lib/task.ts';

/** Bits of the VMM's own copy that a write changes, by byte; what is not in it keeps its value. */
type Mask = Uint8Array;

export class PciConfig {
  /** The VMM's copy. Only emulated bits of it are shown to the guest. */
  readonly bytes: Uint8Array;
  readonly capabilities: readonly (readonly [id: number, at: number])[];
  readonly #machine: Machine;
  readonly #fd: number;
  /** Where the region is in the device descriptor. */
  readonly #offset: number;
  readonly #name: string;
  readonly #barSizes: readonly number[];
  readonly #emulated: Mask = new Uint8Array(PCI_CFG_SPACE_SIZE);
  readonly #writable: Mask = new Uint8Array(PCI_CFG_SPACE_SIZE);

  private constructor(
    machine: Machine,
    options: {
      readonly fd: number;
      readonly offset: number;
      readonly name: string;
      readonly barSizes: readonly number[];
    },
    bytes: Uint8Array,
  ) {
    this.#machine = machine;
    this.#fd = options.fd;
    this.#offset = options.offset;
    this.#name = `${options.name} config`;
    this.#barSizes = options.barSizes;
    this.bytes = bytes;
    this.capabilities = pciCapabilities((at) => bytes[at]);
    this.#emulate();
  }

  /** Reads configuration space of an open device. @param options.barSizes bytes of each BAR. @throws Errno */
  static *open(
    machine: Machine,
    options: {
      readonly fd: number;
      readonly offset: number;
      readonly name: string;
      readonly barSizes: readonly number[];
    },
  ): Task<PciConfig> {
    const bytes = new Uint8Array(PCI_CFG_SPACE_SIZE).fill(0xff);
    bytes.set(yield* machine.sys.pread(options.fd, PCI_CFG_SPACE_SIZE, options.offset, `${options.name} config`));
    return new PciConfig(machine, options, bytes);
  }

  /** What the VMM keeps itself, and what of it can be written. */
  #emulate(): void {
    const keep = (at: number, size: number, writable: number) => {
      this.#emulated.fill(0xff, at, at + size);
      this.#writable.set(littleEndianBytes(writable >>> 0, size), at);
    };
    this.#writable.set(littleEndianBytes(0xffff, 2), PCI_REG.COMMAND);
    for (let bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
      const size = this.#barSizes[bar];
      const at = PCI_REG.BASE_ADDRESS_0 + 4 * bar;
      keep(at, 4, size === 0 ? 0 : -size & ~PCI_BASE_ADDRESS_MEM_FLAGS);
      // No address of the host's stays: the guest's firmware gives its own.
      this.bytes.set(littleEndianBytes(this.bytes[at] & (size === 0 ? 0 : PCI_BASE_ADDRESS_MEM_FLAGS), 4), at);
    }
    keep(PCI_REG.ROM_ADDRESS, 4, 0);
    this.bytes.fill(0, PCI_REG.ROM_ADDRESS, PCI_REG.ROM_ADDRESS + 4);
    for (const [id, at] of this.capabilities) {
      if (id === PCI_CAP_ID.MSI) this.#emulateMsi(at, keep);
      if (id !== PCI_CAP_ID.MSIX) continue;
      keep(at, PCI_MSIX.SIZEOF, 0);
      keep(at + PCI_MSIX.FLAGS, 2, PCI_MSIX_FLAGS.ENABLE | PCI_MSIX_FLAGS.MASKALL);
    }
  }
  #emulateMsi(at: number, keep: (at: number, size: number, writable: number) => void): void {
    const flags = littleEndian(this.bytes, at + PCI_MSI.FLAGS, 2);
    const wide = (flags & PCI_MSI_FLAGS.BITS_64) !== 0;
    // Masks of vectors stay the device's (what is behind the data).
    keep(at, msiCapabilitySize(flags & ~PCI_MSI_FLAGS.MASKBIT), 0);
    keep(at + PCI_MSI.FLAGS, 2, PCI_MSI_FLAGS.ENABLE | PCI_MSI_FLAGS.QSIZE);
    keep(at + PCI_MSI.ADDRESS_LO, 4, 0xffff_fffc);
    if (wide) keep(at + PCI_MSI.ADDRESS_HI, 4, 0xffff_ffff);
    keep(at + (wide ? PCI_MSI.DATA_64 : PCI_MSI.DATA_32), 2, 0xffff);
  }

  /** The capability with an id; undefined when there is none. */
  capability(id: number): number | undefined {
    return this.capabilities.find(([found]) => found === id)?.[1];
  }
  /** The command register as last written or read. */
  get command(): number {
    return littleEndian(this.bytes, PCI_REG.COMMAND, 2);
  }
  /** The bus address of a BAR, whether it answers or not. */
  barAddress(bar: number): number {
    return (littleEndian(this.bytes, PCI_REG.BASE_ADDRESS_0 + 4 * bar, 4) & ~PCI_BASE_ADDRESS_MEM_FLAGS) >>> 0;
  }
  /** True when the function answers to memory accesses. */
  get memoryEnabled(): boolean {
    return (this.command & PCI_COMMAND.MEMORY) !== 0;
  }

  /** 1, 2 or 4 bytes at an aligned place; all ones when the kernel refuses. */
  *read(at: number, size: number): Task<number> {
    let device = new Uint8Array(size).fill(0xff);
    try {
      const bytes = yield* this.#machine.sys.pread(this.#fd, size, this.#offset + at, this.#name);
      if (bytes.length === size) device = new Uint8Array(bytes);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.#machine.log(error.message);
    }
    for (let i = 0; i < size; i++) {
      const own = this.#emulated[at + i];
      device[i] = (device[i] & ~own) | (this.bytes[at + i] & own);
    }
    return littleEndian(device, 0, size);
  }

  /** Writes 1, 2 or 4 bytes at an aligned place to kernel and copy. */
  *write(at: number, size: number, value: number): Task {
    const bytes = littleEndianBytes(value, size);
    try {
      yield* this.#machine.sys.pwrite(this.#fd, bytes, this.#offset + at, this.#name);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      this.#machine.log(error.message);
    }
    for (let i = 0; i < size; i++) {
      const mask = this.#writable[at + i];
      this.bytes[at + i] = (this.bytes[at + i] & ~mask) | (bytes[i] & mask);
    }
  }
}
