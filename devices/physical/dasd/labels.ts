/**
 * Volume labels: VOL1 of the compatible disk layout (and of every MVS volume), LNX1 of the Linux disk layout; both are
 * in record 3 of the first track (SC26-7473 "Volume labels"; vfio-ccw facts 5.3, 5.4). All big-endian and EBCDIC.
 */
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import { fromEbcdic, toEbcdic } from './ebcdic.ts';
import { type CkdTrack, dataOf, type RecordContent } from './track.ts';

/** Record that holds the volume label, in both layouts. */
export const LABEL_RECORD = 3;
/** Track of a new VTOC on cylinder 0, where Linux's fdasd puts it too. */
export const NEW_VTOC_HEAD = 1;

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

/** IPL1 record: a PSW and two CCWs that read IPL2 and go there; here a PSW that stops with the wait bit. */
const IPL1_DATA = Uint8Array.from(Buffer.from('000600000000000f03000000000000010000000000000000', 'hex'));
const IPL2_LENGTH = 144;

const labelled = (record: number, key: string, data: Uint8Array): RecordContent => ({
  record,
  key: toEbcdic(key),
  data,
});

/** Records 1 to 3 of the first track of a volume with a VOL1 label. */
export function vol1Records(volser: string): readonly RecordContent[] {
  const label = VOL1.make({
    label: toEbcdic('VOL1'),
    volser: toEbcdic(volser, 6),
    security: 0x40,
    vtocHead: NEW_VTOC_HEAD,
    vtocRecord: 1,
    reserved1: toEbcdic('', 21),
    owner: toEbcdic('MINIVISOR', 14),
    reserved2: toEbcdic('', 29),
  });
  return [
    labelled(1, 'IPL1', IPL1_DATA),
    labelled(2, 'IPL2', new Uint8Array(IPL2_LENGTH)),
    labelled(LABEL_RECORD, 'VOL1', VOL1.bytes(label)),
  ];
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
export function lnx1Data(volser: string, blocks: number, length: number): Uint8Array {
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

/** What the label of a volume says. */
export type VolumeLabel =
  | {
      readonly layout: 'cdl';
      readonly volser: string;
      readonly owner: string;
      /** Halfwords CCHH and record number of the format-4 DSCB. */
      readonly vtoc: { readonly cylinder: number; readonly head: number; readonly record: number };
    }
  | {
      readonly layout: 'ldl';
      readonly volser: string;
      readonly blockSize: number;
      /** Formatted blocks; undefined for a label of version 1, which does not tell. */
      readonly blocks?: number;
    };

const view = (data: Uint8Array) => new DataView(data.buffer, data.byteOffset, data.byteLength);

/** Reads the label from the volume's first track; undefined when there is none. */
export function readLabel(track: CkdTrack): VolumeLabel | undefined {
  const record = track.records.find((r) => r.record === LABEL_RECORD);
  if (record === undefined) return undefined;
  const data = dataOf(track, record);
  const name = fromEbcdic(data.subarray(0, 4));
  if (name === 'VOL1' && record.keyLength === 4 && data.length >= VOL1.size) {
    const { volser, owner, vtocCylinder, vtocHead, vtocRecord } = VOL1.at(view(data));
    return {
      layout: 'cdl',
      volser: fromEbcdic(volser).trimEnd(),
      owner: fromEbcdic(owner).trim(),
      vtoc: { cylinder: vtocCylinder, head: vtocHead, record: vtocRecord },
    };
  }
  if (name !== 'LNX1' || data.length < LNX1.size) return undefined;
  const { volser, version, blocksHigh, blocks } = LNX1.at(view(data));
  return {
    layout: 'ldl',
    volser: fromEbcdic(volser).trimEnd(),
    blockSize: record.dataLength,
    blocks: version === LDL_VERSION ? blocksHigh * 2 ** 32 + blocks : undefined,
  };
}
