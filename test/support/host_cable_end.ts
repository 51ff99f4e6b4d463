/** One end of a cable between NICs, held by a test in place of the NIC's engine. */
import { peOfNic } from '../../devices/physical/net/install_nics.ts';
import { NIC_PART } from '../../devices/physical/net/nic_area.ts';
import { type CableEnd, cableEnd, type NicOptions, nicAreaAt } from '../../devices/physical/net/wire.ts';
import { Doorbell } from '../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../kernel/lib/host_memory.ts';
import { actorAreas, type SharedMap } from '../../kernel/lib/shared_map.ts';

/** Whose end it is. */
export interface CablePlace {
  readonly nics: readonly NicOptions[];
  /** The NIC in whose place it is; its cable leads to another one. */
  readonly nic: number;
}

export class HostCableEnd {
  readonly #memory: HostMemory;
  readonly #end: CableEnd;
  /** HPA where the NIC's transmitter would put a frame together. */
  readonly #staging: number;

  constructor(memory: HostMemory, map: SharedMap, { nics, nic }: CablePlace) {
    this.#memory = memory;
    this.#staging = nicAreaAt(map.net, nic) + NIC_PART.transmit;
    this.#end = cableEnd(
      memory,
      map.net,
      nics,
      nic,
      (number) => new Doorbell(memory, actorAreas(map, `dma${peOfNic(memory, map.phb, number)}`).doorbell),
    );
  }

  /** Whether a frame has come. */
  news(): boolean {
    return !this.#end.inbound.empty();
  }

  /** A copy of the next frame that has come. */
  take(): Uint8Array | undefined {
    const { inbound, wake } = this.#end;
    if (!inbound.peek()) return undefined;
    const bytes = this.#memory.u8.slice(inbound.hpa, inbound.hpa + inbound.length);
    if (inbound.pop()) wake();
    return bytes;
  }

  /** Whether there is room on the cable for a frame. */
  fits(frame: Uint8Array): boolean {
    return this.#end.outbound?.fits(frame.length) ?? false;
  }

  /** Puts a frame on the cable; false when there is no room. */
  send(frame: Uint8Array): boolean {
    if (!this.fits(frame)) return false;
    this.#memory.u8.set(frame, this.#staging);
    this.#end.outbound?.push(this.#staging, frame.length, 0);
    this.#end.wake();
    return true;
  }
}
