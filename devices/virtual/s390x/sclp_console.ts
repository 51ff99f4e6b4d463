/** The events behind SCLP's consoles and shutdown: ASCII text, line-mode messages, signal quiesce. */
import { struct, u16, u32 } from '../../../kernel/lib/struct.ts';
import { ebcdicToAscii } from './ebcdic.ts';
import { SCLP_RC } from './sccb.ts';
import { type ConsoleInput, readAscii, readCommand } from './sclp_console_input.ts';
import { SCLP_EVENT, type SclpEvent } from './sclp_events.ts';

/** Takes what the guest prints, as ASCII bytes. */
export type ConsoleOutput = (bytes: Uint8Array) => void;

/** Event type X'1A': the payload is text (QEMU's sclpconsole). @param input what is typed; none when omitted */
export function asciiConsole(output: ConsoleOutput, input?: ConsoleInput): SclpEvent {
  return {
    type: SCLP_EVENT.ASCII_CONSOLE,
    write(payload) {
      output(payload);
      return SCLP_RC.NORMAL_COMPLETION;
    },
    ...(input === undefined
      ? {}
      : {
          read: (room) => readAscii(input, room),
          pending: () => !input.empty,
          reset: () => input.clear(),
        }),
  };
}

/** Event type X'01': an operator's command, which answers on the line-mode console. */
export function operatorCommand(input: ConsoleInput): SclpEvent {
  return {
    type: SCLP_EVENT.OPERATIONS_COMMAND,
    read: (room) => readCommand(input, room),
    pending: () => input.line,
    reset: () => input.clear(),
  };
}

/** A message data block: its header, and the header of each object in it (Linux drivers/s390/char/sclp_rw.h). */
const MDB_HEADER = struct('mdb_header', 'be', { length: u16, type: u16, tag: u32, revision: u32 }, { size: 12 });
const MDB_OBJECT = struct('mdb_object', 'be', { length: u16, type: u16 }, { size: 4 });
const MDB_TYPE = 1;
/** `MDB ` in EBCDIC. */
const MDB_TAG = 0xd4c4c240;
/** Types of objects: general, and message text. */
const OBJECT_GENERAL = 1;
const OBJECT_TEXT = 4;
/** Bytes of a text object before its text: header, line-type flags, alarm control, three reserved. */
const TEXT_HEADER = 10;

/** Event type X'02': messages by lines, in EBCDIC (QEMU's sclplmconsole). Every text object is a line. */
export function lineModeConsole(output: ConsoleOutput): SclpEvent {
  return {
    type: SCLP_EVENT.MESSAGE,
    write(payload) {
      const lines = messageLines(payload);
      if (lines === undefined) return SCLP_RC.EVENT_BUFFER_SYNTAX_ERROR;
      for (const line of lines) output(Uint8Array.of(...ebcdicToAscii(line), 0x0a));
      return SCLP_RC.NORMAL_COMPLETION;
    },
  };
}

/** The texts of a message data block; undefined when a length does not fit. */
function messageLines(payload: Uint8Array): Uint8Array[] | undefined {
  if (payload.length < MDB_HEADER.size) return undefined;
  const dv = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const mdb = MDB_HEADER.at(dv);
  if (mdb.type !== MDB_TYPE || mdb.tag !== MDB_TAG || mdb.length > payload.length || mdb.length < MDB_HEADER.size)
    return undefined;
  const lines: Uint8Array[] = [];
  for (let at = MDB_HEADER.size; at < mdb.length; ) {
    if (mdb.length - at < MDB_OBJECT.size) return undefined;
    const { length, type } = MDB_OBJECT.at(dv, at);
    const least = type === OBJECT_TEXT ? TEXT_HEADER : MDB_OBJECT.size;
    if (length < least || length > mdb.length - at) return undefined;
    if (type === OBJECT_TEXT) lines.push(payload.subarray(at + TEXT_HEADER, at + length));
    else if (type !== OBJECT_GENERAL) return undefined;
    at += length;
  }
  return lines;
}

/** Event type X'1D': asks the guest to shut down. */
export class SignalQuiesce implements SclpEvent {
  readonly type = SCLP_EVENT.SIGNAL_QUIESCE;
  #requested = false;

  /** The next read gives the event. Use {@link Sclp.quiesce}, which also tells the guest. */
  request(): void {
    this.#requested = true;
  }
  pending(): boolean {
    return this.#requested;
  }
  /** Time-out 0 and its unit, seconds (Linux drivers/s390/char/sclp_quiesce.c). */
  read(): Uint8Array {
    this.#requested = false;
    return new Uint8Array(3);
  }
}
