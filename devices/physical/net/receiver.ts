/**
 * The receiving side: frames come off the cable, are checked and filtered, and go straight into the buffers that
 * software has given. When there are none they wait in the FIFO, as large as PBA says; what no longer fits there is an
 * overrun (manual 3.2).
 */
import type { Wait } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { frameCheck } from './crc32.ts';
import { DescriptorRing } from './descriptor_ring.ts';
import {
  CAUSE,
  CTRL,
  FCS_SIZE,
  MAX_FRAME,
  MAX_LONG_FRAME,
  MIN_FRAME,
  RCTL,
  REG,
  RXD_ERR,
  RXD_STAT,
  STAT,
} from './e1000_regs.ts';
import { FrameRing } from './frame_ring.ts';
import { commit, halt, inLoopback, linkUp, mayDma, type NicContext } from './nic.ts';
import { FIFO_CAPACITY, NIC_PART, STATE_AT } from './nic_area.ts';
import { NicDma } from './nic_dma.ts';
import { ADDRESSES_SIZE, FILTER, filterAddress, filterVlan, isBroadcast, tagOf } from './rx_filter.ts';
import { Statistics } from './statistics.ts';
import { WIRE_FCS } from './wire.ts';

/** Frames taken off the cable before other tasks get a turn. */
const BATCH = 64;
/** Bytes of a VLAN tag. */
const TAG_SIZE = 4;
/** Bytes of a frame without data. */
const HEADER_SIZE = 14;

/** Bytes of a buffer by RCTL.BSIZE, and with BSEX (manual, table 13-67); the reserved value is taken as 2048. */
const BUFFER_SIZES = [2048, 1024, 512, 256] as const;
const BUFFER_SIZES_EXTENDED = [2048, 16384, 8192, 4096] as const;

export class Receiver {
  readonly #nic: NicContext;
  readonly dma: NicDma;
  readonly epochAt = STATE_AT.rxEpoch;
  readonly headAt = REG.RDH;
  readonly statistics = new Statistics();
  readonly #ring: DescriptorRing;
  readonly #fifo: FrameRing;
  /** What the side's task waits for. */
  readonly wait: Wait;
  /** Bytes of the oldest frame that have been stored already: it needs more than one buffer. */
  #done = 0;
  /** Frames completed, causes raised and descriptors used since the last commit. */
  #frames = 0;
  #causes = 0;
  #used = 0;
  #stalled = false;

