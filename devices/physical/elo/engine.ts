/**
 * The engines of the DMA channels: one task each, which moves data and reads link descriptors through the PAMU, one
 * transaction at a time. Anything may happen between two transactions; the tables are looked up for each.
 */

import { DMA_CHANNELS } from '../../../kernel/include/arch/ppc/fsl_soc.ts';
import {
  FSL_DMA_ATTRIBUTES,
  FSL_DMA_BCR_MAX_CNT,
  FSL_DMA_LD,
  FSL_DMA_LINK,
  FSL_DMA_MR,
  FSL_DMA_NLDA_MASK,
  FSL_DMA_SR,
} from '../../../kernel/include/arch/ppc/fsldma.ts';
import { type Actor, preempt, type Task, until, untilDeadline } from '../../../kernel/lib/task.ts';
import { EVENT } from '../../../kernel/lib/trace.ts';
import { busRead, busWrite, TRANSACTION_BOUNDARY } from '../pamu/interconnect.ts';
import { SocPort, type SocPortOptions } from '../pamu/soc_port.ts';
import { DmaChannel } from './channel.ts';

/** Starts the engines of all channels on the actor that the kernel rings for them. @throws Error without a SoC. */
export function spawnEloEngines(actor: Actor, options: SocPortOptions): void {
  const port = new SocPort(options);
  for (const [number, { name }] of DMA_CHANNELS.entries())
    actor.spawn(name, new Engine(actor, port, new DmaChannel(port.area, number)).run());
}

/** How a step of a transfer ended: SR bits of an error, or 'gone' when the transfer was aborted. */
type Step = 'done' | 'gone' | number;

/** What MR must not ask for: features that are not modelled. */
const UNMODELLED = FSL_DMA_MR.CDSM | FSL_DMA_MR.XFE | FSL_DMA_MR.SAHE | FSL_DMA_MR.DAHE;
const { TE, PE, EOLNI, EOSI, CB } = FSL_DMA_SR;

class Engine {
  readonly #actor: Actor;
  readonly #port: SocPort;
  readonly #channel: DmaChannel;
  /** Data between its read and its write. */
  readonly #buffer = new Uint8Array(TRANSACTION_BOUNDARY);
  readonly #descriptor = FSL_DMA_LD.make();
  readonly #message = new Uint8Array(4);

  constructor(actor: Actor, port: SocPort, channel: DmaChannel) {
    this.#actor = actor;
    this.#port = port;
    this.#channel = channel;
  }

  *run(): Task {
    const channel = this.#channel;
    const { name } = channel.node;
    for (;;) {
      yield* until(`start of ${name}`, () => channel.busy);
      const started = channel.state;
      if ((started & CB) === 0) continue; // aborted before it began
      const mode = channel.get('MR');
      this.#port.tracer?.point(EVENT.fsl_dma_start, channel.number, mode, channel.master().liodn);
      const step = yield* this.#transfer(started, mode);
      if (step === 'gone') continue;
      if (step === 'done') this.#report(started, mode & FSL_DMA_MR.CTM ? this.#segmentEnd(0) : this.#chainEnd(), true);
      else this.#report(started, { status: step, interrupt: (channel.get('MR') & FSL_DMA_MR.EIE) !== 0 }, true);
    }
  }

  *#transfer(started: number, mode: number): Task<Step> {
    if ((mode & UNMODELLED) !== 0) return PE;
    if ((mode & FSL_DMA_MR.CTM) !== 0) return yield* this.#segment(started);
    for (;;) {
      const fetched = yield* this.#fetchDescriptor(started);
      if (fetched !== 'done') return fetched;
      const moved = yield* this.#segment(started);
      if (moved !== 'done') return moved;
      const link = this.#channel.get('NLNDAR');
      if (FSL_DMA_LINK.get(link, 'EOLND') !== 0) return 'done';
      this.#report(started, this.#segmentEnd(link), false);
      if (!this.#held(started, () => this.#follow())) return 'gone';
    }
  }

