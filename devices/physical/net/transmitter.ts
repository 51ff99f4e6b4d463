/**
 * The transmitting side: descriptors are fetched, a frame is put together from their buffers, completed as the last one
 * says, and put on the cable (manual 3.3). Legacy descriptors only: one with DEXT is used up and reported like any
 * other, but the frame it belongs to is not sent.
 */
import type { Wait } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { internetSum } from './crc32.ts';
import { DescriptorRing } from './descriptor_ring.ts';
import {
  CAUSE,
  CTRL,
  DESCRIPTOR_DONE,
  FCS_SIZE,
  MAX_TRANSMIT,
  MIN_FRAME,
  REG,
  STAT,
  TCTL,
  TXD_CMD,
} from './e1000_regs.ts';
import { commit, halt, inLoopback, linkUp, mayDma, type NicContext } from './nic.ts';
import { NIC_PART, STATE_AT } from './nic_area.ts';
import { NicDma } from './nic_dma.ts';
import type { Receiver } from './receiver.ts';
import { ADDRESSES_SIZE, isBroadcast, tagType } from './rx_filter.ts';
import { Statistics } from './statistics.ts';
import { WIRE_FCS } from './wire.ts';

/** Type of an extended descriptor, in its third word: 0 is a context, which belongs to no frame (manual 3.3.5). */
const DTYP_MASK = 0xf << 20;
/** TXDCTL: threshold of TXD_LOW in units of 8 descriptors (manual, table 13-87). */
const LWTHRESH_SHIFT = 25;
const LWTHRESH_UNIT = 8;

export class Transmitter {
  readonly #nic: NicContext;
  readonly #receiver: Receiver;
  readonly dma: NicDma;
  readonly epochAt = STATE_AT.txEpoch;
  readonly headAt = REG.TDH;
  readonly statistics = new Statistics();
  readonly #ring: DescriptorRing;
  readonly #buffer: number;
  /** What the side's task waits for. */
  readonly wait: Wait;
  /** Bytes of the frame so far; whether it is not to be sent; whether it is complete and waits for room on the cable. */
  #length = 0;
  #bad = false;
  #complete = false;
  #flags = 0;
  #causes = 0;
  #used = 0;
  #sent = 0;
  #idle = false;

