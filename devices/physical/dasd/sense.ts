/** Sense information of a 3990 control unit with 3390 drives, 32 bytes (GA32-0274 "Sense Data"; vfio-ccw facts 5.2). */

/** Bytes of sense information. */
export const SENSE_SIZE = 32;

/** Byte 0. */
export const SENSE0 = { COMMAND_REJECT: 0x80, INTERVENTION: 0x40, BUS_OUT: 0x20, EQUIPMENT: 0x10, DATA: 0x08 } as const;
/** Byte 1. */
export const SENSE1 = {
  PERMANENT: 0x80,
  INVALID_TRACK_FORMAT: 0x40,
  END_OF_CYLINDER: 0x20,
  NO_RECORD_FOUND: 0x08,
  FILE_PROTECTED: 0x04,
  WRITE_INHIBITED: 0x02,
} as const;
/** Format-0 messages (program or system check), byte 7 bits 4-7. */
export const MESSAGE = {
  NONE: 0,
  INVALID_COMMAND: 1,
  INVALID_SEQUENCE: 2,
  COUNT_TOO_SMALL: 3,
  INVALID_PARAMETER: 4,
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

/** Cylinder number from which bytes 5 and 6 cannot hold it. */
const LARGE = 4096;
/** Byte 27: the 24 bytes of compatibility are valid too. */
const COMPATIBLE = 0x80;

/** Sense bytes for a unit check at a place of the disk. */
export function buildSense(check: UnitCheck, cylinder: number, head: number): Uint8Array {
  const sense = new Uint8Array(SENSE_SIZE);
  sense[0] = check.byte0;
  sense[1] = check.byte1;
  sense[5] = cylinder < LARGE ? cylinder & 0xff : 0xff;
  sense[6] = cylinder < LARGE ? ((cylinder >>> 4) & 0xf0) | head : 0xff;
  sense[7] = check.byte7;
  sense[27] = COMPATIBLE;
  sense[29] = cylinder >>> 8;
  sense[30] = cylinder & 0xff;
  sense[31] = head;
  return sense;
}
