/**
 * A channel program interpreted directly over guest storage: what SSCH and its interruption must give, and what storage
 * must hold afterwards. Independent of the product: plain loops over the Principles of Operation's rules.
 */
import { DSTAT, type EchoModel, type Port } from './echo_model.ts';
import {
  ccwAt,
  Elsewhere,
  guestAddress,
  type HostCcw,
  KNOWN,
  type Orb,
  Refused,
  type Segment,
  translate,
} from './translation_model.ts';

/** What the guest must see. `cpa` is undefined where the host's address shows. */
export type Expected =
  | { readonly kind: 'cc'; readonly cc: number }
  | { readonly kind: 'refused' }
  /** It has no end, or reaches storage that the model does not know: it is not to be run. */
  | { readonly kind: 'left out' }
  | {
      readonly kind: 'ended';
      readonly stctl: number;
      readonly dstat: number;
      readonly cstat: number;
      readonly count: number;
      readonly cpa: number | undefined;
      readonly sense: Uint8Array | undefined;
    };

const FLAG = { DC: 0x80, CC: 0x40, SLI: 0x20, SKIP: 0x10, SUSPEND: 0x02, MIDA: 0x01 } as const;
const CSTAT = { INCORRECT_LENGTH: 0x40, PROGRAM: 0x20, PROTECTION: 0x10 } as const;
/** CCWs after which a program counts as endless. */
const ENDLESS = 300;

/** The channel stops the program. */
class Check extends Error {
  readonly cstat: number;
  constructor(cstat: number) {
    super();
    this.cstat = cstat;
  }
}
class Endless extends Error {}

/** Runs a program; changes `storage` and `device` as it does, but leaves storage alone when it is left out. The device's path is 0x80. */
export function interpret(storage: Uint8Array, device: EchoModel, orb: Orb): Expected {
  let segments: Segment[];
  try {
    segments = translate(storage, orb);
  } catch (refused) {
    if (refused instanceof Refused) return { kind: 'refused' };
    if (refused instanceof Elsewhere) return { kind: 'left out' };
    throw refused;
  }
  // The path is looked at only when the program was translated. A path mask of 0 is the kernel's own.
  if (orb.lpm !== 0 && (orb.lpm & 0x80) === 0) return { kind: 'cc', cc: 3 };
  const run = new Run(storage, device, orb, segments);
  try {
    return run.run();
  } catch (unknown) {
    if (!(unknown instanceof Endless || unknown instanceof Elsewhere)) throw unknown;
    run.undo();
    return { kind: 'left out' };
  }
}

class Run {
  readonly #storage: Uint8Array;
  readonly #device: EchoModel;
  readonly #orb: Orb;
  readonly #segments: readonly Segment[];
  readonly #block: number;
  /** 8 behind the last CCW looked at. */
  #cpa = 0;
  #steps = 0;
  // The current CCW: its place, itself, what is left of its count, and how far its words are used.
  #place = 0;
  #ccw!: HostCcw;
  #left = 0;
  #word = 0;
  #address = 0;
  #inBlock = 0;
  #command = 0;
  #moved = 0;
  #excess = false;
  /** What was in storage before. */
  readonly #before: { at: number; bytes: Uint8Array }[] = [];

  constructor(storage: Uint8Array, device: EchoModel, orb: Orb, segments: readonly Segment[]) {
    this.#storage = storage;
    this.#device = device;
    this.#orb = orb;
    this.#segments = segments;
    this.#block = !orb.h || orb.t ? 2048 : 4096;
  }

