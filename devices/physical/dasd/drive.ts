/**
 * A 3390 drive with its 3990 control unit, one path: the state that commands of a chain share, and where the heads are.
 * What each command does stands in the rows of `commands_*.ts`.
 */
import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { ChannelDevice, CommandEnding, DataPort } from '../css/channel_device.ts';
import { CkdImage } from './ckd_image.ts';
import { CONTROL_COMMANDS } from './commands_control.ts';
import { LOCATE_COMMANDS } from './commands_locate.ts';
import { READ_COMMANDS } from './commands_read.ts';
import { SEARCH_COMMANDS } from './commands_search.ts';
import { SENSE_COMMANDS } from './commands_sense.ts';
import { WRITE_COMMANDS } from './commands_write.ts';
import { type EckdCommand, MULTITRACK } from './eckd_command.ts';
import { type Domain, type Extent, FILE_MASK, SEEK_CONTROL, trackOf } from './extent.ts';
import { buildSense, MESSAGE, reject, SENSE_SIZE, SENSE0, SENSE1, UnitCheck } from './sense.ts';
import { type CkdRecord, type CkdTrack, parseTrack, TrackFormatError } from './track.ts';

/** When the host file must be on its medium before the program hears of device end. */
export type CacheMode = 'writethrough' | 'writeback' | 'unsafe';

/** One drive of the I/O configuration: plain data, so that it can be handed to another thread. */
export interface DriveOptions {
  readonly schid: number;
  readonly devno: number;
  /** CKD image. */
  readonly file: string;
  /** Open the image for reading only; writes end in unit check (write inhibited). */
  readonly readonly?: boolean;
  /**
   * `writethrough` (default): device end only after fdatasync. `writeback`: the file is written before device end and
   * synchronised at power-off. `unsafe`: never synchronised.
   */
  readonly cache?: CacheMode;
  /** Nanoseconds of every positioning to a track; 0 when omitted. */
  readonly serviceTimeNs?: number;
  /** Fault hook: positioning to a track of this cylinder takes `ns` nanoseconds more. */
  readonly slow?: { readonly cylinder: number; readonly ns: number };
}

/** What of the current record passed under the heads last. */
export type Area = 'index' | 'home' | 'count' | 'key' | 'data';

/** Path-group state, kept until the control unit is reset. */
export interface PathGroup {
  id: Uint8Array;
  /** Path state: 00 reset, 80 ungrouped, C0 grouped. */
  state: number;
  multipath: boolean;
}

const ENDED = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;

const COMMANDS = new Map<number, EckdCommand>();
for (const row of [
  ...SENSE_COMMANDS,
  ...CONTROL_COMMANDS,
  ...LOCATE_COMMANDS,
  ...SEARCH_COMMANDS,
  ...READ_COMMANDS,
  ...WRITE_COMMANDS,
]) {
  if (COMMANDS.has(row.code)) throw new Error(`command ${row.code.toString(16)} has two rows`);
  COMMANDS.set(row.code, row);
}

/** Opens the image and powers the drive on. @throws ImageError */
export function openDrive(options: DriveOptions): EckdDrive {
  return new EckdDrive(options);
}

export class EckdDrive implements ChannelDevice {
  readonly type = '3390';
  readonly options: DriveOptions;
  readonly image: CkdImage;
  readonly pathGroup: PathGroup = { id: new Uint8Array(11), state: 0, multipath: false };

  // Kept from program to program: where the access arm is, and sense information.
  cylinder = 0;
  head = 0;
  #sense: Uint8Array | undefined;

  // Of the current program.
  /** Define Extent in force. */
  extent: Extent | undefined;
  /** Locate Record domain in force. */
  domain: Domain | undefined;
  /** Set File Mask, or the mask of Define Extent. */
  fileMask = 0;
  fileMaskSet = false;
  /** Read IPL was given. */
  ipl = false;
  /** Index of the current record on the track; meaningful when `area` is count, key or data. */
  index = -1;
  area: Area = 'index';
  /** The record was found by a search that permits writing to it. */
  found = false;
  /** The record was formatted by the command before. */
  formatted = false;
  /** Index points passed without any progress. */
  #passes = 0;
  #track: CkdTrack | undefined;
  #writes = false;

  constructor(options: DriveOptions) {
    this.options = options;
    this.image = new CkdImage(options.file, options.readonly);
  }

  operational(): boolean {
    return true;
  }

  begin(): void {
    this.extent = undefined;
    this.domain = undefined;
    this.fileMask = 0;
    this.fileMaskSet = false;
    this.ipl = false;
    this.#leaveTrack();
  }

