/**
 * MSI banks of the MPIC (arch/powerpc/sysdev/fsl_msi.c), with what isolation takes: whoever can write a bank's doorbell
 * raises every vector of the bank, so a bank belongs to the host or to one container. Facts: vfio-pamu 4, 5.4.
 */
import {
  IRQS_PER_MSIR,
  MSI_MODELS,
  type MsiModel,
  msiData,
  msiDoorbell,
  msir,
  msirSource,
} from '../include/arch/ppc/fsl_msi.ts';
import { CCSR_BASE, MPIC_BRR1, MPIC_BRR1_VERSION } from '../include/arch/ppc/fsl_soc.ts';
import { Errno } from '../include/uapi/errno.ts';
import { PAGE_SIZE } from '../lib/host_memory.ts';
import type { FslSocBus } from './fsl_soc_bus.ts';
import type { Mpic } from './mpic.ts';

/** Who may have a bank: a container's domain. The host is {@link HOST}. */
export type MsiOwner = object;
/** The host's drivers as an owner of vectors. */
export const HOST: MsiOwner = { name: 'host' };

/** A vector that somebody has. */
export interface MsiVector {
  readonly bank: MsiBank;
  /** Message data that raises it. */
  readonly data: number;
  readonly free: () => void;
}

export class MsiBank {
  readonly index: number;
  readonly model: MsiModel;
  /** Host-physical address of the page with the doorbell, and the doorbell's place in it. */
  readonly page: number;
  readonly pageOffset: number;
  /** The page holds nothing but this doorbell. */
  readonly isolated: boolean;
  /** Messages for vectors that nobody has. */
  spurious = 0;
  #container: MsiOwner | undefined;
  /** Handlers by vector; absent: free. */
  readonly #handlers: ({ readonly owner: MsiOwner; readonly handler: () => void } | undefined)[];

  readonly #take: (srs: number) => number;

  /** @param take reads an MSIR, which clears it */
  constructor(index: number, model: MsiModel, take: (srs: number) => number) {
    this.index = index;
    this.model = model;
    this.#take = take;
    const doorbell = CCSR_BASE + msiDoorbell(model, index);
    this.pageOffset = doorbell % PAGE_SIZE;
    this.page = doorbell - this.pageOffset;
    this.isolated = model.alias;
    this.#handlers = Array.from({ length: model.msirs * IRQS_PER_MSIR }, () => undefined);
  }

  get vectors(): number {
    return this.#handlers.length;
  }
  /** Vectors that `owner` has. */
  armed(owner: MsiOwner): number {
    return this.#handlers.filter((h) => h?.owner === owner).length;
  }
  /** The container that has the bank; {@link HOST} while a driver of the host has a vector in it; undefined: free. */
  get owner(): MsiOwner | undefined {
    return this.#container ?? (this.armed(HOST) > 0 ? HOST : undefined);
  }

  /** A container takes the bank, which must be free. @throws Errno EBUSY */
  claim(owner: MsiOwner): void {
    if (this.owner !== undefined) throw new Errno('EBUSY', `MSI bank ${this.index} belongs to somebody else`);
    this.#container = owner;
  }
  /**
   * The container gives it back; it has no vector in it, and none of its devices reaches the doorbell any more. What they
   * have left in the MSIRs is not for the next owner.
   */
  release(owner: MsiOwner): void {
    if (this.#container !== owner) return;
    for (let srs = 0; srs < this.model.msirs; srs++) this.service(srs);
    this.#container = undefined;
  }

  /** A free vector for `owner`; undefined when there is none. */
  allocate(owner: MsiOwner, handler: () => void): MsiVector | undefined {
    const vector = this.#handlers.indexOf(undefined);
    if (vector < 0) return undefined;
    this.#handlers[vector] = { owner, handler };
    const data = msiData(this.model, Math.floor(vector / IRQS_PER_MSIR), vector % IRQS_PER_MSIR);
    return { bank: this, data, free: () => this.#free(vector) };
  }
  /** Messages that have come are still delivered: the vector's next owner gets none of them. */
  #free(vector: number): void {
    this.service(Math.floor(vector / IRQS_PER_MSIR));
    this.#handlers[vector] = undefined;
  }

  /** Takes the bits of an MSIR and runs their handlers, lowest first. */
  service(srs: number): void {
    for (let left = this.#take(srs) >>> 0; left !== 0; left = (left & (left - 1)) >>> 0) {
      const handler = this.#handlers[srs * IRQS_PER_MSIR + 31 - Math.clz32(left & -left)];
      if (handler === undefined) this.spurious++;
      else handler.handler();
    }
  }
}

export class FslMsi {
  readonly model: MsiModel;
  readonly banks: readonly MsiBank[];

  constructor(bus: FslSocBus, mpic: Mpic) {
    // One of them by the version register, as Linux tells 4.3 from those before.
    const version = bus.read32(MPIC_BRR1) & MPIC_BRR1_VERSION;
    this.model =
      Object.values<MsiModel>(MSI_MODELS).find(({ brr1 }) => (brr1 & MPIC_BRR1_VERSION) === version) ??
      MSI_MODELS.classic;
    this.banks = Array.from({ length: this.model.banks }, (_, index) => {
      return new MsiBank(index, this.model, (srs) => bus.read32(msir(index, srs)));
    });
    for (const bank of this.banks)
      for (let srs = 0; srs < this.model.msirs; srs++)
        mpic.request(msirSource(bank.index, srs), function* () {
          bank.service(srs);
        });
  }

  /** A vector for a driver of the host, from the first bank that no container has. @throws Errno ENOSPC */
  allocateHost(handler: () => void): MsiVector {
    for (const bank of this.banks) {
      if (bank.owner !== undefined && bank.owner !== HOST) continue;
      const vector = bank.allocate(HOST, handler);
      if (vector !== undefined) return vector;
    }
    throw new Errno('ENOSPC', 'no free MSI vector in a bank of the host');
  }
}
