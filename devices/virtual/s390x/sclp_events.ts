/** SCLP's event facility: event masks, events from and to the guest (QEMU hw/s390x/event-facility.c; s390x facts 12). */
import { EVENT_ACCEPTED, EVENT_HEADER, SCLP_RC, type Sccb } from './sccb.ts';

/** Event types. */
export const SCLP_EVENT = {
  OPERATIONS_COMMAND: 0x01,
  MESSAGE: 0x02,
  ASCII_CONSOLE: 0x1a,
  SIGNAL_QUIESCE: 0x1d,
} as const;

/** A kind of event that the machine takes or gives. */
export interface SclpEvent {
  readonly type: number;
  /** The guest sends one: `payload` follows the event-buffer header. @returns response code. Absent: it may not. */
  write?(payload: Uint8Array): number;
  /**
   * Payload of the event that waits for the guest, and it waits no more; undefined when nothing of it fits `room` bytes.
   * Absent: there never is one.
   */
  read?(room: number): Uint8Array | undefined;
  /** An event waits. */
  pending?(): boolean;
  /** Machine reset. */
  reset?(): void;
}

/** Bit of an event type in a mask of 32 bits. */
export function eventMask(type: number): number {
  return (0x8000_0000 >>> (type - 1)) >>> 0;
}

/** Mask words are this long at most (QEMU SCLP_EVENT_MASK_LEN_MAX). */
const MASK_LENGTH_MOST = 1021;
/** Function codes of read event data. */
const UNCONDITIONAL_READ = 0x00;
const SELECTIVE_READ = 0x01;
/** Offsets behind the header: the mask length, and the masks. */
const MASK_LENGTH = 10;
const MASKS = 12;
const EVENTS = 8;

export class EventFacility {
  readonly #events: readonly SclpEvent[];
  /** What the guest wants to receive. */
  #receive = 0;

  constructor(events: readonly SclpEvent[]) {
    this.#events = events;
  }

  /** Something waits that the guest wants to receive. */
  get pending(): boolean {
    return this.#waiting(0xffff_ffff) !== undefined;
  }
  #waiting(selection: number): SclpEvent | undefined {
    return this.#events.find((event) => (eventMask(event.type) & this.#receive & selection) !== 0 && event.pending?.());
  }
  /** Machine reset. */
  reset(): void {
    this.#receive = 0;
    for (const event of this.#events) event.reset?.();
  }

  /** WRITE EVENT MASK: takes the guest's masks, answers with ours. */
  writeMask(sccb: Sccb): number {
    if (sccb.length < MASKS) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
    const length = sccb.dv.getUint16(MASK_LENGTH);
    if (length === 0 || length > MASK_LENGTH_MOST) return SCLP_RC.INVALID_MASK_LENGTH;
    if (sccb.length < MASKS + 4 * length) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
    this.#receive = readMask(sccb.bytes.subarray(MASKS, MASKS + length));
    const of = (some: (event: SclpEvent) => boolean) =>
      this.#events.reduce((mask, event) => (some(event) ? mask | eventMask(event.type) : mask), 0) >>> 0;
    storeMask(
      sccb.bytes.subarray(MASKS + 2 * length, MASKS + 3 * length),
      of((event) => event.write !== undefined),
    );
    storeMask(
      sccb.bytes.subarray(MASKS + 3 * length, MASKS + 4 * length),
      of((event) => event.read !== undefined),
    );
    return SCLP_RC.NORMAL_COMPLETION;
  }

  /** WRITE EVENT DATA: every event buffer in turn; the first that is refused decides the response. */
  writeData(sccb: Sccb): number {
    if (sccb.header.functionCode !== 0) return SCLP_RC.INVALID_FUNCTION;
    if (sccb.length < EVENTS + EVENT_HEADER.size) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
    for (let at = EVENTS; at < sccb.length; ) {
      const left = sccb.length - at;
      if (left < EVENT_HEADER.size) return SCLP_RC.EVENT_BUFFER_SYNTAX_ERROR;
      const header = EVENT_HEADER.at(sccb.dv, at);
      const { length } = header;
      if (length < EVENT_HEADER.size || length > left) return SCLP_RC.EVENT_BUFFER_SYNTAX_ERROR;
      const event = this.#events.find((e) => e.type === header.type);
      if (event?.write === undefined) return SCLP_RC.INVALID_FUNCTION;
      const response = event.write(sccb.bytes.slice(at + EVENT_HEADER.size, at + length));
      if (response !== SCLP_RC.NORMAL_COMPLETION) return response;
      header.flags |= EVENT_ACCEPTED;
      at += length;
    }
    return SCLP_RC.NORMAL_COMPLETION;
  }

  /** READ EVENT DATA: one event that waits, of those the guest wants. */
  readData(sccb: Sccb): number {
    const { functionCode } = sccb.header;
    let selection = 0xffff_ffff;
    if (functionCode === SELECTIVE_READ) {
      if (sccb.length < EVENTS + 4) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
      selection = sccb.dv.getUint32(EVENTS);
      if ((selection & ~this.#receive) !== 0) return SCLP_RC.INVALID_SELECTION_MASK;
    } else if (functionCode !== UNCONDITIONAL_READ) return SCLP_RC.INVALID_FUNCTION;
    const event = this.#waiting(selection);
    if (event?.read === undefined) return SCLP_RC.NO_EVENT_BUFFERS_STORED;
    const payload = event.read(sccb.length - EVENTS - EVENT_HEADER.size);
    if (payload === undefined) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
    const length = EVENT_HEADER.size + payload.length;
    if (sccb.length < EVENTS + length) return SCLP_RC.INSUFFICIENT_SCCB_LENGTH;
    sccb.bytes.fill(0, EVENTS);
    Object.assign(EVENT_HEADER.at(sccb.dv, EVENTS), { length, type: event.type });
    sccb.bytes.set(payload, EVENTS + EVENT_HEADER.size);
    return SCLP_RC.NORMAL_COMPLETION;
  }
}

/** The first 32 bits of a mask of any length. */
function readMask(mask: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value = value * 256 + (mask[i] ?? 0);
  return value;
}
function storeMask(mask: Uint8Array, value: number): void {
  mask.fill(0);
  for (let i = 0; i < Math.min(4, mask.length); i++) mask[i] = (value >>> (24 - 8 * i)) & 0xff;
}
