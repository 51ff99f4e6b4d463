/** The service-call control block's header and the response codes (s390x facts 12; Linux drivers/s390/char/sclp.h). */
import { bytes, struct, u8, u16, type View } from '../../../kernel/lib/struct.ts';

/** Eight bytes, big-endian. */
export const SCCB_HEADER = struct(
  'sccb_header',
  'be',
  { length: u16, functionCode: u8, controlMask: bytes(3), responseCode: u16 },
  { size: 8, offsets: { functionCode: 2, responseCode: 6 } },
);
export type SccbHeader = View<typeof SCCB_HEADER.fields>;

/** Event-buffer header, six bytes, big-endian. */
export const EVENT_HEADER = struct(
  'event_buffer',
  'be',
  { length: u16, type: u8, flags: u8, reserved: u16 },
  { size: 6 },
);
/** Event-buffer flag written back: the event was taken. */
export const EVENT_ACCEPTED = 0x80;

export const SCLP_RC = {
  NORMAL_READ_COMPLETION: 0x0010,
  NORMAL_COMPLETION: 0x0020,
  SCCB_BOUNDARY_VIOLATION: 0x0100,
  INVALID_SCLP_COMMAND: 0x01f0,
  INSUFFICIENT_SCCB_LENGTH: 0x0300,
  INVALID_FUNCTION: 0x40f0,
  NO_EVENT_BUFFERS_STORED: 0x60f0,
  INVALID_SELECTION_MASK: 0x70f0,
  EVENT_BUFFER_SYNTAX_ERROR: 0x73f0,
  INVALID_MASK_LENGTH: 0x74f0,
} as const;

/** A block being worked on: the bytes the guest gave, changed in place and then stored. */
export class Sccb {
  readonly bytes: Uint8Array;
  readonly dv: DataView;
  readonly header: SccbHeader;
  constructor(block: Uint8Array) {
    this.bytes = block;
    this.dv = new DataView(block.buffer, block.byteOffset, block.length);
    this.header = SCCB_HEADER.at(this.dv);
  }
  get length(): number {
    return this.bytes.length;
  }
}
