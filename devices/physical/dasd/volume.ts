/** Makes new volumes. Used by the command line, not by I/O. */

import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { emptyVtoc } from './dscb.ts';
import { GEOMETRY_3390, MAX_LARGE_CYLINDERS, recordsPerTrack } from './geometry.ts';
import { CYLINDER_SIZE, offsetOf } from './image_files.ts';
import { ImageError, makeHeader } from './image_header.ts';
import { firstSplitName, MAX_FILES, splitName } from './image_name.ts';
import { removeJournal } from './journal.ts';
import { LABEL_RECORD, lnx1Data, NEW_VTOC_HEAD, vol1Records } from './labels.ts';
import { type CkdTrack, formatTrack, type RecordContent, readdressTrack, usedBytes } from './track.ts';

/** Bytes of a data record; 12 of them make a track. */
const BLOCK = 4096;
/** Data records of a track. */
const BLOCKS_PER_TRACK = recordsPerTrack(BLOCK);
/** Cylinders of a file below 2 GiB: where dasdinit splits. */
export const SPLIT_CYLINDERS = Math.floor((2 ** 31 - offsetOf(0)) / CYLINDER_SIZE);

/** What is on a new volume. */
export type VolumeLayout = 'cdl' | 'ldl' | 'raw';

export interface CreateVolumeOptions {
  /** Volume serial, 1 to 6 characters: A-Z, 0-9, $, #, @; unused with `raw`. */
  readonly volser: string;
  readonly cylinders: number;
  /**
   * `cdl` compatible disk layout with VOL1 label and VTOC, `ldl` Linux disk layout, both formatted in blocks of 4096
   * bytes; `raw` no label, and R0 alone on every track.
   */
  readonly layout: VolumeLayout;
  /** Fill the data records of cylinder 1 and above with {@link patternRecord}, else with zeros. */
  readonly pattern?: boolean;
  /** Replace a file that exists. */
  readonly force?: boolean;
  /** Nobody else makes this volume now: an unfinished file is one that a killed process left, and is replaced. */
  readonly alone?: boolean;
  /** Split the image over files of so many cylinders, 2 or more (a highest cylinder of 0 would say it is the last file): `NAME_1.ckd`, `NAME_2.ckd` and so on. */
  readonly split?: number;
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

/** One file of a new image: its name, and the cylinders in it. */
interface NewFile {
  readonly name: string;
  readonly first: number;
  readonly end: number;
}

/**
 * Formats a new volume. Its files appear under their names only when complete.
 * @returns the files' names, the first one first.
 * @throws ImageError when a file exists and `force` is not set, or an option is out of range.
 */
export function createVolume(file: string, options: CreateVolumeOptions): string[] {
  const files = plan(file, options);
  checkOptions(file, options);
  for (const { name } of files) {
    const there = statSync(name, { throwIfNoEntry: false });
    // It would be the folder's entry that is replaced: a device, of all things, would be gone.
    if (there !== undefined && !there.isFile())
      throw new ImageError(name, `is ${there.isDirectory() ? 'a directory' : 'no plain file'}; choose another name`);
    if (there !== undefined && options.force !== true)
      throw new ImageError(name, 'exists and is left alone; choose another name, or give --force to replace it');
  }
  const unfinished: string[] = [];
  try {
    for (const [index, one] of files.entries()) {
      const name = `${one.name}.tmp`;
      const fd = openUnfinished(one.name, name, options.force === true || options.alone === true);
      unfinished.push(name);
      try {
        const last = index === files.length - 1;
        const sequence = files.length === 1 ? 0 : index + 1;
        write(fd, makeHeader({ sequence, highCylinder: last ? 0 : one.end - 1 }), 0);
        format(fd, one, options);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    }
    removeOldJournal(files[0].name);
    // The first file last: without it the others are nothing.
    for (const { name } of files.toReversed()) renameSync(`${name}.tmp`, name);
  } catch (error) {
    for (const name of unfinished) rmSync(name, { force: true });
    throw error;
  }
  return files.map(({ name }) => name);
}

/** The writes of a machine that used the image before must not come back. */
function removeOldJournal(file: string): void {
  removeJournal(existsSync(file) ? realpathSync(file) : file);
}

function plan(file: string, { cylinders, split }: CreateVolumeOptions): NewFile[] {
  if (split === undefined) return [{ name: file, first: 0, end: cylinders }];
  const base = firstSplitName(file);
  const files: NewFile[] = [];
  for (let first = 0; first < cylinders; first += split) {
    const name = splitName(base, files.length + 1);
    if (name === undefined)
      throw new ImageError(file, `${cylinders} cylinders need more than ${MAX_FILES} files; leave out --split`);
    files.push({ name, first, end: Math.min(first + split, cylinders) });
  }
  return files;
}

function openUnfinished(file: string, name: string, replace: boolean): number {
  try {
    return openSync(name, replace ? 'w' : 'wx');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw new ImageError(name, 'is left from a creation that was interrupted; remove it, or give --force');
    if (code === 'ENOENT')
      throw new ImageError(file, `there is no folder ${dirname(file)}; make it first, or choose another place`);
    throw new ImageError(file, `cannot be made: ${code ?? message}; choose a place where files can be made`);
  }
}

function checkOptions(file: string, { volser, cylinders, layout }: CreateVolumeOptions): void {
  if (layout !== 'raw' && !/^[A-Z0-9$#@]{1,6}$/.test(volser))
    throw new ImageError(file, `"${volser}" is not a volume serial; use 1 to 6 of A-Z, 0-9, $, # and @`);
  if (!Number.isInteger(cylinders) || cylinders < 1 || cylinders > MAX_LARGE_CYLINDERS)
    throw new ImageError(file, `${cylinders} cylinders are impossible; a 3390 has 1 to ${MAX_LARGE_CYLINDERS}`);
}

/** Writes the tracks of one file, a cylinder at a time. */
function format(fd: number, { first, end }: NewFile, options: CreateVolumeOptions): void {
  const cylinderImage = new Uint8Array(CYLINDER_SIZE);
  const imageOf = (head: number) =>
    cylinderImage.subarray(head * GEOMETRY_3390.imageTrack, (head + 1) * GEOMETRY_3390.imageTrack);
  let tracks: CkdTrack[] = [];
  for (let cylinder = first; cylinder < end; cylinder++) {
    const base = offsetOf((cylinder - first) * GEOMETRY_3390.heads);
    // Cylinder 0 is special; without the pattern all others differ in their addresses alone.
    if (cylinder > Math.max(first, 1) && options.pattern !== true)
      for (const [head, track] of tracks.entries()) readdressTrack(track, cylinder, head);
    else
      tracks = Array.from({ length: GEOMETRY_3390.heads }, (_, head) =>
        formatTrack(imageOf(head), cylinder, head, contentOf(options, cylinder, head)),
      );
    if (options.layout !== 'raw') write(fd, cylinderImage, base);
    // Most of each track's slot stays a hole in the file.
    else
      for (const [head, track] of tracks.entries())
        write(fd, track.image.subarray(0, usedBytes(track)), base + head * GEOMETRY_3390.imageTrack);
    options.progress?.(cylinder + 1, options.cylinders);
  }
  ftruncateSync(fd, offsetOf((end - first) * GEOMETRY_3390.heads));
}

/** A block of zeros; copied into tracks, never changed. */
const ZEROS = new Uint8Array(BLOCK);

function contentOf(options: CreateVolumeOptions, cylinder: number, head: number): RecordContent[] {
  const { layout, volser, cylinders } = options;
  const patterned = options.pattern === true && cylinder >= 1;
  if (layout === 'raw' && !patterned) return [];
  const special = new Map<number, RecordContent>();
  if (cylinder === 0 && layout === 'cdl') {
    if (head === 0) for (const content of vol1Records(volser)) special.set(content.record, content);
    if (head === NEW_VTOC_HEAD) return [...emptyVtoc(NEW_VTOC_HEAD, BLOCKS_PER_TRACK, cylinders)];
  } else if (cylinder === 0 && head === 0) {
    const blocks = cylinders * GEOMETRY_3390.heads * BLOCKS_PER_TRACK;
    special.set(LABEL_RECORD, { record: LABEL_RECORD, data: lnx1Data(volser, blocks, BLOCK) });
  }
  return Array.from({ length: BLOCKS_PER_TRACK }, (_, index) => {
    const record = index + 1;
    return special.get(record) ?? { record, data: patterned ? patternRecord(cylinder, head, record) : ZEROS };
  });
}

function write(fd: number, data: Uint8Array, at: number): void {
  for (let done = 0; done < data.length; ) done += writeSync(fd, data, done, data.length - done, at + done);
}
