/**
 * The write-ahead journal of an image: `FILE.journal` beside it, there only while a machine has changed the image.
 *
 * A track's slot is bigger than what the host writes at once: a process that is killed in the middle of pwrite(2), or a
 * power failure, would leave a track of old and new bytes, whose records need not follow each other any more. So the
 * bytes that change are written to the journal first, with a check sum, and only then in place:
 *
 *     append every change of the program; [fdatasync the journal]; write in place; device end
 *
 * Who opens the image next writes the journal's entries in place again. An entry cut off by the failure has a wrong
 * check sum and ends the journal: nothing of it reached the image, and its device end was never presented. With the
 * fdatasync (cache=writethrough) that holds for power failures too, and the image itself needs none until the journal
 * is full: one fdatasync for a channel program that writes. Then {@link Journal.restart} begins at its start again;
 * sequence numbers tell new entries from what is left of old ones.
 *
 * The file has its full size from the start, so that fdatasync has no new size to write.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { struct, u16, u32 } from '../../../kernel/lib/struct.ts';
import { GEOMETRY_3390 } from './geometry.ts';
import { ImageError } from './image_header.ts';

/** Start of the file. */
const JOURNAL_HEADER = struct(
  'journal_header',
  'be',
  { magic: u32, version: u32, cylinders: u32, check: u32 },
  { size: 16 },
);
/** "MVJL" in ASCII. */
const JOURNAL_MAGIC = 0x4d56_4a4c;
const JOURNAL_VERSION = 1;

/** Before the bytes of each change; `check` is the CRC-32 of the rest of this header and of the bytes. */
const JOURNAL_ENTRY = struct(
  'journal_entry',
  'be',
  { check: u32, sequence: u32, track: u32, offset: u16, length: u16 },
  { size: 16 },
);
/** Bytes of the file: about 250 changed records of 4096 bytes. */
const JOURNAL_SIZE = 1 << 20;
/** The image may be changed that much later than the journal, milliseconds: in-place writes follow their entry. */
const LATER_MS = 10_000;

/** Bytes of a track's slot that change. */
export interface Change {
  readonly track: number;
  readonly offset: number;
  readonly data: Uint8Array;
}

/** Where an image's journal is. @param file the image's first file, links resolved. */
const journalName = (file: string) => `${file}.journal`;

export class Journal {
  readonly #name: string;
  readonly #fd: number;
  #at: number = JOURNAL_HEADER.size;
  #sequence = 1;
  #unsynced = false;

