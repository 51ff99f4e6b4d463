/**
 * One track as an image file keeps it: a five-byte header (bin, cylinder, head), then records of count, key and data,
 * then eight bytes of FF. The rest of the space is undefined (vfio-ccw facts 5.4).
 */

import { bytes, struct, u8, u16 } from '../../../kernel/lib/struct.ts';
import { cchh, fitsTrack, GEOMETRY_3390 } from './geometry.ts';

/** Home address in the file: big-endian. */
export const TRACK_HEADER = struct('track_header', 'be', { bin: u8, cylinder: u16, head: u16 }, { size: 5 });
/** Count area. */
export const COUNT = struct(
  'count',
  'be',
  { cylinder: u16, head: u16, record: u8, keyLength: u8, dataLength: u16 },
  { size: 8, offsets: { record: 4, keyLength: 5, dataLength: 6 } },
);
/** End of track. */
const END = struct('end_of_track', 'be', { mark: bytes(8) }, { size: 8 });

/** Where a record lies in the track's bytes, and what its count area says. */
export interface CkdRecord {
  /** Offset of the count area. */
  readonly at: number;
  readonly cylinder: number;
  readonly head: number;
  readonly record: number;
  readonly keyLength: number;
  readonly dataLength: number;
}

/** A track and its records, R0 first. */
export interface CkdTrack {
  readonly image: Uint8Array;
  records: CkdRecord[];
}

/** What a record holds, for writing a whole track. */
export interface RecordContent {
  readonly record: number;
  readonly key?: Uint8Array;
  readonly data: Uint8Array;
}

/** The bytes of a track do not form a track. */
export class TrackFormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TrackFormatError';
  }
}

const view = (image: Uint8Array) => new DataView(image.buffer, image.byteOffset, image.byteLength);

/** Finds the records. @throws TrackFormatError when a record leaves the track or the end is missing. */
export function parseTrack(image: Uint8Array, cylinder: number, head: number): CkdTrack {
  const dv = view(image);
  const header = TRACK_HEADER.at(dv);
  const home = cchh(cylinder, head);
  if (header.cylinder !== home.cylinder || header.head !== home.head)
    throw new TrackFormatError(
      `cylinder ${cylinder} head ${head}: the home address says cylinder ${header.cylinder} head ${header.head}`,
    );
  const records: CkdRecord[] = [];
  for (let at: number = TRACK_HEADER.size; ; ) {
    if (at + END.size > image.length)
      throw new TrackFormatError(`cylinder ${cylinder} head ${head}: no end-of-track mark`);
    if (dv.getUint32(at) === 0xffffffff && dv.getUint32(at + 4) === 0xffffffff) break;
    const count = COUNT.at(dv, at);
    const next = at + COUNT.size + count.keyLength + count.dataLength;
    if (next + END.size > image.length)
      throw new TrackFormatError(`cylinder ${cylinder} head ${head}: record ${count.record} runs past the track`);
    const { keyLength, dataLength, record } = count;
    records.push({ at, cylinder: count.cylinder, head: count.head, record, keyLength, dataLength });
    at = next;
  }
  if (records.length === 0 || records[0].record !== 0)
    throw new TrackFormatError(`cylinder ${cylinder} head ${head}: record 0 is missing`);
  return { image, records };
}

/** Key area of a record, in place. */
export function keyOf(track: CkdTrack, record: CkdRecord): Uint8Array {
  const at = record.at + COUNT.size;
  return track.image.subarray(at, at + record.keyLength);
}

/** Data area of a record, in place. */
export function dataOf(track: CkdTrack, record: CkdRecord): Uint8Array {
  const at = record.at + COUNT.size + record.keyLength;
  return track.image.subarray(at, at + record.dataLength);
}

/** Count area of a record, in place. */
export function countOf(track: CkdTrack, record: CkdRecord): Uint8Array {
  return track.image.subarray(record.at, record.at + COUNT.size);
}

/** End of a record in the track's bytes. */
const endOf = (record: CkdRecord) => record.at + COUNT.size + record.keyLength + record.dataLength;

/**
 * Formats a record behind the first `keep` records and erases what followed; returns false, with nothing changed, when
 * it does not fit the track.
 * @param count the eight bytes of its count area. @param content key and data.
 */
export function formatRecord(track: CkdTrack, keep: number, count: Uint8Array, content: Uint8Array): boolean {
  const kept = track.records.slice(0, keep);
  const { cylinder, head, record, keyLength, dataLength } = COUNT.at(view(count));
  const at = kept.length === 0 ? TRACK_HEADER.size : endOf(kept[kept.length - 1]);
  const added: CkdRecord = { at, cylinder, head, record, keyLength, dataLength };
  const end = endOf(added);
  if (end + END.size > track.image.length || !fitsTrack([...kept.slice(1), added])) return false;
  track.image.set(count, at);
  track.image.set(content, at + COUNT.size);
  track.image.fill(0xff, end, end + END.size);
  track.records = [...kept, added];
  return true;
}

/** Data of record 0: eight zero bytes, as every formatter writes it. */
const RECORD_0 = new Uint8Array(8);

/**
 * Writes a whole track into `image`. @param records without R0, which is added.
 * @throws TrackFormatError when they do not fit.
 */
export function formatTrack(
  image: Uint8Array,
  cylinder: number,
  head: number,
  records: readonly RecordContent[],
): CkdTrack {
  image.fill(0);
  const home = cchh(cylinder, head);
  Object.assign(TRACK_HEADER.at(view(image)), { bin: 0, ...home });
  const track: CkdTrack = { image, records: [] };
  for (const { record, key = new Uint8Array(0), data } of [{ record: 0, data: RECORD_0 }, ...records]) {
    const count = COUNT.make({ ...home, record, keyLength: key.length, dataLength: data.length });
    const content = new Uint8Array(key.length + data.length);
    content.set(key);
    content.set(data, key.length);
    if (!formatRecord(track, track.records.length, COUNT.bytes(count), content))
      throw new TrackFormatError(`cylinder ${cylinder} head ${head}: record ${record} does not fit the track`);
  }
  return track;
}

/** Makes it another track with the same records: changes the home address and the addresses in the count areas. */
export function readdressTrack(track: CkdTrack, cylinder: number, head: number): void {
  const home = cchh(cylinder, head);
  const dv = view(track.image);
  Object.assign(TRACK_HEADER.at(dv), home);
  track.records = track.records.map((record) => {
    Object.assign(COUNT.at(dv, record.at), home);
    return { ...record, ...home };
  });
}

/** A track of R0 alone: null track format 1 of Hercules, what a track is that nobody has written to. */
export function formatNullTrack(image: Uint8Array, cylinder: number, head: number): CkdTrack {
  return formatTrack(image, cylinder, head, []);
}

/** Bytes of the track that mean something: up to the end of the end-of-track mark. */
export function usedBytes({ records }: CkdTrack): number {
  return endOf(records[records.length - 1]) + END.size;
}

/** An image buffer for one track. */
export function emptyTrack(): Uint8Array {
  return new Uint8Array(GEOMETRY_3390.imageTrack);
}
