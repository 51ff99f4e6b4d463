/**
 * A 3390 drive with its 3990 control unit: the state that commands of a chain share, and where the heads are. What each
 * command does stands in the rows of `commands_*.ts`, what may follow what in `sequence.ts`.
 *
 * Data are durable in this order: commands change tracks in memory; {@link EckdDrive.end}, once a program, has the image
 * keep them in the way the cache mode says; only then does the channel present device end for the last command. A
 * machine that is killed in between leaves whole tracks: see `ckd_image.ts`.
 */
import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { ChannelDevice, CommandEnding, DataPort, Trouble } from '../css/channel_device.ts';
import { CkdImage } from './ckd_image.ts';
import { COMMANDS } from './command_table.ts';
import { type EckdCommand, MULTITRACK } from './eckd_command.ts';
import { type Extent, FILE_MASK, SEEK_CONTROL, trackOf } from './extent.ts';
import type { Domain } from './locate.ts';
import { PathGroups } from './path_group.ts';
import {
  buildSense,
  FORMAT,
  fileProtected,
  invalidTrackFormat,
  MESSAGE,
  noRecordFound,
  reject,
  SENSE_SIZE,
  SENSE0,
  SENSE1,
  UnitCheck,
} from './sense.ts';
import { checkSequence } from './sequence.ts';
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

/** What the commands before have found, so that a write may follow: home address, identifier, key, or a format write. */
export type Found = 'home' | 'id' | 'key' | 'format';

const ENDED = DSTAT.CHANNEL_END | DSTAT.DEVICE_END;

/** Opens the image and powers the drive on. @param log one line for the user. @throws ImageError */
export function openDrive(options: DriveOptions, log?: (line: string) => void): EckdDrive {
  return new EckdDrive(options, log);
}

export class EckdDrive implements ChannelDevice {
  readonly type = '3390';
  readonly options: DriveOptions;
  readonly image: CkdImage;
  readonly paths = new PathGroups();
  readonly #log: (line: string) => void;

  // Kept from program to program: where the access arm is, sense information, and what was said to the user.
  cylinder = 0;
  head = 0;
  #sense: Uint8Array | undefined;
  #said: string | undefined;

  // Of the current program.
  /** The path it came on, one bit. */
  path = 0x80;
  /** Define Extent in force. */
  extent: Extent | undefined;
  /** Locate Record domain in force. */
  domain: Domain | undefined;
  /** Set File Mask, or the mask of Define Extent. */
  fileMask = 0;
  fileMaskSet = false;
  /** Read IPL was given. */
  ipl = false;
  /** A command has positioned the heads. */
  positioned = false;
  /** Prepared by Perform Subsystem Function for Read Subsystem Data. */
  subsystemData: Uint8Array | undefined;
  /** Index of the current record on the track; meaningful when `area` is count, key or data. */
  index = -1;
  area: Area = 'index';
  found: Found | undefined;
  #chained = 0;
  #previous: EckdCommand | undefined;
  /** Index points passed with searches alone in between. */
  #passes = 0;
  #track: CkdTrack | undefined;
  /** The arm has reached the track: its service time is over. */
  #arrived = false;
  /** Nanoseconds the arm moves on after channel end. */
  #moving = 0;
  #writes = false;

  constructor(options: DriveOptions, log: (line: string) => void = () => {}) {
    this.options = options;
    this.image = new CkdImage(options.file, options.readonly);
    this.#log = log;
  }

  operational(): boolean {
    return true;
  }

  begin(path = 0x80): void {
    this.path = path;
    this.extent = undefined;
    this.domain = undefined;
    this.fileMask = 0;
    this.fileMaskSet = false;
    this.ipl = false;
    this.positioned = false;
    this.subsystemData = undefined;
    this.#chained = 0;
    this.#previous = undefined;
    this.#leaveTrack();
  }

