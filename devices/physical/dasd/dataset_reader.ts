/** Reads data sets of a volume: sequential ones, and members of partitioned ones (SC26-7473 "Partitioned data sets"). */
import { ImageError } from './ckd_image.ts';
import { fromEbcdic } from './ebcdic.ts';
import { type CkdTrack, dataOf } from './track.ts';
import { listVolume, type OpenVolume, withVolume } from './volume_reader.ts';
import { type Dataset, tracksIn } from './vtoc.ts';

/** A member of a partitioned data set. */
interface Member {
  readonly name: string;
  /** Where it begins: track relative to the data set, and record. */
  readonly track: number;
  readonly record: number;
}

/** Bytes of a directory block, its key, and an entry without user data. */
const DIRECTORY_BLOCK = 256;
const DIRECTORY_KEY = 8;
const DIRECTORY_ENTRY = 12;
/** Key of the last directory block and name of the entry after the last one. */
const DIRECTORY_END = 0xff;
/** Byte 11 of an entry: halfwords of user data. */
const USER_HALFWORDS = 0x1f;

/** Volume track of a track relative to the data set; undefined behind its end. */
function trackAt({ extents }: Dataset, relative: number): number | undefined {
  let rest = relative;
  for (const extent of extents) {
    if (rest < tracksIn(extent)) return extent.first + rest;
    rest -= tracksIn(extent);
  }
  return undefined;
}

/** Blocks from a place in the data set to the next end-of-file record, or the data set's end. */
function* blocksFrom(volume: OpenVolume, dataset: Dataset, track: number, record: number) {
  for (let relative = track; ; relative++) {
    const number = trackAt(dataset, relative);
    const content = number === undefined ? undefined : volume.track(number);
    if (content === undefined) return;
    for (const one of content.records) {
      if (one.record === 0 || (relative === track && one.record < record)) continue;
      if (one.dataLength === 0) return;
      yield { key: one.keyLength, data: dataOf(content as CkdTrack, one) };
    }
  }
}

function membersOf(volume: OpenVolume, dataset: Dataset): Member[] {
  const members: Member[] = [];
  for (const { key, data } of blocksFrom(volume, dataset, 0, 1)) {
    if (key !== DIRECTORY_KEY || data.length !== DIRECTORY_BLOCK) break;
    const dv = new DataView(data.buffer, data.byteOffset, data.length);
    const used = Math.min(dv.getUint16(0), DIRECTORY_BLOCK);
    for (let at = 2; at + DIRECTORY_ENTRY <= used; ) {
      if (data[at] === DIRECTORY_END) return members;
      const name = fromEbcdic(data.subarray(at, at + 8)).trimEnd();
      members.push({ name, track: dv.getUint16(at + 8), record: data[at + 10] });
      at += DIRECTORY_ENTRY + 2 * (data[at + 11] & USER_HALFWORDS);
    }
  }
  return members;
}

/** Logical records of a block. @param block of format F, V or U. */
function* recordsOf(dataset: Dataset, block: Uint8Array): Generator<Uint8Array> {
  const format = dataset.recfm[0];
  if (format === 'F' && dataset.lrecl > 0) {
    for (let at = 0; at < block.length; at += dataset.lrecl) yield block.subarray(at, at + dataset.lrecl);
  } else if (format === 'V' && block.length >= 4) {
    const dv = new DataView(block.buffer, block.byteOffset, block.length);
    const end = Math.min(dv.getUint16(0), block.length);
    for (let at = 4; at + 4 <= end; ) {
      const length = dv.getUint16(at);
      if (length < 4) return;
      yield block.subarray(at + 4, Math.min(at + length, end));
      at += length;
    }
  } else yield block;
}

/** A piece of a data set on its way out: a logical record as text of one line, or a block as it is. */
export type DatasetContent = 'text' | 'blocks';

/**
 * Reads a data set of a volume.
 * @param name `NAME`, or `NAME(MEMBER)` of a partitioned one; `NAME` of a partitioned one gives its member names.
 * @param output gets the pieces.
 * @throws ImageError when there is no such data set or member, TrackFormatError
 */
export function readDataset(
  file: string,
  name: string,
  content: DatasetContent,
  output: (bytes: Uint8Array | string) => void,
): void {
  const [, wanted, memberName] = /^([^(]+)(?:\(([^)]*)\))?$/.exec(name.toUpperCase()) ?? [];
  const { vtoc } = listVolume(file);
  if (vtoc === undefined)
    throw new ImageError(file, 'has no table of contents; "minivisor dasd dump" shows its tracks');
  const dataset = vtoc.datasets.find((d) => d.name === wanted);
  if (dataset === undefined)
    throw new ImageError(file, `has no data set ${wanted ?? name}; "minivisor dasd ls" lists them`);
  if (dataset.dsorg !== 'PS' && dataset.dsorg !== 'PO')
    throw new ImageError(file, `${wanted} is of organization ${dataset.dsorg || 'unknown'}; only PS and PO are read`);
  if (dataset.dsorg === 'PS' && memberName !== undefined)
    throw new ImageError(file, `${wanted} has no members; leave out (${memberName})`);
  withVolume(file, (volume) => {
    let from = { track: 0, record: 1 };
    if (dataset.dsorg === 'PO') {
      const members = membersOf(volume, dataset);
      if (memberName === undefined) {
        for (const member of members) output(`${member.name}\n`);
        return;
      }
      const member = members.find((m) => m.name === memberName);
      if (member === undefined) {
        const others = members.length === 0 ? 'none' : members.map((m) => m.name).join(', ');
        throw new ImageError(file, `${wanted} has no member ${memberName}; it has ${others}`);
      }
      from = member;
    }
    for (const { data } of blocksFrom(volume, dataset, from.track, from.record)) {
      if (content === 'blocks') output(data.slice());
      else for (const record of recordsOf(dataset, data)) output(`${fromEbcdic(record).trimEnd()}\n`);
    }
  });
}
