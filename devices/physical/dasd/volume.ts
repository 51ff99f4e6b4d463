/** Volumes: making them, saying what is on them, checking them, showing a track. Used by the command line, not by I/O. */

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { CkdImage, IMAGE_HEADER, ImageError, MAGIC } from './ckd_image.ts';
import { fromEbcdic } from './ebcdic.ts';
import { GEOMETRY_3390, MAX_CYLINDERS, recordsPerTrack } from './geometry.ts';
import { type CkdTrack, dataOf, formatTrack, keyOf, parseTrack, type RecordContent } from './track.ts';
import { cdlLabelTracks, type Dataset, LDL_LABEL_RECORD, ldlLabel, readVtoc } from './vtoc.ts';

/** Bytes of a data record; 12 of them make a track. */
export const BLOCK = 4096;
/** Data records of a track. */
export const BLOCKS_PER_TRACK = recordsPerTrack(BLOCK);

export interface CreateVolumeOptions {
  /** Volume serial, 1 to 6 characters: A-Z, 0-9, $, #, @. */
  readonly volser: string;
  readonly cylinders: number;
  /** `cdl` compatible disk layout with VOL1 label and VTOC, `ldl` Linux disk layout. */
  readonly layout: 'cdl' | 'ldl';
  /** Fill the data records of cylinder 1 and above with {@link patternRecord}, else with zeros. */
  readonly pattern?: boolean;
  /** Replace a file that exists. */
  readonly force?: boolean;
  /** Told after every cylinder. */
  readonly progress?: (cylinder: number, cylinders: number) => void;
}

/** Multipliers of the pattern; both odd, so that neighbouring words and records all differ. */
const PATTERN_RECORD = 0x9e3779b1;
const PATTERN_WORD = 0x85ebca6b;

/**
 * The test pattern of record `r` on cylinder `c`, head `h`: the 32-bit big-endian word at offset `o` is
 * (((c * 15 + h) * 13 + r) * 9E3779B1 + o * 85EBCA6B) mod 2^32 (hexadecimal multipliers).
 */
export function patternRecord(cylinder: number, head: number, record: number): Uint8Array {
  const data = new Uint8Array(BLOCK);
  const dv = new DataView(data.buffer);
  const base = Math.imul((cylinder * GEOMETRY_3390.heads + head) * 13 + record, PATTERN_RECORD);
  for (let offset = 0; offset < BLOCK; offset += 4) dv.setUint32(offset, base + Math.imul(offset, PATTERN_WORD));
  return data;
}

/**
 * Formats a new volume. The file appears under its name only when complete.
 * @throws ImageError when the file exists and `force` is not set, or an option is out of range.
 */
export function createVolume(file: string, options: CreateVolumeOptions): void {
  checkOptions(file, options);
  const unfinished = `${file}.tmp`;
  const fd = openUnfinished(unfinished, options.force === true);
  try {
    const header = IMAGE_HEADER.make({
      magic: Buffer.from(MAGIC, 'latin1'),
      heads: GEOMETRY_3390.heads,
      trackSize: GEOMETRY_3390.imageTrack,
      type: GEOMETRY_3390.type & 0xff,
    });
    write(fd, IMAGE_HEADER.bytes(header));
    const cylinderImage = new Uint8Array(GEOMETRY_3390.heads * GEOMETRY_3390.imageTrack);
    for (let cylinder = 0; cylinder < options.cylinders; cylinder++) {
      for (let head = 0; head < GEOMETRY_3390.heads; head++) {
        const at = head * GEOMETRY_3390.imageTrack;
        const image = cylinderImage.subarray(at, at + GEOMETRY_3390.imageTrack);
        formatTrack(image, cylinder, head, contentOf(options, cylinder, head));
      }
      write(fd, cylinderImage);
      options.progress?.(cylinder + 1, options.cylinders);
    }
    fsyncSync(fd);
  } catch (error) {
    closeSync(fd);
    rmSync(unfinished, { force: true });
    throw error;
  }
  closeSync(fd);
  renameSync(unfinished, file);
}

function openUnfinished(file: string, force: boolean): number {
  try {
    return openSync(file, force ? 'w' : 'wx');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ImageError(file, code === 'EEXIST' ? 'is left from a creation that was interrupted; remove it' : message);
  }
}