  *execute(command: number, port: DataPort): Task<CommandEnding> {
    const row = COMMANDS.get(command);
    // Sense information lasts until the next command that is not there to fetch it.
    if (row?.keepsSense !== true) this.#sense = undefined;
    try {
      if (row === undefined) throw reject(`command ${command.toString(16)}`, MESSAGE.INVALID_COMMAND);
      this.#checkDomain(row);
      const added = yield* row.perform({ drive: this, port, multitrack: (command & MULTITRACK) !== 0 });
      if (row.track !== undefined) this.#countDomain(row);
      return { status: ENDED | added, immediate: row.immediate };
    } catch (error) {
      return { status: ENDED | this.#unitCheck(error) };
    }
  }

  end(): number {
    if (!this.#writes) return 0;
    this.#writes = false;
    try {
      this.image.flush((this.options.cache ?? 'writethrough') === 'writethrough');
      return 0;
    } catch (error) {
      this.image.discard();
      return this.#unitCheck(error);
    }
  }

  takeSense(): Uint8Array {
    const sense = this.#sense ?? new Uint8Array(SENSE_SIZE);
    this.#sense = undefined;
    return sense;
  }

  reset(): void {
    this.#sense = undefined;
    this.begin();
  }

  close(): void {
    if (!this.image.readonly) this.image.flush(this.options.cache !== 'unsafe');
    this.image.close();
  }

  /** Moves the heads to a track and leaves them at the index point. @throws UnitCheck outside disk or extent */
  position(cylinder: number, head: number): void {
    if (cylinder >= this.image.cylinders || head >= this.image.heads)
      throw reject(`no cylinder ${cylinder} head ${head}`, MESSAGE.INVALID_PARAMETER);
    const { extent } = this;
    const track = trackOf(cylinder, head);
    if (extent !== undefined && (track < extent.first || track > extent.last))
      throw new UnitCheck('outside the extent', 0, SENSE1.FILE_PROTECTED);
    this.cylinder = cylinder;
    this.head = head;
    this.#leaveTrack();
  }

  /** The track under the heads; the first access after positioning takes the device its time. */
  *track(port: DataPort): Task<CkdTrack> {
    if (this.#track !== undefined) return this.#track;
    const { serviceTimeNs = 0, slow } = this.options;
    const ns = serviceTimeNs + (slow !== undefined && slow.cylinder === this.cylinder ? slow.ns : 0);
    if (ns > 0) yield* port.delay(ns);
    this.#track = parseTrack(this.image.track(this.cylinder, this.head), this.cylinder, this.head);
    return this.#track;
  }

  /**
   * Moves to the count area of the next record: at the end of the track to the next track (multitrack), else past the
   * index point. Passing that twice without progress means the record does not exist.
   * @param record0 whether R0 counts as a record.
   */
  *next(port: DataPort, multitrack: boolean, record0 = false): Task<CkdRecord> {
    for (;;) {
      const track = yield* this.track(port);
      const first = record0 ? 0 : 1;
      const at = this.area === 'index' || this.area === 'home' ? first : this.index + 1;
      if (at < track.records.length) return this.orient(at, 'count');
      if (multitrack) this.#nextTrack();
      else if (++this.#passes === 2) throw new UnitCheck('no record found', 0, SENSE1.NO_RECORD_FOUND);
      else this.area = 'index';
    }
  }

  /** The heads have passed `area` of a record of the current track. */
  orient(index: number, area: Area): CkdRecord {
    this.index = index;
    this.area = area;
    this.found = false;
    this.formatted = false;
    return (this.#track as CkdTrack).records[index];
  }

  /** Progress was made: counting of index points starts anew. */
  progressed(): void {
    this.#passes = 0;
  }

  /** The current track's bytes were changed. */
  wrote(): void {
    this.image.changed(this.cylinder, this.head);
    this.#writes = true;
  }

  #leaveTrack(): void {
    this.#track = undefined;
    this.index = -1;
    this.area = 'index';
    this.found = false;
    this.formatted = false;
    this.#passes = 0;
  }

  /** Multitrack: the next head; the next cylinder only inside a Locate Record domain. */
  #nextTrack(): void {
    const last = this.head + 1 === this.image.heads;
    if (last && (this.domain === undefined || this.cylinder + 1 === this.image.cylinders))
      throw new UnitCheck('end of cylinder', 0, SENSE1.END_OF_CYLINDER);
    if (this.extent === undefined && FILE_MASK.get(this.fileMask, 'seek') === SEEK_CONTROL.NONE)
      throw new UnitCheck('head switching is inhibited', 0, SENSE1.FILE_PROTECTED);
    if (last) this.position(this.cylinder + 1, 0);
    else this.position(this.cylinder, this.head + 1);
  }

  #checkDomain(row: EckdCommand): void {
    if (this.domain === undefined || row.track === undefined) return;
    if (!row.track.includes(this.domain.kind)) throw reject(`${row.name} in this domain`, MESSAGE.INVALID_SEQUENCE);
  }

  #countDomain(row: EckdCommand): void {
    const { domain } = this;
    if (domain !== undefined && row.track?.length !== 0 && --domain.remaining <= 0) this.domain = undefined;
  }

  /** Turns what ended a command into sense information. Anything that is no fault of disk or program goes on. */
  #unitCheck(error: unknown): number {
    let check = error;
    if (error instanceof TrackFormatError) check = new UnitCheck(error.message, 0, SENSE1.INVALID_TRACK_FORMAT);
    else if (isFileError(error)) check = new UnitCheck(error.message, SENSE0.EQUIPMENT, SENSE1.PERMANENT);
    if (!(check instanceof UnitCheck)) throw error;
    this.#sense = buildSense(check, this.cylinder, this.head);
    this.domain = undefined;
    return DSTAT.UNIT_CHECK;
  }
}

/** The host's file system failed, or the file is shorter than it was. */
function isFileError(error: unknown): error is Error {
  return error instanceof Error && ('syscall' in error || error.name === 'ImageError');
}
