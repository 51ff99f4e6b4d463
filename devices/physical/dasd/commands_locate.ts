/** Define Extent, the Locate Records, and Prefix, which is both at once. */

import type { Task } from '../../../kernel/lib/task.ts';
import type { DataPort } from '../css/channel_device.ts';
import { performSubsystemFunction } from './commands_subsystem.ts';
import type { EckdDrive } from './drive.ts';
import { atOnce, type CommandContext, type EckdCommand } from './eckd_command.ts';
import { DEFINE_EXTENT, EXTENT_PARAMETER, hasExtentParameter, parseExtent, wholeDisk } from './extent.ts';
import { type Domain, LOCATE_RECORD, LOCATE_RECORD_EXTENDED, parseLocate, parseLocateExtended } from './locate.ts';
import { MESSAGE, noRecordFound, reject } from './sense.ts';
import { type CkdTrack, TRACK_HEADER } from './track.ts';

/** Takes the parameters of a command and, when those ask for it, the rest. */
function takeExtent(port: DataPort): Uint8Array {
  const parameters = port.take(DEFINE_EXTENT.size);
  if (parameters.length < DEFINE_EXTENT.size || !hasExtentParameter(parameters)) return parameters;
  return Buffer.concat([parameters, port.take(EXTENT_PARAMETER.size)]);
}

/** @throws UnitCheck when the program has an extent, a file mask or an IPL already. */
function define(drive: EckdDrive, parameters: Uint8Array): void {
  if (drive.extent !== undefined || drive.fileMaskSet || drive.ipl)
    throw reject('Define Extent', MESSAGE.INVALID_SEQUENCE);
  const extent = parseExtent(parameters, drive.image.cylinders);
  drive.extent = extent;
  drive.fileMask = extent.mask;
}

/** The extent a Locate Record works in. After Read IPL it is the whole disk. */
function extentOf(drive: EckdDrive) {
  if (drive.extent !== undefined) return drive.extent;
  if (drive.ipl) return wholeDisk(drive.image.cylinders);
  throw reject('Locate Record without Define Extent', MESSAGE.INVALID_SEQUENCE);
}

/** Positions the device as a domain says, and opens it. */
function* locate(drive: EckdDrive, port: DataPort, domain: Domain): Task<void> {
  drive.position(domain.cylinder, domain.head);
  const track = yield* drive.track(port);
  const { search, orientation } = domain;
  if (search !== undefined && orientation !== 'index') orient(drive, track, search, orientation);
  drive.domain = domain.remaining === 0 ? undefined : domain;
}

function orient(drive: EckdDrive, track: CkdTrack, search: Uint8Array, orientation: 'count' | 'data' | 'home'): void {
  const { image, records } = track;
  if (orientation === 'home') {
    if (!holds(image, 1, search, TRACK_HEADER.size - 1)) throw noRecordFound();
    drive.area = 'home';
    return;
  }
  let index = 0;
  while (index < records.length && !holds(image, records[index].at, search, search.length)) index++;
  if (index === records.length) throw noRecordFound();
  drive.orient(index, orientation);
}

/** Whether the `length` bytes at `image[at]` are the first of `search`. */
function holds(image: Uint8Array, at: number, search: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (image[at + i] !== search[i]) return false;
  return true;
}

function* locateRecord({ drive, port }: CommandContext): Task<number> {
  const parameters = port.take(LOCATE_RECORD.size);
  yield* locate(drive, port, parseLocate(parameters, extentOf(drive), drive.image.cylinders));
  return 0;
}

/** Locate Record Extended. @param parameters its first twenty bytes; the rest comes from the channel. */
function* locateExtended(drive: EckdDrive, port: DataPort, parameters: Uint8Array): Task<void> {
  const domain = parseLocateExtended(parameters, extentOf(drive), drive.image.cylinders, (length) => port.take(length));
  yield* locate(drive, port, domain);
}

/** Prefix: a head, Define Extent with its extended parameter, Locate Record Extended (Linux `struct PFX_eckd_data`). */
const PREFIX = { EXTENT: 12, LOCATE: 44, SIZE: 64, FUNCTION: 62 } as const;
/** Formats: what follows the extent. */
const PREFIX_FORMAT = { EXTENT: 0, LOCATE: 1, FUNCTION: 2 } as const;
/** Validity byte. */
const VALID = { EXTENT: 0x80, TIME_STAMP: 0x40, VERIFY_BASE: 0x20, HYPER_PAV: 0x10, ZERO: 0x0f } as const;

/** Checks of the head, in order. This control unit has base devices only: an alias is none of them. */
const PREFIX_CHECKS: readonly (readonly [reason: string, bad: (p: Uint8Array, devno: number) => boolean])[] = [
  ['format', (p) => p[0] > PREFIX_FORMAT.FUNCTION],
  ['validity byte', (p) => (p[1] & VALID.ZERO) !== 0],
  ['time stamp without an extent', (p) => (p[1] & VALID.TIME_STAMP) !== 0 && (p[1] & VALID.EXTENT) === 0],
  ['alias', (p) => (p[1] & VALID.HYPER_PAV) !== 0],
  ['base device', (p, devno) => (p[1] & VALID.VERIFY_BASE) !== 0 && (p[2] !== (devno & 0xff) || p[4] !== devno >>> 8)],
  ['bytes 5 to 11', (p) => p.subarray(5, PREFIX.EXTENT).some((byte) => byte !== 0)],
];

function* prefix({ drive, port }: CommandContext): Task<number> {
  const p = port.take(PREFIX.SIZE);
  if (p.length < PREFIX.SIZE) throw reject('Prefix', MESSAGE.COUNT_TOO_SMALL);
  for (const [reason, bad] of PREFIX_CHECKS)
    if (bad(p, drive.options.devno)) throw reject(`Prefix: ${reason}`, MESSAGE.INVALID_PARAMETER);
  if ((p[1] & VALID.EXTENT) !== 0) define(drive, p.subarray(PREFIX.EXTENT, PREFIX.LOCATE));
  if (p[0] === PREFIX_FORMAT.LOCATE) yield* locateExtended(drive, port, p.subarray(PREFIX.LOCATE));
  if (p[0] === PREFIX_FORMAT.FUNCTION) performSubsystemFunction(drive, port, p.subarray(PREFIX.FUNCTION));
  return 0;
}

export const LOCATE_COMMANDS: readonly EckdCommand[] = [
  {
    code: 0x63,
    name: 'Define Extent',
    perform: atOnce(({ drive, port }) => {
      define(drive, takeExtent(port));
      return 0;
    }),
  },
  { code: 0x47, name: 'Locate Record', perform: locateRecord },
  {
    code: 0x4b,
    name: 'Locate Record Extended',
    *perform({ drive, port }) {
      yield* locateExtended(drive, port, port.take(LOCATE_RECORD_EXTENDED.size));
      return 0;
    },
  },
  { code: 0xe7, name: 'Prefix', perform: prefix },
  {
    code: 0xea,
    name: 'Prefix Read',
    // Its parameters come from a transport-command-control block; a read CCW cannot carry them.
    perform: atOnce(() => {
      throw reject('Prefix Read in command mode', MESSAGE.INVALID_COMMAND);
    }),
  },
];
