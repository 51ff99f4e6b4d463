/**
 * A Hercules CKD image, uncompressed: a header of 512 bytes, then every track in a slot of fixed size (vfio-ccw facts
 * 5.4). Reads and writes are synchronous: they happen on a hardware thread, whose job is to wait for them.
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { bytes, struct, u8, u16, u32 } from '../../../kernel/lib/struct.ts';
import { GEOMETRY_3390 } from './geometry.ts';
import { emptyTrack } from './track.ts';

/** Little-endian header, zero to byte 511. */
export const IMAGE_HEADER = struct(
  'ckd_image_header',
  'le',
  {
    magic: bytes(8),
    heads: u32,
    trackSize: u32,
    type: u8,
    sequence: u8,
    highCylinder: u16,
    serial: bytes(12),
    reserved: bytes(480),
  },
  { size: 512, offsets: { heads: 8, trackSize: 12, type: 16, highCylinder: 18, serial: 20 } },
);

/** Magic of the format that is read and written here. */
export const MAGIC = 'CKD_P370';
/** Related formats, named so that the error can say what to do. */
const OTHER_MAGICS: Readonly<Record<string, string>> = {
  CKD_C370: 'a compressed CKD image; convert it with "cckd2ckd" or "dasdcopy"',
  CKD_C064: 'a compressed 64-bit CKD image; convert it with "dasdcopy"',
  CKD_S370: 'a shadow file, not a base image; merge it first',
  CKD_S064: 'a shadow file, not a base image; merge it first',
  CKD_P064: 'a 64-bit CKD image; convert it with "dasdcopy"',
  FBA_C370: 'a compressed FBA image, not a CKD disk; use a 3390 image',
};
/** Low byte of the device type. */
const TYPE_3390 = 0x90;
/** Tracks kept in memory. */
const CACHED_TRACKS = 4;

/** An image cannot be used: one sentence with the file, what was found, and what to do. */
export class ImageError extends Error {
  constructor(file: string, found: string) {
    super(`${file}: ${found}`);
    this.name = 'ImageError';
  }
}

interface CachedTrack {
  readonly track: number;
  readonly image: Uint8Array;
  dirty: boolean;
}

export class CkdImage {
  readonly file: string;
  readonly readonly: boolean;
  readonly cylinders: number;
  readonly heads = GEOMETRY_3390.heads;
  readonly #fd: number;
  /** Most recently used last. */
  #cache: CachedTrack[] = [];
  #unsynced = false;

  /** Opens an image. @throws ImageError */
  constructor(file: string, readonly = false) {
    this.file = file;
    this.readonly = readonly;
    this.#fd = open(file, readonly);
    try {
      this.cylinders = checkHeader(file, this.#fd);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  /** The bytes of a track, in place: a change is kept when {@link changed} follows. @throws Error of the file system */
  track(cylinder: number, head: number): Uint8Array {
    const track = cylinder * this.heads + head;
    const found = this.#cache.findIndex((entry) => entry.track === track);
    const entry = found >= 0 ? this.#cache.splice(found, 1)[0] : { track, image: this.#read(track), dirty: false };
    this.#cache.push(entry);
    while (this.#cache.length > CACHED_TRACKS) {
      this.#write(this.#cache[0]);
      this.#cache.shift();
    }
    return entry.image;
  }

  /** The track's bytes were changed; they reach the file at the next {@link flush} at the latest. */
  changed(cylinder: number, head: number): void {
    if (this.readonly) throw new ImageError(this.file, 'is open for reading only');
    const entry = this.#cache.find(({ track }) => track === cylinder * this.heads + head);
    if (entry !== undefined) entry.dirty = true;
  }

  /** Writes changed tracks to the file, and with `sync` waits until they are on the medium (fdatasync). */
  flush(sync: boolean): void {
    for (const entry of this.#cache) this.#write(entry);
    if (!sync || !this.#unsynced) return;
    fdatasyncSync(this.#fd);
    this.#unsynced = false;
  }

  /** Forgets changes that were not yet written and re-reads tracks when they are next wanted. */
  discard(): void {
    this.#cache = [];
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(track: number): Uint8Array {
    const image = emptyTrack();
    const got = readSync(this.#fd, image, 0, image.length, offsetOf(track));
    if (got !== image.length) throw new ImageError(this.file, `track ${track} is cut off after ${got} bytes`);
    return image;
  }

  #write(entry: CachedTrack): void {
    if (!entry.dirty) return;
    const at = offsetOf(entry.track);
    for (let done = 0; done < entry.image.length; )
      done += writeSync(this.#fd, entry.image, done, entry.image.length - done, at + done);
    entry.dirty = false;
    this.#unsynced = true;
  }
}

/** Offset of a track's slot in the file. */
export function offsetOf(track: number): number {
  return IMAGE_HEADER.size + track * GEOMETRY_3390.imageTrack;
}

/** Remedies for what the host may answer to open(2). */
const OPEN_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such image; create it first, for example with "dasdinit -linux"',
  EACCES: 'permission denied; make the file accessible or attach the drive read-only',
  EISDIR: 'is a directory; name the image file in it',
};

function open(file: string, readonly: boolean): number {
  try {
    return openSync(file, readonly ? 'r' : 'r+');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new ImageError(file, OPEN_ERRORS[code] ?? message);
  }
}

/** Checks header and size; returns the number of cylinders. */
function checkHeader(file: string, fd: number): number {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw new ImageError(file, 'is not a regular file; name a CKD image');
  const header = IMAGE_HEADER.make();
  const got = readSync(fd, IMAGE_HEADER.bytes(header), 0, IMAGE_HEADER.size, 0);
  const magic = Buffer.from(header.magic).toString('latin1');
  if (OTHER_MAGICS[magic] !== undefined) throw new ImageError(file, `is ${OTHER_MAGICS[magic]}`);
  if (got < IMAGE_HEADER.size || magic !== MAGIC)
    throw new ImageError(
      file,
      `not a CKD image: begins with ${printable(header.magic)} instead of "${MAGIC}"; create one with "dasdinit"`,
    );
  if (header.type !== TYPE_3390)
    throw new ImageError(
      file,
      `holds a device of type 33${header.type.toString(16)}, but only 3390 is supported; use a 3390 image`,
    );
  if (header.sequence !== 0 || header.highCylinder !== 0)
    throw new ImageError(
      file,
      `is file ${header.sequence} of an image split over several; join them with "dasdcopy -lfs"`,
    );
  if (header.heads !== GEOMETRY_3390.heads || header.trackSize !== GEOMETRY_3390.imageTrack)
    throw new ImageError(
      file,
      `has ${header.heads} heads and tracks of ${header.trackSize} bytes where a 3390 has ` +
        `${GEOMETRY_3390.heads} and ${GEOMETRY_3390.imageTrack}; create it anew with "dasdinit"`,
    );
  const cylinder = GEOMETRY_3390.heads * GEOMETRY_3390.imageTrack;
  const cylinders = (stat.size - IMAGE_HEADER.size) / cylinder;
  if (!Number.isInteger(cylinders) || cylinders === 0)
    throw new ImageError(
      file,
      `is truncated: ${stat.size} bytes, which is ${IMAGE_HEADER.size} and ${cylinders.toFixed(2)} cylinders of ` +
        `${cylinder}; restore it from a complete copy`,
    );
  return cylinders;
}

function printable(magic: Uint8Array): string {
  const text = Buffer.from(magic).toString('latin1');
  return /^[\x20-\x7e]+$/.test(text) ? `"${text}"` : `X'${Buffer.from(magic).toString('hex').toUpperCase()}'`;
}