  *execute(command: number, port: DataPort): Task<CommandEnding> {
    const row = COMMANDS.get(command);
    // Sense information lasts until the next command that is not there to fetch it.
    if (row?.keepsSense !== true) this.#sense = undefined;
    this.#moving = 0;
    try {
      if (row === undefined) throw reject(`command ${command.toString(16)}`, MESSAGE.INVALID_COMMAND);
      checkSequence(row, {
        length: this.#chained++,
        previous: this.#previous,
        domain: this.domain,
        positioned: this.positioned,
        prepared: this.subsystemData !== undefined,
      });
      this.#previous = row;
      if (row.searches !== true) this.#passes = 0;
      const { domain } = this;
      const added = yield* row.perform({ drive: this, port, multitrack: (command & MULTITRACK) !== 0 });
      if (domain !== undefined) this.#countDomain(domain, port);
      if (this.#moving === 0) return { status: ENDED | added, immediate: row.immediate };
      return { status: DSTAT.CHANNEL_END | added, deviceEnd: { ns: this.#moving }, immediate: row.immediate };
    } catch (error) {
      return { status: ENDED | this.#unitCheck(error) };
    }
  }

  end(): number {
    if (!this.#writes) return 0;
    this.#writes = false;
    try {
      this.image.flush((this.options.cache ?? 'writethrough') === 'writethrough');
      this.#said = undefined;
      return 0;
    } catch (error) {
      this.image.discard();
      return this.#unitCheck(error, SENSE1.IMPRECISE);
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

  /** Fault hook: sense information for trouble that was not there, at the place where the heads are. */
  fail({ byte0, byte1, byte7 }: Trouble): number {
    return this.#unitCheck(new UnitCheck('a fault that was asked for', byte0, byte1, byte7));
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
      throw fileProtected('outside the extent');
    this.cylinder = cylinder;
    this.head = head;
    this.positioned = true;
    this.#leaveTrack();
  }

  /** {@link position}, with the arm moving after channel end when it has to move at all: device end comes later. */
  seek(cylinder: number, head: number): void {
    const from = this.cylinder;
    this.position(cylinder, head);
    if (cylinder === from) return;
    this.#moving = this.#serviceTime();
    this.#arrived = true;
  }

  /** Moves to a track some tracks on. @throws UnitCheck past the extent or the disk. */
  advance(tracks = 1): void {
    const { heads, cylinders } = this.image;
    const track = trackOf(this.cylinder, this.head) + tracks;
    if (track >= cylinders * heads) throw fileProtected('past the last track');
    this.position(Math.floor(track / heads), track % heads);
  }

  /** The track under the heads; the first access after positioning takes the device its time. */
  *track(port: DataPort): Task<CkdTrack> {
    if (this.#track !== undefined) return this.#track;
    const ns = this.#arrived ? 0 : this.#serviceTime();
    if (ns > 0) yield* port.delay(ns);
    this.#arrived = true;
    this.#track = parseTrack(this.image.track(this.cylinder, this.head), this.cylinder, this.head);
    return this.#track;
  }

  /**
   * Moves to the count area of the next record: at the end of the track to the next track (multitrack), else past the
   * index point. Passing that twice with searches alone in between means the record does not exist.
   * @param record0 whether R0 counts as a record.
   */
  *next(port: DataPort, multitrack: boolean, record0 = false): Task<CkdRecord> {
    for (;;) {
      const track = yield* this.track(port);
      const first = record0 ? 0 : 1;
      const at = this.area === 'index' || this.area === 'home' ? first : this.index + 1;
      if (at < track.records.length) return this.orient(at, 'count');
      if (multitrack) this.nextTrack();
      else if (++this.#passes === 2) throw noRecordFound();
      else this.area = 'index';
    }
  }

  /** The heads have passed `area` of a record of the current track. */
  orient(index: number, area: Area, found?: Found): CkdRecord {
    this.index = index;
    this.area = area;
    this.found = found;
    return (this.#track as CkdTrack).records[index];
  }

  /** The current track's bytes were changed. */
  wrote(): void {
    this.image.changed(this.cylinder, this.head);
    this.#writes = true;
  }

  /** Multitrack: the next head; the next cylinder only inside a Locate Record domain. @throws UnitCheck */
  nextTrack(): void {
    if (this.domain !== undefined) {
      this.advance();
      return;
    }
    if (FILE_MASK.get(this.fileMask, 'seek') === SEEK_CONTROL.NONE) throw fileProtected('head switching is inhibited');
    if (this.head + 1 === this.image.heads) throw new UnitCheck('end of cylinder', 0, SENSE1.END_OF_CYLINDER);
    this.position(this.cylinder, this.head + 1);
  }

  #serviceTime(): number {
    const { serviceTimeNs = 0, slow } = this.options;
    return serviceTimeNs + (slow !== undefined && slow.cylinder === this.cylinder ? slow.ns : 0);
  }

  #leaveTrack(): void {
    this.#track = undefined;
    this.#arrived = false;
    this.index = -1;
    this.area = 'index';
    this.found = undefined;
    this.#passes = 0;
  }

  /** A command of the domain is done. @throws UnitCheck when the chain ends before the domain does. */
  #countDomain(domain: Domain, port: DataPort): void {
    if (--domain.remaining === 0) this.domain = undefined;
    else if (port.chains?.() === false)
      throw new UnitCheck('incomplete domain', SENSE0.COMMAND_REJECT | SENSE0.INCOMPLETE_DOMAIN);
  }

  /** Turns what ended a command into sense information. Anything that is no fault of disk or program goes on. */
  #unitCheck(error: unknown, byte1 = 0): number {
    let check = error;
    if (error instanceof TrackFormatError) check = invalidTrackFormat(error.message);
    else if (isFileError(error)) {
      this.#say(error.message);
      check = new UnitCheck(error.message, SENSE0.EQUIPMENT, SENSE1.PERMANENT | byte1, FORMAT.DEVICE);
    }
    if (!(check instanceof UnitCheck)) throw error;
    this.#sense = buildSense(check, {
      cylinder: this.cylinder,
      head: this.head,
      record: this.#track?.records[this.index]?.record ?? 0,
      cylinders: this.image.cylinders,
      residual: this.domain?.remaining ?? 0,
    });
    this.domain = undefined;
    return DSTAT.UNIT_CHECK;
  }

  /** One line for the user, not again while the guest repeats what fails. */
  #say(message: string): void {
    if (message === this.#said) return;
    this.#said = message;
    const { devno, file } = this.options;
    const place = message.includes(file) ? '' : ` (${file})`;
    this.#log(
      `drive ${devno.toString(16).padStart(4, '0')}${place}: ${message}; the guest gets equipment check` +
        `${this.image.readonly ? '' : ', and what it wrote last may be lost'}`,
    );
  }
}

/** The host's file system failed, or the file is shorter than it was. */
function isFileError(error: unknown): error is Error {
  return error instanceof Error && ('syscall' in error || error.name === 'ImageError');
}
