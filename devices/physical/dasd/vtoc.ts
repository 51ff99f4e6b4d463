/**
 * Labels: the VOL1 label and VTOC of the compatible disk layout, the LNX1 label of the Linux disk layout
 * (SC26-7473 "Data Set Control Blocks"; vfio-ccw facts 5.3, 5.4). All big-endian and EBCDIC.
 */
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import { fromEbcdic, toEbcdic } from './ebcdic.ts';
import { GEOMETRY_3390, recordsPerTrack } from './geometry.ts';
import { type CkdTrack, dataOf, keyOf, type RecordContent } from './track.ts';

/** Key and data length of a data-set control block. */
const DSCB_KEY = 44;
const DSCB_DATA = 96;
/** Track of the VTOC on cylinder 0, where Linux's fdasd puts it too. */
const VTOC_HEAD = 1;
/** Record that holds the volume label, in both layouts. */
export const LDL_LABEL_RECORD = 3;

/** VOL1 label data, 80 bytes. */
const VOL1 = struct(
  'vol1',
  'be',
  {
    label: bytes(4),
    volser: bytes(6),
    security: u8,
    vtocCylinder: u16,
    vtocHead: u16,
    vtocRecord: u8,
    reserved1: bytes(21),
    owner: bytes(14),
    reserved2: bytes(29),
  },
  { size: 80, offsets: { volser: 4, vtocCylinder: 11, owner: 37 } },
);

/** Format-4 DSCB data, the fields that matter: the VTOC describes itself and the device. */
const DSCB4 = struct(
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
    extentType: u8,
    extentSequence: u8,
    lowCylinder: u16,
    lowHead: u16,
    highCylinder: u16,
    highHead: u16,
    reserved4: bytes(25),
  },
  { size: DSCB_DATA, offsets: { available: 6, extents: 15, cylinders: 18, dscbsPerTrack: 30, extentType: 61 } },
);
/** Track length that DS4DEVTK gives for a 3390. */
const DS4DEVTK = 0xe5a2;
/** DS4DEVFG: the device's overhead is a formula. */
const DS4DEVFG = 0x30;
/** Directory blocks of 8 + 256 bytes that fit a track; 0 where the formatter leaves it open, as dasdinit does. */
const DS4DEVDB = 0;

/** Format-5 DSCB: free space. Eight extents in the key, eighteen in the data. */
const DSCB5_KEY = struct(
  'dscb5_key',
  'be',
  { id: bytes(4), start: u16, cylinders: u16, tracks: u8, rest: bytes(35) },
  { size: DSCB_KEY },
);

/** IPL1 record: a PSW and two CCWs that read IPL2 and go there; here a PSW that stops with the wait bit. */
const IPL1_DATA = Uint8Array.from(Buffer.from('000600000000000f03000000000000010000000000000000', 'hex'));
const IPL2_LENGTH = 144;

const labelled = (record: number, key: string, data: Uint8Array): RecordContent => ({
  record,
  key: toEbcdic(key),
  data,
});

/** Tracks 0 and 1 of a CDL volume, records 1 and up; records a track does not list are plain blocks. */
export function cdlLabelTracks(volser: string, cylinders: number): readonly RecordContent[][] {
  const label = VOL1.make({
    label: toEbcdic('VOL1'),
    volser: toEbcdic(volser, 6),
    security: 0x40,
    vtocHead: VTOC_HEAD,
    vtocRecord: 1,
    reserved1: toEbcdic('', 21),
    owner: toEbcdic('MINIVISOR', 14),
    reserved2: toEbcdic('', 29),
  });
  const track0 = [
    labelled(1, 'IPL1', IPL1_DATA),
    labelled(2, 'IPL2', new Uint8Array(IPL2_LENGTH)),
    labelled(3, 'VOL1', VOL1.bytes(label)),
  ];
  const blocks = recordsPerTrack(4096);
  const track1 = Array.from({ length: blocks }, (_, i) => dscb(i + 1, blocks, cylinders));
  return [track0, track1];
}

