/**
 * Fetching channel-command words and the checks a CCW must pass before it is executed, as a table (SA22-7832 chapter
 * 15, "Channel-Command Word", and chapter 16, "Program Check", "Protection Check").
 */

import { CCW_CMD, CCW_FLAG, CCW0, CCW1 } from '../../../kernel/include/arch/s390/ccw.ts';
import { ChannelCheck, type ChannelStorage, LIMIT_24, LIMIT_31 } from './channel_storage.ts';

/** Bytes of a CCW of either format; CCWs are aligned so. */
export const CCW_SIZE = 8;

/** A CCW, whatever its format in storage. */
export interface Ccw {
  readonly address: number;
  readonly command: number;
  readonly flags: number;
  readonly count: number;
  /** Data address, IDAL address or, of a TIC, the next CCW. */
  readonly cda: number;
}

/** What the checks depend on besides the CCW. */
interface FetchContext {
  /** ORB.F: format-1 CCWs. */
  readonly format1: boolean;
  /** ORB.S: the program may suspend itself. */
  readonly suspendControl: boolean;
  /** ORB.D: modified indirect addressing. */
  readonly midawControl: boolean;
}

/** One row: why a CCW is refused, and the test. */
interface CcwCheck {
  readonly reason: string;
  readonly bad: (ccw: Ccw, context: FetchContext, dataChained: boolean) => boolean;
}

/** Checks of every CCW except TIC. The command code of a CCW reached by data chaining is ignored. */
const CCW_CHECKS: readonly CcwCheck[] = [
  { reason: 'invalid command code', bad: (ccw, _, chained) => !chained && (ccw.command & 0x0f) === 0 },
  { reason: 'invalid command code', bad: (ccw, { format1 }, chained) => format1 && !chained && isTicLike(ccw) },
  { reason: 'bit 32 of a format-1 CCW', bad: (ccw, { format1 }) => format1 && ccw.cda >= LIMIT_31 },
  { reason: 'count zero in a format-0 CCW', bad: (ccw, { format1 }) => !format1 && ccw.count === 0 },
  {
    reason: 'count zero with data chaining',
    bad: (ccw, _, chained) => ccw.count === 0 && (chained || (ccw.flags & CCW_FLAG.DC) !== 0),
  },
  {
    reason: 'suspend flag without suspend control',
    bad: (ccw, { suspendControl }) => (ccw.flags & CCW_FLAG.SUSPEND) !== 0 && !suspendControl,
  },
  {
    reason: 'suspend flag during data chaining',
    bad: (ccw, _, chained) => chained && (ccw.flags & CCW_FLAG.SUSPEND) !== 0,
  },
  {
    reason: 'MIDAW flag without MIDAW control',
    bad: (ccw, { midawControl }) => (ccw.flags & CCW_FLAG.MIDA) !== 0 && !midawControl,
  },
  {
    reason: 'MIDAW flag beside the skip or the IDA flag',
    bad: (ccw) => (ccw.flags & CCW_FLAG.MIDA) !== 0 && (ccw.flags & (CCW_FLAG.SKIP | CCW_FLAG.IDA)) !== 0,
  },
];

/** Checks of a TIC besides its place in the chain. */
const TIC_CHECKS: readonly CcwCheck[] = [
  {
    reason: 'reserved bits of a format-1 TIC',
    bad: (ccw, { format1 }) => format1 && (ccw.flags !== 0 || ccw.count !== 0 || ccw.cda >= LIMIT_31),
  },
  { reason: 'TIC to an address off a doubleword', bad: (ccw) => ccw.cda % CCW_SIZE !== 0 },
];

const isTicLike = (ccw: Ccw) => (ccw.command & 0x0f) === CCW_CMD.TIC && ccw.command !== CCW_CMD.TIC;

const EMPTY = new DataView(new ArrayBuffer(0));

/** How a CCW is reached: `first` of the program, by `command` chaining (also after a suspension), by `data` chaining. */
export type Reached = 'first' | 'command' | 'data';

/** Fetches the CCWs of one channel program. */
export class CcwFetcher {
  readonly #storage: ChannelStorage;
  readonly #context: FetchContext;
  readonly #limit: number;
  /** Moved from word to word: one view a program, not one a CCW. */
  readonly #ccw0 = CCW0.at(EMPTY);
  readonly #ccw1 = CCW1.at(EMPTY);
  /** 8 past the last CCW that was looked at: what the SCSW's CCW address shows. */
  cpa = 0;

  constructor(storage: ChannelStorage, context: FetchContext) {
    this.#storage = storage;
    this.#context = context;
    this.#limit = context.format1 ? LIMIT_31 : LIMIT_24;
    this.#ccw0.dv = storage.memory.dv;
    this.#ccw1.dv = storage.memory.dv;
  }

  /**
   * The CCW at `address`, following at most one TIC, checked.
   * @throws ChannelCheck (program check, protection check)
   */
  fetch(address: number, how: Reached): Ccw {
    let ccw = this.#read(address);
    if (this.#isTic(ccw)) {
      this.#check(TIC_CHECKS, ccw, how === 'data');
      if (how === 'first') throw new ChannelCheck('TIC as the first CCW');
      // An address that cannot be read is reported with the TIC, not with what it points at.
      if (!this.#storage.contains(ccw.cda, CCW_SIZE, this.#limit)) throw new ChannelCheck('TIC to an invalid address');
      ccw = this.#read(ccw.cda);
      if (this.#isTic(ccw)) throw new ChannelCheck('TIC to a TIC');
    }
    this.#check(CCW_CHECKS, ccw, how === 'data');
    return ccw;
  }

  /** Format 0: any code ending in 8; format 1: 08 only. */
  #isTic(ccw: Ccw): boolean {
    return this.#context.format1 ? ccw.command === CCW_CMD.TIC : (ccw.command & 0x0f) === CCW_CMD.TIC;
  }

  #check(rows: readonly CcwCheck[], ccw: Ccw, dataChained: boolean): void {
    for (let i = 0; i < rows.length; i++)
      if (rows[i].bad(ccw, this.#context, dataChained)) throw new ChannelCheck(rows[i].reason);
  }

  #read(address: number): Ccw {
    this.cpa = address + CCW_SIZE;
    if (address % CCW_SIZE !== 0) throw new ChannelCheck('CCW off a doubleword');
    this.#storage.fetch(address, CCW_SIZE, this.#limit, 'CCW');
    if (this.#context.format1) {
      const word = this.#ccw1;
      word.address = address;
      return { address, command: word.cmd, flags: word.flags, count: word.count, cda: word.cda };
    }
    const word = this.#ccw0;
    word.address = address;
    const cda = (word.cdaHigh << 16) | word.cda;
    return { address, command: word.cmd, flags: word.flags, count: word.count, cda };
  }
}
