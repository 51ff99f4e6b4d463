/**
 * The host at the far end of an `echo` cable: answers ARP for its address (RFC 826) and ICMP echo (RFC 792), so that a
 * guest has somebody to ping. Address and MAC are those of the host in QEMU's user network (docs: 10.0.2.2). Whatever
 * else comes is dropped.
 */
import type { HostMemory } from '../../../kernel/lib/host_memory.ts';
import { internetSum } from './crc32.ts';
import { FCS_SIZE } from './e1000_regs.ts';
import type { FrameRing } from './frame_ring.ts';
import { WIRE_FCS } from './wire.ts';

/** 52:55:0a:00:02:02 and 10.0.2.2, in the order of their bytes. */
export const ECHO_MAC = [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02] as const;
export const ECHO_IP = 0x0a000202;

/** Ethernet types (IEEE 802 numbers, IANA). */
const TYPE = { AT: 12, IP: 0x0800, ARP: 0x0806 } as const;
/** Bytes of the Ethernet header; offsets below count from the frame's start. */
const ETHERNET = 14;
/** ARP packet for Ethernet and IPv4 (RFC 826). */
const ARP = {
  SIZE: ETHERNET + 28,
  HARDWARE_AND_PROTOCOL: 14,
  LENGTHS: 18,
  OPERATION: 20,
  SENDER_MAC: 22,
  SENDER_IP: 28,
  TARGET_MAC: 32,
  TARGET_IP: 38,
} as const;
/** IPv4 header (RFC 791). */
const IP = {
  VERSION: 14,
  TOTAL: 16,
  FRAGMENT: 20,
  TTL: 22,
  PROTOCOL: 23,
  SUM: 24,
  SOURCE: 26,
  TARGET: 30,
  SIZE: 20,
} as const;
const IP_ICMP = 1;
/** More fragments, and the fragment offset. */
const FRAGMENTED = 0x3fff;
const ICMP = { ECHO_REPLY: 0, ECHO: 8, SIZE: 8 } as const;
const TTL = 64;

export class EchoHost {
  readonly #memory: HostMemory;
  readonly #inbound: FrameRing;
  readonly #outbound: FrameRing;

  constructor(memory: HostMemory, end: { readonly inbound: FrameRing; readonly outbound: FrameRing }) {
    this.#memory = memory;
    this.#inbound = end.inbound;
    this.#outbound = end.outbound;
  }

  /** Whether a frame has come. */
  ready(): boolean {
    return !this.#inbound.empty();
  }

  /** Answers one frame; returns whether the NIC waits for room. An answer that the cable has no room for is lost. */
  step(): boolean {
    const ring = this.#inbound;
    if (!ring.peek()) return false;
    const { hpa } = ring;
    const length = ring.length - ((ring.flags & WIRE_FCS) !== 0 ? FCS_SIZE : 0);
    if (this.#answer(hpa, length)) this.#outbound.push(hpa, length, 0);
    return ring.pop();
  }

  /** Turns a request into its answer, in place; false when there is none. */
  #answer(hpa: number, length: number): boolean {
    if (length < ETHERNET) return false;
    const { dv } = this.#memory;
    const type = dv.getUint16(hpa + TYPE.AT);
    if (type === TYPE.ARP) return this.#arp(hpa, length);
    return type === TYPE.IP && this.#icmp(hpa, length);
  }

  #arp(hpa: number, length: number): boolean {
    const { dv, u8 } = this.#memory;
    const request =
      length >= ARP.SIZE &&
      dv.getUint32(hpa + ARP.HARDWARE_AND_PROTOCOL) === 0x0001_0800 &&
      dv.getUint32(hpa + ARP.LENGTHS) === 0x0604_0001 &&
      dv.getUint32(hpa + ARP.TARGET_IP) === ECHO_IP;
    if (!request) return false;
    dv.setUint16(hpa + ARP.OPERATION, 2);
    u8.copyWithin(hpa + ARP.TARGET_MAC, hpa + ARP.SENDER_MAC, hpa + ARP.TARGET_MAC);
    dv.setUint32(hpa + ARP.SENDER_IP, ECHO_IP);
    u8.set(ECHO_MAC, hpa + ARP.SENDER_MAC);
    this.#turn(hpa);
    return true;
  }

  #icmp(hpa: number, length: number): boolean {
    const { dv, u8 } = this.#memory;
    const header = (u8[hpa + IP.VERSION] & 0xf) * 4;
    const total = dv.getUint16(hpa + IP.TOTAL);
    const icmp = hpa + ETHERNET + header;
    const request =
      length >= ETHERNET + IP.SIZE &&
      u8[hpa + IP.VERSION] >>> 4 === 4 &&
      header >= IP.SIZE &&
      total >= header + ICMP.SIZE &&
      length >= ETHERNET + total &&
      (dv.getUint16(hpa + IP.FRAGMENT) & FRAGMENTED) === 0 &&
      u8[hpa + IP.PROTOCOL] === IP_ICMP &&
      dv.getUint32(hpa + IP.TARGET) === ECHO_IP &&
      internetSum(u8, hpa + IP.VERSION, header) === 0xffff &&
      u8[icmp] === ICMP.ECHO &&
      internetSum(u8, icmp, total - header) === 0xffff;
    if (!request) return false;
    u8[icmp] = ICMP.ECHO_REPLY;
    this.#checksum(icmp + 2, icmp, total - header);
    dv.setUint32(hpa + IP.TARGET, dv.getUint32(hpa + IP.SOURCE));
    dv.setUint32(hpa + IP.SOURCE, ECHO_IP);
    u8[hpa + IP.TTL] = TTL;
    this.#checksum(hpa + IP.SUM, hpa + IP.VERSION, header);
    this.#turn(hpa);
    return true;
  }

  #checksum(at: number, from: number, length: number): void {
    const { dv, u8 } = this.#memory;
    dv.setUint16(at, 0);
    dv.setUint16(at, ~internetSum(u8, from, length) & 0xffff);
  }

  /** Back to where it came from. */
  #turn(hpa: number): void {
    const { u8 } = this.#memory;
    u8.copyWithin(hpa, hpa + 6, hpa + 12);
    u8.set(ECHO_MAC, hpa + 6);
  }
}