  /** Makes an empty journal. @throws Error of the file system */
  constructor(file: string, cylinders: number) {
    this.#name = journalName(file);
    this.#fd = openSync(this.#name, 'wx');
    try {
      const start = new Uint8Array(JOURNAL_SIZE);
      start.set(JOURNAL_HEADER.bytes(header(cylinders)));
      writeAll(this.#fd, start, 0);
      fsyncSync(this.#fd);
      syncFolder(dirname(file));
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  /** Whether these changes fit in; otherwise the image has to be synchronised and the journal restarted. */
  fits(changes: readonly Change[]): boolean {
    const bytes = changes.reduce((sum, { data }) => sum + JOURNAL_ENTRY.size + data.length, 0);
    return this.#at + bytes <= JOURNAL_SIZE;
  }

  /** Adds the changes, in their order, in one write. */
  append(changes: readonly Change[]): void {
    const entries = Buffer.concat(changes.map((change) => entryOf(change, this.#sequence++)));
    writeAll(this.#fd, entries, this.#at);
    this.#at += entries.length;
    this.#unsynced = true;
  }

  /** Waits until all entries are on the medium. */
  sync(): void {
    if (this.#unsynced) fdatasyncSync(this.#fd);
    this.#unsynced = false;
  }

  /** Begins at the start again: everything so far is in the image. */
  restart(): void {
    this.#at = JOURNAL_HEADER.size;
  }

  /** Everything is in the image, and nothing more will come. */
  remove(): void {
    closeSync(this.#fd);
    rmSync(this.#name, { force: true });
  }
}

/** A number that changes when the journal does; undefined when there is none. */
export function journalState(file: string): string | undefined {
  const stat = statSync(journalName(file), { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
}

/**
 * The changes in the journal that a killed machine left, in their order.
 * @param changed when the image was changed last ({@link ImageFiles.changeTime}).
 * @throws ImageError when the image has been replaced or changed by somebody else since.
 */
export function leftChanges(file: string, cylinders: number, changed: () => number): readonly Change[] {
  const name = journalName(file);
  const bytes = readIfThere(name);
  if (bytes === undefined) return [];
  if (bytes.length < JOURNAL_HEADER.size) return [];
  const start = bytes.subarray(0, JOURNAL_HEADER.size);
  if (Buffer.compare(start, JOURNAL_HEADER.bytes(header(cylinders))) !== 0) {
    // Killed while it was being made: no entry in it.
    if (bytes.subarray(start.length, start.length + JOURNAL_ENTRY.size).every((byte) => byte === 0)) return [];
    throw new ImageError(file, `${name} is not the journal of this image; remove it when the image was replaced`);
  }
  const changes = entriesOf(bytes, cylinders * GEOMETRY_3390.heads);
  if (changes.length > 0 && changed() > statSync(name).ctimeMs + LATER_MS)
    throw new ImageError(
      file,
      `was changed after a machine that was killed had left ${name}; remove that when the image was replaced, ` +
        '"touch" it when its writes are to be kept',
    );
  return changes;
}

/** Removes what a killed machine left. */
export function removeJournal(file: string): void {
  rmSync(journalName(file), { force: true });
}

/** Entries from the first on, as long as each has the next number and a right check sum. */
function entriesOf(bytes: Buffer, tracks: number): Change[] {
  const changes: Change[] = [];
  const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let sequence: number | undefined;
  for (let at: number = JOURNAL_HEADER.size; at + JOURNAL_ENTRY.size <= bytes.length; ) {
    const entry = JOURNAL_ENTRY.at(dv, at);
    const end = at + JOURNAL_ENTRY.size + entry.length;
    if (end > bytes.length || entry.length === 0) break;
    if (sequence !== undefined && entry.sequence !== sequence) break;
    if (entry.check !== crc32(bytes.subarray(at + 4, end))) break;
    if (entry.track >= tracks || entry.offset + entry.length > GEOMETRY_3390.imageTrack) break;
    changes.push({ track: entry.track, offset: entry.offset, data: bytes.subarray(at + JOURNAL_ENTRY.size, end) });
    sequence = (entry.sequence + 1) >>> 0;
    at = end;
  }
  return changes;
}

function entryOf({ track, offset, data }: Change, sequence: number): Uint8Array {
  const entry = Buffer.alloc(JOURNAL_ENTRY.size + data.length);
  const head = JOURNAL_ENTRY.at(new DataView(entry.buffer, entry.byteOffset));
  Object.assign(head, { sequence: sequence >>> 0, track, offset, length: data.length });
  entry.set(data, JOURNAL_ENTRY.size);
  head.check = crc32(entry.subarray(4));
  return entry;
}

function header(cylinders: number) {
  const made = JOURNAL_HEADER.make({ magic: JOURNAL_MAGIC, version: JOURNAL_VERSION, cylinders });
  made.check = crc32(JOURNAL_HEADER.bytes(made).subarray(0, JOURNAL_HEADER.offset.check));
  return made;
}

function readIfThere(name: string): Buffer | undefined {
  try {
    return readFileSync(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function writeAll(fd: number, data: Uint8Array, at: number): void {
  for (let done = 0; done < data.length; ) done += writeSync(fd, data, done, data.length - done, at + done);
}

/** A new name in a folder is on the medium only when the folder is (fsync(2), "Notes"). */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
