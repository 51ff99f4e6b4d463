/**
 * MSI and MSI-X of a passed-through device (QEMU vfio_msi_enable, vfio_msix_enable, hw/pci/msi.c, msix.c). What the guest
 * writes into the capability and the table stays here; the kernel gives the device messages of its own, which come as
 * eventfds.
 */

import {
  littleEndian,
  PCI_MSI,
  PCI_MSI_FLAGS,
  PCI_MSIX_ENTRY,
  PCI_MSIX_ENTRY_CTRL_MASKBIT,
  PCI_MSIX_FLAGS,
} from '../../../kernel/include/uapi/pci_regs.ts';
import { low32 } from '../../../kernel/lib/words64.ts';

/** A message as the guest's bus carries it. */
export interface MsiMessage {
  readonly address: bigint;
  readonly data: number;
}

/** The MSI capability at `at` of the configuration space `config`. */
export class MsiCapability {
  readonly #config: Uint8Array;
  readonly at: number;
  readonly #wide: boolean;
  constructor(config: Uint8Array, at: number) {
    this.#config = config;
    this.at = at;
    this.#wide = (this.#flags & PCI_MSI_FLAGS.BITS_64) !== 0;
  }
  get #flags(): number {
    return littleEndian(this.#config, this.at + PCI_MSI.FLAGS, 2);
  }
  get enabled(): boolean {
    return (this.#flags & PCI_MSI_FLAGS.ENABLE) !== 0;
  }
  /** Vectors the device can have. */
  get possible(): number {
    return 2 ** ((this.#flags & PCI_MSI_FLAGS.QMASK) >> 1);
  }
  /** Vectors that the guest has enabled, as many as there can be at most. */
  get vectors(): number {
    return Math.min(2 ** ((this.#flags & PCI_MSI_FLAGS.QSIZE) >> 4), this.possible);
  }
  get #data(): number {
    return this.at + (this.#wide ? PCI_MSI.DATA_64 : PCI_MSI.DATA_32);
  }
  /** The message of a vector: its number takes the low bits of the data. */
  message(vector: number): MsiMessage {
    const { vectors } = this;
    const high = this.#wide ? littleEndian(this.#config, this.at + PCI_MSI.ADDRESS_HI, 4) : 0;
    const low = littleEndian(this.#config, this.at + PCI_MSI.ADDRESS_LO, 4);
    const data = littleEndian(this.#config, this.#data, 2);
    return { address: (BigInt(high) << 32n) | BigInt(low), data: (data & ~(vectors - 1)) | vector };
  }
  /** What firmware writes for the guest (msi_set_message). */
  setMessage({ address, data }: MsiMessage): void {
    const dv = new DataView(this.#config.buffer, this.#config.byteOffset);
    dv.setUint32(this.at + PCI_MSI.ADDRESS_LO, low32(address), true);
    if (this.#wide) dv.setUint32(this.at + PCI_MSI.ADDRESS_HI, Number(address >> 32n), true);
    dv.setUint16(this.#data, data & 0xffff, true);
  }
}

/** MSI-X: the capability's control word, the table and the pending bits. */
export class MsixTable {
  readonly at: number;
  readonly vectors: number;
  readonly #config: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #dv: DataView;
  readonly #pending: Uint8Array;

  constructor(config: Uint8Array, at: number, vectors: number) {
    this.#config = config;
    this.at = at;
    this.vectors = vectors;
    this.#bytes = new Uint8Array(vectors * PCI_MSIX_ENTRY.SIZE);
    this.#dv = new DataView(this.#bytes.buffer);
    // Quadwords (PCI 3.0, 6.8.2.4).
    this.#pending = new Uint8Array(Math.ceil(vectors / 64) * 8);
    this.clear();
  }
  get #flags(): number {
    return littleEndian(this.#config, this.at + 2, 2);
  }
  get enabled(): boolean {
    return (this.#flags & PCI_MSIX_FLAGS.ENABLE) !== 0;
  }
  /** Bytes of the table, and of the pending bits. */
  get size(): number {
    return this.#bytes.length;
  }
  get pendingSize(): number {
    return this.#pending.length;
  }
  masked(vector: number): boolean {
    if ((this.#flags & PCI_MSIX_FLAGS.MASKALL) !== 0) return true;
    const control = this.#dv.getUint32(vector * PCI_MSIX_ENTRY.SIZE + PCI_MSIX_ENTRY.VECTOR_CTRL, true);
    return (control & PCI_MSIX_ENTRY_CTRL_MASKBIT) !== 0;
  }
  message(vector: number): MsiMessage {
    const at = vector * PCI_MSIX_ENTRY.SIZE;
    const low = this.#dv.getUint32(at + PCI_MSIX_ENTRY.LOWER_ADDR, true);
    const high = this.#dv.getUint32(at + PCI_MSIX_ENTRY.UPPER_ADDR, true);
    return {
      address: (BigInt(high) << 32n) | BigInt(low),
      data: this.#dv.getUint32(at + PCI_MSIX_ENTRY.DATA, true),
    };
  }
  /** What firmware writes for the guest (msix_set_message): the vector is unmasked. */
  setMessage(vector: number, { address, data }: MsiMessage): void {
    const at = vector * PCI_MSIX_ENTRY.SIZE;
    this.#dv.setUint32(at + PCI_MSIX_ENTRY.LOWER_ADDR, low32(address), true);
    this.#dv.setUint32(at + PCI_MSIX_ENTRY.UPPER_ADDR, Number(address >> 32n), true);
    this.#dv.setUint32(at + PCI_MSIX_ENTRY.DATA, data, true);
    this.#dv.setUint32(at + PCI_MSIX_ENTRY.VECTOR_CTRL, 0, true);
  }
  /** A message could not go: its vector is masked. */
  setPending(vector: number): void {
    this.#pending[vector >> 3] |= 1 << (vector & 7);
  }
  /** Takes the vectors whose message is pending and may go now. */
  takePending(): number[] {
    if (!this.enabled) return [];
    const ready = Array.from({ length: this.vectors }, (_, vector) => vector).filter(
      (vector) => (this.#pending[vector >> 3] & (1 << (vector & 7))) !== 0 && !this.masked(vector),
    );
    for (const vector of ready) this.#pending[vector >> 3] &= ~(1 << (vector & 7));
    return ready;
  }
  read(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(offset, offset + length);
  }
  write(offset: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, offset);
  }
  readPending(offset: number, length: number): Uint8Array {
    return this.#pending.slice(offset, offset + length);
  }
  /** As after a reset: every vector masked, nothing pending. */
  clear(): void {
    this.#bytes.fill(0);
    this.#pending.fill(0);
    for (let vector = 0; vector < this.vectors; vector++)
      this.#dv.setUint32(vector * PCI_MSIX_ENTRY.SIZE + PCI_MSIX_ENTRY.VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT, true);
  }
}
