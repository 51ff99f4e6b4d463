/**
 * Writes of records. A record is taken from the channel whole before any of it reaches the track, so a program check in
 * the middle leaves the old record; bytes the program does not supply are zero. Format writes erase what followed on
 * the track.
 */

import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { DataPort } from '../css/channel_device.ts';
import type { EckdDrive, Found } from './drive.ts';
import type { CommandContext, EckdCommand } from './eckd_command.ts';
import { AUTHORIZATION, FILE_MASK, WRITE_CONTROL } from './extent.ts';
import { HOME_ADDRESS } from './home_address.ts';
import type { Domain } from './locate.ts';
import { fileProtected, invalidTrackFormat, MESSAGE, reject, SENSE0, SENSE1, UnitCheck } from './sense.ts';
import { type CkdRecord, type CkdTrack, COUNT, dataOf, formatRecord, TRACK_HEADER } from './track.ts';

/** What a write does to the track: new data, new records, or a new beginning. */
type Change = 'update' | 'format' | 'home';

/** File masks that permit each change. */
const PERMITTED: Readonly<Record<Change, readonly number[]>> = {
  update: [WRITE_CONTROL.INHIBIT_HA_R0, WRITE_CONTROL.UPDATE_ONLY, WRITE_CONTROL.PERMIT_ALL],
  format: [WRITE_CONTROL.INHIBIT_HA_R0, WRITE_CONTROL.PERMIT_ALL],
  home: [WRITE_CONTROL.PERMIT_ALL],
};

/** @throws UnitCheck when the drive is read-only or the file mask forbids the write. */
export function checkWrite(drive: EckdDrive, change: Change): void {
  if (drive.image.readonly)
    throw new UnitCheck('the drive is read-only', SENSE0.COMMAND_REJECT, SENSE1.WRITE_INHIBITED);
  if (!PERMITTED[change].includes(FILE_MASK.get(drive.fileMask, 'write')))
    throw reject('the file mask forbids the write', MESSAGE.INVALID_SEQUENCE);
}

/** Outside a domain a command before must have found the place. @throws UnitCheck */
function checkFound({ domain, found }: EckdDrive, wanted: readonly Found[]): void {
  if (domain === undefined && (found === undefined || !wanted.includes(found)))
    throw reject('write without a search', MESSAGE.INVALID_SEQUENCE);
}

/** Takes up to `length` bytes and fills up with zeros. */
export function takeFilled(port: DataPort, length: number): Uint8Array {
  const content = new Uint8Array(length);
  if (length > 0) content.set(port.take(length));
  return content;
}

/** Puts new data, and a new key before it, where a record has the old. */
export function replace(track: CkdTrack, record: CkdRecord, content: Uint8Array): void {
  const data = dataOf(track, record);
  track.image.set(content, data.byteOffset - track.image.byteOffset - (content.length - record.dataLength));
}

/** Writes the current record. @throws UnitCheck when it is not as long as the domain says. */
function* update({ drive, port }: CommandContext, withKey: boolean): Task<number> {
  const track = yield* drive.track(port);
  const record = track.records[drive.index];
  const length = record.dataLength + (withKey ? record.keyLength : 0);
  const { domain } = drive;
  if (domain !== undefined && length !== (isRecord0OfTrack(domain, record) ? RECORD_0_LENGTH : domain.transferLength))
    throw invalidTrackFormat('the record is not as long as the transfer');
  if (record.dataLength === 0) return DSTAT.UNIT_EXCEP;
  replace(track, record, takeFilled(port, length));
  drive.wrote();
  drive.orient(drive.index, 'data', drive.found);
  return 0;
}

/** Under Write Track, R0 is always 8 bytes long. */
const RECORD_0_LENGTH = 8;
const isRecord0OfTrack = ({ kind }: Domain, { record }: CkdRecord) => kind === 'write track' && record === 0;

/** Write Data, Write Key and Data: the very record that was located or found. */
function updateHere(withKey: boolean, wanted: readonly Found[]): EckdCommand['perform'] {
  return function* (context) {
    const { drive } = context;
    checkWrite(drive, 'update');
    checkFound(drive, wanted);
    if (drive.area !== 'count' && (withKey || drive.area !== 'key'))
      throw reject('write without a record', MESSAGE.INVALID_SEQUENCE);
    return yield* update(context, withKey);
  };
}

/** Write Update Data, Write Update Key and Data: the record located, then the next and the next. */
function updateNext(withKey: boolean): EckdCommand['perform'] {
  return function* (context) {
    const { drive, port } = context;
    checkWrite(drive, 'update');
    if (drive.area !== 'count' || drive.index === 0) yield* drive.next(port, true);
    return yield* update(context, withKey);
  };
}

/** Formats a record behind the first `keep` records. @throws UnitCheck when it does not fit. */
function* format({ drive, port }: CommandContext, keep: number): Task<number> {
  const track = yield* drive.track(port);
  const count = port.take(COUNT.size);
  if (count.length < COUNT.size) throw reject('count area', MESSAGE.COUNT_TOO_SMALL);
  const { record, keyLength, dataLength } = COUNT.at(new DataView(count.buffer, count.byteOffset));
  const content = takeFilled(port, keyLength + dataLength);
  // An image finds the beginning of a track's records by R0.
  if ((keep === 0) !== (record === 0)) throw invalidTrackFormat(`record ${record} in place of another`);
  if (!formatRecord(track, keep, count, content)) throw invalidTrackFormat('the record does not fit the track');
  drive.wrote();
  drive.orient(keep, 'data', 'format');
  return 0;
}

