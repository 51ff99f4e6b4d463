/**
 * What is typed at the guest's console, and the two events in which a guest reads it: ASCII text as it comes, or an
 * operator's command, a line in EBCDIC (QEMU hw/char/sclpconsole.c, sclpconsole-lm.c; Linux drivers/s390/char/sclp_tty.c).
 * Whichever the guest wants to receive gets it.
 */
import { ebcdic } from './ebcdic.ts';

/** Bytes that wait for the guest at most: what an SCCB of a page holds (QEMU SIZE_BUFFER_VT220). */
export const INPUT_MOST = 4080;

const LINE_END = 0x0a;

export class ConsoleInput {
  #waiting = new Uint8Array(0);

  /** Adds ASCII bytes; false, and nothing is added, when the guest has not read enough of what came before. */
  add(bytes: Uint8Array): boolean {
    if (this.#waiting.length + bytes.length > INPUT_MOST) return false;
    this.#waiting = Uint8Array.of(...this.#waiting, ...bytes);
    return true;
  }
  get empty(): boolean {
    return this.#waiting.length === 0;
  }
  /** There is a line with its end. */
  get line(): boolean {
    return this.#waiting.includes(LINE_END);
  }
  /** Takes the oldest bytes. */
  take(most: number): Uint8Array {
    const taken = this.#waiting.slice(0, most);
    this.#waiting = this.#waiting.slice(most);
    return taken;
  }
  /** Takes the oldest line, without its end; of one that is longer than `most` the first part. */
  takeLine(most: number): Uint8Array {
    const end = this.#waiting.indexOf(LINE_END);
    if (end > most) return this.take(most);
    const line = this.take(end);
    this.take(1);
    return line;
  }
  /** Machine reset. */
  clear(): void {
    this.#waiting = new Uint8Array(0);
  }
}

/** Says that an ASCII string follows. */
const ASCII_STRING = 0;

/** Event X'1A' for the guest. @param room bytes of payload that fit. undefined: none would */
export function readAscii(input: ConsoleInput, room: number): Uint8Array | undefined {
  return room < 2 ? undefined : Uint8Array.of(ASCII_STRING, ...input.take(room - 1));
}

/** The general-data-stream vectors around a command, outermost first: 16-bit length, identifier. */
const GDS_VECTORS = [0x1310, 0x1212, 0x1320]; // MDS message unit, CP message unit, text command
/** Then subvectors: 8-bit length, key: a self-defining text message, and its text. */
const GDS_SUBVECTORS = [0x31, 0x30];
/** Bytes of all headers. */
const HEADERS = 4 * GDS_VECTORS.length + 2 * GDS_SUBVECTORS.length;
/** Most bytes of a command: the outer subvector's length is a byte. */
const TEXT_MOST = 0xff - 2 * GDS_SUBVECTORS.length;

/** Event X'01' for the guest: one line. @param room bytes of payload that fit. undefined: none would */
export function readCommand(input: ConsoleInput, room: number): Uint8Array | undefined {
  if (room <= HEADERS) return undefined;
  const line = input.takeLine(Math.min(TEXT_MOST, room - HEADERS));
  let message: readonly number[] = [...ebcdic(Buffer.from(line).toString('latin1'), line.length)];
  for (const key of GDS_SUBVECTORS.toReversed()) message = [message.length + 2, key, ...message];
  for (const id of GDS_VECTORS.toReversed()) {
    const length = message.length + 4;
    message = [length >>> 8, length & 0xff, id >>> 8, id & 0xff, ...message];
  }
  return Uint8Array.from(message);
}