  run(): Expected {
    let place = this.#segments[0].at;
    let first = true;
    for (;;) {
      try {
        this.#fetch(place, first, false);
      } catch (check) {
        if (check instanceof Check) return this.#end(0, check.cstat, 0, this.#cpa);
        throw check;
      }
      first = false;
      this.#command = this.#ccw.cmd;
      this.#moved = 0;
      this.#excess = false;
      let status: number;
      let immediate: boolean;
      try {
        ({ status, immediate } = this.#device.execute(this.#command, this.#port()));
      } catch (check) {
        if (check instanceof Check) return this.#end(DSTAT.CE_DE, check.cstat, this.#left, this.#cpa);
        throw check;
      }
      const length = this.#wrongLength(status, immediate);
      const usual = (status & ~DSTAT.MODIFIER) === DSTAT.CE_DE;
      if ((this.#ccw.flags & FLAG.CC) === 0 || length || !usual)
        return this.#end(status, length ? CSTAT.INCORRECT_LENGTH : 0, this.#left, this.#place + 8);
      place = this.#place + ((status & DSTAT.MODIFIER) === 0 ? 8 : 16);
    }
  }

  /** Puts storage back as it was. */
  undo(): void {
    for (const { at, bytes } of this.#before.reverse()) this.#storage.set(bytes, at);
  }

  #end(dstat: number, cstat: number, count: number, place: number): Expected {
    const alert = cstat !== 0 || (dstat & ~(DSTAT.CE_DE | DSTAT.MODIFIER)) !== 0;
    return {
      kind: 'ended',
      stctl: alert ? 0x17 : 0x07,
      dstat,
      cstat,
      count,
      cpa: guestAddress(this.#segments, place),
      sense: (dstat & DSTAT.UNIT_CHECK) === 0 ? undefined : this.#device.takeSense(),
    };
  }

  #wrongLength(status: number, immediate: boolean): boolean {
    const { flags } = this.#ccw;
    const chains = (flags & FLAG.DC) !== 0;
    if ((flags & FLAG.SLI) !== 0 && !chains) return false;
    if ((status & DSTAT.UNIT_CHECK) !== 0 && this.#moved === 0) return false;
    // The channel sees format 1 whatever the guest's format is.
    if (immediate && !chains && this.#orb.l) return false;
    return this.#left !== 0 || this.#excess || chains;
  }

  /** Makes the CCW at a place current, through at most one TIC. */
  #fetch(place: number, first: boolean, dataChained: boolean): void {
    if (++this.#steps > ENDLESS) throw new Endless();
    let ccw = this.#read(place);
    if (ccw.cmd === 8) {
      if (ccw.flags !== 0 || ccw.count !== 0 || ccw.target % 8 !== 0 || first) throw new Check(CSTAT.PROGRAM);
      place = ccw.target;
      ccw = this.#read(place);
      if (ccw.cmd === 8) throw new Check(CSTAT.PROGRAM);
    }
    const { cmd, flags, count } = ccw;
    const bad =
      (!dataChained && ((cmd & 15) === 0 || (cmd & 15) === 8)) ||
      (count === 0 && (dataChained || (flags & FLAG.DC) !== 0)) ||
      (flags & (FLAG.SUSPEND | FLAG.MIDA)) !== 0;
    if (bad) throw new Check(CSTAT.PROGRAM);
    this.#place = place;
    this.#ccw = ccw;
    this.#left = count;
    this.#word = 0;
    this.#inBlock = 0;
  }

  #read(place: number): HostCcw {
    this.#cpa = place + 8;
    return ccwAt(this.#segments, place);
  }

  #port(): Port {
    const command = this.#command;
    const backward = (command & 15) === 12;
    const input = backward || (command & 3) === 2 || (command & 15) === 4;
    const { key } = this.#orb;
    // One run of bytes at a time: neither over a page nor over a block, for that is where checks can come.
    const next = (wanted: number): { at: number; length: number } | undefined => {
      if (this.#left === 0) {
        if ((this.#ccw.flags & FLAG.DC) === 0) return undefined;
        this.#fetch(this.#place + 8, false, true);
      }
      let length = Math.min(wanted, this.#left);
      let at = -1;
      if (!(input && (this.#ccw.flags & FLAG.SKIP) !== 0)) {
        if (this.#inBlock === 0) this.#nextWord(backward);
        length = Math.min(length, this.#inBlock);
        // Keys of the guest's storage are all 0: only key 0 may store.
        if (input && key !== 0) throw new Check(CSTAT.PROTECTION);
        at = backward ? this.#address - length + 1 : this.#address;
        if (at < KNOWN) throw new Elsewhere();
        this.#address += backward ? -length : length;
        this.#inBlock -= length;
      }
      this.#left -= length;
      this.#moved += length;
      return { at, length };
    };
    return {
      take: (wanted, exactly) => {
        const bytes: number[] = [];
        while (bytes.length < wanted) {
          const part = next(wanted - bytes.length);
          if (part === undefined) {
            this.#excess ||= exactly;
            break;
          }
          for (let i = 0; i < part.length; i++) bytes.push(this.#storage[part.at + i]);
        }
        return Uint8Array.from(bytes);
      },
      give: (bytes) => {
        for (let done = 0; done < bytes.length; ) {
          const part = next(bytes.length - done);
          if (part === undefined) {
            this.#excess = true;
            return;
          }
          if (part.at >= 0)
            this.#before.push({ at: part.at, bytes: this.#storage.slice(part.at, part.at + part.length) });
          for (let i = 0; part.at >= 0 && i < part.length; i++)
            this.#storage[part.at + (backward ? part.length - 1 - i : i)] = bytes[done + i];
          done += part.length;
        }
      },
    };
  }

  #nextWord(backward: boolean): void {
    const address = this.#ccw.words[this.#word];
    if (address === undefined) throw new Check(CSTAT.PROGRAM);
    const offset = address % this.#block;
    const ahead = backward ? offset + 1 : this.#block - offset;
    if (this.#word > 0 && ahead !== this.#block) throw new Check(CSTAT.PROGRAM);
    this.#word++;
    this.#address = address;
    this.#inBlock = ahead;
  }
}
