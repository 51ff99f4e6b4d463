/** Reads a VTOC: which data sets a volume has, where they lie, what is free, and what in all that cannot be true. */
import type { View } from '../../../kernel/lib/struct.ts';
import { DSCB_DATA, DSCB_EXTENT, DSCB_FORMAT, DSCB_KEY, DSCB1, DSCB3, DSCB3_KEY_EXTENTS, DSCB4 } from './dscb.ts';
import { fromEbcdic } from './ebcdic.ts';
import { GEOMETRY_3390, trackOfCchh } from './geometry.ts';
import { type CkdRecord, type CkdTrack, dataOf, keyOf } from './track.ts';

/** Tracks from the start of the disk, inclusive. */
export interface TrackRange {
  readonly first: number;
  readonly last: number;
}

/** Tracks of a range. */
export const tracksIn = ({ first, last }: TrackRange) => last - first + 1;

/** One data set of a volume's table of contents. */
export interface Dataset {
  readonly name: string;
  /** `PS` sequential, `PO` partitioned and so on, as IBM abbreviates them; empty when not said. */
  readonly dsorg: string;
  readonly recfm: string;
  readonly lrecl: number;
  readonly blksize: number;
  /** Date of creation, year and day of the year; undefined when not said. */
  readonly created?: string;
  readonly extents: readonly TrackRange[];
  /** Tracks that hold data, for organisations that tell (PS and PO). */
  readonly usedTracks?: number;
}

/** A volume's table of contents. */
export interface Vtoc {
  readonly extent: TrackRange;
  /** Records of the VTOC, and how many of them are free. */
  readonly dscbs: number;
  readonly freeDscbs: number;
  readonly datasets: readonly Dataset[];
  /** What is neither label, VTOC nor data set. */
  readonly free: readonly TrackRange[];
  /** One sentence for everything that cannot be true. */
  readonly problems: readonly string[];
}

/** Gives a track of the volume; undefined outside it. */
export type TrackReader = (track: number) => CkdTrack | undefined;

/** DS1DSORG by bit, most telling first. */
const DSORG: readonly (readonly [bit: number, name: string])[] = [
  [0x4000, 'PS'],
  [0x0200, 'PO'],
  [0x2000, 'DA'],
  [0x8000, 'IS'],
  [0x0008, 'VS'],
];
/** DS1RECFM after the two bits of the format. */
const RECFM: readonly (readonly [bit: number, letter: string])[] = [
  [0x20, 'T'],
  [0x10, 'B'],
  [0x08, 'S'],
  [0x04, 'A'],
  [0x02, 'M'],
];
const RECFM_FORMAT = ['', 'V', 'F', 'U'] as const;
/** Extents of a data set at most (PS and PO have 16, others 123). */
const MAX_EXTENTS = 123;

const view = (data: Uint8Array) => new DataView(data.buffer, data.byteOffset, data.byteLength);
const nameOf = (track: number) => `${Math.floor(track / GEOMETRY_3390.heads)}/${track % GEOMETRY_3390.heads}`;

/**
 * Reads the VTOC that a VOL1 label names; undefined when there is none there.
 * @param at CCHH and record of its format-4 DSCB. @param tracks of the volume.
 */
export function readVtoc(
  at: { readonly cylinder: number; readonly head: number; readonly record: number },
  tracks: number,
  read: TrackReader,
): Vtoc | undefined {
  const self = dscbAt(at.cylinder, at.head, at.record, read);
  if (self === undefined || self.data[0] !== DSCB_FORMAT.VTOC) return undefined;
  const extent = rangeOf(DSCB4.at(view(self.data)).extent);
  if (extent === undefined) return undefined;
  const problems: string[] = [];
  if (extent.last >= tracks) problems.push(`the VTOC ends on track ${nameOf(extent.last)}, behind the volume's end`);
  const found: Dataset[] = [];
  let dscbs = 0;
  let freeDscbs = 0;
  for (let track = extent.first; track <= Math.min(extent.last, tracks - 1); track++) {
    const content = read(track);
    if (content === undefined) break;
    for (const record of content.records) {
      if (record.keyLength !== DSCB_KEY || record.dataLength !== DSCB_DATA) continue;
      dscbs++;
      const data = dataOf(content, record);
      if (data[0] === DSCB_FORMAT.FREE) freeDscbs++;
      if (data[0] === DSCB_FORMAT.DATASET) found.push(readDataset(keyOf(content, record), data, read, problems));
    }
  }
  const taken = [
    { name: 'the label', range: { first: 0, last: 0 } },
    { name: 'the VTOC', range: extent },
    ...found.flatMap(({ name, extents }) => extents.map((range) => ({ name, range }))),
  ].sort((a, b) => a.range.first - b.range.first);
  return { extent, dscbs, freeDscbs, datasets: found, free: gaps(taken, tracks, problems), problems };
}

