/**
 * The file or files that hold an image. Each begins with a header; tracks follow in slots of fixed size. An image over
 * 2 GiB may be split: each file says its number and its highest cylinder, the last one 0 (vfio-ccw facts 5.4).
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, realpathSync, writeSync } from 'node:fs';
import { GEOMETRY_3390, MAX_LARGE_CYLINDERS } from './geometry.ts';
import { IMAGE_HEADER, ImageError, type ImageHeader, parseHeader } from './image_header.ts';
import { imageFile, splitName } from './image_name.ts';

const { heads, imageTrack } = GEOMETRY_3390;
/** Bytes of a cylinder in a file. */
export const CYLINDER_SIZE = heads * imageTrack;

/** Offset of a track's slot in its file. @param track counted from the file's first. */
export function offsetOf(track: number): number {
  return IMAGE_HEADER.size + track * imageTrack;
}

interface ImagePart {
  readonly file: string;
  readonly fd: number;
  /** First track of this file and the first one behind it. */
  readonly first: number;
  readonly end: number;
  /** Written since the last {@link ImageFiles.sync}. */
  unsynced: boolean;
}

export class ImageFiles {
  /** Path of the first file, links resolved: whatever name is used, there is one journal for the image. */
  readonly file: string;
  readonly cylinders: number;
  readonly #parts: ImagePart[] = [];

  /** Opens all files of an image. @param name of the first, or without the number. @throws ImageError */
  constructor(name: string, readonly: boolean) {
    const first = imageFile(name);
    try {
      this.cylinders = this.#open(first, readonly);
      this.file = realpathSync(first);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Reads a track's slot. @throws ImageError when the file has become shorter */
  read(track: number, image: Uint8Array): void {
    const part = this.#part(track);
    const got = readSync(part.fd, image, 0, imageTrack, offsetOf(track - part.first));
    if (got !== imageTrack) throw new ImageError(part.file, `track ${track} is cut off after ${got} bytes`);
  }

  /** Writes bytes of a track's slot. */
  write(track: number, offset: number, data: Uint8Array): void {
    const part = this.#part(track);
    const at = offsetOf(track - part.first) + offset;
    part.unsynced = true;
    for (let done = 0; done < data.length; ) done += writeSync(part.fd, data, done, data.length - done, at + done);
  }

  /** Waits until everything written is on the medium (fdatasync). */
  sync(): void {
    for (const part of this.#parts) {
      if (!part.unsynced) continue;
      fdatasyncSync(part.fd);
      part.unsynced = false;
    }
  }

  /** When a file of the image was changed last, in milliseconds since 1970 (st_ctime: no program can set it back). */
  changeTime(): number {
    return Math.max(...this.#parts.map(({ fd }) => fstatSync(fd).ctimeMs));
  }

  close(): void {
    for (const { fd } of this.#parts.splice(0)) closeSync(fd);
  }

  #part(track: number): ImagePart {
    const part = this.#parts.find(({ end }) => track < end);
    if (part === undefined) throw new ImageError(this.file, `has no track ${track}`);
    return part;
  }

  /** Opens the first file and all that follow it; returns the number of cylinders. */
  #open(first: string, readonly: boolean): number {
    let cylinders = 0;
    for (let sequence = 1; ; sequence++) {
      const file = sequence === 1 ? first : splitName(first, sequence);
      if (file === undefined)
        throw new ImageError(first, `is the first of several files, but file ${sequence} has no name; end it in _1`);
      const fd = openFile(file, readonly, sequence === 1 ? undefined : first);
      const part = { file, fd, first: cylinders * heads, end: 0, unsynced: false };
      this.#parts.push(part);
      const header = readHeader(file, fd);
      checkSequence(file, header, sequence, first);
      const last = header.highCylinder === 0;
      const expected = last ? undefined : header.highCylinder + 1 - cylinders;
      cylinders += cylindersOf(file, fd, expected);
      part.end = cylinders * heads;
      if (last) break;
    }
    if (cylinders > MAX_LARGE_CYLINDERS)
      throw new ImageError(first, `has ${cylinders} cylinders; a 3390 has at most ${MAX_LARGE_CYLINDERS}`);
    return cylinders;
  }
}

/** Remedies for what the host may answer to open(2). */
const OPEN_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such image; create it first, for example with "minivisor dasd create" or "dasdinit -linux"',
  EACCES: 'permission denied; make the file accessible or attach the drive read-only',
  EROFS: 'is on a read-only file system; attach the drive read-only',
  EISDIR: 'is a directory; name the image file in it',
};

function openFile(file: string, readonly: boolean, first?: string): number {
  try {
    return openSync(file, readonly ? 'r' : 'r+');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && first !== undefined)
      throw new ImageError(first, `is one of several files, but ${file} is missing; put it beside the others`);
    throw new ImageError(file, OPEN_ERRORS[code] ?? message);
  }
}

function readHeader(file: string, fd: number): ImageHeader {
  if (!fstatSync(fd).isFile()) throw new ImageError(file, 'is not a regular file; name a CKD image');
  const start = new Uint8Array(IMAGE_HEADER.size);
  return parseHeader(file, start.subarray(0, readSync(fd, start, 0, start.length, 0)));
}

/** The number in the header must be the file's place; a lone file has 0. */
function checkSequence(file: string, header: ImageHeader, place: number, first: string): void {
  const { sequence, highCylinder } = header;
  if (sequence === place || (place === 1 && sequence === 0 && highCylinder === 0)) return;
  if (place > 1)
    throw new ImageError(file, `says it is file ${sequence}, but follows as file ${place} of ${first}; restore it`);
  throw new ImageError(
    file,
    sequence === 0
      ? `names highest cylinder ${highCylinder}, but is not split; restore it from a complete copy`
      : `is file ${sequence} of an image split over several; name the first one, which ends in _1`,
  );
}

/** @param expected cylinders by the header; undefined: what the size says. */
function cylindersOf(file: string, fd: number, expected: number | undefined): number {
  const { size } = fstatSync(fd);
  const cylinders = (size - IMAGE_HEADER.size) / CYLINDER_SIZE;
  if (!Number.isInteger(cylinders) || cylinders === 0 || (expected !== undefined && cylinders !== expected))
    throw new ImageError(
      file,
      `is truncated: ${size} bytes, which is ${IMAGE_HEADER.size} and ${cylinders.toFixed(2)} cylinders of ` +
        `${CYLINDER_SIZE}${expected === undefined ? '' : ` instead of ${expected}`}; restore it from a complete copy`,
    );
  return cylinders;
}
