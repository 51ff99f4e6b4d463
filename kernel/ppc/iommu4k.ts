/**
 * The driver of the 4K-page IOMMU: per LIODN passed through while the host has it, translated while a type1 container has
 * it, and blocked in between. Messages are remapped: nobody's bus address space loses a page to them, and user space never
 * hears of banks.
 */
import type { Iommu4kFaultRecord, Iommu4kUnit } from '../../devices/physical/iommu/page_iommu.ts';
import { MPIC_SOURCE } from '../include/arch/ppc/fsl_soc.ts';
import {
  IOMMU4K_DEVICE,
  IOMMU4K_DEVICES,
  IOMMU4K_ENTRY,
  IOMMU4K_MESSAGE,
  IOMMU4K_MESSAGE_VALID,
  IOMMU4K_MESSAGES,
  IOMMU4K_VECTORS,
} from '../include/arch/ppc/iommu4k.ts';
import { Errno } from '../include/uapi/errno.ts';
import { type HostMemory, PAGE_SIZE } from '../lib/host_memory.ts';
import type { IommuDomain } from '../vfio/vfio.ts';
import type { FslMsi } from './fsl_msi.ts';
import { Iommu4kTables } from './iommu4k_tables.ts';
import type { DeviceMessage, MessageSource } from './message_source.ts';
import type { GroupOwner } from './platform_bus.ts';
import type { GroupFactory, Qoriq } from './qoriq.ts';

/** Faults that the host's log keeps. */
const LOG_RECORDS = 256;

export class Iommu4k {
  readonly unit: Iommu4kUnit;
  readonly memory: HostMemory;
  readonly msi: FslMsi;
  /** Faults, oldest first. */
  readonly faults: Iommu4kFaultRecord[] = [];
  readonly #host: Qoriq;
  readonly #devices: number;
  readonly #messages: number;
  /** Entries of the remapping table that are in use. */
  readonly #used = new Uint8Array(IOMMU4K_VECTORS);

  /** @param liodns of the device tree: passed through from now on. @throws Error without memory for the tables */
  constructor(host: Qoriq, unit: Iommu4kUnit, liodns: readonly number[]) {
    const { kernel, msi, mpic } = host;
    const { pages } = kernel;
    this.#host = host;
    this.unit = unit;
    this.memory = kernel.memory;
    this.msi = msi;
    const devices = pages.allocPages((IOMMU4K_DEVICES * IOMMU4K_ENTRY.DEVICE) / PAGE_SIZE);
    const messages = pages.allocPages(1);
    if (devices === undefined || messages === undefined) throw new Error('iommu4k: no memory for its tables');
    this.#devices = devices;
    this.#messages = messages;
    for (const liodn of liodns) this.setDevice(liodn, IOMMU4K_DEVICE.PASS);
    unit.enable(devices, messages);
    const iommu = this;
    mpic.request(MPIC_SOURCE.ERROR, function* () {
      iommu.#fault();
    });
  }

  /** Page tables of a domain. @throws Errno ENOMEM */
  tables(): Iommu4kTables {
    return new Iommu4kTables(this.memory, this.#host.kernel.pages, () => this.unit.drain());
  }

  /** A LIODN's entry; when it returns, no access goes by the old one. */
  setDevice(liodn: number, entry: number): void {
    this.memory.store(this.#devices + liodn * IOMMU4K_ENTRY.DEVICE, entry);
    this.unit.drain();
  }

  /** A message that only devices with this LIODN can send. @throws Errno ENOSPC */
  allocateMessage(liodn: number, handler: () => void): DeviceMessage {
    const index = this.#used.indexOf(0);
    if (index < 0) throw new Errno('ENOSPC', `iommu4k: ${IOMMU4K_VECTORS} messages are in use`);
    const vector = this.msi.allocateHost(handler);
    this.#used[index] = 1;
    const entry = this.#messages + index * IOMMU4K_ENTRY.MESSAGE;
    const { FLAGS, LIODN, BANK, DATA } = IOMMU4K_MESSAGE;
    for (const [word, value] of [
      [LIODN, liodn],
      [BANK, vector.bank.index],
      [DATA, vector.data],
      [FLAGS, IOMMU4K_MESSAGE_VALID],
    ])
      this.memory.store(entry + word, value);
    return {
      address: IOMMU4K_MESSAGES.start + index * IOMMU4K_MESSAGES.stride,
      // What the device writes does not count.
      data: 0,
      free: () => {
        this.memory.store(entry + FLAGS, 0);
        this.unit.drain();
        vector.free();
        this.#used[index] = 0;
      },
    };
  }

  #fault(): void {
    const record = this.unit.takeFault();
    if (record === undefined) return;
    this.faults.push(record);
    if (this.faults.length > LOG_RECORDS) this.faults.shift();
    const { liodn, address, write, reason } = record;
    this.#host.kernel.log(
      `iommu4k: ${write ? 'write' : 'read'} at 0x${address.toString(16)} by LIODN 0x${liodn.toString(16)} refused: ${reason}`,
    );
  }
}

/** A group behind it: what type1 drives, and who has it. */
export class Iommu4kGroup implements GroupOwner, IommuDomain {
  readonly liodn: number;
  readonly #iommu: Iommu4k;
  #tables: Iommu4kTables | undefined;

  constructor(iommu: Iommu4k, liodn: number) {
    this.#iommu = iommu;
    this.liodn = liodn;
  }

  get claimed(): boolean {
    return this.#tables !== undefined;
  }
  get messages(): MessageSource | undefined {
    if (!this.claimed) return undefined;
    return { allocate: (handler) => this.#iommu.allocateMessage(this.liodn, handler) };
  }

  /** A container takes it: nothing is mapped. @throws Errno ENOMEM */
  attach(): void {
    this.#tables = this.#iommu.tables();
    this.#iommu.setDevice(this.liodn, this.#tables.root | IOMMU4K_DEVICE.TRANSLATE);
  }
  /** The container lets go: blocked. */
  detach(): void {
    this.#iommu.setDevice(this.liodn, 0);
    this.#tables?.release();
    this.#tables = undefined;
  }
  map(iova: number, hpas: readonly number[], prot: number): void {
    // READ and WRITE are bits 0 and 1 of both.
    this.#tables?.map(iova, hpas, prot);
  }
  unmap(iova: number, size: number): void {
    this.#tables?.unmap(iova, size);
  }
  /** Entries there are, for inspection: [4K, 2M]. */
  entries(): [number, number] {
    return this.#tables?.count() ?? [0, 0];
  }

  useDefaultDomain(): void {
    this.#iommu.setDevice(this.liodn, IOMMU4K_DEVICE.PASS);
  }
}

/** The groups behind it, for the platform bus. */
export function iommu4kGroups(iommu: Iommu4k): (liodn: number) => GroupFactory {
  return (liodn) => {
    const owner = new Iommu4kGroup(iommu, liodn);
    return { options: { emulated: false, domain: owner }, owner };
  };
}
