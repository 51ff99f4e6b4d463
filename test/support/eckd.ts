/** Parameters of ECKD commands as a guest builds them (vfio-ccw facts 5.2). */
import { CCW_FLAG } from '../../kernel/include/arch/s390/ccw.ts';
import type { Ccw, IoScript } from './io_script.ts';

const { CC } = CCW_FLAG;

/** Command codes. */
export const ECKD = {
  WRITE: 0x05,
  READ: 0x06,
  SEEK: 0x07,
  NOP: 0x03,
  SENSE: 0x04,
  SEARCH_ID_EQ: 0x31,
  LOCATE_RECORD: 0x47,
  DEFINE_EXTENT: 0x63,
  RDC: 0x64,
  WRITE_MT: 0x85,
  READ_MT: 0x86,
  SENSE_ID: 0xe4,
} as const;

/** File masks: reads only (40), everything (80 permits all but formats in Linux's use). */
export const MASK = { READ: 0x40, WRITE: 0x80 } as const;
/** Locate Record operations. */
export const OPERATION = { READ: 0x06, WRITE: 0x01 } as const;

/** Define Extent's 16 bytes: whole cylinders from `first` to `last`. */
export function defineExtent(mask: number, first: number, last = first): Uint8Array {
  const bytes = new Uint8Array(16);
  const dv = new DataView(bytes.buffer);
  bytes[0] = mask;
  bytes[1] = 0xc0;
  dv.setUint16(8, first);
  dv.setUint16(12, last);
  dv.setUint16(14, 14);
  return bytes;
}

/** Auxiliary byte of Locate Record: the transfer length is given. */
const TRANSFER_LENGTH_VALID = 0x80;
/** Bytes of a record of the volumes here. */
const RECORD_LENGTH = 4096;

/** Locate Record's 16 bytes: `count` records from record `record` of a track on. */
export function locateRecord(
  operation: number,
  cylinder: number,
  head: number,
  record: number,
  count: number,
): Uint8Array {
  const bytes = new Uint8Array(16);
  const dv = new DataView(bytes.buffer);
  bytes[0] = operation;
  bytes[3] = count;
  for (const at of [4, 8]) {
    dv.setUint16(at, cylinder);
    dv.setUint16(at + 2, head);
  }
  bytes[12] = record;
  bytes[13] = 0xff;
  // A write must say how long the records are.
  if (operation === OPERATION.WRITE) {
    bytes[1] = TRANSFER_LENGTH_VALID;
    dv.setUint16(14, RECORD_LENGTH);
  }
  return bytes;
}

/** The two CCWs before the data ones. */
export function located(
  script: IoScript,
  at: { cylinder: number; head: number; record?: number; count: number },
  { mask = MASK.READ as number, operation = OPERATION.READ as number } = {},
): [Ccw, Ccw] {
  const { cylinder, head, record = 1, count } = at;
  return [
    [ECKD.DEFINE_EXTENT, CC, 16, script.data(defineExtent(mask, cylinder))],
    [ECKD.LOCATE_RECORD, CC, 16, script.data(locateRecord(operation, cylinder, head, record, count))],
  ];
}
