/** Sense information of a 3990 control unit with 3390 drives, 32 bytes (GA32-0274 "Sense Data"; vfio-ccw facts 5.2). */

import { cchh } from './geometry.ts';

/** Bytes of sense information. */
export const SENSE_SIZE = 32;

/** Byte 0. */
export const SENSE0 = {
  COMMAND_REJECT: 0x80,
  INTERVENTION: 0x40,
  BUS_OUT: 0x20,
  EQUIPMENT: 0x10,
  DATA: 0x08,
  OVERRUN: 0x04,
  /** With command reject: the program ended inside a Locate Record domain. */
  INCOMPLETE_DOMAIN: 0x01,
} as const;
/** Byte 1. */
export const SENSE1 = {
  PERMANENT: 0x80,
  INVALID_TRACK_FORMAT: 0x40,
  END_OF_CYLINDER: 0x20,
  NO_RECORD_FOUND: 0x08,
  FILE_PROTECTED: 0x04,
  WRITE_INHIBITED: 0x02,
  /** The failing command ended well before; byte 3 tells how many commands of the domain were left. */
  IMPRECISE: 0x01,
} as const;
/** Formats, byte 7 bits 0-3. */
export const FORMAT = { PROGRAM: 0x00, DEVICE: 0x10, DATA_CHECK: 0x40, DATA_CHECK_DISPLACED: 0x50 } as const;
/** Format-0 messages (program or system check), byte 7 bits 4-7. */
export const MESSAGE = {
  NONE: 0,
  INVALID_COMMAND: 1,
  INVALID_SEQUENCE: 2,
  COUNT_TOO_SMALL: 3,
  INVALID_PARAMETER: 4,
  /** The file mask does not authorise a diagnostic command. */
  FILE_MASK: 5,
} as const;

/** Ends a command with unit check; carries what byte 0, byte 1 and byte 7 will say. */
export class UnitCheck extends Error {
  readonly byte0: number;
  readonly byte1: number;
  /** Format in bits 0-3, message in bits 4-7. */
  readonly byte7: number;
  constructor(reason: string, byte0: number, byte1 = 0, byte7 = 0) {
    super(reason);
    this.name = 'UnitCheck';
    this.byte0 = byte0;
    this.byte1 = byte1;
    this.byte7 = byte7;
  }
}

/** Command reject with a format-0 message. */
export function reject(reason: string, message: number): UnitCheck {
  return new UnitCheck(reason, SENSE0.COMMAND_REJECT, 0, message);
}
/** The count area that a search or a positioning wants is not on the track. */
export function noRecordFound(): UnitCheck {
  return new UnitCheck('no record found', 0, SENSE1.NO_RECORD_FOUND);
}
/** The extent or the file mask forbids it. */
export function fileProtected(reason: string): UnitCheck {
  return new UnitCheck(reason, 0, SENSE1.FILE_PROTECTED);
}
/** A record does not fit the track, or is not as long as the program said. */
export function invalidTrackFormat(reason: string): UnitCheck {
  return new UnitCheck(reason, 0, SENSE1.INVALID_TRACK_FORMAT);
}

/** Where the heads were, and of what disk. */
export interface SensePlace {
  readonly cylinder: number;
  readonly head: number;
  /** Record number under the heads, for formats 4 and 5. */
  readonly record: number;
  /** Cylinders of the disk. */
  readonly cylinders: number;
  /** Commands that were left of the Locate Record domain. */
  readonly residual: number;
}

/** A disk of more cylinders has FF in bytes 5 and 6: they cannot hold its addresses. */
const SMALL_DISK = 4095;
/** Byte 27: bit 0, the 24 bytes of compatibility are valid; bits 2 and 3, the track address is there in its big form. */
const COMPATIBLE = 0x80;
const BIG_ADDRESS = 0x30;

/**
 * Sense bytes for a unit check at a place of the disk. The track is in bytes 29-31; from cylinder 65536 on bytes 28-29
 * hold the cylinder's low halfword, 30 and the top of 31 its high bits (Linux `dasd_eckd_track_from_irb`).
 */
export function buildSense(check: UnitCheck, place: SensePlace): Uint8Array {
  const { cylinder, head, cylinders, record, residual } = place;
  const sense = new Uint8Array(SENSE_SIZE);
  const dv = new DataView(sense.buffer);
  const small = cylinders <= SMALL_DISK;
  sense[0] = check.byte0;
  sense[1] = check.byte1;
  if ((check.byte1 & SENSE1.IMPRECISE) !== 0) sense[3] = residual;
  sense[5] = small ? cylinder & 0xff : 0xff;
  sense[6] = small ? ((cylinder >>> 4) & 0xf0) | head : 0xff;
  sense[7] = check.byte7;
  const format = check.byte7 & 0xf0;
  if (format === FORMAT.DATA_CHECK || format === FORMAT.DATA_CHECK_DISPLACED) {
    const address = cchh(cylinder, head);
    dv.setUint16(8, address.cylinder);
    dv.setUint16(10, address.head);
    sense[12] = record;
  }
  sense[27] = COMPATIBLE;
  if (cylinder > 0xffff) {
    sense[27] |= BIG_ADDRESS;
    dv.setUint16(28, cylinder & 0xffff);
    sense[30] = cylinder >>> 20;
    sense[31] = ((cylinder >>> 12) & 0xf0) | head;
  } else {
    dv.setUint16(29, cylinder);
    sense[31] = head;
  }
  return sense;
}