/** Records before the place where the heads are. R0 is always there. */
const passed = ({ area, index }: EckdDrive) => (area === 'index' || area === 'home' ? 1 : index + 1);

function* writeCkd(context: CommandContext): Task<number> {
  const { drive } = context;
  checkWrite(drive, 'format');
  checkFound(drive, ['id', 'key', 'format']);
  return yield* format(context, passed(drive));
}

/** Write Count, Key and Data Next Track: behind R0 of the next track. */
function* writeCkdNextTrack(context: CommandContext): Task<number> {
  const { drive } = context;
  checkWrite(drive, 'format');
  drive.advance();
  return yield* format(context, 1);
}

function* writeRecord0(context: CommandContext): Task<number> {
  checkWrite(context.drive, 'home');
  checkFound(context.drive, ['home']);
  return yield* format(context, 0);
}

/** Erase: what follows on the track. Takes a count area, and as many bytes as that says; they are not written. */
function* erase({ drive, port }: CommandContext): Task<number> {
  checkWrite(drive, 'format');
  checkFound(drive, ['id', 'key', 'format']);
  const track = yield* drive.track(port);
  const count = takeFilled(port, COUNT.size);
  const { keyLength, dataLength } = COUNT.at(new DataView(count.buffer));
  takeFilled(port, keyLength + dataLength);
  cut(track, passed(drive));
  drive.wrote();
  drive.orient(track.records.length - 1, 'data');
  return 0;
}

/** Ends a track behind its first `keep` records. */
function cut(track: CkdTrack, keep: number): void {
  if (keep >= track.records.length) return;
  const { at } = track.records[keep];
  track.image.fill(0xff, at, at + COUNT.size);
  track.records = track.records.slice(0, keep);
}

/**
 * Write Home Address: the track keeps the only address an image can give it, good and primary, and R0; its other
 * records are gone, and Write Record Zero may follow.
 * @param flagAt where flag, cylinder and head stand among `length` bytes.
 */
function writeHome(length: number, flagAt: number, authorized: readonly number[]): EckdCommand['perform'] {
  return function* ({ drive, port }) {
    if (FILE_MASK.get(drive.fileMask, 'write') !== WRITE_CONTROL.PERMIT_ALL)
      throw fileProtected('the file mask forbids to write the home address');
    checkWrite(drive, 'home');
    if (!authorized.includes(FILE_MASK.get(drive.fileMask, 'auth')))
      throw reject('Write Home Address without authorization', MESSAGE.FILE_MASK);
    const track = yield* drive.track(port);
    const address = port.take(length);
    if (address.length < length) throw reject('Write Home Address', MESSAGE.COUNT_TOO_SMALL);
    const wanted = track.image.subarray(0, TRACK_HEADER.size);
    if (Buffer.compare(address.subarray(flagAt, flagAt + TRACK_HEADER.size), wanted) !== 0)
      throw reject('home address of another track', MESSAGE.INVALID_PARAMETER);
    cut(track, 1);
    drive.wrote();
    drive.area = 'home';
    drive.found = 'home';
    return 0;
  };
}

/** The last write of the domain, when a Read Count is not behind it. */
const lastWrite = ({ kind, suffix, remaining }: Domain) => kind !== 'write' || remaining === (suffix ? 2 : 1);
/** A write, not the place of the Read Count. */
const beforeSuffix = ({ suffix, remaining }: Domain) => !suffix || remaining > 1;
const homeOrIndex = ({ orientation }: Domain) => orientation === 'home' || orientation === 'index';

const WRITE_CKD = 0x1d;
const WRITE_CKD_NEXT = 0x9d;
const ANY = Object.values(AUTHORIZATION);

export const WRITE_COMMANDS: readonly EckdCommand[] = [
  {
    code: 0x05,
    name: 'Write Data',
    domains: ['write', 'write track'],
    fits: lastWrite,
    perform: updateHere(false, ['id', 'key']),
  },
  {
    code: 0x0d,
    name: 'Write Key and Data',
    domains: ['write', 'write track'],
    fits: lastWrite,
    perform: updateHere(true, ['id']),
  },
  {
    code: 0x85,
    name: 'Write Update Data',
    domains: ['write'],
    domainOnly: true,
    fits: beforeSuffix,
    perform: updateNext(false),
  },
  {
    code: 0x8d,
    name: 'Write Update Key and Data',
    domains: ['write'],
    domainOnly: true,
    fits: beforeSuffix,
    perform: updateNext(true),
  },
  { code: WRITE_CKD, name: 'Write Count, Key and Data', domains: ['format', 'write track'], perform: writeCkd },
  {
    code: WRITE_CKD_NEXT,
    name: 'Write Count, Key and Data Next Track',
    domains: ['format'],
    domainOnly: true,
    after: [WRITE_CKD, WRITE_CKD_NEXT],
    perform: writeCkdNextTrack,
  },
  { code: 0x15, name: 'Write Record Zero', domains: ['format'], fits: homeOrIndex, perform: writeRecord0 },
  { code: 0x11, name: 'Erase', domains: ['write track'], perform: erase },
  {
    code: 0x19,
    name: 'Write Home Address',
    positioned: true,
    domains: ['format'],
    fits: homeOrIndex,
    perform: writeHome(TRACK_HEADER.size, 0, ANY),
  },
  {
    code: 0x09,
    name: 'Diagnostic Write Home Address',
    positioned: true,
    domains: ['format'],
    fits: homeOrIndex,
    perform: writeHome(HOME_ADDRESS.size, HOME_ADDRESS.offset.flag, [
      AUTHORIZATION.DEVICE_SUPPORT,
      AUTHORIZATION.DIAGNOSTIC,
    ]),
  },
];
