/**
 * A PCI function as the kernel's PCI core knows it (drivers/pci/probe.c, drivers/pci/msi): the sizes of its BARs, its
 * capabilities, and its interrupts as the host bridge delivers them.
 */
import type { HostBridge } from '../../devices/physical/phb/host_bridge.ts';
import { messagesPending, pinAsserted, takeMessages } from '../../devices/physical/phb/interrupts.ts';
import { sendPendingVectors, takeVectors, vectorsSent } from '../../devices/physical/phb/msix.ts';
import { peBlock } from '../../devices/physical/phb/pe.ts';
import {
  littleEndian,
  PCI_BASE_ADDRESS_MEM_FLAGS,
  PCI_CAP_ID,
  PCI_CFG_SPACE_SIZE,
  PCI_COMMAND,
  PCI_MSI,
  PCI_MSI_FLAGS,
  PCI_MSIX,
  PCI_MSIX_BIR,
  PCI_MSIX_ENTRY,
  PCI_MSIX_ENTRY_CTRL_MASKBIT,
  PCI_MSIX_FLAGS,
  PCI_REG,
  PCI_STD_NUM_BARS,
  pciCapabilities,
} from '../include/uapi/pci_regs.ts';
import type { Powernv } from '../ppc/powernv.ts';

/** Where the host bridge takes memory writes for messages, below 4 GiB (powernv: the 32-bit MSI window). */
const MSI_ADDRESS = 0xffff_0000;

/** What a function has for MSI or MSI-X. */
export interface MessageCapability {
  /** Offset of the capability. */
  readonly at: number;
  /** Vectors it can have. */
  readonly vectors: number;
}
export interface MsixCapability extends MessageCapability {
  /** Where the vectors' table is. */
  readonly table: { readonly bar: number; readonly offset: number };
}

export class PciFunction {
  readonly bridge: HostBridge;
  readonly pe: number;
  /** Requester ID: bus, device, function. */
  readonly rid: number;
  /** Bytes of each BAR; 0: it does not have it. */
  readonly barSizes: readonly number[];
  /** Interrupt pin, 1 for INTA#; 0: none. */
  readonly pin: number;
  readonly capabilities: readonly (readonly [id: number, at: number])[];
  readonly msi: MessageCapability | undefined;
  readonly msix: MsixCapability | undefined;
  readonly #host: Powernv;
  readonly #block: number;