  constructor(nic: NicContext) {
    const { memory, area, pe } = nic;
    this.#nic = nic;
    this.dma = new NicDma(nic, area + this.epochAt);
    this.#ring = new DescriptorRing(memory, area + REG.RDBAL, this.dma);
    this.#fifo = new FrameRing(memory, area + NIC_PART.fifo, FIFO_CAPACITY);
    this.wait = { what: `frames for the NIC of PE ${pe}`, ready: () => this.#ready() };
  }

  /** One turn: what lies in the FIFO, then what comes off the cable. */
  step(): void {
    this.begin();
    for (let turn = 0; turn < BATCH; turn++) if (!this.#drain() && !this.#take()) break;
    this.end();
  }

  /** Before frames are given to {@link accept}. */
  begin(): void {
    const { memory, area } = this.#nic;
    const epoch = memory.load(area + this.epochAt);
    if (epoch === this.dma.epoch) return;
    this.dma.epoch = epoch;
    this.#ring.forget();
    this.#fifo.clear();
    this.statistics.clear();
    this.#done = this.#frames = this.#causes = this.#used = 0;
  }

  /** After them: descriptors are written back, software is told. */
  end(): void {
    this.#flush();
    const stalled = !this.#fifo.empty();
    if (stalled === this.#stalled) return;
    this.#stalled = stalled;
    this.#nic.memory.store(this.#nic.area + STATE_AT.rxStalled, stalled ? 1 : 0);
  }

  /** A frame has come: from the cable, or from this NIC's own transmitter. @param hpa a multiple of 4, with FRAME_SLACK. */
  accept(hpa: number, length: number, wireFlags: number): void {
    const { memory, area } = this.#nic;
    const rctl = memory.load(area + REG.RCTL);
    const explicit = (wireFlags & WIRE_FCS) !== 0;
    const payload = explicit ? length - FCS_SIZE : length;
    if ((rctl & RCTL.EN) === 0 || payload < HEADER_SIZE) return;
    const size = payload + FCS_SIZE;
    this.statistics.add(STAT.TPR);
    this.statistics.add(STAT.TORL, size);
    const errors = this.#errors(hpa, payload, explicit, rctl);
    if (errors < 0) return;
    const tag = tagOf(memory, area, hpa, payload);
    const match = filterAddress(memory, area, hpa, rctl);
    if (match === FILTER.REFUSED || !filterVlan(memory, area, tag, rctl)) return;
    if (errors === 0) this.#countGood(hpa, size);
    let start = hpa;
    let stored = payload;
    if ((rctl & RCTL.SECRC) === 0) {
      if (!explicit) memory.dv.setUint32(hpa + payload, frameCheck(memory.u8, hpa, payload), true);
      stored += FCS_SIZE;
    }
    let status = RXD_STAT.IXSM | (match === FILTER.INEXACT ? RXD_STAT.PIF : 0);
    let special = 0;
    if (tag >= 0 && (memory.load(area + REG.CTRL) & CTRL.VME) !== 0) {
      memory.u8.copyWithin(hpa + TAG_SIZE, hpa, hpa + ADDRESSES_SIZE);
      start += TAG_SIZE;
      stored -= TAG_SIZE;
      status |= RXD_STAT.VP;
      special = tag;
    }
    this.#place(start, stored, status | (errors << 8) | (special << 16));
  }

  /** Error bits of a frame that is kept; -1 for one that is not (manual 3.2.2). */
  #errors(hpa: number, payload: number, explicit: boolean, rctl: number): number {
    const { memory } = this.#nic;
    const size = payload + FCS_SIZE;
    const long = (rctl & RCTL.LPE) !== 0;
    if (size > (long ? MAX_LONG_FRAME : MAX_FRAME)) {
      this.statistics.add(STAT.ROC);
      return -1;
    }
    const storeBad = (rctl & RCTL.SBP) !== 0;
    if (size < MIN_FRAME) {
      this.statistics.add(STAT.RUC);
      if (!storeBad) return -1;
    }
    if (!explicit || frameCheck(memory.u8, hpa, payload) === memory.dv.getUint32(hpa + payload, true)) return 0;
    this.statistics.add(STAT.CRCERRS);
    return storeBad ? RXD_ERR.CE : -1;
  }

  #countGood(hpa: number, size: number): void {
    const { memory } = this.#nic;
    const { statistics } = this;
    statistics.add(STAT.GPRC);
    statistics.add(STAT.GORCL, size);
    statistics.addLength(STAT.PRC64, size);
    if ((memory.u8[hpa] & 1) !== 0) statistics.add(isBroadcast(memory, hpa) ? STAT.BPRC : STAT.MPRC);
  }

  /** Stores a frame that passed, or keeps it in the FIFO, or loses it. @param flags status, errors and tag. */
  #place(hpa: number, length: number, flags: number): void {
    const { memory, area, pe, tracer } = this.#nic;
    const waited = !this.#fifo.empty();
    if (!waited && this.#deliver(hpa, length, flags)) return;
    this.statistics.add(STAT.RNBC);
    const limit = (memory.load(area + REG.PBA) & 0xffff) * 1024;
    // What has begun to be stored must go on: the FIFO is empty then, and larger than any frame.
    const room = this.#done > 0 && !waited ? true : this.#fifo.used + length <= limit;
    if (room && this.#fifo.push(hpa, length, flags)) return;
    this.statistics.add(STAT.MPC);
    this.#causes |= CAUSE.RXO;
    tracer?.point(EVENT.e1000_receiver_overrun, pe, length, memory.load(area + REG.RDH), memory.load(area + REG.RDT));
  }

  /** Stores the rest of the oldest frame; false when buffers run out. */
  #deliver(hpa: number, length: number, flags: number): boolean {
    const { words } = this.#ring;
    const size = this.#bufferSize();
    while (this.#descriptor()) {
      const at = this.#ring.next * 4;
      const low = words[at];
      const high = words[at + 1];
      // A descriptor without a buffer is passed over (manual 3.2.3).
      const piece = (low | high) === 0 ? 0 : Math.min(size, length - this.#done);
      if (piece > 0 && !this.dma.write(high, low, hpa + this.#done, piece)) {
        halt(this.#nic, this.dma, this.epochAt);
        return false;
      }
      this.#done += piece;
      const last = this.#done === length;
      words[at + 2] = piece;
      words[at + 3] = last ? flags | RXD_STAT.DD | RXD_STAT.EOP : RXD_STAT.DD;
      this.#ring.use(true);
      this.#used++;
      if (!last) continue;
      this.#done = 0;
      this.#frames++;
      return true;
    }
    return false;
  }

  /** Makes sure there is a descriptor to use. */
  #descriptor(): boolean {
    if (this.#ring.next < this.#ring.count) return mayDma(this.#nic);
    if (!mayDma(this.#nic) || !this.#flush()) return false;
    if (this.#ring.fetch()) return this.#ring.count > 0;
    halt(this.#nic, this.dma, this.epochAt);
    return false;
  }

  /** Stores the oldest frame of the FIFO; false when there is none, or no buffer for it. */
  #drain(): boolean {
    if (!this.#fifo.peek() || !this.#canStore()) return false;
    if (!this.#deliver(this.#fifo.hpa, this.#fifo.length, this.#fifo.flags)) return false;
    this.#fifo.pop();
    return true;
  }

  /** Takes a frame off the cable; false when there is none. */
  #take(): boolean {
    const { memory, cable, pcap, actor } = this.#nic;
    const { inbound } = cable;
    if (!inbound.peek()) return false;
    if (!inLoopback(this.#nic) && linkUp(this.#nic)) {
      const explicit = (inbound.flags & WIRE_FCS) !== 0;
      pcap?.frame(memory.u8, inbound.hpa, inbound.length - (explicit ? FCS_SIZE : 0), actor.now());
      this.accept(inbound.hpa, inbound.length, inbound.flags);
    }
    if (inbound.pop()) cable.wake();
    return true;
  }

  /** Writes back what is used and tells software; false when that was refused, or void. */
  #flush(): boolean {
    const { interrupts, tracer, pe } = this.#nic;
    const used = this.#used;
    if (used === 0 && this.#causes === 0 && !this.statistics.any) return true;
    if (!this.#ring.writeBack()) {
      halt(this.#nic, this.dma, this.epochAt);
      return false;
    }
    if (this.#frames > 0) {
      this.#causes |= interrupts.received();
      tracer?.point(EVENT.e1000_rx, pe, this.#frames, used);
    }
    const causes = this.#causes | (used > 0 && this.#minimum(used) ? CAUSE.RXDMT0 : 0);
    this.#frames = this.#causes = this.#used = 0;
    const done = commit(this.#nic, this, used > 0 ? this.#ring.head : -1, causes);
    if (causes !== 0) interrupts.service();
    return done;
  }

  /** Whether the free descriptors have just come down to the threshold (manual, table 13-67: RDMTS). */
  #minimum(used: number): boolean {
    const { memory, area } = this.#nic;
    const shift = ((memory.load(area + REG.RCTL) >>> RCTL.RDMTS_SHIFT) & 3) + 1;
    const threshold = Math.floor(this.#ring.size / 2 ** shift);
    const before = this.#ring.available; // the head has not moved yet
    return before > threshold && before - used <= threshold;
  }

  #bufferSize(): number {
    const rctl = this.#nic.memory.load(this.#nic.area + REG.RCTL);
    const sizes = (rctl & RCTL.BSEX) !== 0 ? BUFFER_SIZES_EXTENDED : BUFFER_SIZES;
    return sizes[(rctl >>> RCTL.BSIZE_SHIFT) & 3];
  }

  /** Whether a frame of the FIFO can be stored now. */
  #canStore(): boolean {
    const { memory, area } = this.#nic;
    if ((memory.load(area + REG.RCTL) & RCTL.EN) === 0 || !mayDma(this.#nic)) return false;
    return this.#ring.next < this.#ring.count || this.#ring.available > 0;
  }

  #ready(): boolean {
    const { memory, area, cable } = this.#nic;
    if (!cable.inbound.empty()) return true;
    return !this.#fifo.empty() && (memory.load(area + this.epochAt) !== this.dma.epoch || this.#canStore());
  }
}
