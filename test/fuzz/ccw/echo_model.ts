/** The echo control unit as a plain model: what each command takes, gives and answers. See `devices/physical/echo`. */

/** Device status. */
export const DSTAT = { MODIFIER: 0x40, CE_DE: 0x0c, UNIT_CHECK: 0x02, UNIT_EXCEPTION: 0x01 } as const;
/** Bytes of the buffer; a write moves into it by pieces, so that what came before a channel check stays. */
const BUFFER = 65536;
const PIECE = 4096;

/** Storage as the channel lets the device see it. Both end early, by an exception, at a channel check. */
export interface Port {
  /** At most `length` bytes; `wanted` means that fewer are an excess of the device. */
  take(length: number, wanted: boolean): Uint8Array;
  give(bytes: Uint8Array): void;
}

export interface Answer {
  readonly status: number;
  readonly immediate: boolean;
}

export class EchoModel {
  #buffer = new Uint8Array(BUFFER);
  #written = 0;
  #sense = new Uint8Array(32);
  /** What the next command adds to its ending: status, and two bytes of sense. */
  #prepared: Uint8Array | undefined;

  execute(command: number, port: Port): Answer {
    if (command === 0x04) {
      port.give(this.takeSense());
      return { status: DSTAT.CE_DE, immediate: false };
    }
    const prepared = this.#prepared;
    this.#prepared = undefined;
    this.#sense = new Uint8Array(32);
    switch (command) {
      case 0x01:
        this.#buffer = this.#buffer.slice();
        this.#written = this.#takeAll(port, (piece, at) => this.#buffer.set(piece, at));
        break;
      case 0x02:
        port.give(this.#buffer.slice(0, this.#written));
        break;
      case 0x03:
        break;
      case 0x0b:
        this.#takeAll(port, () => {});
        break;
      case 0x0c:
        port.give(this.#buffer.slice(0, this.#written).reverse());
        break;
      case 0x13: {
        const bytes = new Uint8Array(8);
        bytes.set(port.take(8, true));
        this.#prepared = bytes;
        break;
      }
      case 0xe4:
        port.give(Uint8Array.from([0xff, 0xff, 0xfe, 0x01, 0xff, 0xfe, 0x01]));
        break;
      default:
        this.#sense[0] = 0x80;
        return { status: DSTAT.CE_DE | DSTAT.UNIT_CHECK, immediate: false };
    }
    const added = prepared?.[0] ?? 0;
    if (prepared !== undefined && (added & DSTAT.UNIT_CHECK) !== 0) this.#sense.set(prepared.subarray(1, 3));
    return { status: DSTAT.CE_DE | added, immediate: command === 0x03 };
  }

  clone(): EchoModel {
    const copy = new EchoModel();
    // Shared until one of the two writes.
    copy.#buffer = this.#buffer;
    copy.#written = this.#written;
    copy.#sense = this.#sense.slice();
    copy.#prepared = this.#prepared;
    return copy;
  }

  /** Sense information, forgotten when it was taken. */
  takeSense(): Uint8Array {
    const sense = this.#sense;
    this.#sense = new Uint8Array(32);
    return sense;
  }

  #takeAll(port: Port, keep: (piece: Uint8Array, at: number) => void): number {
    let done = 0;
    while (done < BUFFER) {
      const piece = port.take(PIECE, false);
      keep(piece, done);
      done += piece.length;
      if (piece.length < PIECE) break;
    }
    return done;
  }
}
