/**
 * Cables: a link of two directions in shared memory, each a {@link FrameRing} that lies with the NIC it leads to.
 *
 * | what the cable leads to | frames this NIC sends go to | |
 * |---|---|---|
 * | `loopback` | its own receiving end | a plug that joins the pairs |
 * | `{ pair: n }` | the receiving end of NIC n, whose cable leads back here | a crossed cable |
 * | `echo` | a host that answers ARP and ICMP echo: `echo_host.ts` | |
 * | `none` | nowhere: no carrier | |
 *
 * The engine of the sending NIC is the one producer of a direction, the engine of the receiving NIC the one consumer, each
 * perhaps on a thread of its own. Nothing is lost on a cable: a sender whose cable is full waits, as if the receiver sent
 * PAUSE frames. Frames are without check sequence, which whoever wants it computes, unless the sender supplied its own.
 */
import type { Doorbell } from '../../../kernel/lib/doorbell.ts';
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { FrameRing } from './frame_ring.ts';
import { CABLE_CAPACITY, NIC_AREA_SIZE, NIC_PART } from './nic_area.ts';

/** Flag of a frame in a cable: its last four bytes are the check sequence that software supplied. */
export const WIRE_FCS = 1;

/** What a NIC's cable leads to. */
export type NicWire = 'loopback' | 'echo' | 'none' | { readonly pair: number };

/** A NIC as the configuration describes it. */
export interface NicOptions {
  /** `52:54:00:12:34:56`. */
  readonly mac: string;
  readonly wire: NicWire;
  /** File that gets every frame of the cable at this end, in libpcap's format. */
  readonly pcap?: string;
  /** `down`: the cable is not plugged in at power-on. `up` when omitted. */
  readonly link?: 'up' | 'down';
}

/** One end of a cable, as the NIC's engine holds it. */
export interface CableEnd {
  /** Frames to this NIC. */
  readonly inbound: FrameRing;
  /** Frames from it; undefined when they go nowhere. */
  readonly outbound: FrameRing | undefined;
  /** Tells the other end that frames have come, or that there is room again. */
  readonly wake: () => void;
}

/** HPA of a NIC's area. @param netBase `SharedMap.net`. */
export function nicAreaAt(netBase: number, number: number): number {
  return netBase + number * NIC_AREA_SIZE;
}

/** Number of the NIC at the other end; undefined when it is no other NIC. */
export function partnerOf(nics: readonly NicOptions[], number: number): number | undefined {
  const { wire } = nics[number];
  return typeof wire === 'object' ? wire.pair : undefined;
}

/** @throws Error naming the NIC whose cable leads to one that does not lead back */
export function checkCables(nics: readonly NicOptions[]): void {
  for (let number = 0; number < nics.length; number++) {
    const partner = partnerOf(nics, number);
    if (partner === undefined) continue;
    if (partner === number) throw new Error(`NIC ${number}: its cable leads to itself; say loopback`);
    if (nics[partner] === undefined)
      throw new Error(`NIC ${number}: its cable leads to NIC ${partner}, which does not exist`);
    if (partnerOf(nics, partner) !== number)
      throw new Error(`NIC ${number}: its cable leads to NIC ${partner}, whose cable leads elsewhere`);
  }
}

/**
 * The end of a NIC's cable. @param doorbellOf doorbell of the engine of a NIC, by its number.
 */
export function cableEnd(
  memory: HostMemory,
  netBase: number,
  nics: readonly NicOptions[],
  number: number,
  doorbellOf: (nic: number) => Doorbell,
): CableEnd {
  const ring = (nic: number, part: number) => new FrameRing(memory, nicAreaAt(netBase, nic) + part, CABLE_CAPACITY);
  const inbound = ring(number, NIC_PART.inbound);
  const { wire } = nics[number];
  const own = doorbellOf(number);
  const wakeOwn = () => own.ring();
  if (wire === 'none') return { inbound, outbound: undefined, wake: () => {} };
  // Of its own, for each end of a ring keeps what it found in the object.
  if (wire === 'loopback') return { inbound, outbound: ring(number, NIC_PART.inbound), wake: wakeOwn };
  if (wire === 'echo') return { inbound, outbound: ring(number, NIC_PART.far), wake: wakeOwn };
  const far = doorbellOf(wire.pair);
  return { inbound, outbound: ring(wire.pair, NIC_PART.inbound), wake: () => far.ring() };
}

/** The far end of an `echo` cable, as the host there holds it. */
export function farEnd(
  memory: HostMemory,
  netBase: number,
  number: number,
): { inbound: FrameRing; outbound: FrameRing } {
  const area = nicAreaAt(netBase, number);
  return {
    inbound: new FrameRing(memory, area + NIC_PART.far, CABLE_CAPACITY),
    outbound: new FrameRing(memory, area + NIC_PART.inbound, CABLE_CAPACITY),
  };
}