  /** The next link becomes the current one. */
  #follow(): void {
    this.#channel.set('ECLNDAR', this.#channel.get('ENLNDAR'));
    this.#channel.set('CLNDAR', this.#channel.get('NLNDAR') & FSL_DMA_NLDA_MASK);
  }

  /** Reads the current link descriptor into the registers. */
  *#fetchDescriptor(started: number): Task<Step> {
    yield* this.#turn(started);
    const channel = this.#channel;
    const descriptor = this.#descriptor;
    let read = false;
    const held = this.#held(started, () => {
      const low = (channel.get('CLNDAR') & FSL_DMA_NLDA_MASK) >>> 0;
      const address = channel.get('ECLNDAR') * 0x1_0000_0000 + low;
      read = busRead(this.#port, channel.master(), address, FSL_DMA_LD.bytes(descriptor)) !== undefined;
      if (!read) return;
      channel.set('SATR', descriptor.src_attr);
      channel.set('SAR', descriptor.src_addr);
      channel.set('DATR', descriptor.dst_attr);
      channel.set('DAR', descriptor.dst_addr);
      channel.set('BCR', descriptor.count & FSL_DMA_BCR_MAX_CNT);
      channel.set('ENLNDAR', descriptor.next_ext & 0xf);
      channel.set('NLNDAR', descriptor.next);
    });
    return held ? (read ? 'done' : TE) : 'gone';
  }

  /** Moves what SAR, DAR and BCR say. */
  *#segment(started: number): Task<Step> {
    const channel = this.#channel;
    const striding = FSL_DMA_ATTRIBUTES.mask.SME & (channel.get('SATR') | channel.get('DATR'));
    if (channel.get('BCR') === 0 || striding !== 0) return PE;
    for (;;) {
      yield* this.#turn(started);
      let step: Step = 'done';
      if (
        !this.#held(started, () => {
          step = this.#transaction();
        })
      )
        return 'gone';
      if (step !== 'done') return step;
      if (channel.get('BCR') === 0) return 'done';
    }
  }

  /** One read and one write. */
  #transaction(): Step {
    const channel = this.#channel;
    const [source, target] = [this.#address('SATR', 'SAR'), this.#address('DATR', 'DAR')];
    const toBoundary = (address: number) => TRANSACTION_BOUNDARY - (address % TRANSACTION_BOUNDARY);
    const left = channel.get('BCR');
    const length = Math.min(left, toBoundary(source), toBoundary(target));
    const data = this.#buffer.subarray(0, length);
    const master = channel.master();
    if (busRead(this.#port, master, source, data) === undefined) return TE;
    if (busWrite(this.#port, master, target, data) === undefined) return TE;
    this.#setAddress('SATR', 'SAR', source + length);
    this.#setAddress('DATR', 'DAR', target + length);
    channel.set('BCR', left - length);
    return 'done';
  }

  #address(attributes: 'SATR' | 'DATR', low: 'SAR' | 'DAR'): number {
    return FSL_DMA_ATTRIBUTES.get(this.#channel.get(attributes), 'EAD') * 0x1_0000_0000 + this.#channel.get(low);
  }
  #setAddress(attributes: 'SATR' | 'DATR', low: 'SAR' | 'DAR', address: number): void {
    const word = this.#channel.get(attributes);
    this.#channel.set(attributes, FSL_DMA_ATTRIBUTES.set(word, 'EAD', Math.floor(address / 0x1_0000_0000)));
    this.#channel.set(low, address % 0x1_0000_0000);
  }

  /** Lets others run, and passes the time of a transaction and of a halt. */
  *#turn(started: number): Task {
    const channel = this.#channel;
    const slow = channel.get('SLOW');
    const gone = () => !channel.alive(started);
    if (slow === 0) yield* preempt();
    else yield* untilDeadline(`a slow transaction of ${channel.node.name}`, gone, this.#actor.now() + slow);
    yield* until(`halted ${channel.node.name}`, () => !channel.halted || gone());
  }

  /** Runs a step of the transfer with the lock held; false, without running it, when the transfer was aborted. */
  #held(started: number, step: () => void): boolean {
    return this.#port.area.locked(() => {
      if (!this.#channel.alive(started)) return false;
      step();
      return true;
    });
  }

  /** End of a segment whose link is given, or of a direct transfer. */
  #segmentEnd(link: number): Report {
    const wanted = (this.#channel.get('MR') & FSL_DMA_MR.EOSIE) !== 0 || FSL_DMA_LINK.get(link, 'EOSIE') !== 0;
    return { status: wanted ? EOSI : 0, interrupt: wanted };
  }
  /** End of the last segment of a chain. */
  #chainEnd(): Report {
    const segment = this.#segmentEnd(this.#channel.get('NLNDAR'));
    const wanted = (this.#channel.get('MR') & FSL_DMA_MR.EOLNIE) !== 0;
    return { status: segment.status | (wanted ? EOLNI : 0), interrupt: segment.interrupt || wanted };
  }

  /** Status first, then the interrupt, both before an abort can return. */
  #report(started: number, { status, interrupt }: Report, last: boolean): void {
    const channel = this.#channel;
    if (!last && status === 0) return;
    this.#port.area.locked(() => {
      const done = last ? CB | FSL_DMA_SR.CH : 0;
      const said = channel.advance((old) => (channel.alive(started) ? (old & ~done) | status : undefined));
      if (!said) return;
      if (last) this.#port.tracer?.point(EVENT.fsl_dma_end, channel.number, status);
      if (interrupt) this.#interrupt();
    });
  }

  /** Interrupts by message, if there is one, or by the channel's MPIC source. The lock is held. */
  #interrupt(): void {
    const channel = this.#channel;
    if (channel.get('MSICR') === 0) {
      this.#port.interrupt(channel.node.source);
      return;
    }
    new DataView(this.#message.buffer).setUint32(0, channel.get('MSIDATA'), true);
    const address = channel.get('MSIARH') * 0x1_0000_0000 + channel.get('MSIAR');
    // A message is one aligned word on the bus.
    busWrite(this.#port, channel.master(), address - (address % 4), this.#message);
  }
}

/** SR bits to set, and whether they interrupt. */
interface Report {
  readonly status: number;
  readonly interrupt: boolean;
}