function checkOptions(file: string, { volser, cylinders, force }: CreateVolumeOptions): void {
  if (!/^[A-Z0-9$#@]{1,6}$/.test(volser))
    throw new ImageError(file, `"${volser}" is not a volume serial; use 1 to 6 of A-Z, 0-9, $, # and @`);
  if (!Number.isInteger(cylinders) || cylinders < 1 || cylinders > MAX_CYLINDERS)
    throw new ImageError(file, `${cylinders} cylinders are impossible; a 3390 has 1 to ${MAX_CYLINDERS}`);
  if (existsSync(file) && force !== true)
    throw new ImageError(file, 'exists and is left alone; choose another name, or force the creation to replace it');
}

function contentOf(options: CreateVolumeOptions, cylinder: number, head: number): RecordContent[] {
  const label = new Map<number, RecordContent>();
  if (cylinder === 0 && options.layout === 'cdl') {
    const special = cdlLabelTracks(options.volser, options.cylinders)[head];
    for (const content of special ?? []) label.set(content.record, content);
  } else if (cylinder === 0 && head === 0) {
    const blocks = options.cylinders * GEOMETRY_3390.heads * BLOCKS_PER_TRACK;
    label.set(LDL_LABEL_RECORD, { record: LDL_LABEL_RECORD, data: ldlLabel(options.volser, blocks, BLOCK) });
  }
  const patterned = options.pattern === true && cylinder >= 1;
  return Array.from({ length: BLOCKS_PER_TRACK }, (_, index) => {
    const record = index + 1;
    const data = patterned ? patternRecord(cylinder, head, record) : new Uint8Array(BLOCK);
    return label.get(record) ?? { record, data };
  });
}

function write(fd: number, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) done += writeSync(fd, data, done, data.length - done);
}

/** What a volume says about itself. */
export interface VolumeListing {
  readonly cylinders: number;
  readonly layout: 'cdl' | 'ldl' | 'unlabelled';
  readonly volser?: string;
  /** Data sets of the VTOC, when there is one. */
  readonly datasets: readonly Dataset[];
}

/** Reads label and VTOC. @throws ImageError, TrackFormatError */
export function listVolume(file: string): VolumeListing {
  return withImage(file, (image) => {
    const { cylinders } = image;
    const record = readTrack(image, 0, 0).records.find(({ record }) => record === LDL_LABEL_RECORD);
    if (record === undefined) return { cylinders, layout: 'unlabelled', datasets: [] };
    const label = dataOf(readTrack(image, 0, 0), record);
    const name = fromEbcdic(label.subarray(0, 4));
    const volser = fromEbcdic(label.subarray(4, 10)).trimEnd();
    if (name === 'VOL1' && record.keyLength === 4) {
      const tracks = (cylinder: number, head: number) =>
        cylinder < cylinders && head < image.heads ? readTrack(image, cylinder, head) : undefined;
      return { cylinders, layout: 'cdl', volser, datasets: readVtoc(label, tracks) };
    }
    if (name === 'LNX1') return { cylinders, layout: 'ldl', volser, datasets: [] };
    return { cylinders, layout: 'unlabelled', datasets: [] };
  });
}

/** Result of {@link checkVolume}. */
export interface VolumeCheck {
  readonly tracks: number;
  readonly records: number;
  /** One sentence a damaged track. */
  readonly problems: readonly string[];
}

/** Parses every track. @throws ImageError when the file is no image at all. */
export function checkVolume(file: string): VolumeCheck {
  return withImage(file, (image) => {
    const problems: string[] = [];
    let records = 0;
    for (let cylinder = 0; cylinder < image.cylinders; cylinder++)
      for (let head = 0; head < image.heads; head++) {
        try {
          records += readTrack(image, cylinder, head).records.length;
        } catch (error) {
          problems.push((error as Error).message);
        }
      }
    return { tracks: image.cylinders * image.heads, records, problems };
  });
}

/** Bytes of a dump line. */
const LINE = 32;
/** Lines of an area that are shown at most. */
const LINES = 16;

/** One track for people: count areas in clear, keys and data in hexadecimal and EBCDIC, long data cut. */
export function dumpTrack(file: string, cylinder: number, head: number): string {
  return withImage(file, (image) => {
    if (!(cylinder >= 0 && cylinder < image.cylinders && head >= 0 && head < image.heads))
      throw new ImageError(file, `has no cylinder ${cylinder} head ${head}; it has ${image.cylinders} cylinders`);
    const track = readTrack(image, cylinder, head);
    const lines = [`cylinder ${cylinder} head ${head}: ${track.records.length} records`];
    for (const record of track.records) {
      const { keyLength, dataLength } = record;
      lines.push(`R${record.record} cc=${record.cylinder} hh=${record.head} key=${keyLength} data=${dataLength}`);
      lines.push(...hexLines('key', keyOf(track, record)), ...hexLines('data', dataOf(track, record)));
    }
    return `${lines.join('\n')}\n`;
  });
}

function hexLines(name: string, data: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < data.length && lines.length < LINES; at += LINE) {
    const part = data.subarray(at, at + LINE);
    const hex = Buffer.from(part)
      .toString('hex')
      .padEnd(2 * LINE);
    lines.push(`  ${name.padEnd(4)} +${at.toString(16).padStart(4, '0')} ${hex} ${fromEbcdic(part)}`);
  }
  const shown = lines.length * LINE;
  if (shown < data.length) lines.push(`  ${name.padEnd(4)} ... ${data.length - shown} more bytes`);
  return lines;
}

function readTrack(image: CkdImage, cylinder: number, head: number): CkdTrack {
  return parseTrack(image.track(cylinder, head), cylinder, head);
}

function withImage<T>(file: string, read: (image: CkdImage) => T): T {
  const image = new CkdImage(file, true);
  try {
    return read(image);
  } finally {
    image.close();
  }
}