  constructor(nic: NicContext, receiver: Receiver) {
    const { memory, area, pe } = nic;
    this.#nic = nic;
    this.#receiver = receiver;
    this.dma = new NicDma(nic, area + this.epochAt);
    this.#ring = new DescriptorRing(memory, area + REG.TDBAL, this.dma);
    this.#buffer = area + NIC_PART.transmit;
    this.wait = { what: `descriptors for the NIC of PE ${pe}`, ready: () => this.#ready() };
  }

  /** One turn: a batch of descriptors. */
  step(): void {
    this.#setIdle(false);
    this.#begin();
    this.#receiver.begin();
    // The chip stops at a refusal; a reset brings it back.
    if (!this.#work() || !this.#flush()) halt(this.#nic, this.dma, this.epochAt);
    this.#receiver.end();
    if (this.#sent > 0) this.#nic.cable.wake();
    this.#sent = 0;
  }

  /** Before the task waits: the kernel rings from now on. */
  rest(): void {
    if (!this.#ready()) this.#setIdle(true);
  }

  #setIdle(idle: boolean): void {
    if (idle === this.#idle) return;
    this.#idle = idle;
    this.#nic.memory.store(this.#nic.area + STATE_AT.txIdle, idle ? 1 : 0);
  }

  #begin(): void {
    const { memory, area } = this.#nic;
    const epoch = memory.load(area + this.epochAt);
    if (epoch === this.dma.epoch) return;
    this.dma.epoch = epoch;
    this.#ring.forget();
    this.statistics.clear();
    this.#length = this.#causes = this.#used = 0;
    this.#bad = this.#complete = false;
  }

  /** Uses descriptors until the copy is empty or the cable is full; false when a transaction was refused. */
  #work(): boolean {
    if (!this.#able()) return true;
    if (this.#complete && !this.#send()) return true;
    if (this.#ring.next === this.#ring.count && !this.#ring.fetch()) return false;
    while (this.#ring.next < this.#ring.count && !this.#complete) if (!this.#descriptor()) return false;
    return true;
  }

  /** Uses one descriptor; false when its data were refused. */
  #descriptor(): boolean {
    const { words } = this.#ring;
    const at = this.#ring.next * 4;
    const word = words[at + 2];
    const command = word >>> 24;
    const extended = (command & TXD_CMD.DEXT) !== 0;
    const context = extended && (word & DTYP_MASK) === 0;
    if (extended) this.#bad ||= !context;
    else if (!this.#gather(words[at + 1], words[at], word & 0xffff)) return false;
    const report = (command & (TXD_CMD.RS | TXD_CMD.RPS)) !== 0;
    if (report) {
      this.#causes |= (command & TXD_CMD.IDE) !== 0 ? this.#nic.interrupts.transmitted() : CAUSE.TXDW;
      words[at + 3] |= DESCRIPTOR_DONE;
    }
    this.#ring.use(report);
    this.#used++;
    if (!context && (command & TXD_CMD.EOP) !== 0) this.#finish(command, word, words[at + 3]);
    return true;
  }

  /** Fetches a buffer behind what is there. */
  #gather(high: number, low: number, length: number): boolean {
    if (this.#length + length > MAX_TRANSMIT) this.#bad = true;
    if (this.#bad || length === 0) return true;
    if (!this.dma.read(high, low, this.#buffer + this.#length, length)) return false;
    this.#length += length;
    return true;
  }

  /** The last descriptor of a frame. @param word its third word (CSO in bits 16 to 23). @param last its fourth (CSS, special). */
  #finish(command: number, word: number, last: number): void {
    const { memory, area } = this.#nic;
    const insert = (command & TXD_CMD.IFCS) !== 0;
    if (this.#bad || this.#length === 0) {
      this.#next();
      return;
    }
    if ((command & TXD_CMD.IC) !== 0) this.#insertChecksum((last >>> 8) & 0xff, (word >>> 16) & 0xff);
    if ((command & TXD_CMD.VLE) !== 0 && (memory.load(area + REG.CTRL) & CTRL.VME) !== 0) this.#insertTag(last >>> 16);
    const short = MIN_FRAME - FCS_SIZE;
    if (insert && this.#length < short && (memory.load(area + REG.TCTL) & TCTL.PSP) !== 0) {
      memory.u8.fill(0, this.#buffer + this.#length, this.#buffer + short);
      this.#length = short;
    }
    this.#flags = insert ? 0 : WIRE_FCS;
    this.#complete = true;
    this.#send();
  }

  #next(): void {
    this.#length = 0;
    this.#bad = this.#complete = false;
  }

  /** CSS to the end of the frame, summed, into CSO (manual 3.3.3.1); fields outside the frame insert nothing. */
  #insertChecksum(start: number, offset: number): void {
    const { u8, dv } = this.#nic.memory;
    if (start >= this.#length || offset + 2 > this.#length) return;
    dv.setUint16(this.#buffer + offset, ~internetSum(u8, this.#buffer + start, this.#length - start) & 0xffff);
  }

  #insertTag(tag: number): void {
    const { memory, area } = this.#nic;
    const at = this.#buffer + ADDRESSES_SIZE;
    if (this.#length < ADDRESSES_SIZE + 2) return;
    memory.u8.copyWithin(at + 4, at, this.#buffer + this.#length);
    memory.dv.setUint16(at, tagType(memory, area));
    memory.dv.setUint16(at + 2, tag);
    this.#length += 4;
  }

  /** Puts the complete frame on the cable, or gives it to the own receiver; false when there is no room yet. */
  #send(): boolean {
    const { cable, pcap, memory, actor } = this.#nic;
    if (inLoopback(this.#nic)) this.#receiver.accept(this.#buffer, this.#length, this.#flags);
    else {
      const { outbound } = cable;
      if (outbound !== undefined && !outbound.push(this.#buffer, this.#length, this.#flags)) {
        if (!outbound.want(this.#length)) return false;
        outbound.push(this.#buffer, this.#length, this.#flags);
      }
      pcap?.frame(memory.u8, this.#buffer, this.#length - (this.#flags === 0 ? 0 : FCS_SIZE), actor.now());
      this.#sent++;
    }
    this.#count();
    this.#next();
    return true;
  }

  #count(): void {
    const { memory } = this.#nic;
    const { statistics } = this;
    const size = this.#length + (this.#flags === 0 ? FCS_SIZE : 0);
    statistics.add(STAT.TPT);
    statistics.add(STAT.TOTL, size);
    statistics.add(STAT.GPTC);
    statistics.add(STAT.GOTCL, size);
    statistics.addLength(STAT.PTC64, size);
    if ((memory.u8[this.#buffer] & 1) !== 0) statistics.add(isBroadcast(memory, this.#buffer) ? STAT.BPTC : STAT.MPTC);
  }

  /** Writes back what is used and tells software; false when that was refused. */
  #flush(): boolean {
    const { memory, area, interrupts, tracer, pe } = this.#nic;
    const used = this.#used;
    if (used === 0 && !this.statistics.any) return true;
    if (!this.#ring.writeBack()) return false;
    const left = this.#ring.available - used; // the head has not moved yet
    let causes = this.#causes | (left <= 0 ? CAUSE.TXQE : 0);
    const low = (memory.load(area + REG.TXDCTL) >>> LWTHRESH_SHIFT) * LWTHRESH_UNIT;
    if (low > 0 && left < low && left + used >= low) causes |= CAUSE.TXD_LOW;
    this.#causes = this.#used = 0;
    commit(this.#nic, this, used > 0 ? this.#ring.head : -1, used > 0 ? causes : 0);
    tracer?.point(EVENT.e1000_tx, pe, this.#sent, used);
    interrupts.service();
    return true;
  }

  /** Whether frames may go out at all. */
  #able(): boolean {
    const { memory, area } = this.#nic;
    if ((memory.load(area + REG.TCTL) & TCTL.EN) === 0 || !mayDma(this.#nic)) return false;
    return linkUp(this.#nic) || inLoopback(this.#nic);
  }

  #ready(): boolean {
    if (!this.#able()) return false;
    const { memory, area, cable } = this.#nic;
    if (memory.load(area + this.epochAt) !== this.dma.epoch) return true;
    if (this.#complete) return inLoopback(this.#nic) || (cable.outbound?.fits(this.#length) ?? true);
    return this.#ring.next < this.#ring.count || this.#ring.available > 0;
  }
}
