/**
 * An IOMMU group behind PAMUs: the devices of one LIODN. Its DMA goes everywhere while the host has it, through a domain
 * while a container has it, and nowhere in between.
 */
import type { FslPamu } from './fsl_pamu.ts';
import type { FslPamuDomain } from './fsl_pamu_domain.ts';
import type { MessageSource } from './message_source.ts';
import type { GroupOwner } from './platform_bus.ts';

/** What a container gives a group. */
export interface PamuOwnership {
  readonly domain: Pick<FslPamuDomain, 'attach' | 'detach'>;
  /** Where its devices' message signalled interrupts come from. */
  readonly messages: MessageSource;
}

export class PamuGroup implements GroupOwner {
  readonly liodn: number;
  readonly #pamu: FslPamu;
  #owner: PamuOwnership | undefined;
  /** The host's entry is in the table. */
  #identity = true;

  constructor(pamu: FslPamu, liodn: number) {
    this.#pamu = pamu;
    this.liodn = liodn;
  }

  get claimed(): boolean {
    return this.#owner !== undefined;
  }
  get messages(): MessageSource | undefined {
    return this.#owner?.messages;
  }

  /** A container takes the group. @throws Errno EINVAL, ENOSPC: it is as before then */
  claim(owner: PamuOwnership): void {
    owner.domain.attach(this.liodn);
    this.#owner = owner;
    this.#identity = false;
  }
  /** The container lets go: the group is blocked. */
  release(): void {
    this.#owner?.domain.detach(this.liodn);
    this.#owner = undefined;
  }

  /** A host driver binds: its devices see memory as it is, as after boot. Others of the group may be doing DMA already. */
  useDefaultDomain(): void {
    const { tables } = this.#pamu;
    if (this.#identity && tables.isValid(this.liodn)) return;
    tables.setValid(this.liodn, false);
    this.#pamu.configureIdentity(this.liodn);
    this.#pamu.allow(this.liodn);
    this.#identity = true;
  }
}