  constructor(host: Powernv, pe: number) {
    this.#host = host;
    this.bridge = host.bridge;
    this.pe = pe;
    this.rid = host.bridge.inspect(pe).rid;
    this.#block = peBlock(host.kernel.map.phb, pe);
    this.barSizes = Array.from({ length: PCI_STD_NUM_BARS }, (_, bar) => this.#sizeBar(bar));
    this.pin = this.configRead(PCI_REG.INTERRUPT_PIN, 1);
    this.capabilities = pciCapabilities((at) => this.configRead(at, 1));
    this.msi = this.#msi();
    this.msix = this.#msix();
  }

  configRead(at: number, size: number): number {
    return this.bridge.configRead(this.pe, at, size);
  }
  configWrite(at: number, size: number, value: number): void {
    this.bridge.configWrite(this.pe, at, size, value);
  }
  /** The whole of configuration space. */
  config(): Uint8Array {
    return Uint8Array.from({ length: PCI_CFG_SPACE_SIZE }, (_, at) => this.configRead(at, 1));
  }

  get memoryEnabled(): boolean {
    return (this.configRead(PCI_REG.COMMAND, 2) & PCI_COMMAND.MEMORY) !== 0;
  }

  /** A whole reset; configuration space is saved before and restored after (pci_save_state, pci_restore_state). */
  reset(): void {
    const saved = this.config();
    this.bridge.reset(this.pe);
    for (let at = 0; at < saved.length; at += 4) this.configWrite(at, 4, littleEndian(saved, at, 4));
  }

  // Interrupts

  /** The pin asks for an interrupt, and is not disabled. */
  pinAsserted(): boolean {
    return pinAsserted(this.#host.kernel.memory, this.#block);
  }
  /** pci_intx: lets the pin ask, or not. */
  intx(enable: boolean): void {
    const command = this.configRead(PCI_REG.COMMAND, 2);
    const { INTX_DISABLE } = PCI_COMMAND;
    this.configWrite(PCI_REG.COMMAND, 2, enable ? command & ~INTX_DISABLE : command | INTX_DISABLE);
  }
  get messagesPending(): boolean {
    const { memory } = this.#host.kernel;
    return messagesPending(memory, this.#block) || vectorsSent(memory, this.#block);
  }
  /** Takes the messages that have come; returns a mask of their vectors. */
  takeMessages(): number {
    const { memory } = this.#host.kernel;
    return takeVectors(memory, this.#block) | (takeMessages(memory, this.#block) > 0 ? 1 : 0);
  }

  /** pci_alloc_irq_vectors: the device sends messages from now on, and leaves its pin alone. */
  enableMessages(msix: boolean, vectors: number): void {
    this.takeMessages();
    this.intx(false);
    if (msix) this.#enableMsix(vectors);
    else this.#enableMsi(vectors);
  }
  #enableMsi(vectors: number): void {
    const { at } = this.msi as MessageCapability;
    const flags = this.configRead(at + PCI_MSI.FLAGS, 2);
    this.configWrite(at + PCI_MSI.ADDRESS_LO, 4, MSI_ADDRESS);
    const wide = (flags & PCI_MSI_FLAGS.BITS_64) !== 0;
    if (wide) this.configWrite(at + PCI_MSI.ADDRESS_HI, 4, 0);
    this.configWrite(at + (wide ? PCI_MSI.DATA_64 : PCI_MSI.DATA_32), 2, 0);
    const log2 = Math.ceil(Math.log2(vectors));
    this.configWrite(at + PCI_MSI.FLAGS, 2, (flags & ~PCI_MSI_FLAGS.QSIZE) | (log2 << 4) | PCI_MSI_FLAGS.ENABLE);
  }
  #enableMsix(vectors: number): void {
    const { at } = this.msix as MsixCapability;
    // The table answers only with memory space on (pci_msix: "disable memory decoding" is not an option here).
    const command = this.configRead(PCI_REG.COMMAND, 2);
    this.configWrite(PCI_REG.COMMAND, 2, command | PCI_COMMAND.MEMORY);
    for (let vector = 0; vector < vectors; vector++) {
      this.#entry(vector, PCI_MSIX_ENTRY.LOWER_ADDR, MSI_ADDRESS);
      this.#entry(vector, PCI_MSIX_ENTRY.UPPER_ADDR, 0);
      this.#entry(vector, PCI_MSIX_ENTRY.DATA, vector);
      this.#entry(vector, PCI_MSIX_ENTRY.VECTOR_CTRL, 0);
    }
    this.configWrite(PCI_REG.COMMAND, 2, command);
    const flags = this.configRead(at + PCI_MSIX.FLAGS, 2) & ~PCI_MSIX_FLAGS.MASKALL;
    this.configWrite(at + PCI_MSIX.FLAGS, 2, flags | PCI_MSIX_FLAGS.ENABLE);
    sendPendingVectors(this.#host.kernel.memory, this.#block);
  }
  #entry(vector: number, word: number, value: number): void {
    const { bar, offset } = (this.msix as MsixCapability).table;
    this.bridge.mmioWrite(this.pe, bar, offset + vector * PCI_MSIX_ENTRY.SIZE + word, 4, value);
  }

  /** pci_free_irq_vectors. */
  disableMessages(msix: boolean): void {
    if (msix) {
      const { at, vectors } = this.msix as MsixCapability;
      const flags = this.configRead(at + PCI_MSIX.FLAGS, 2);
      this.configWrite(at + PCI_MSIX.FLAGS, 2, flags & ~PCI_MSIX_FLAGS.ENABLE);
      for (let v = 0; v < vectors; v++) this.#entry(v, PCI_MSIX_ENTRY.VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
    } else {
      const { at } = this.msi as MessageCapability;
      const flags = this.configRead(at + PCI_MSI.FLAGS, 2);
      this.configWrite(at + PCI_MSI.FLAGS, 2, flags & ~(PCI_MSI_FLAGS.ENABLE | PCI_MSI_FLAGS.QSIZE));
    }
    this.takeMessages();
    this.intx(true);
  }

  // Probing

  /** __pci_read_base: what of a register full of ones stays tells the size. */
  #sizeBar(bar: number): number {
    const at = PCI_REG.BASE_ADDRESS_0 + 4 * bar;
    const before = this.configRead(at, 4);
    this.configWrite(at, 4, 0xffff_ffff);
    const mask = this.configRead(at, 4) & ~PCI_BASE_ADDRESS_MEM_FLAGS;
    this.configWrite(at, 4, before);
    return mask === 0 ? 0 : -mask >>> 0;
  }
  #at(id: number): number | undefined {
    return this.capabilities.find(([found]) => found === id)?.[1];
  }
  #msi(): MessageCapability | undefined {
    const at = this.#at(PCI_CAP_ID.MSI);
    if (at === undefined) return undefined;
    return { at, vectors: 2 ** ((this.configRead(at + PCI_MSI.FLAGS, 2) & PCI_MSI_FLAGS.QMASK) >> 1) };
  }
  #msix(): MsixCapability | undefined {
    const at = this.#at(PCI_CAP_ID.MSIX);
    if (at === undefined) return undefined;
    const table = this.configRead(at + PCI_MSIX.TABLE, 4);
    return {
      at,
      vectors: (this.configRead(at + PCI_MSIX.FLAGS, 2) & PCI_MSIX_FLAGS.QSIZE) + 1,
      table: { bar: table & PCI_MSIX_BIR, offset: (table & ~PCI_MSIX_BIR) >>> 0 },
    };
  }
}
