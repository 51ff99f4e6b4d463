/**
 * Writes. A record is taken from the channel whole before any of it reaches the track, so a program check in the middle
 * leaves the old record; bytes the program does not supply are zero.
 */

import { DSTAT } from '../../../kernel/include/arch/s390/scsw.ts';
import type { Task } from '../../../kernel/lib/task.ts';
import type { DataPort } from '../css/channel_device.ts';
import type { Area, EckdDrive } from './drive.ts';
import { type CommandContext, type EckdCommand, withMultitrack } from './eckd_command.ts';
import { FILE_MASK, WRITE_CONTROL } from './extent.ts';
import { MESSAGE, reject, SENSE0, SENSE1, UnitCheck } from './sense.ts';
import { COUNT, dataOf, formatRecord } from './track.ts';

/** @throws UnitCheck when the drive is read-only or the file mask forbids the write. */
function checkWrite(drive: EckdDrive, format: boolean): void {
  if (drive.image.readonly)
    throw new UnitCheck('the drive is read-only', SENSE0.COMMAND_REJECT, SENSE1.WRITE_INHIBITED);
  const control = FILE_MASK.get(drive.fileMask, 'write');
  if (control === WRITE_CONTROL.INHIBIT_ALL || (format && control === WRITE_CONTROL.UPDATE_ONLY))
    throw reject('the file mask forbids the write', MESSAGE.INVALID_SEQUENCE);
}

/** Takes up to `length` bytes and fills up with zeros. */
function takeAll(port: DataPort, length: number): Uint8Array {
  const content = new Uint8Array(length);
  content.set(port.take(length));
  return content;
}

/** Update write. @param current areas after which the current record is written, else the next. */
function update(withKey: boolean, current: readonly Area[]) {
  return function* ({ drive, port, multitrack }: CommandContext): Task<number> {
    checkWrite(drive, false);
    const here = current.includes(drive.area);
    // Outside a domain a search must have found this very record.
    if (drive.domain === undefined && !(here && drive.found))
      throw reject('write without a search', MESSAGE.INVALID_SEQUENCE);
    if (!here) yield* drive.next(port, multitrack);
    const track = yield* drive.track(port);
    const record = track.records[drive.index];
    const data = dataOf(track, record);
    const before = withKey ? record.keyLength : 0;
    const content = takeAll(port, before + record.dataLength);
    track.image.set(content, data.byteOffset - track.image.byteOffset - before);
    drive.wrote();
    drive.orient(drive.index, 'data');
    drive.progressed();
    return record.dataLength === 0 ? DSTAT.UNIT_EXCEP : 0;
  };
}

/** Format write: a new record behind the current one; what followed on the track is gone. */
function* writeCkd({ drive, port }: CommandContext): Task<number> {
  checkWrite(drive, true);
  if (drive.domain === undefined && !drive.found && !drive.formatted)
    throw reject('format write without a search', MESSAGE.INVALID_SEQUENCE);
  const track = yield* drive.track(port);
  const count = port.take(COUNT.size);
  if (count.length < COUNT.size) throw reject('Write Count, Key and Data', MESSAGE.COUNT_TOO_SMALL);
  const { keyLength, dataLength } = COUNT.at(new DataView(count.buffer, count.byteOffset));
  const content = takeAll(port, keyLength + dataLength);
  const keep = drive.area === 'index' || drive.area === 'home' ? 1 : drive.index + 1;
  if (!formatRecord(track, keep, count, content))
    throw new UnitCheck('the record does not fit the track', 0, SENSE1.INVALID_TRACK_FORMAT);
  drive.wrote();
  drive.orient(keep, 'data');
  drive.formatted = true;
  drive.progressed();
  return 0;
}

const WRITE = ['write'] as const;
const FORMAT = ['format'] as const;

export const WRITE_COMMANDS: readonly EckdCommand[] = [
  { code: 0x05, name: 'Write Data', track: WRITE, perform: update(false, ['count', 'key']) },
  { code: 0x0d, name: 'Write Key and Data', track: WRITE, perform: update(true, ['count']) },
  { code: 0x1d, name: 'Write Count, Key and Data', track: FORMAT, perform: writeCkd },
].flatMap(withMultitrack);