/** What lies between the ranges, which come in order. Overlaps and ends outside the volume go to `problems`. */
function gaps(
  taken: readonly { readonly name: string; readonly range: TrackRange }[],
  tracks: number,
  problems: string[],
): TrackRange[] {
  const free: TrackRange[] = [];
  let next = 0;
  let before = '';
  for (const { name, range } of taken) {
    if (range.first < next) problems.push(`${name} overlaps ${before} on track ${nameOf(range.first)}`);
    if (range.last >= tracks && name !== 'the VTOC')
      problems.push(`${name} ends on track ${nameOf(range.last)}, behind the volume's end`);
    if (range.first > next) free.push({ first: next, last: Math.min(range.first, tracks) - 1 });
    if (range.last >= next) before = name;
    next = Math.max(next, range.last + 1);
  }
  if (next < tracks) free.push({ first: next, last: tracks - 1 });
  return free.filter(({ first, last }) => last >= first);
}

function readDataset(key: Uint8Array, data: Uint8Array, read: TrackReader, problems: string[]): Dataset {
  const f1 = DSCB1.at(view(data));
  const name = fromEbcdic(key).trimEnd();
  const extents = extentsOf(f1, read).filter((range, i) => {
    if (range.last >= range.first) return true;
    problems.push(`${name}: extent ${i + 1} ends before it begins`);
    return false;
  });
  if (extents.length !== f1.extentCount)
    problems.push(`${name}: ${extents.length} extents found, but ${f1.extentCount} are counted`);
  const dsorg = DSORG.find(([bit]) => (f1.dsorg & bit) !== 0)?.[1] ?? '';
  const letters = RECFM.filter(([bit]) => (f1.recfm & bit) !== 0).map(([, letter]) => letter);
  return {
    name,
    dsorg,
    recfm: RECFM_FORMAT[f1.recfm >> 6] + letters.join(''),
    lrecl: f1.lrecl,
    blksize: f1.blksize,
    created: f1.createdDay === 0 ? undefined : `${1900 + f1.createdYear}.${`${f1.createdDay}`.padStart(3, '0')}`,
    extents,
    usedTracks: dsorg === 'PS' || dsorg === 'PO' ? usedTracks(f1) : undefined,
  };
}

/** DS1LSTAR names the last block written; all zero when nothing was. */
function usedTracks({ lastTrack, lastRecord }: { lastTrack: number; lastRecord: number }): number {
  return lastTrack === 0 && lastRecord === 0 ? 0 : lastTrack + 1;
}

/** Extents of a data set: three in its own DSCB, the others in a chain of format-3 DSCBs. */
function extentsOf(f1: View<typeof DSCB1.fields>, read: TrackReader): TrackRange[] {
  const ranges = rangesOf(f1.extents);
  let next: { nextCylinder: number; nextHead: number; nextRecord: number } = f1;
  while (next.nextRecord !== 0 && ranges.length < MAX_EXTENTS) {
    const dscb = dscbAt(next.nextCylinder, next.nextHead, next.nextRecord, read);
    if (dscb === undefined || dscb.data[0] !== DSCB_FORMAT.EXTENSION) break;
    const f3 = DSCB3.at(view(dscb.data));
    ranges.push(...rangesOf(dscb.key.subarray(4, 4 + DSCB3_KEY_EXTENTS * DSCB_EXTENT.size)), ...rangesOf(f3.extents));
    next = f3;
  }
  return ranges;
}

function rangesOf(extents: Uint8Array): TrackRange[] {
  const ranges: TrackRange[] = [];
  for (let at = 0; at < extents.length; at += DSCB_EXTENT.size) {
    const range = rangeOf(extents.subarray(at, at + DSCB_EXTENT.size));
    if (range !== undefined) ranges.push(range);
  }
  return ranges;
}

/** Bounds of an extent; undefined when the field is not used (type 0). */
function rangeOf(extent: Uint8Array): TrackRange | undefined {
  const { type, lowCylinder, lowHead, highCylinder, highHead } = DSCB_EXTENT.at(view(extent));
  if (type === 0) return undefined;
  return { first: trackOfCchh(lowCylinder, lowHead), last: trackOfCchh(highCylinder, highHead) };
}

function dscbAt(cylinder: number, head: number, record: number, read: TrackReader) {
  if (record === 0) return undefined;
  const track = read(trackOfCchh(cylinder, head));
  const found = track?.records.find(
    (r: CkdRecord) => r.record === record && r.keyLength === DSCB_KEY && r.dataLength === DSCB_DATA,
  );
  if (track === undefined || found === undefined) return undefined;
  // Copied: another track's bytes may take the place of these in memory.
  return { key: keyOf(track, found).slice(), data: dataOf(track, found).slice() };
}