function dscb(record: number, perTrack: number, cylinders: number): RecordContent {
  if (record === 1) {
    const data = DSCB4.make({
      format: 0xf4,
      available: perTrack - 2,
      extents: 1,
      cylinders,
      tracks: GEOMETRY_3390.heads,
      trackLength: DS4DEVTK,
      flags: DS4DEVFG,
      dscbsPerTrack: perTrack,
      directoryPerTrack: DS4DEVDB,
      extentType: 1,
      lowHead: VTOC_HEAD,
      highHead: VTOC_HEAD,
    });
    return { record, key: new Uint8Array(DSCB_KEY).fill(0x04), data: DSCB4.bytes(data) };
  }
  const data = new Uint8Array(DSCB_DATA);
  if (record !== 2) return { record, key: new Uint8Array(DSCB_KEY), data };
  // Free: the rest of cylinder 0 and all cylinders after it.
  const first = VTOC_HEAD + 1;
  const free = { start: first, cylinders: cylinders - 1, tracks: GEOMETRY_3390.heads - first };
  const key = DSCB5_KEY.make({ id: new Uint8Array(4).fill(0x05), ...free });
  data[0] = 0xf5;
  return { record, key: DSCB5_KEY.bytes(key), data };
}

/** LNX1 label of the Linux disk layout: at the start of record 3. */
const LNX1 = struct(
  'lnx1',
  'be',
  { label: bytes(4), volser: bytes(6), reserved: bytes(69), version: u8, blocksHigh: u32, blocks: u32 },
  { size: 88, offsets: { version: 79 } },
);
/** LDL version 2: the number of formatted blocks is valid. */
const LDL_VERSION = 0xf2;

/** Data of the record that holds the LDL label. @param length bytes of the record. */
export function ldlLabel(volser: string, blocks: number, length: number): Uint8Array {
  const label = LNX1.make({
    label: toEbcdic('LNX1'),
    volser: toEbcdic(volser, 6),
    reserved: toEbcdic('', 69),
    version: LDL_VERSION,
    blocks,
  });
  const data = new Uint8Array(length);
  data.set(LNX1.bytes(label));
  return data;
}

/** One data set of a volume's table of contents. */
export interface Dataset {
  readonly name: string;
  /** First extent: cylinder, head, inclusive. */
  readonly begin: readonly [cylinder: number, head: number];
  readonly end: readonly [cylinder: number, head: number];
}

/** Format-1 DSCB data: first extent. */
const DSCB1 = struct(
  'dscb1',
  'be',
  {
    format: u8,
    reserved1: bytes(60),
    extentType: u8,
    extentSequence: u8,
    beginCylinder: u16,
    beginHead: u16,
    endCylinder: u16,
    endHead: u16,
    reserved2: bytes(25),
  },
  { size: DSCB_DATA, offsets: { beginCylinder: 63 } },
);

const view = (data: Uint8Array) => new DataView(data.buffer, data.byteOffset, data.byteLength);

/** Data sets that the VTOC of a VOL1 label names; none when the label names no VTOC. @param tracks undefined outside the volume */
export function readVtoc(
  label: Uint8Array,
  tracks: (cylinder: number, head: number) => CkdTrack | undefined,
): Dataset[] {
  const { vtocCylinder, vtocHead, vtocRecord } = VOL1.at(view(label));
  const first = tracks(vtocCylinder, vtocHead);
  const self = first?.records.find(({ record, dataLength }) => record === vtocRecord && dataLength === DSCB_DATA);
  if (first === undefined || self === undefined || vtocRecord === 0) return [];
  const extent = DSCB4.at(view(dataOf(first, self)));
  if (extent.format !== 0xf4) return [];
  const found: Dataset[] = [];
  const last = extent.highCylinder * GEOMETRY_3390.heads + extent.highHead;
  for (let at = extent.lowCylinder * GEOMETRY_3390.heads + extent.lowHead; at <= last; at++) {
    const track = tracks(Math.floor(at / GEOMETRY_3390.heads), at % GEOMETRY_3390.heads);
    if (track === undefined) break;
    for (const record of track.records) {
      if (record.keyLength !== DSCB_KEY || record.dataLength !== DSCB_DATA) continue;
      const data = DSCB1.at(view(dataOf(track, record)));
      if (data.format !== 0xf1) continue;
      const { beginCylinder, beginHead, endCylinder, endHead } = data;
      const name = fromEbcdic(keyOf(track, record)).trimEnd();
      found.push({ name, begin: [beginCylinder, beginHead], end: [endCylinder, endHead] });
    }
  }
  return found;
}
