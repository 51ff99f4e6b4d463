/** Channel reports waiting for STCRW, and the machine check that announces them (vfio-ccw facts 1.9). */
import { CRW, CRW_FLAGS } from '../../../kernel/include/arch/s390/crw.ts';

/** Reports kept for a guest that does not fetch them; the next one that fits says that some were lost. */
export const CRW_QUEUE_CAPACITY = 256;

/** A channel-report word: the two halfwords. */
export interface ChannelReport {
  readonly flags: number;
  readonly rsid: number;
}

/** A report from its fields. */
export function channelReport(
  rsc: number,
  erc: number,
  rsid: number,
  { solicited = false, chained = false } = {},
): ChannelReport {
  let flags = CRW_FLAGS.set(0, 'RSC', rsc);
  flags = CRW_FLAGS.set(flags, 'ERC', erc);
  flags = CRW_FLAGS.set(flags, 'S', solicited ? 1 : 0);
  flags = CRW_FLAGS.set(flags, 'C', chained ? 1 : 0);
  return { flags, rsid };
}

/** The four bytes STCRW stores. */
export function crwBytes(report: ChannelReport): Uint8Array {
  return CRW.bytes(CRW.make({ flags: report.flags, rsid: report.rsid }));
}

export class CrwQueue {
  #pending: ChannelReport[] = [];
  #lost = false;
  // Armed: the next report raises a machine check. It is armed again only by a STCRW that found nothing.
  #armed = true;

  /** Adds a report; true when a machine check must announce it. */
  add(report: ChannelReport): boolean {
    if (this.#pending.length === CRW_QUEUE_CAPACITY) {
      this.#lost = true;
      return false;
    }
    this.#pending.push(this.#lost ? { ...report, flags: report.flags | CRW_FLAGS.mask.R } : report);
    this.#lost = false;
    const announce = this.#armed;
    this.#armed = false;
    return announce;
  }
  /** Takes the oldest report; undefined, and the machine check is armed, when there is none. */
  take(): ChannelReport | undefined {
    const report = this.#pending.shift();
    if (report === undefined) this.#armed = true;
    return report;
  }
  /** Puts a report back that could not be stored. */
  putBack(report: ChannelReport): void {
    this.#pending.unshift(report);
  }
  clear(): void {
    this.#pending = [];
    this.#lost = false;
    this.#armed = true;
  }
}
