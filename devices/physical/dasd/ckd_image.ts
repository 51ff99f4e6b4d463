/**
 * A Hercules CKD image, uncompressed: its tracks, a few of them in memory (vfio-ccw facts 5.4). Reads and writes are
 * synchronous: they happen on a hardware thread, whose job is to wait for them. What is written is whole or not there
 * at all, however the process ends: see `journal.ts`.
 */
import { GEOMETRY_3390 } from './geometry.ts';
import { ImageFiles } from './image_files.ts';
import { ImageError } from './image_header.ts';
import { type Change, Journal, journalState, leftChanges, removeJournal } from './journal.ts';
import { emptyTrack, formatNullTrack } from './track.ts';

export { offsetOf } from './image_files.ts';
export { ImageError } from './image_header.ts';

/** Tracks kept in memory. */
const CACHED_TRACKS = 4;
/** Bytes that are compared at once when the changed part of a track is looked for. */
const STEP = 512;

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
  readonly #files: ImageFiles;
  /** Most recently used last. */
  #cache: CachedTrack[] = [];
  /** What the file holds of a track that is about to be written. */
  readonly #old = emptyTrack();
  #journal: Journal | undefined;
  /** The last {@link flush} was to wait for the medium; so does a track that has to leave memory before the next. */
  #sync = true;
  /** The journal was restarted without waiting for the image: its entries do not say everything. */
  #dropped = false;
  /** Read-only: changes that a killed machine left in its journal, and the state of the journal they are from. */
  #left: readonly Change[] = [];
  #leftState: string | undefined;

  /**
   * Opens an image, all its files when it is split. For writing, the caller must be its only user: writes that a
   * killed machine left in the journal are completed now. For reading they are shown, and the files stay as they are.
   * @throws ImageError
   */
  constructor(file: string, readonly = false) {
    this.file = file;
    this.readonly = readonly;
    this.#files = new ImageFiles(file, readonly);
    this.cylinders = this.#files.cylinders;
    try {
      if (readonly) this.#look();
      else this.#recover();
    } catch (error) {
      this.#files.close();
      throw error;
    }
  }

  /** The bytes of a track, in place: a change is kept when {@link changed} follows. @throws Error of the file system */
  track(cylinder: number, head: number): Uint8Array {
    const track = cylinder * this.heads + head;
    const found = this.#cache.findIndex((entry) => entry.track === track);
    const entry =
      found >= 0 ? this.#cache.splice(found, 1)[0] : { track, image: this.#read(track, cylinder, head), dirty: false };
    this.#cache.push(entry);
    if (this.#cache.length > CACHED_TRACKS) {
      this.#write([this.#cache[0]], this.#sync);
      this.#cache.shift();
    }
    return entry.image;
  }

  /** Whether the track was never written: its slot is all zero, which is shown as a track of R0 alone. */
  neverWritten(cylinder: number, head: number): boolean {
    this.#readRaw(cylinder * this.heads + head, this.#old);
    return isZero(this.#old);
  }

  /** Writes that a killed machine left in the journal and that are not completed yet; only for reading. */
  get pending(): number {
    return this.#left.length;
  }

  /** The track's bytes were changed; they reach the file at the next {@link flush} at the latest. */
  changed(cylinder: number, head: number): void {
    if (this.readonly) throw new ImageError(this.file, 'is open for reading only');
    const entry = this.#cache.find(({ track }) => track === cylinder * this.heads + head);
    if (entry !== undefined) entry.dirty = true;
  }

  /** Writes changed tracks to the file, and with `sync` waits until they cannot be lost any more (fdatasync). */
  flush(sync: boolean): void {
    this.#sync = sync;
    this.#write(this.#cache, sync);
  }

  /** Forgets changes that were not yet written and re-reads tracks when they are next wanted. */
  discard(): void {
    this.#cache = [];
  }

  /** Closes the files. What was flushed with `sync` is on the medium, and the journal is not needed any more. */
  close(): void {
    try {
      if (this.#journal !== undefined) {
        if (this.#sync) this.#files.sync();
        this.#journal.remove();
      }
    } finally {
      this.#journal = undefined;
      this.#files.close();
    }
  }

  #read(track: number, cylinder: number, head: number): Uint8Array {
    const image = emptyTrack();
    this.#readRaw(track, image);
    if (isZero(image)) formatNullTrack(image, cylinder, head);
    return image;
  }

  #readRaw(track: number, image: Uint8Array): void {
    this.#files.read(track, image);
    if (!this.readonly) return;
    // Only now: a machine that is running writes its journal first, then the track.
    this.#look();
    for (const change of this.#left) if (change.track === track) image.set(change.data, change.offset);
  }

  /** Reads the journal unless it is as it was. */
  #look(): void {
    const state = journalState(this.#files.file);
    if (state === this.#leftState) return;
    this.#left = leftChanges(this.#files.file, this.cylinders, () => this.#files.changeTime());
    this.#leftState = state;
  }

  /** Completes what a killed machine had begun. */
  #recover(): void {
    const { file } = this.#files;
    if (journalState(file) === undefined) return;
    for (const { track, offset, data } of leftChanges(file, this.cylinders, () => this.#files.changeTime()))
      this.#files.write(track, offset, data);
    this.#files.sync();
    removeJournal(file);
  }

  #write(entries: readonly CachedTrack[], sync: boolean): void {
    const dirty = entries.filter((entry) => entry.dirty);
    const changes = dirty.map((entry) => this.#changeOf(entry)).filter((change) => change !== undefined);
    if (changes.length > 0) {
      const journal = this.#room(changes);
      journal.append(changes);
      if (sync) journal.sync();
      for (const { track, offset, data } of changes) this.#files.write(track, offset, data);
    } else if (sync) this.#journal?.sync();
    if (sync && this.#dropped) this.#files.sync();
    if (sync) this.#dropped = false;
    for (const entry of dirty) entry.dirty = false;
  }

  /** The journal, with room for these changes. */
  #room(changes: readonly Change[]): Journal {
    this.#journal ??= new Journal(this.#files.file, this.cylinders);
    if (!this.#journal.fits(changes)) {
      if (this.#sync) this.#files.sync();
      else this.#dropped = true;
      this.#journal.restart();
    }
    return this.#journal;
  }

  /** What differs from the file, from the first to the last byte; undefined when nothing does. */
  #changeOf({ track, image }: CachedTrack): Change | undefined {
    this.#files.read(track, this.#old);
    let from = 0;
    let to = image.length;
    const same = (start: number, end: number) =>
      Buffer.compare(image.subarray(start, end), this.#old.subarray(start, end)) === 0;
    while (from < to && same(from, from + STEP)) from += STEP;
    if (from >= to) return undefined;
    while (same(to - STEP, to)) to -= STEP;
    while (image[from] === this.#old[from]) from++;
    while (image[to - 1] === this.#old[to - 1]) to--;
    return { track, offset: from, data: image.subarray(from, to) };
  }
}

function isZero(image: Uint8Array): boolean {
  // Cylinder, head, and on the first track the data length of R0 tell at once.
  for (const at of [2, 4, 12]) if (image[at] !== 0) return false;
  return image.every((byte) => byte === 0);
}
