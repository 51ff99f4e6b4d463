/**
 * Data-set control blocks: the records of a VTOC, 44 bytes of key and 96 of data (SC26-7473 "Data Set Control Blocks").
 * Byte 0 of the data is the format, an EBCDIC digit. All big-endian.
 */
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import { GEOMETRY_3390, MAX_CYLINDERS } from './geometry.ts';
import type { RecordContent } from './track.ts';

/** Key and data length of a data-set control block. */
export const DSCB_KEY = 44;
export const DSCB_DATA = 96;
/** Formats, as byte 0 of the data has them. */
export const DSCB_FORMAT = { FREE: 0x00, DATASET: 0xf1, EXTENSION: 0xf3, VTOC: 0xf4, SPACE: 0xf5 } as const;

/** An extent: type, number and inclusive bounds as CCHH. */
export const DSCB_EXTENT = struct(
  'dscb_extent',
  'be',
  { type: u8, sequence: u8, lowCylinder: u16, lowHead: u16, highCylinder: u16, highHead: u16 },
  { size: 10 },
);

/** Format 1: a data set. */
export const DSCB1 = struct(
  'dscb1',
  'be',
  {
    format: u8,
    volser: bytes(6),
    volumeSequence: u16,
    createdYear: u8,
    createdDay: u16,
    expiresYear: u8,
    expiresDay: u16,
    extentCount: u8,
    lastDirectory: u8,
    flags1: u8,
    system: bytes(13),
    referred: bytes(3),
    sms: u8,
    secondary: bytes(3),
    dsorg: u16,
    recfm: u8,
    optcd: u8,
    blksize: u16,
    lrecl: u16,
    keyLength: u8,
    keyPosition: u16,
    indicators: u8,
    allocation: u32,
    lastTrack: u16,
    lastRecord: u8,
    balance: u16,
    reserved: u16,
    extents: bytes(3 * DSCB_EXTENT.size),
    nextCylinder: u16,
    nextHead: u16,
    nextRecord: u8,
  },
  {
    size: DSCB_DATA,
    offsets: { extentCount: 15, dsorg: 38, blksize: 42, lastTrack: 54, extents: 61, nextCylinder: 91 },
  },
);

/** Format 3: more extents; the first four are in the key, behind four bytes of 03. */
export const DSCB3_KEY_EXTENTS = 4;
export const DSCB3 = struct(
  'dscb3',
  'be',
  { format: u8, extents: bytes(9 * DSCB_EXTENT.size), nextCylinder: u16, nextHead: u16, nextRecord: u8 },
  { size: DSCB_DATA, offsets: { nextCylinder: 91 } },
);

/** Format-4 DSCB data, the fields that matter: the VTOC describes itself and the device. */
export const DSCB4 = struct(
  'dscb4',
  'be',
  {
    format: u8,
    highestF1: bytes(5),
    available: u16,
    reserved1: bytes(6),
    indicators: u8,
    extents: u8,
    reserved2: u16,
    cylinders: u16,
    tracks: u16,
    trackLength: u16,
    lastOverhead: u8,
    keyOverhead: u8,
    noKeyOverhead: u8,
    flags: u8,
    tolerance: u16,
    dscbsPerTrack: u8,
    directoryPerTrack: u8,
    reserved3: bytes(29),
    extent: bytes(DSCB_EXTENT.size),
    reserved4: bytes(17),
    largeCylinders: u32,
    reserved5: bytes(4),
  },
  {
    size: DSCB_DATA,
    offsets: { available: 6, extents: 15, cylinders: 18, dscbsPerTrack: 30, extent: 61, largeCylinders: 88 },
  },
);
/** Track length that DS4DEVTK gives for a 3390. */
const DS4DEVTK = 0xe5a2;
/** DS4DEVFG: the device's overhead is a formula. */
const DS4DEVFG = 0x30;
/** Directory blocks of 8 + 256 bytes that fit a track; 0 where the formatter leaves it open, as dasdinit does. */
const DS4DEVDB = 0;
/** DS4DSCYL of a volume whose cylinders do not fit: the number is in DS4DCYL. */
const DS4DSCYL_LARGE = 0xfffe;

/** Format-5 DSCB: free space. Eight extents in the key, eighteen in the data. */
const DSCB5_KEY = struct(
  'dscb5_key',
  'be',
  { id: bytes(4), start: u16, cylinders: u16, tracks: u8, rest: bytes(35) },
  { size: DSCB_KEY },
);

/** Records of an empty VTOC of one track: format 4, format 5, free ones. @param head of cylinder 0 where it lies. */
export function emptyVtoc(head: number, perTrack: number, cylinders: number): readonly RecordContent[] {
  return Array.from({ length: perTrack }, (_, index) => {
    const record = index + 1;
    if (record === 1)
      return { record, key: new Uint8Array(DSCB_KEY).fill(0x04), data: format4(head, perTrack, cylinders) };
    if (record === 2) return { record, ...format5(head + 1, cylinders) };
    return { record, key: new Uint8Array(DSCB_KEY), data: new Uint8Array(DSCB_DATA) };
  });
}

function format4(head: number, perTrack: number, cylinders: number): Uint8Array {
  const large = cylinders > MAX_CYLINDERS;
  const extent = DSCB_EXTENT.make({ type: 1, lowHead: head, highHead: head });
  return DSCB4.bytes(
    DSCB4.make({
      format: DSCB_FORMAT.VTOC,
      available: perTrack - 2,
      extents: 1,
      cylinders: large ? DS4DSCYL_LARGE : cylinders,
      tracks: GEOMETRY_3390.heads,
      trackLength: DS4DEVTK,
      flags: DS4DEVFG,
      dscbsPerTrack: perTrack,
      directoryPerTrack: DS4DEVDB,
      extent: DSCB_EXTENT.bytes(extent),
      largeCylinders: large ? cylinders : 0,
    }),
  );
}

/** Free: the rest of cylinder 0 and all cylinders after it. A large volume's free space does not fit a format 5. */
function format5(first: number, cylinders: number): { key: Uint8Array; data: Uint8Array } {
  const free =
    cylinders > MAX_CYLINDERS ? {} : { start: first, cylinders: cylinders - 1, tracks: GEOMETRY_3390.heads - first };
  const data = new Uint8Array(DSCB_DATA);
  data[0] = DSCB_FORMAT.SPACE;
  return { key: DSCB5_KEY.bytes(DSCB5_KEY.make({ id: new Uint8Array(4).fill(0x05), ...free })), data };
}
